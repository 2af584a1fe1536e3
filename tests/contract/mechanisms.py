"""The mechanisms under contract, one declaration each; a new one is declared here and nowhere else.

A declaration says how the layer is made, what it must compute (loops over plain numbers, written
here and calling none of the course's code), its parameters, which properties do *not* hold, and
which built-ins of the libraries compute the same.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from math import exp, inf, sqrt, tanh
from typing import Any, NamedTuple

import built_ins
import numpy as np
from frameworks import FRAMEWORKS, Arrays, Framework, Make

# All sizes differ, so that a mixed-up axis shows: in the shape, or in a √ of the wrong size.
B, T, S = 2, 3, 5
KEY_SIZE, VALUE_SIZE, QUERY_SIZE, SCORE_SIZE = 4, 6, 7, 8
REACH = 2


class Answer(NamedTuple):
    context: np.ndarray
    weights: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a mechanism is asked; `mask` is broadcastable to (B,T,S) or None."""

    query: np.ndarray
    key: np.ndarray
    value: np.ndarray
    mask: np.ndarray | None = None

    @property
    def sizes(self) -> tuple[int, int, int]:
        """B, T, S."""
        return *self.query.shape[:2], self.key.shape[1]

    @property
    def full_mask(self) -> np.ndarray:
        """The mask, written out as (B,T,S)."""
        return np.broadcast_to(True if self.mask is None else self.mask, self.sizes)

    def allowed(self, weights: np.ndarray) -> np.ndarray:
        """The mask, written out in the shape of the weights, which may have an axis for heads."""
        b_size, t_size, s_size = self.sizes
        heads = (1,) * (weights.ndim - 3)
        return np.broadcast_to(
            self.full_mask.reshape(b_size, *heads, t_size, s_size), weights.shape
        )


Reference = Callable[[Inputs, Arrays], Answer]
Lists = Mapping[str, list]


@dataclass(frozen=True, eq=False)
class Mechanism:
    """All that the suite must be told.

    `parameters` are shapes by name. `scores` are the scores as a framework's function gives them.
    `fails` names each property that does not hold, with words from what its check then says: a test
    expects exactly that.
    """

    name: str
    build: Callable[[Make], Any]
    reference: Reference
    parameters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    query_size: int = KEY_SIZE
    context_size: int = VALUE_SIZE
    heads: tuple[int, ...] = ()  # the axes of the weights between B and T
    scores: Callable[..., Any] | None = None
    built_ins: tuple[Callable[..., tuple | None], ...] = ()
    fails: Mapping[str, str] = field(default_factory=dict)
    frameworks: tuple[str, ...] = tuple(FRAMEWORKS)


# References.


def reference(score: Callable[[list, list, int, Lists], float]) -> Reference:
    """Attention in loops, from score(query, keys, s, parameters): one query, all keys of its
    sentence, the place of the key in question.
    """

    def attend(inputs: Inputs, parameters: Arrays) -> Answer:
        (b_size, t_size, s_size), mask = inputs.sizes, inputs.full_mask
        queries, keys, values = (x.tolist() for x in (inputs.query, inputs.key, inputs.value))
        lists = {name: array.tolist() for name, array in parameters.items()}
        weights = np.zeros((b_size, t_size, s_size))
        context = np.zeros((b_size, t_size, inputs.value.shape[2]))
        for b in range(b_size):
            for t in range(t_size):
                allowed = [s for s in range(s_size) if mask[b, t, s]]
                powers = [exp(score(queries[b][t], keys[b], s, lists)) for s in allowed]
                for s, power in zip(allowed, powers):
                    weights[b, t, s] = power / sum(powers)
                    for i, number in enumerate(values[b][s]):
                        context[b, t, i] += power / sum(powers) * number
        return Answer(context, weights)

    return attend


def dot(query: list, keys: list, s: int, parameters: Lists) -> float:
    return sum(q * k for q, k in zip(query, keys[s], strict=True))


def scaled_dot(query: list, keys: list, s: int, parameters: Lists) -> float:
    return dot(query, keys, s, parameters) / sqrt(len(query))


def general(query: list, keys: list, s: int, parameters: Lists) -> float:
    rows = zip(query, parameters["score.weight"], strict=True)
    return sum(q * w * k for q, row in rows for w, k in zip(row, keys[s], strict=True))


def additive(query: list, keys: list, s: int, parameters: Lists) -> float:
    w, u, v = (parameters[f"score.{name}"] for name in ("query_weight", "key_weight", "vector"))
    both = [*zip(query, w, strict=True), *zip(keys[s], u, strict=True)]
    return sum(v[a] * tanh(sum(x * row[a] for x, row in both)) for a in range(len(v)))


def location(query: list, keys: list, s: int, parameters: Lists) -> float:
    if s >= len(parameters["score.weight"][0]):
        return -inf
    return sum(q * row[s] for q, row in zip(query, parameters["score.weight"], strict=True))


def predicted(query: list, t: int, length: int, parameters: Lists) -> float:
    """p_t = L · σ(v · tanh(q W)), eq. 9 of Luong et al. 2015."""
    columns = zip(*parameters["predictor.weight"], strict=True)
    units = [tanh(sum(q * w for q, w in zip(query, column))) for column in columns]
    inner = sum(v * u for v, u in zip(parameters["predictor.vector"], units, strict=True))
    return length / (1 + exp(-inner))


def local(center: Callable[[list, int, int, Lists], float], bell: bool) -> Reference:
    """General attention within REACH of center(query, t, length, parameters), in loops; with the
    bell curve of eq. 10 over it or not.
    """

    def attend(inputs: Inputs, parameters: Arrays) -> Answer:
        lists = {name: array.tolist() for name, array in parameters.items()}
        full = np.array(inputs.full_mask)
        off = np.zeros(full.shape)
        for b, t in np.ndindex(full.shape[:2]):
            p = center(inputs.query[b, t].tolist(), t, int(full[b, t].sum()), lists)
            for s in range(full.shape[2]):
                off[b, t, s] = s - p
        window = full & (abs(off) <= REACH)
        answer = reference(general)(
            Inputs(inputs.query, inputs.key, inputs.value, window), parameters
        )
        if not bell:
            return answer
        weights = np.array(answer.weights)
        for place in np.ndindex(weights.shape):
            weights[place] *= exp(-(off[place] ** 2) / (2 * (REACH / 2) ** 2))
        context = np.zeros_like(answer.context)
        for b, t, s in np.ndindex(weights.shape):
            context[b, t] += weights[b, t, s] * inputs.value[b, s]
        return Answer(context, weights)

    return attend


# Declarations.

DOT = Mechanism(
    "dot",
    build=lambda make: make("Attention"),  # the default score
    scores=lambda code, query, key: code.dot_scores(query, key),
    reference=reference(dot),
    built_ins=(built_ins.torch_sdpa_unscaled, built_ins.keras_attention),
)
SCALED_DOT = Mechanism(
    "scaled_dot",
    build=lambda make: make("Attention", make("DotScore", scaled=True)),
    scores=lambda code, query, key: code.scaled_dot_scores(query, key),
    reference=reference(scaled_dot),
    built_ins=(
        built_ins.torch_sdpa,
        built_ins.torch_multi_head_attention,
        built_ins.keras_multi_head_attention,
    ),
)
GENERAL = Mechanism(
    "general",
    build=lambda make: make("Attention", make("GeneralScore", QUERY_SIZE, KEY_SIZE)),
    scores=lambda code, query, key, weight: code.general_scores(query, key, weight),
    reference=reference(general),
    parameters={"score.weight": (QUERY_SIZE, KEY_SIZE)},
    query_size=QUERY_SIZE,
)
# Not under contract, but for mutants: with queries and keys of one size a transposed W runs.
SQUARE = replace(
    GENERAL,
    name="general_of_equal_sizes",
    build=lambda make: make("Attention", make("GeneralScore", KEY_SIZE, KEY_SIZE)),
    parameters={"score.weight": (KEY_SIZE, KEY_SIZE)},
    query_size=KEY_SIZE,
)
STEPWISE = replace(
    GENERAL,
    name="stepwise_general",
    build=lambda make: make("StepwiseAttention", make("GeneralScore", QUERY_SIZE, KEY_SIZE)),
    frameworks=("scratch",),
)
ADDITIVE = Mechanism(
    "additive",
    build=lambda make: make("Attention", make("AdditiveScore", QUERY_SIZE, KEY_SIZE, SCORE_SIZE)),
    scores=lambda code, query, key, w, u, v: code.additive_scores(query, key, w, u, v),
    reference=reference(additive),
    parameters={
        "score.query_weight": (QUERY_SIZE, SCORE_SIZE),
        "score.key_weight": (KEY_SIZE, SCORE_SIZE),
        "score.vector": (SCORE_SIZE,),
    },
    query_size=QUERY_SIZE,
    built_ins=(built_ins.keras_additive_attention,),
)
# Not under contract, but for mutants: where all sizes are equal, W and U swapped run.
EVEN = replace(
    ADDITIVE,
    name="additive_of_equal_sizes",
    build=lambda make: make("Attention", make("AdditiveScore", KEY_SIZE, KEY_SIZE, KEY_SIZE)),
    parameters={
        "score.query_weight": (KEY_SIZE, KEY_SIZE),
        "score.key_weight": (KEY_SIZE, KEY_SIZE),
        "score.vector": (KEY_SIZE,),
    },
    query_size=KEY_SIZE,
)
STEPWISE_ADDITIVE = replace(
    ADDITIVE,
    name="stepwise_additive",
    build=lambda make: make(
        "StepwiseAttention", make("AdditiveScore", QUERY_SIZE, KEY_SIZE, SCORE_SIZE)
    ),
    frameworks=("scratch",),
)
LOCATION = Mechanism(
    "location",
    build=lambda make: make("Attention", make("LocationScore", QUERY_SIZE, 2 * S)),
    scores=lambda code, query, key, weight: code.location_scores(query, key, weight),
    reference=reference(location),
    parameters={"score.weight": (QUERY_SIZE, 2 * S)},
    query_size=QUERY_SIZE,
    fails={
        "permuting_keys_with_values_changes_nothing": "weights did not move with the keys",
        "weights_depend_on_the_keys": "weights ignore the source",
    },
)
# More words than places: those beyond get no weight, as in the paper. What is behind may be real.
FEW_PLACES = replace(
    LOCATION,
    name="location_of_few_places",
    build=lambda make: make("Attention", make("LocationScore", QUERY_SIZE, S - 1)),
    parameters={"score.weight": (QUERY_SIZE, S - 1)},
    scores=None,
    fails=LOCATION.fails | {"context_depends_on_the_values": "a value without gradient"},
)
LOCAL_M = Mechanism(
    "local_m",
    build=lambda make: make("LocalAttention", make("GeneralScore", QUERY_SIZE, KEY_SIZE), REACH),
    reference=local(lambda query, t, length, lists: t, bell=False),
    parameters=GENERAL.parameters,
    query_size=QUERY_SIZE,
    fails={
        "permuting_keys_with_values_changes_nothing": "weights did not move with the keys",
        "one_step_at_a_time_is_the_same": "step",
        # Those outside of every window play no part; one alone in a window has weight 1.
        "weights_depend_on_the_keys": "a key without gradient",
        "weights_depend_on_the_query": "a query without gradient",
        "context_depends_on_the_values": "a value without gradient",
    },
    frameworks=("scratch", "pytorch"),
)
LOCAL_P = Mechanism(
    "local_p",
    build=lambda make: make(
        "LocalAttention",
        make("GeneralScore", QUERY_SIZE, KEY_SIZE),
        REACH,
        make("PlacePredictor", QUERY_SIZE, SCORE_SIZE),
    ),
    reference=local(predicted, bell=True),
    parameters=GENERAL.parameters
    | {"predictor.weight": (QUERY_SIZE, SCORE_SIZE), "predictor.vector": (SCORE_SIZE,)},
    query_size=QUERY_SIZE,
    fails={
        "permuting_keys_with_values_changes_nothing": "weights did not move with the keys",
        "allowed_rows_sum_to_one": "sum to 1",
        "context_lies_among_the_allowed_values": "must be an average",
        "weights_depend_on_the_keys": "a key without gradient",
        "context_depends_on_the_values": "a value without gradient",
    },
    frameworks=("scratch", "pytorch"),
)

MECHANISMS = {
    m.name: m
    for m in (
        *(DOT, SCALED_DOT, GENERAL, STEPWISE, ADDITIVE, STEPWISE_ADDITIVE),
        *(LOCATION, FEW_PLACES, LOCAL_M, LOCAL_P),
    )
}


def implementations(mechanism: Mechanism) -> list[tuple[Mechanism, Framework]]:
    """All that must compute the same: they share the reference and the parameters."""
    return [
        (other, FRAMEWORKS[name])
        for other in MECHANISMS.values()
        for name in other.frameworks
        if (other.reference, other.parameters) == (mechanism.reference, mechanism.parameters)
    ]


# What is asked.


def random_parameters(mechanism: Mechanism) -> Arrays:
    rng = np.random.default_rng(1)
    return {name: rng.normal(0.1, 0.5, shape) for name, shape in mechanism.parameters.items()}


def random_inputs(
    mechanism: Mechanism, sizes: tuple[int, int, int], mask: np.ndarray | None, seed: int = 2
) -> Inputs:
    """Numbers without any symmetry, for `sizes` B, T, S."""
    (b_size, t_size, s_size), rng = sizes, np.random.default_rng(seed)
    return Inputs(
        rng.normal(0.2, 0.8, (b_size, t_size, mechanism.query_size)),
        rng.normal(-0.1, 0.9, (b_size, s_size, KEY_SIZE)),
        rng.normal(0.3, 1.0, (b_size, s_size, VALUE_SIZE)),
        mask,
    )


def random_dcontext(mechanism: Mechanism, inputs: Inputs) -> np.ndarray:
    """A gradient of the context, (B,T,context_size)."""
    shape = (*inputs.query.shape[:-1], mechanism.context_size)
    return np.random.default_rng(4).normal(0.1, 1.0, shape)


@cache
def ordinary_inputs(mechanism: Mechanism) -> tuple[Inputs, ...]:
    """Without a mask, with padding, and with a mask of its own for every pair; no row is empty."""
    padding = np.arange(S) < np.array([3, 5])[:, None, None]
    anything = np.random.default_rng(3).random((B, T, S)) < 0.6
    anything[..., 1] = anything[..., 3] = True
    return tuple(random_inputs(mechanism, (B, T, S), mask) for mask in (None, padding, anything))


# One mechanism in one framework.


class Subject:
    """A mechanism in a framework, with the parameters that all frameworks share."""

    def __init__(self, mechanism: Mechanism, framework: Framework, dtype: str = "float64") -> None:
        self.mechanism, self.framework, self.dtype = mechanism, framework, dtype
        self.parameters = random_parameters(mechanism)
        self.layer = framework.layer(mechanism.build, self.parameters, dtype)

    def others(self) -> list["Subject"]:
        """Every other implementation of the same."""
        mine = (self.mechanism, self.framework)
        return [Subject(*pair) for pair in implementations(self.mechanism) if pair != mine]

    def arrays(self, inputs: Inputs) -> list[Any]:
        """Query, key, value and mask as this framework's arrays."""
        floats = (inputs.query, inputs.key, inputs.value)
        mask = None if inputs.mask is None else self.framework.array(inputs.mask)
        return [*(self.framework.array(x, self.dtype) for x in floats), mask]

    def attend(self, inputs: Inputs, need_weights: bool = True) -> Answer:
        answer = self.framework.call(self.layer, *self.arrays(inputs), need_weights=need_weights)
        return Answer(*(None if x is None else self.framework.numpy(x).copy() for x in answer))

    def gradients(
        self, inputs: Inputs, dcontext: np.ndarray | None = None, need_weights: bool = True
    ) -> Arrays:
        """Of query, key, value and every parameter, from that of the context (None: a random
        one).
        """
        if dcontext is None:
            dcontext = random_dcontext(self.mechanism, inputs)
        dcontext = self.framework.array(dcontext, self.dtype)
        arrays = (*self.arrays(inputs), dcontext)
        return self.framework.gradients(self.layer, *arrays, need_weights=need_weights)
