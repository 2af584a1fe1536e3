"""Wrong decoders of Luong's kind, each with the check that catches it, and right ones written
otherwise. The mistakes are those of public notebooks, tutorials and issues.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import torch
from luong_properties import FED, PLAIN, UNFED, Kind

import attention_course.keras.luong as keras_luong
import attention_course.pytorch.attention as torch_attention
import attention_course.pytorch.local as torch_local
import attention_course.pytorch.luong as torch_luong
import attention_course.scratch.local as scratch_local
import attention_course.scratch.luong as scratch_luong


class LuongMutant(NamedTuple):
    """`wrong` in the place of attention_course.`target`: the check `caught_by` then fails."""

    target: str  # "pytorch.luong.masked_softmax": the first word is the framework
    wrong: Callable[..., Any]
    caught_by: str
    kind: Kind
    right_alone: bool = False  # a batch of one sentence hides it

    @property
    def framework(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.framework}-{self.wrong.__name__}-{self.kind}-{self.caught_by}"


MUTANTS: list[LuongMutant] = []
VARIANTS: list[LuongMutant] = []
LOCAL_M, LOCAL_P = Kind(attention="local-m"), Kind(attention="local-p")
ADDITIVE, LOCATION = Kind("additive"), Kind("location")


def mutant(target: str, caught_by: str, kind: Kind = FED, right_alone: bool = False) -> Callable:
    """Register the function below as wrong."""

    def register(wrong: Callable) -> Callable:
        MUTANTS.append(LuongMutant(target, wrong, caught_by, kind, right_alone))
        return wrong

    return register


def variant(target: str, kind: Kind = FED) -> Callable:
    """Register the function below as right: every check must accept it."""

    def register(right: Callable) -> Callable:
        VARIANTS.append(LuongMutant(target, right, "", kind))
        return right

    return register


# As they are before anything is replaced.
move_and_look = torch_luong.LuongSeq2Seq._move_and_look
attend = torch_luong.LuongSeq2Seq.attend
torch_extra_parts = torch_luong.LuongSeq2Seq.extra_parts
torch_encode = torch_luong.LuongSeq2Seq.encode
torch_select = torch_luong.LuongSeq2Seq.select
torch_weights = torch_local.LocalAttention.weights
torch_center = torch_local.LocalAttention.center
scratch_step = scratch_luong._Step
scratch_forward, scratch_backward = scratch_step.forward, scratch_step.backward
weights_backward = scratch_local.LocalAttention.weights_backward
keras_attend = keras_luong.LuongSeq2Seq.attend


# Who asks, and what is looked at.


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "the_query_has_seen_the_word")
@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "it_moves_before_it_looks")
def attention_before_the_recurrent_step(self, words, memory, state):
    context, weights = attend(self, state[0][:, None], memory)
    moved = torch.cat([words, state[1][:, None]], dim=-1)
    states, rnn = self.decoder.rnn(moved, None, state[:1])
    said = torch.tanh(self.combine(torch.cat([context, states], dim=-1)))
    return said, (*rnn, said[:, -1]), weights


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "it_moves_before_it_looks", UNFED)
def all_wait_without_need(self, words, memory, state):
    """Right in every number, and as slow as with input feeding."""
    said, weights = [], []
    for word in words.split(1, dim=1):
        new, state, seen = move_and_look(self, word, memory, state)
        said.append(new)
        weights.append(seen)
    return torch.cat(said, dim=1), state, torch.cat(weights, dim=1)


@mutant("keras.luong.weighted_sum", "sentences_do_not_mix", right_alone=True)
def weights_times_states_without_the_middle_axis(weights, value):
    """matmul of (B,S) and (B,S,H) is (B,B,H); averaged, since what follows wants (B,1,H)."""
    mixed = tf.matmul(weights[:, 0], value)  # (B,B,H): each sentence's weights on every source
    return tf.reduce_mean(mixed, axis=0)[:, None]


@mutant("pytorch.luong.weighted_sum", "sentences_do_not_mix", right_alone=True)
def the_same_in_pytorch(weights, value):
    return (weights[:, 0] @ value).mean(dim=0)[:, None]


@mutant("scratch.luong.WeightedSum.forward", "sentences_do_not_mix", right_alone=True)
def the_same_in_numpy(self, weights, value):
    return (weights[:, 0] @ value).mean(axis=0)[:, None]


@mutant("keras.luong.masked_softmax", "sentences_do_not_mix")
def softmax_over_the_batch(scores, mask=None):
    weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min), axis=0)
    return tf.where(mask, weights, tf.zeros((), weights.dtype))


@mutant("pytorch.luong.masked_softmax", "weights_lie_where_they_may", UNFED)
def softmax_over_the_queries(scores, mask=None):
    return scores.softmax(dim=-2).masked_fill(~mask, 0.0)


@mutant("scratch.luong.masked_softmax", "padding_changes_nothing")
def no_mask(scores, mask=None):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@mutant("pytorch.attention.general_scores", "equals_the_reference")
def query_asks_with_the_other_half(query, key, weight):
    """W on the wrong side: kᵀ W q with the halves of the annotation exchanged to make it fit."""
    return query @ weight.roll(weight.shape[0], dims=1) @ key.transpose(-1, -2)


@mutant("pytorch.attention.general_scores", "equals_the_reference", PLAIN)
def transposed_where_sizes_are_equal(query, key, weight):
    return query @ weight.T @ key.transpose(-1, -2)


@mutant("scratch.attention.general_scores", "equals_the_reference", PLAIN)
def key_asks_the_query(query, key, weight):
    """W on the wrong side: kᵀ W q."""
    return query @ np.swapaxes(key @ weight, -1, -2)


@mutant("pytorch.attention.location_scores", "weights_depend_on_the_source", LOCATION)
def location_that_sees_the_keys(query, key, weight):
    scores = torch_attention.dot_scores(query, key[..., : query.shape[-1]])
    return scores.masked_fill(torch.arange(key.shape[1]) >= weight.shape[1], -torch.inf)


@mutant("pytorch.luong.LuongSeq2Seq.attend", "weights_depend_on_the_source")
def weights_by_the_state_alone(self, query, memory, first=None):
    scores = query[..., : memory.outputs.shape[1]]
    weights = torch_luong.masked_softmax(scores, memory.mask)
    return weights @ memory.outputs, weights


# h̃ and what is fed.


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "equals_the_reference", UNFED)
def state_before_context(self, words, memory, state):
    states, state = self.decoder.rnn(words, None, state)
    context, weights = attend(self, states, memory)
    return torch.tanh(self.combine(torch.cat([states, context], dim=-1))), state, weights


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "equals_the_reference", UNFED)
def no_tanh(self, words, memory, state):
    states, state = self.decoder.rnn(words, None, state)
    context, weights = attend(self, states, memory)
    return self.combine(torch.cat([context, states], dim=-1)), state, weights


@mutant("keras.luong.weighted_sum", "the_context_reaches_the_readout")
def context_of_nothing(weights, value):
    return tf.zeros_like(value[:, :1])


def _fed_with(change: Callable) -> Callable:
    def forward(self, words, memory, state):
        said, state, weights = move_and_look(self, words, memory, state)
        return said, (state[0], change(said, state), *state[2:]), weights

    return forward


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "the_last_h_is_fed")
def the_state_is_fed(self, *arguments):
    return _fed_with(lambda said, state: state[0])(self, *arguments)


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "the_last_h_is_fed", PLAIN)
def the_context_is_fed(self, words, memory, state):
    """c_t for h̃_t, which has its size where the encoder reads one way."""
    said, (*moved, _), weights = move_and_look(self, words, memory, state)
    return said, (*moved, (weights @ memory.outputs)[:, -1]), weights


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "the_first_look_reaches_the_last_state")
def nothing_is_fed(self, *arguments):
    return _fed_with(lambda said, state: torch.zeros_like(state[1]))(self, *arguments)


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "gradients_equal_finite_differences")
def what_is_fed_is_detached(self, *arguments):
    return _fed_with(lambda said, state: state[1].detach())(self, *arguments)


@mutant("scratch.luong._Step.backward", "gradients_equal_autograd")
def no_gradient_through_feeding(self, dsaid, dstate, dmemory):
    dwords, dfed, dstate = scratch_backward(self, dsaid, dstate, dmemory)
    return dwords, dfed * 0, dstate


@mutant("scratch.luong._Step.backward", "gradients_equal_autograd", UNFED)
def no_gradient_through_the_query(self, dsaid, dstate, dmemory):
    self.score = _Blind(self.score)
    return scratch_backward(self, dsaid, dstate, dmemory)


class _Blind:
    def __init__(self, score: Any) -> None:
        self.score = score

    def compare_backward(self, dscores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        dquery, dprojected = self.score.compare_backward(dscores)
        return dquery * 0, dprojected


@mutant("pytorch.luong.LuongSeq2Seq.extra_parts", "parameters_have_the_common_names")
def units_of_its_own_in_w_c(self):
    parts = torch_extra_parts(self)
    parts["combine"] = torch.nn.Linear(self.memory_size + self.hidden_size, 100)
    return parts


@mutant("pytorch.luong.LuongSeq2Seq.encode", "equals_the_reference", LOCAL_M)
def the_count_starts_at_one(self, source, lengths):
    memory, state = torch_encode(self, source, lengths)
    return memory, (*state[:-1], state[-1] + 1)


@mutant("pytorch.luong.LuongSeq2Seq.select", "a_beam_may_choose_rows")
def what_was_fed_stays_behind(self, state, rows):
    chosen = torch_select(self, state, rows)
    left = state.hidden[1][: len(rows)]
    return chosen._replace(hidden=(chosen.hidden[0], left, *chosen.hidden[2:]))


@mutant("pytorch.luong.LuongSeq2Seq.select", "beam_scores_are_the_model_s")
def what_was_fed_is_tiled(self, state, rows):
    """a b a b beside a a b b: each beam goes on with what another sentence's was fed."""
    chosen = torch_select(self, state, rows)
    fed = state.hidden[1][torch.arange(len(rows)) % len(state.hidden[1])]
    return chosen._replace(hidden=(chosen.hidden[0], fed, *chosen.hidden[2:]))


@mutant(
    "pytorch.luong.LuongSeq2Seq._move_and_look", "one_step_at_a_time_is_teacher_forcing", LOCAL_M
)
def steps_are_counted_in_place(self, words, memory, state):
    """An old state, as beam search keeps them, then counts on."""
    said, after, weights = move_and_look(self, words, memory, state)
    return said, (*after[:-1], state[-1].add_(words.shape[1])), weights


@mutant("keras.luong.LuongSeq2Seq.attend", "keys_are_projected_once", ADDITIVE)
def keys_projected_at_each_step(self, query, memory):
    score = self.attention.score
    weights = keras_luong.masked_softmax(score(query, memory.outputs), memory.mask)
    score.project(memory.outputs)
    context = keras_luong.weighted_sum(weights, memory.outputs)
    return tf.tanh(self.combine(tf.concat([context, query], axis=-1))), weights


@mutant("pytorch.luong.LuongSeq2Seq._move_and_look", "one_step_at_a_time_is_teacher_forcing", UNFED)
def all_steps_ask_with_the_last_state(self, words, memory, state):
    states, state = self.decoder.rnn(words, None, state)
    context, weights = attend(self, states[:, -1:].expand_as(states), memory)
    return torch.tanh(self.combine(torch.cat([context, states], dim=-1))), state, weights


# Windows.


@mutant("pytorch.local.LocalAttention.weights", "weights_lie_where_they_may", LOCAL_P)
def renormalised(self, *arguments):
    weights = torch_weights(self, *arguments)
    return weights / weights.sum(dim=-1, keepdim=True).clamp_min(1e-30)


@mutant("pytorch.local.LocalAttention.center", "padding_changes_nothing", LOCAL_P)
def length_of_the_padded_source(self, query, mask, places=None):
    return torch_center(self, query, torch.ones_like(mask), places)


@mutant("pytorch.local.LocalAttention.center", "equals_the_reference", LOCAL_P)
def center_rounded(self, query, mask, places=None):
    return torch_center(self, query, mask, places).round()


@mutant("scratch.local.LocalAttention.center", "weights_lie_where_they_may", LOCAL_M)
def places_count_from_one(self, query, mask, places=None):
    return np.broadcast_to(places + 1, query.shape[:-1]).astype(query.dtype)


@mutant("pytorch.local.LocalAttention.weights", "weights_lie_where_they_may", LOCAL_M)
def a_window_without_its_edges(self, query, projected, mask, places=None):
    """|s − p| < D for ≤ D."""
    allowed = mask.expand(*query.shape[:-1], projected.shape[-2])
    off = torch.arange(allowed.shape[-1]) - self.center(query, allowed, places)[..., None]
    return torch_weights(self, query, projected, allowed & (off.abs() < self.reach), places)


@mutant("scratch.local.LocalAttention.weights", "equals_the_reference", LOCAL_P)
def sigma_is_the_reach(self, query, projected, mask, places=None):
    scores = self.score.compare(query, projected)
    allowed = np.broadcast_to(mask, scores.shape)
    off = np.arange(scores.shape[-1]) - self.center(query, allowed, places)[..., None]
    shares = scratch_local.masked_softmax(scores, allowed & (np.abs(off) <= self.reach))
    return shares * np.exp(-(off**2) / (2 * self.reach**2))


@mutant("scratch.local.LocalAttention.weights", "weights_lie_where_they_may", LOCAL_M)
def a_window_without_the_mask(self, query, projected, mask, places=None):
    scores = self.score.compare(query, projected)
    off = np.arange(scores.shape[-1]) - self.center(query, scores, places)[..., None]
    return scratch_local.masked_softmax(scores, np.abs(off) <= self.reach)


@mutant("scratch.local.LocalAttention.weights_backward", "gradients_equal_autograd", LOCAL_P)
def the_predictor_learns_nothing(self, dweights):
    before = self.predictor.backward
    self.predictor.backward = lambda dplaces: before(dplaces * 0)
    return weights_backward(self, dweights)


# Right, written otherwise.


@variant("pytorch.luong.LuongSeq2Seq.attend")
def with_einsum(self, query, memory, first=None):
    scores = self.attention.score.compare(query, memory.keys)
    weights = scores.masked_fill(~memory.mask, -torch.inf).softmax(dim=-1)
    return torch.einsum("bts,bsk->btk", weights, memory.outputs), weights


@variant("pytorch.attention.general_scores")
@variant("pytorch.attention.general_scores", LOCAL_M)
def keys_first(query, key, weight):
    """q (W kᵀ) for (q W) kᵀ, in one sum over both."""
    return torch.einsum("btq,qk,bsk->bts", query, weight, key)


@variant("pytorch.local.LocalAttention.weights", LOCAL_P)
def in_logarithms(self, query, projected, mask, places=None):
    """log-softmax minus the square, then the exponential of both at once."""
    scores = self.score.compare(query, projected)
    allowed = mask.expand(scores.shape)
    off = torch.arange(scores.shape[-1]) - self.center(query, allowed, places)[..., None]
    inside = allowed & (off.abs() <= self.reach)
    total = scores.masked_fill(~inside, torch.finfo(scores.dtype).min).logsumexp(-1, keepdim=True)
    weights = (scores - total - off**2 * 2 / self.reach**2).exp()
    return weights.masked_fill(~inside, 0.0)


@variant("scratch.luong.masked_softmax")
def maximum_of_all_scores(scores, mask=None):
    powers = np.where(mask, np.exp(scores), 0)
    return powers / powers.sum(axis=-1, keepdims=True)
