"""What holds for every attention mechanism, one function each, from fundamental to subtle.

Those in ANY_INPUTS hold for any inputs, so hypothesis may look for a counter-example; the others
need inputs in which there is something to see. FUNCTION_PROPERTIES concern a framework's functions
and not a mechanism. Each message names the likely mistake.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
from frameworks import INPUTS, Arrays, Framework
from mechanisms import (
    Answer,
    Inputs,
    Mechanism,
    Subject,
    implementations,
    random_dcontext,
    random_parameters,
)

EXACT = 1e-12  # the same float64 numbers, summed in another order
GRADIENT = 1e-6  # against finite differences
SEEN = 1e-9  # more than rounding: something was read


def assert_equal(ours: np.ndarray, theirs: np.ndarray, tolerance: float, message: str) -> None:
    """Of one shape, and nowhere further apart than `tolerance`, NaN being far from everything."""
    assert ours.shape == theirs.shape, f"{message}: shape {ours.shape}, expected {theirs.shape}"
    difference = np.abs(ours - theirs).max(initial=0)
    assert difference <= tolerance, f"{message} (off by {difference:.1e})"


def assert_same(ours: Answer, theirs: Answer, tolerance: float, message: str) -> None:
    assert_equal(ours.context, theirs.context, tolerance, f"context: {message}")
    assert_equal(ours.weights, theirs.weights, tolerance, f"weights: {message}")


def assert_all_equal(ours: Arrays, theirs: Arrays, tolerance: float, message: str) -> None:
    assert ours.keys() == theirs.keys(), f"{message}: {sorted(ours)}, expected {sorted(theirs)}"
    for name in ours:
        assert_equal(ours[name], theirs[name], tolerance, f"{message}: {name}")


def assert_same_gradients(ours: Arrays, theirs: Arrays, tolerance: float, message: str) -> None:
    assert_all_equal(ours, theirs, tolerance, f"gradients: {message}")


def with_empty_rows(inputs: Inputs) -> Inputs:
    """The first query may attend to nothing, nor may anybody in the last sentence."""
    mask = inputs.full_mask.copy()
    mask[0, 0], mask[-1] = False, False
    return replace(inputs, mask=mask)


# Any inputs.


def parameters_have_the_common_names(subject: Subject, inputs: Inputs) -> None:
    """One .npz serves all frameworks: the same names, the same shapes."""
    arrays = subject.framework.weights.to_arrays(subject.layer)
    assert_all_equal(arrays, subject.parameters, 0, "weights did not come back as they went in")


def shapes_and_dtype_are_right(subject: Subject, inputs: Inputs) -> None:
    """context (B,T,d_v), weights (B,T,S), of the dtype that came in."""
    context, weights = subject.attend(inputs)
    b_size, t_size, s_size = inputs.sizes
    expected = (b_size, t_size, subject.mechanism.context_size)
    assert context.shape == expected, (
        f"context must be (B,T,d_v) = {expected}, got {context.shape}: keys taken for values, or "
        "(B,B,·) from a matrix product that took the batch for a matrix axis?"
    )
    expected = (b_size, *subject.mechanism.heads, t_size, s_size)
    assert weights.shape == expected, f"weights must be (B,T,S) = {expected}, got {weights.shape}"
    assert context.dtype == weights.dtype == np.float64, "float64 must stay float64"


def allowed_rows_sum_to_one(subject: Subject, inputs: Inputs) -> None:
    """Weights are not negative, and those of a query that may attend to something sum to 1."""
    weights = subject.attend(inputs).weights
    assert (weights >= 0).all(), "weights must be 0 or more, and never NaN"
    rows = weights.sum(axis=-1)[inputs.allowed(weights).any(axis=-1)]
    assert_equal(
        rows,
        np.ones_like(rows),
        EXACT,
        "each query's weights must sum to 1: softmax over another axis than the keys, or mask "
        "after the softmax?",
    )


def masked_weights_are_exactly_zero(subject: Subject, inputs: Inputs) -> None:
    """Not small: 0."""
    weights = subject.attend(inputs).weights
    masked = weights[~inputs.allowed(weights)]
    assert (masked == 0).all(), (
        f"a masked key got weight {np.abs(masked).max()}: a mask multiplied onto the scores, −10 "
        "or so instead of −inf, or a mask that means the opposite?"
    )


def context_lies_among_the_allowed_values(subject: Subject, inputs: Inputs) -> None:
    """In the convex hull: in whatever direction, no further out than the outermost value."""
    context = subject.attend(inputs).context
    size = inputs.value.shape[-1]
    directions = np.concatenate([np.eye(size), np.random.default_rng(5).normal(size=(64, size))])
    values = (inputs.value @ directions.T)[:, None]  # (B,1,S,directions)
    mask = inputs.full_mask[..., None]
    highest = np.where(mask, values, -np.inf).max(axis=-2)
    lowest = np.where(mask, values, np.inf).min(axis=-2)
    rows = inputs.full_mask.any(axis=-1)
    reached = (context @ directions.T)[rows]
    inside = (lowest[rows] - EXACT <= reached) & (reached <= highest[rows] + EXACT)
    assert inside.all(), (
        "the context must be an average of the values that may be attended: averaged over the "
        "queries or the keys instead, or weights that do not sum to 1?"
    )


def padding_changes_nothing(subject: Subject, inputs: Inputs) -> None:
    """Neither what stands in the padding nor how much of it there is, gradients included."""
    rng = np.random.default_rng(6)
    b_size, t_size, s_size = inputs.sizes
    lengths = rng.integers(1, s_size + 1, b_size)
    padding = np.arange(s_size + 3) >= lengths[:, None]

    def padded(array: np.ndarray) -> np.ndarray:
        longer = np.concatenate([array, np.zeros((b_size, 3, array.shape[2]))], axis=1)
        return np.where(padding[..., None], rng.normal(0, 9, longer.shape), longer)

    def mask(size: int) -> np.ndarray:
        ours = subject.framework.padding_mask(subject.framework.array(lengths), size)
        ours = subject.framework.numpy(ours)
        rest = np.ones((b_size, t_size, size - s_size), bool)
        full = np.concatenate([inputs.full_mask, rest], axis=-1)
        return ours if inputs.mask is None else ours & full

    short = replace(inputs, mask=mask(s_size))
    long = Inputs(inputs.query, padded(inputs.key), padded(inputs.value), mask(s_size + 3))
    message = "padding must change nothing: a mask that is missing, off by one or inverted?"
    before, after = subject.attend(short), subject.attend(long)
    assert_equal(after.context, before.context, EXACT, message)
    assert_equal(after.weights[..., :s_size], before.weights, EXACT, message)
    assert (after.weights[..., s_size:] == 0).all(), message

    before, after = subject.gradients(short), subject.gradients(long)
    for name in ("key", "value"):
        assert (after[name][padding] == 0).all(), f"the padding's {name} must get gradient 0"
        after[name] = after[name][:, :s_size]
    assert_same_gradients(after, before, EXACT, message)


def permuting_keys_with_values_changes_nothing(subject: Subject, inputs: Inputs) -> None:
    """The weights move along, the context stays: attention looks up by what, not by where."""
    b_size, _, s_size = inputs.sizes
    order = np.random.default_rng(7).permuted(np.tile(np.arange(s_size), (b_size, 1)), axis=1)

    def moved(array: np.ndarray, axis: int) -> np.ndarray:
        places = [1] * array.ndim
        places[0], places[axis] = b_size, s_size
        return np.take_along_axis(array, order.reshape(places), axis)

    shuffled = Inputs(
        inputs.query, moved(inputs.key, 1), moved(inputs.value, 1), moved(inputs.full_mask, -1)
    )
    before, after = subject.attend(inputs), subject.attend(shuffled)
    message = "the weights did not move with the keys: something looks at their places"
    assert_equal(after.weights, moved(before.weights, -1), EXACT, message)
    message = "the context changed with the order of keys and values: something looks at places"
    assert_equal(after.context, before.context, EXACT, message)


def the_future_changes_nothing(subject: Subject, inputs: Inputs) -> None:
    """Under a causal mask, queries before `now` neither see nor move keys and values from `now`."""
    size = min(inputs.sizes[1:])
    now = size // 2
    causal = subject.framework.numpy(subject.framework.causal_mask(size))
    arrays = [array[:, :size] for array in (inputs.query, inputs.key, inputs.value)]
    present = Inputs(*arrays, causal & inputs.full_mask[:, :size, :size])
    arrays = [array.copy() for array in arrays]
    for array in arrays:
        array[:, now:] += 5
    before, after = subject.attend(present), subject.attend(Inputs(*arrays, present.mask))
    message = "the past saw the future: tril(+1), a mask that means the opposite, or none at all?"
    assert_equal(after.context[:, :now], before.context[:, :now], 0, message)
    assert_equal(after.weights[..., :now, :], before.weights[..., :now, :], 0, message)
    dcontext = random_dcontext(subject.mechanism, present)
    dcontext[:, now:] = 0
    for name, gradient in subject.gradients(present, dcontext).items():
        if name in INPUTS:
            assert (gradient[:, now:] == 0).all(), f"the past moves the future's {name}"


def sentences_do_not_mix(subject: Subject, inputs: Inputs) -> None:
    """Whatever changes in one sentence of the batch, the others' answers stay, to the last bit."""
    arrays = [array.copy() for array in (inputs.query, inputs.key, inputs.value)]
    for array in arrays:
        array[0] += 2
    before, after = subject.attend(inputs), subject.attend(Inputs(*arrays, inputs.mask))
    message = "sentences of one batch mix: softmax, average or matrix product over the batch?"
    assert_same(Answer(*(x[1:] for x in after)), Answer(*(x[1:] for x in before)), 0, message)


def queries_do_not_mix(subject: Subject, inputs: Inputs) -> None:
    """A query's answer is its own: it stays when another query changes."""
    query = inputs.query.copy()
    query[:, 0] += 2
    before, after = subject.attend(inputs), subject.attend(replace(inputs, query=query))
    message = "queries mix: softmax or average over the queries instead of the keys?"
    after, before = (Answer(*(x[..., 1:, :] for x in answer)) for answer in (after, before))
    assert_same(after, before, EXACT, message)


def one_step_at_a_time_is_the_same(subject: Subject, inputs: Inputs) -> None:
    """T = 1, as a decoder asks, T times."""
    whole = subject.attend(inputs)
    for t in range(inputs.sizes[1]):
        now = slice(t, t + 1)
        step = replace(inputs, query=inputs.query[:, now], mask=inputs.full_mask[:, now])
        expected = Answer(*(x[..., now, :] for x in whole))
        assert_same(subject.attend(step), expected, EXACT, f"step {t} differs from all at once")


def masks_may_be_broadcast(subject: Subject, inputs: Inputs) -> None:
    """(B,1,S), (T,S), (1,1,S), (S,) or none at all: each says the same as written out."""
    full = inputs.full_mask
    forms = (full[:, :1], full[0], full[:1, :1], full[0, 0], full[:, :, :1], np.array(True))
    for mask in forms:
        short = replace(inputs, mask=mask)
        expected = subject.attend(replace(inputs, mask=short.full_mask))
        message = f"a mask of shape {mask.shape} differs from the same written out"
        assert_same(subject.attend(short), expected, EXACT, message)
        context = subject.attend(short, need_weights=False).context
        assert_equal(context, expected.context, EXACT, f"{message}, without weights")
    expected = subject.attend(replace(inputs, mask=np.ones_like(full)))
    answer = subject.attend(replace(inputs, mask=None))
    assert_same(answer, expected, EXACT, "no mask differs from a mask that allows everything")


def without_weights_the_context_is_the_same(subject: Subject, inputs: Inputs) -> None:
    """need_weights=False may take a faster path, to the same context and gradients."""
    for asked in (inputs, with_empty_rows(inputs)):
        context, weights = subject.attend(asked, need_weights=False)
        assert weights is None, "without need_weights, None must stand in the place of the weights"
        message = "need_weights=False must not change it: another scale, another rule for masks?"
        assert_equal(context, subject.attend(asked).context, EXACT, f"context: {message}")
        ours = subject.gradients(asked, need_weights=False)
        assert_same_gradients(ours, subject.gradients(asked), EXACT, message)


def empty_rows_give_zeros(subject: Subject, inputs: Inputs) -> None:
    """Who may attend to nothing gets zeros; gradients stay finite, and all others as they were."""
    asked = with_empty_rows(inputs)
    some = asked.full_mask.any(axis=-1)
    answer, others = subject.attend(asked), subject.attend(inputs)
    rows = {"context": some, "weights": asked.allowed(answer.weights).any(axis=-1)}
    for name, ours in answer._asdict().items():
        empty = ours[~rows[name]]
        assert (empty == 0).all(), (
            f"{name} of a query that may attend to nothing must be 0, not {empty.flat[0]}: −1e9 "
            "gives equal weights, −inf gives NaN"
        )
    assert_equal(answer.context[some], others.context[some], EXACT, "an empty row moved another")

    gradients = subject.gradients(asked)
    for name, gradient in gradients.items():
        assert np.isfinite(gradient).all(), (
            f"gradient of {name} is not finite: −inf, and NaN replaced only after the softmax?"
        )
    assert (gradients["query"][~some] == 0).all(), "an empty row must give its query gradient 0"
    unseen = ~asked.full_mask.any(axis=1)
    for name in ("key", "value"):
        assert (gradients[name][unseen] == 0).all(), f"a {name} nobody may see must get gradient 0"
    dcontext = random_dcontext(subject.mechanism, asked)
    dcontext[~some] = 0
    expected = subject.gradients(asked, dcontext)
    assert_same_gradients(gradients, expected, EXACT, "an empty row must move nothing")


def inputs_are_not_changed(subject: Subject, inputs: Inputs) -> None:
    """Forward, backward: query, key, value, mask, parameters and the gradient that came in."""
    framework = subject.framework
    before = subject.framework.weights.to_arrays(subject.layer)
    given = [*subject.arrays(inputs), framework.array(random_dcontext(subject.mechanism, inputs))]
    copies = [None if x is None else framework.numpy(x).copy() for x in given]
    framework.call(subject.layer, *given[:-1])
    framework.call(subject.layer, *given[:-1], need_weights=False)
    framework.gradients(subject.layer, *given)
    for name, array, copy in zip((*INPUTS, "mask", "dcontext"), given, copies):
        if copy is not None:
            same = framework.numpy(array).tobytes() == copy.tobytes()
            assert same, f"{name} was changed in place"
    for name, array in subject.framework.weights.to_arrays(subject.layer).items():
        assert array.tobytes() == before[name].tobytes(), f"parameter {name} was changed"


def only_the_last_call_counts(subject: Subject, inputs: Inputs) -> None:
    """Gradients are those of the last call; nothing is added up from earlier ones."""
    expected = subject.gradients(inputs)
    subject.gradients(replace(inputs, query=inputs.query + 1))
    assert_same_gradients(
        subject.gradients(inputs), expected, 0, "an earlier call left something behind"
    )


def equals_the_reference(subject: Subject, inputs: Inputs) -> None:
    """The one check that sees a wrong scale: loops over plain numbers."""
    expected = subject.mechanism.reference(inputs, subject.parameters)
    message = "differs from the reference: another scale, a transposed weight, another score?"
    assert_same(subject.attend(inputs), expected, EXACT, message)


def gradients_equal_finite_differences(subject: Subject, inputs: Inputs) -> None:
    """Of query, key, value and parameters, against slopes of the reference."""
    message = (
        "differs from the slope: a diagonal-only softmax gradient, a path left out, a scale "
        "forgotten?"
    )
    expected = finite_differences(subject.mechanism, inputs)
    assert_same_gradients(subject.gradients(inputs), expected, GRADIENT, message)


@lru_cache(maxsize=64)
def finite_differences(mechanism: Mechanism, inputs: Inputs) -> Arrays:
    """(f(x+h) − f(x−h)) / 2h of the reference, for every number that goes in."""
    arrays = {name: getattr(inputs, name).copy() for name in INPUTS}
    parameters = {name: array.copy() for name, array in random_parameters(mechanism).items()}
    dcontext, step = random_dcontext(mechanism, inputs), 1e-5

    def loss() -> float:
        context, _ = mechanism.reference(Inputs(**arrays, mask=inputs.mask), parameters)
        return float((context * dcontext).sum())

    def slope(array: np.ndarray, place: tuple[int, ...]) -> float:
        number, losses = array[place], []
        for moved in (number + step, number - step):
            array[place] = moved
            losses.append(loss())
        array[place] = number
        return (losses[0] - losses[1]) / (2 * step)

    everything = arrays | parameters
    return {
        name: np.array([slope(array, place) for place in np.ndindex(array.shape)]).reshape(
            array.shape
        )
        for name, array in everything.items()
    }


def equals_every_other_implementation(subject: Subject, inputs: Inputs) -> None:
    """Hand-written backward, autograd, GradientTape: answers and every gradient, pair by pair."""
    ours, our_gradients = subject.attend(inputs), subject.gradients(inputs)
    for other in subject.others():
        message = f"differs from {other.mechanism.name} in {other.framework.name}"
        assert_same(ours, other.attend(inputs), EXACT, message)
        assert_same_gradients(our_gradients, other.gradients(inputs), EXACT, message)


# Inputs in which there is something to see.


def weights_depend_on_the_keys(subject: Subject, inputs: Inputs) -> None:
    """Every key that some query may see moves the weights of its sentence."""
    counts(subject, inputs, "key", "weights", "the weights ignore the source")


def weights_depend_on_the_query(subject: Subject, inputs: Inputs) -> None:
    counts(subject, inputs, "query", "weights", "the weights ignore the query")


def context_depends_on_the_values(subject: Subject, inputs: Inputs) -> None:
    """The answer is made of the source: of every value that may be seen."""
    counts(subject, inputs, "value", "context", "the context is not made of the values")


def counts(subject: Subject, inputs: Inputs, name: str, answer: str, message: str) -> None:
    """Another `name` moves the `answer` of every sentence; each row that may be seen has a
    gradient.
    """
    array = getattr(inputs, name)
    changed = replace(inputs, **{name: np.roll(array, 1, axis=-1)})
    before, after = (getattr(subject.attend(x), answer) for x in (inputs, changed))
    moved = np.abs(after - before).reshape(len(array), -1).max(axis=1)
    assert (moved > SEEN).all(), f"{message}: another {name}, the same {answer}"
    seen = inputs.full_mask.any(axis=2 if name == "query" else 1)
    gradient = np.abs(subject.gradients(inputs)[name]).max(axis=-1)
    assert (gradient[seen] > SEEN).all(), f"{message}: a {name} without gradient"


def half_precision_is_finite(subject: Subject, inputs: Inputs) -> None:
    """Also with scores of 10,000 and rows that may attend to nothing; it is as right as it can."""
    asked = with_empty_rows(inputs)
    some = asked.full_mask.any(axis=-1)
    for dtype in subject.framework.half_precisions:
        half = Subject(subject.mechanism, subject.framework, dtype)
        expected = subject.attend(asked)
        for factor in (1, 50):  # scores grow with its square
            large = replace(asked, query=asked.query * factor, key=asked.key * factor)
            answer, gradients = half.attend(large), half.gradients(large)
            for name, array in (answer._asdict() | gradients).items():
                finite = np.isfinite(array.astype(np.float64)).all()
                assert finite, f"{dtype}: {name} is not finite: a −1e9 that overflows to −inf?"
            assert (answer.context[~some] == 0).all(), f"{dtype}: an empty row's context is not 0"
            for array in subject.framework.call(half.layer, *half.arrays(large)):
                assert dtype in str(array.dtype), f"{dtype} came back as {array.dtype}"
            if factor == 1:
                assert_same(answer, expected, 0.1, f"{dtype} is far from float64")


def more_leading_axes_are_welcome(subject: Subject, inputs: Inputs) -> None:
    """(2,B,T,d) is two batches; so heads are only a reshape away."""
    other = replace(inputs, query=inputs.query + 1, value=inputs.value * 2)
    arrays = (np.stack(pair) for pair in zip(*((x.query, x.key, x.value) for x in (inputs, other))))
    answer = subject.attend(Inputs(*arrays, inputs.mask))
    expected = (np.stack(pair) for pair in zip(subject.attend(inputs), subject.attend(other)))
    assert_same(answer, Answer(*expected), EXACT, "two batches at once differ from each alone")


def equals_the_functions(subject: Subject, inputs: Inputs) -> None:
    """The layer is scores, masked_softmax and weighted_sum, one after the other."""
    code = subject.framework
    query, key, value, mask = subject.arrays(inputs)
    parameters = (code.array(array) for array in subject.parameters.values())
    scores = subject.mechanism.scores(code, query, key, *parameters)
    weights = code.masked_softmax(scores, mask)
    answer = Answer(*map(code.numpy, (code.weighted_sum(weights, value), weights)))
    assert_same(subject.attend(inputs), answer, EXACT, "the layer differs from its functions")


def equals_the_built_ins(subject: Subject, inputs: Inputs) -> None:
    """What the libraries offer says the same, through the adapters for masks."""
    ours = subject.attend(inputs)
    arrays = (inputs.query, inputs.key, inputs.value, inputs.mask, *subject.parameters.values())
    for built_in in subject.mechanism.built_ins:
        answer = built_in(*arrays)
        if answer is not None:
            context, weights = answer
            message = f"differs from {built_in.__name__}: scale, or a mask that means the opposite?"
            assert_equal(ours.context, context, EXACT, message)
            if weights is not None:
                assert_equal(ours.weights, weights, EXACT, message)


# Functions of a framework.


def masks_say_who_may_attend(code: Framework) -> None:
    """True = may attend: the real keys, and oneself with what came before."""
    mask = code.numpy(code.padding_mask(code.array([2, 0, 3]), 3))
    message = "padding_mask: off by one, or the opposite meaning?"
    expected = np.array([[[1, 1, 0]], [[0, 0, 0]], [[1, 1, 1]]], bool)
    assert mask.dtype == bool and mask.shape == expected.shape, "padding_mask must be (B,1,S) bool"
    assert (mask == expected).all(), message
    mask = code.numpy(code.causal_mask(3))
    message = "causal_mask: tril(−1) hides oneself, tril(+1) shows the future"
    expected = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]], bool)
    assert mask.dtype == bool and mask.shape == expected.shape, "causal_mask must be (T,T) bool"
    assert (mask == expected).all(), message


def a_constant_added_to_all_scores_changes_nothing(code: Framework) -> None:
    """Softmax sees differences only, in each row by itself, with and without a mask."""
    rng = np.random.default_rng(8)
    scores, shifts = rng.normal(size=(2, 3, 5)), rng.uniform(-50, 50, (2, 3, 1))
    mask = np.arange(5) < np.array([3, 5])[:, None, None]
    for dtype, tolerance in (("float32", 1e-4), ("float64", EXACT)):
        for given in (None, code.array(mask)):
            pair = (code.array(x, dtype) for x in (scores, scores + shifts))
            before, after = (code.numpy(code.masked_softmax(x, given)) for x in pair)
            assert_equal(after, before, tolerance, f"{dtype}: a constant changed the weights")


def scores_of_any_size_are_welcome(code: Framework) -> None:
    """No overflow above, and no row that vanishes because another one has larger scores."""
    rows = np.array([[[1e4, 1e4 - 1, -1e4], [-1e4, -1e4 - 1, -2e4], [0, 0, 0]]])
    high = 1 / (1 + np.exp(-1))
    expected = np.array([[[high, 1 - high, 0], [high, 1 - high, 0], [1 / 3] * 3]])
    for dtype, tolerance in (("float32", 1e-6), ("float64", EXACT)):
        weights = code.numpy(code.masked_softmax(code.array(rows, dtype)))
        message = f"{dtype}: exp without the maximum of its own row taken off?"
        assert_equal(weights, expected.astype(dtype), tolerance, message)


def functions_change_nothing_in_place(code: Framework) -> None:
    """What a function is given, it leaves as it was."""
    rng = np.random.default_rng(9)
    shapes = {"query": (2, 3, 4), "key": (2, 5, 4), "weight": (4, 4), "scores": (2, 3, 5)}
    given = {name: code.array(rng.normal(size=shape)) for name, shape in shapes.items()}
    given |= {"vector": code.array(rng.normal(size=4))}
    given["mask"] = code.array(rng.random((2, 3, 5)) < 0.5)
    before = {name: code.numpy(array).copy() for name, array in given.items()}
    query, key, weight, scores, vector, mask = given.values()
    code.scaled_dot_scores(query, key)
    code.general_scores(query, key, weight)
    code.additive_scores(query, key, weight, weight, vector)
    code.weighted_sum(scores, key)
    code.masked_softmax(scores, mask)
    for name, array in given.items():
        same = (code.numpy(array) == before[name]).all()
        assert same, f"{name} was changed in place: work on a copy"


# The additive score.


def additive_inputs() -> list[np.ndarray]:
    """query (2,3,7), key (2,5,4), W (7,8), U (4,8), v (8,)."""
    rng = np.random.default_rng(10)
    shapes = ((2, 3, 7), (2, 5, 4), (7, 8), (4, 8), (8,))
    return [rng.normal(0.1, 0.6, shape) for shape in shapes]


def additive_is_concat(code: Framework) -> None:
    """Luong's v · tanh([q; k] [W; U]), each pair joined and sent through one layer, is equal."""
    query, key, query_weight, key_weight, vector = additive_inputs()
    pairs = [
        [np.concatenate([q, k]) for q in queries for k in keys] for queries, keys in zip(query, key)
    ]
    joined = np.concatenate([query_weight, key_weight])
    expected = (np.tanh(np.array(pairs) @ joined) @ vector).reshape(2, 3, 5)
    scores = code.additive_scores(*map(code.array, additive_inputs()))
    assert_equal(code.numpy(scores), expected, EXACT, "the sum differs from the concat form")


def additive_has_no_bias(code: Framework) -> None:
    """tanh is odd: with query and key both turned round, every score is, to the last bit."""
    arrays = list(map(code.array, additive_inputs()))
    turned = [-arrays[0], -arrays[1], *arrays[2:]]
    scores, opposite = (code.numpy(code.additive_scores(*x)) for x in (arrays, turned))
    assert_equal(opposite, -scores, 0, "something is added before or after tanh: a bias?")


def additive_keys_may_be_projected_first(code: Framework) -> None:
    """compare(query, project(key)) is forward(query, key), for all queries and one by one."""
    query, key, *parameters = additive_inputs()
    names = ("query_weight", "key_weight", "vector")
    layer = code.layer(
        lambda make: make("AdditiveScore", 7, 4, 8), dict(zip(names, parameters)), "float64"
    )
    query, key = code.array(query), code.array(key)
    expected = code.numpy(code.additive_scores(query, key, *map(code.array, parameters)))
    projected = layer.project(key)
    message = "comparing with projected keys differs from the score"
    assert_equal(code.numpy(layer.compare(query, projected)), expected, EXACT, message)
    for t in range(3):
        scores = code.numpy(layer.compare(query[:, t : t + 1], projected))
        assert_equal(scores, expected[:, t : t + 1], EXACT, f"{message}, at step {t}")


ANY_INPUTS: tuple[Callable[[Subject, Inputs], None], ...] = (
    parameters_have_the_common_names,
    shapes_and_dtype_are_right,
    allowed_rows_sum_to_one,
    masked_weights_are_exactly_zero,
    context_lies_among_the_allowed_values,
    padding_changes_nothing,
    permuting_keys_with_values_changes_nothing,
    the_future_changes_nothing,
    sentences_do_not_mix,
    queries_do_not_mix,
    one_step_at_a_time_is_the_same,
    masks_may_be_broadcast,
    without_weights_the_context_is_the_same,
    empty_rows_give_zeros,
    inputs_are_not_changed,
    only_the_last_call_counts,
    equals_the_reference,
    gradients_equal_finite_differences,
    equals_every_other_implementation,
)
PROPERTIES = {
    check.__name__: check
    for check in (
        *ANY_INPUTS,
        weights_depend_on_the_keys,
        weights_depend_on_the_query,
        context_depends_on_the_values,
        half_precision_is_finite,
        more_leading_axes_are_welcome,
        equals_the_functions,
        equals_the_built_ins,
    )
}
FUNCTION_PROPERTIES = {
    check.__name__: check
    for check in (
        masks_say_who_may_attend,
        a_constant_added_to_all_scores_changes_nothing,
        scores_of_any_size_are_welcome,
        functions_change_nothing_in_place,
        additive_is_concat,
        additive_has_no_bias,
        additive_keys_may_be_projected_first,
    )
}


def applies(name: str, mechanism: Mechanism) -> bool:
    """Whether there is anything for the property to compare with."""
    needs = {
        "equals_every_other_implementation": len(implementations(mechanism)) > 1,
        "equals_the_functions": mechanism.scores,
        "equals_the_built_ins": mechanism.built_ins,
    }
    return bool(needs.get(name, True))
