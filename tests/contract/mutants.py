"""Wrong implementations, each with the check that catches it, and right ones written otherwise.

Each replaces one function or method of one framework while a test runs. The mistakes are those of
public tutorials, courses and issues.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import torch
import torch.nn.functional as F
from mechanisms import (
    ADDITIVE,
    DOT,
    EVEN,
    GENERAL,
    SCALED_DOT,
    SQUARE,
    STEPWISE,
    STEPWISE_ADDITIVE,
    VALUE_SIZE,
    Mechanism,
)

import attention_course.keras.attention as keras_attention
import attention_course.pytorch.attention as torch_attention
import attention_course.scratch.attention as scratch_attention
from attention_course.scratch.functional import softmax


class Mutant(NamedTuple):
    """`wrong` in the place of `target`: the check `caught_by` then fails for `mechanism`."""

    framework: str
    target: str  # "function" or "Class.method"
    wrong: Callable[..., Any]
    caught_by: str
    mechanism: Mechanism
    error: type[Exception]  # something else than AssertionError: the mistake is a crash

    def __str__(self) -> str:
        return f"{self.framework}-{self.wrong.__name__}-{self.mechanism.name}-{self.caught_by}"


class Variant(NamedTuple):
    """`right` in the place of `target`: every check must accept it."""

    framework: str
    target: str
    right: Callable[..., Any]
    mechanism: Mechanism

    def __str__(self) -> str:
        return f"{self.framework}-{self.right.__name__}"


MUTANTS: list[Mutant] = []
VARIANTS: list[Variant] = []


def mutant(
    framework: str,
    target: str,
    caught_by: str,
    mechanism: Mechanism = DOT,
    error: type[Exception] = AssertionError,
) -> Callable:
    """Register the function below as wrong."""

    def register(wrong: Callable) -> Callable:
        MUTANTS.append(Mutant(framework, target, wrong, caught_by, mechanism, error))
        return wrong

    return register


def variant(framework: str, target: str, mechanism: Mechanism = DOT) -> Callable:
    """Register the function below as right."""

    def register(right: Callable) -> Callable:
        VARIANTS.append(Variant(framework, target, right, mechanism))
        return right

    return register


# As they are before anything is replaced.
dot_backward = scratch_attention.DotScore.backward
general_backward = scratch_attention.GeneralScore.backward
additive_backward = scratch_attention.AdditiveScore.backward
compare_backward = scratch_attention.AdditiveScore.compare_backward
project_backward = scratch_attention.AdditiveScore.project_backward
weighted_sum_backward = scratch_attention.WeightedSum.backward
attention_backward = scratch_attention.Attention.backward
stepwise_backward = scratch_attention.StepwiseAttention.backward
torch_forward = torch_attention.Attention.forward


# Softmax and mask.


@mutant("scratch", "masked_softmax", "allowed_rows_sum_to_one")
def softmax_over_the_queries(scores, mask=None):
    return softmax(scores if mask is None else np.where(mask, scores, -np.inf), axis=-2)


@mutant("keras", "masked_softmax", "sentences_do_not_mix")
def softmax_over_the_batch(scores, mask=None):
    masked = scores if mask is None else tf.where(mask, scores, scores.dtype.min)
    return tf.nn.softmax(masked, axis=0)


@mutant("scratch", "masked_softmax", "scores_of_any_size_are_welcome")
def no_maximum_taken_off(scores, mask=None):
    with np.errstate(all="ignore"):
        powers = np.exp(scores) * (1 if mask is None else mask)
        return powers / powers.sum(axis=-1, keepdims=True)


@mutant("scratch", "masked_softmax", "scores_of_any_size_are_welcome")
def one_maximum_for_all_rows(scores, mask=None):
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    powers = np.exp(scores - scores.max())
    total = powers.sum(axis=-1, keepdims=True)
    return powers / np.where(total == 0, 1, total)


@mutant("scratch", "masked_softmax", "a_constant_added_to_all_scores_changes_nothing")
def epsilon_in_the_denominator(scores, mask=None):
    powers = np.exp(scores) * (1 if mask is None else mask)
    return powers / (powers.sum(axis=-1, keepdims=True) + 1e-13)


@mutant("pytorch", "masked_softmax", "allowed_rows_sum_to_one")
def mask_after_the_softmax(scores, mask=None):
    weights = scores.softmax(dim=-1)
    return weights if mask is None else weights * mask


@mutant("keras", "masked_softmax", "masked_weights_are_exactly_zero")
def mask_multiplied_onto_the_scores(scores, mask=None):
    return tf.nn.softmax(scores if mask is None else scores * tf.cast(mask, scores.dtype))


@mutant("scratch", "masked_softmax", "masked_weights_are_exactly_zero")
def mask_inverted(scores, mask=None):
    return softmax(scores if mask is None else np.where(mask, -np.inf, scores))


@mutant("pytorch", "masked_softmax", "masked_weights_are_exactly_zero")
def minus_ten_for_minus_infinity(scores, mask=None):
    return (scores if mask is None else scores.masked_fill(~mask, -10.0)).softmax(dim=-1)


@mutant("keras", "masked_softmax", "empty_rows_give_zeros")
def minus_1e9_for_minus_infinity(scores, mask=None):
    return tf.nn.softmax(scores if mask is None else tf.where(mask, scores, -1e9))


@mutant("keras", "masked_softmax", "half_precision_is_finite")
def minus_1e9_added(scores, mask=None):
    """In float16, 1e9 is infinite and 0 · −inf is NaN."""
    if mask is None:
        return tf.nn.softmax(scores)
    forbidden = 1 - tf.cast(mask, scores.dtype)
    weights = tf.nn.softmax(scores + forbidden * tf.cast(-1e9, scores.dtype))
    return tf.where(mask, weights, tf.zeros((), weights.dtype))


@mutant("pytorch", "masked_softmax", "empty_rows_give_zeros")
def minus_infinity_added_then_nan_to_num(scores, mask=None):
    if mask is not None:
        scores = scores + torch.where(mask, 0.0, -torch.inf).to(scores.dtype)
    return scores.softmax(dim=-1).nan_to_num(0.0)


@mutant("scratch", "masked_softmax", "empty_rows_give_zeros")
def zero_by_zero_in_empty_rows(scores, mask=None):
    scores = scores if mask is None else np.where(mask, scores, -np.inf)
    with np.errstate(all="ignore"):
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return powers / powers.sum(axis=-1, keepdims=True)


@mutant("scratch", "masked_softmax", "masks_may_be_broadcast")
def masks_of_two_axes_ignored(scores, mask=None):
    three = mask is not None and mask.ndim == 3
    return softmax(np.where(mask, scores, -np.inf) if three else scores)


@mutant("pytorch", "masked_softmax", "functions_change_nothing_in_place")
def scores_overwritten_by_the_mask(scores, mask=None):
    scores = scores if mask is None else scores.masked_fill_(~mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(dim=-1)
    return weights if mask is None else weights * mask


# Scores.


@mutant("scratch", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
@mutant("pytorch", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
def no_scale(query, key):
    return query @ key.swapaxes(-1, -2)


@mutant("keras", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
def no_scale_either(query, key):
    return tf.matmul(query, key, transpose_b=True)


@mutant("scratch", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
@mutant("pytorch", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
def scaled_by_d_k(query, key):
    return query @ key.swapaxes(-1, -2) / query.shape[-1]


@mutant("scratch", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
@mutant("pytorch", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
def scaled_by_the_root_of_d_v(query, key):
    return query @ key.swapaxes(-1, -2) * VALUE_SIZE**-0.5


@mutant("scratch", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
@mutant("pytorch", "scaled_dot_scores", "equals_the_reference", SCALED_DOT)
def scaled_by_the_root_of_the_length(query, key):
    return query @ key.swapaxes(-1, -2) * key.shape[-2] ** -0.5


@mutant("scratch", "scaled_dot_scores", "inputs_are_not_changed", SCALED_DOT)
def query_scaled_in_place(query, key):
    query *= query.dtype.type(query.shape[-1] ** -0.5)
    return query @ key.swapaxes(-1, -2)


@mutant("keras", "DotScore.call", "equals_the_functions", SCALED_DOT)
def scaled_once_more_by_the_layer(self, query, key):
    scores = keras_attention.scaled_dot_scores(query, key)
    return scores * tf.cast(query.shape[-1], scores.dtype) ** -0.5


@mutant("keras", "dot_scores", "equals_the_reference")
def computed_in_float32(query, key):
    arrays = (tf.cast(x, tf.float32) for x in (query, key))
    return tf.cast(tf.matmul(*arrays, transpose_b=True), query.dtype)


@mutant("scratch", "general_scores", "equals_the_reference", SQUARE)
@mutant("pytorch", "general_scores", "equals_the_reference", SQUARE)
def weight_transposed(query, key, weight):
    return query @ weight.T @ key.swapaxes(-1, -2)


@mutant("keras", "general_scores", "equals_the_reference", SQUARE)
@mutant(
    *("keras", "general_scores", "equals_the_reference", GENERAL),
    error=tf.errors.InvalidArgumentError,
)
def weight_on_the_side_of_the_key(query, key, weight):
    return tf.matmul(query, tf.matmul(key, weight), transpose_b=True)


@mutant("pytorch", "dot_scores", "weights_depend_on_the_keys")
def weights_from_the_decoder_alone(query, key):
    """The attention of a much-copied tutorial: the source is never asked."""
    places = torch.arange(key.shape[-2], dtype=query.dtype)
    return query.sum(-1, keepdim=True) * places.cos() + 0 * key.sum()


@mutant("scratch", "dot_scores", "weights_depend_on_the_query")
def weights_from_the_encoder_alone(query, key):
    return np.ones_like(query) @ key.swapaxes(-1, -2)


@mutant("scratch", "dot_scores", "permuting_keys_with_values_changes_nothing")
def places_count(query, key):
    return query @ key.swapaxes(-1, -2) + np.arange(key.shape[-2], dtype=query.dtype) / 10


@mutant("keras", "dot_scores", "one_step_at_a_time_is_the_same")
def scores_centred_over_the_queries(query, key):
    scores = tf.matmul(query, key, transpose_b=True)
    return scores - tf.reduce_mean(scores, axis=-2, keepdims=True)


@mutant("pytorch", "dot_scores", "more_leading_axes_are_welcome", error=RuntimeError)
def axes_counted_from_the_front(query, key):
    return query @ key.transpose(1, 2)


# The additive score.


@mutant("scratch", "_agreement", "equals_the_reference", ADDITIVE)
def no_tanh(query, key):
    """The query then adds the same to all scores of its row: the weights ignore it."""
    return query[..., :, None, :] + key[..., None, :, :]


@mutant("pytorch", "_compared", "equals_the_reference", ADDITIVE)
def vector_before_the_tanh(query, key, vector):
    return torch.tanh((query[..., :, None, :] + key[..., None, :, :]) @ vector)


@mutant("pytorch", "_compared", "additive_is_concat")
def sum_over_the_hidden_units_without_the_vector(query, key, vector):
    return torch.tanh(query[..., :, None, :] + key[..., None, :, :]).sum(dim=-1) + 0 * vector.sum()


@mutant("pytorch", "_compared", "additive_has_no_bias")
def a_bias_inside_the_tanh(query, key, vector):
    return torch.tanh(query[..., :, None, :] + key[..., None, :, :] + 0.01) @ vector


@mutant("scratch", "additive_scores", "additive_is_concat")
@mutant("scratch", "additive_scores", "equals_the_functions", ADDITIVE)
def a_layer_for_each_and_their_products(query, key, query_weight, key_weight, vector):
    """tanh(q W) · tanh(k U) in place of the sum inside one tanh."""
    asked = np.tanh(query @ query_weight) * vector
    return asked @ np.tanh(key @ key_weight).swapaxes(-1, -2)


@mutant("pytorch", "AdditiveScore.forward", "equals_the_reference", EVEN)
def weights_of_query_and_key_swapped(self, query, key):
    """Where query and key are of one size, nothing crashes."""
    weights = (self.key_weight, self.query_weight, self.vector)
    return torch_attention.additive_scores(query, key, *weights)


@mutant("pytorch", "AdditiveScore.forward", "equals_the_reference", EVEN)
def the_query_is_not_projected(self, query, key):
    return torch_attention._compared(query, self.project(key), self.vector)


@mutant("scratch", "AdditiveScore.project", "equals_the_reference", EVEN)
@mutant("scratch", "AdditiveScore.project", "additive_keys_may_be_projected_first")
def tanh_of_the_projected_keys(self, key):
    self._key = key
    return np.tanh(key @ self.params["key_weight"])


@mutant("pytorch", "AdditiveScore.forward", "sentences_do_not_mix", ADDITIVE)
def queries_of_the_first_sentence_for_all(self, query, key):
    """A missing axis that broadcasting fills up: (1,T,1,A) for (B,T,1,A)."""
    asked = (query @ self.query_weight)[..., :1, :, :].expand(*query.shape[:-1], -1)
    return torch_attention._compared(asked, self.project(key), self.vector)


@mutant("scratch", "AdditiveScore.compare_backward", "gradients_equal_finite_differences", ADDITIVE)
def no_slope_of_the_tanh(self, dscores):
    _, agreement = self._last_call()
    compare_backward(self, dscores)
    dtotal = np.broadcast_to(dscores[..., None] * self.params["vector"], agreement.shape)
    dsum = dtotal.sum(axis=-2)
    return dsum @ self.params["query_weight"].T, dtotal.sum(axis=-3)


@mutant("scratch", "AdditiveScore.backward", "gradients_equal_finite_differences", ADDITIVE)
def the_vector_does_not_learn(self, dscores):
    answer = additive_backward(self, dscores)
    self.grads["vector"].fill(0)
    return answer


@mutant("scratch", "AdditiveScore.project_backward", "gradients_equal_finite_differences", EVEN)
def dkey_by_the_weight_not_transposed(self, dprojected):
    project_backward(self, dprojected)
    return dprojected @ self.params["key_weight"]


@mutant(
    *("scratch", "StepwiseAttention.backward", "equals_every_other_implementation"),
    mechanism=STEPWISE_ADDITIVE,
)
def the_vector_learns_from_the_last_step_only(self, dcontext):
    answer = stepwise_backward(self, dcontext)
    kept = {name: grad.copy() for name, grad in self.grads.items() if "vector" not in name}
    self._last_call()[-1].backward(dcontext[..., -1:, :])
    for name, grad in kept.items():
        self.grads[name][...] = grad
    return answer


@mutant("pytorch", "AdditiveScore.forward", "gradients_equal_finite_differences", ADDITIVE)
def projected_keys_detached(self, query, key):
    """Kept from an earlier call, as a cache would be."""
    return self.compare(query, self.project(key).detach())


# From the weights to the context.


@mutant("scratch", "Attention.forward", "shapes_and_dtype_are_right")
def keys_taken_for_values(self, query, key, value, mask=None, need_weights=True):
    weights = self.attention_weight.forward(query, key, mask)
    return weights @ key, weights


@mutant("pytorch", "Attention.forward", "context_depends_on_the_values")
def context_from_the_queries(self, query, key, value, mask=None, need_weights=True):
    weights = torch_attention.masked_softmax(self.score(query, key), mask)
    filled = F.pad(query, (0, value.shape[-1] - query.shape[-1]))
    return weights.sum(-1, keepdim=True) * filled + 0 * value.sum(), weights


@mutant("scratch", "weighted_sum", "context_lies_among_the_allowed_values")
def divided_by_the_length(weights, value):
    return weights @ value / value.shape[-2]


@mutant("pytorch", "weighted_sum", "sentences_do_not_mix")
def weights_averaged_over_the_batch(weights, value):
    return weights.mean(dim=0, keepdim=True) @ value


@mutant("keras", "weighted_sum", "queries_do_not_mix")
def weights_averaged_over_the_queries(weights, value):
    mean = tf.reduce_mean(weights, axis=-2, keepdims=True)
    return tf.matmul(tf.ones_like(weights) * mean, value)


@mutant("keras", "weighted_sum", "shapes_and_dtype_are_right")
def batch_taken_for_a_matrix_axis(weights, value):
    """(B,S) times (B,S,d_v) is (B,B,d_v), and right for B = 1."""
    return tf.matmul(weights[:, 0], value)


@mutant("pytorch", "_fused", "without_weights_the_context_is_the_same")
def fused_with_its_own_scale(query, key, value, mask):
    arrays = (x.unsqueeze(1) for x in (query, key, value))
    mask = None if mask is None else mask.unsqueeze(1)
    return F.scaled_dot_product_attention(*arrays, attn_mask=mask).squeeze(1)


@mutant("pytorch", "Attention.forward", "without_weights_the_context_is_the_same")
def weights_that_nobody_asked_for(self, query, key, value, mask=None, need_weights=True):
    return torch_forward(self, query, key, value, mask)


# Masks.


@mutant("scratch", "causal_mask", "masks_say_who_may_attend")
def causal_without_oneself(size):
    return np.tri(size, k=-1, dtype=bool)


@mutant("keras", "causal_mask", "the_future_changes_nothing")
def causal_one_too_far(size):
    return tf.constant(np.tri(size, k=1, dtype=bool))


@mutant("pytorch", "padding_mask", "padding_changes_nothing")
def padding_one_too_long(lengths, size):
    return torch.arange(size) <= lengths[:, None, None]


@mutant("scratch", "padding_mask", "masks_say_who_may_attend")
def padding_one_too_short(lengths, size):
    return np.arange(size) < lengths[:, None, None] - 1


@mutant("keras", "padding_mask", "padding_changes_nothing")
def padding_inverted(lengths, size):
    return ~tf.sequence_mask(lengths, size)[:, None]


@mutant("pytorch", "to_key_padding_mask", "equals_the_built_ins", SCALED_DOT)
def our_polarity_for_key_padding_mask(mask):
    return mask[:, 0]


@mutant("pytorch", "to_attn_mask", "equals_the_built_ins", SCALED_DOT)
def our_polarity_for_attn_mask(mask):
    return mask


@mutant("keras", "to_value_mask", "equals_the_built_ins")
def another_polarity_for_the_value_mask(mask):
    return ~mask[:, 0]


# Gradients and parameters.


@mutant("scratch", "softmax_backward", "gradients_equal_finite_differences")
def softmax_gradient_of_the_diagonal(weights, dweights):
    return weights * (1 - weights) * dweights


@mutant("scratch", "softmax_backward", "gradients_equal_finite_differences")
def softmax_gradient_a_da(weights, dweights):
    return weights * dweights


@mutant("scratch", "DotScore.backward", "gradients_equal_finite_differences", SCALED_DOT)
def dquery_without_the_scale(self, dscores):
    _, key = self._last_call()
    return dscores @ key, dot_backward(self, dscores)[1]


@mutant("scratch", "GeneralScore.backward", "gradients_equal_finite_differences", SQUARE)
def dkey_without_the_weight(self, dscores):
    query, _ = self._last_call()
    return general_backward(self, dscores)[0], dscores.swapaxes(-1, -2) @ query


@mutant("scratch", "WeightedSum.backward", "gradients_equal_finite_differences")
def dvalue_without_the_weights(self, dcontext):
    dweights, dvalue = weighted_sum_backward(self, dcontext)
    return dweights, np.zeros_like(dvalue) + dcontext.sum(axis=-2, keepdims=True)


@mutant("scratch", "Attention.backward", "gradients_equal_finite_differences")
def only_the_path_through_the_values(self, dcontext):
    dquery, dkey, dvalue = attention_backward(self, dcontext)
    return dquery, np.zeros_like(dkey), dvalue


@mutant("scratch", "Attention.backward", "gradients_equal_finite_differences")
def only_the_path_through_the_keys(self, dcontext):
    dquery, dkey, dvalue = attention_backward(self, dcontext)
    return dquery, dkey, np.zeros_like(dvalue)


@mutant("pytorch", "weighted_sum", "gradients_equal_finite_differences")
def weights_detached(weights, value):
    return weights.detach() @ value


@mutant("keras", "dot_scores", "gradients_equal_finite_differences")
def gradient_stopped_at_the_scores(query, key):
    return tf.stop_gradient(tf.matmul(query, key, transpose_b=True))


@mutant("scratch", "StepwiseAttention.backward", "equals_every_other_implementation", STEPWISE)
def parameters_learn_from_the_last_step_only(self, dcontext):
    answer = stepwise_backward(self, dcontext)
    self._last_call()[-1].backward(dcontext[..., -1:, :])  # overwrites what all steps gathered
    return answer


@mutant("scratch", "GeneralScore.backward", "only_the_last_call_counts", GENERAL)
def gradients_added_up_over_calls(self, dscores):
    before = self.grads["weight"].copy()
    answer = general_backward(self, dscores)
    self.grads["weight"] += before
    return answer


@mutant("pytorch", "to_arrays", "parameters_have_the_common_names", GENERAL)
def weights_stored_out_in(model):
    return {"score.weight": model.score.weight.detach().numpy().T}


# Right, and written differently.


@variant("scratch", "masked_softmax")
def logarithm_of_the_sum(scores, mask=None):
    scores = scores if mask is None else np.where(mask, scores, scores.dtype.type(-np.inf))
    highest = scores.max(axis=-1, keepdims=True)
    highest = np.where(np.isfinite(highest), highest, scores.dtype.type(0))
    with np.errstate(divide="ignore"):
        total = np.log(np.exp(scores - highest).sum(axis=-1, keepdims=True))
    return np.exp(scores - highest - np.where(np.isfinite(total), total, scores.dtype.type(0)))


@variant("scratch", "softmax_backward")
def the_whole_jacobian(weights, dweights):
    identity = np.eye(weights.shape[-1], dtype=weights.dtype)
    jacobian = weights[..., None] * (identity - weights[..., None, :])
    return (jacobian.swapaxes(-1, -2) @ dweights[..., None])[..., 0]


@variant("scratch", "weighted_sum")
def loops_over_everything(weights, value):
    context = np.zeros((*weights.shape[:-1], value.shape[-1]), value.dtype)
    for place in np.ndindex(weights.shape[:-2]):
        for t, row in enumerate(weights[place]):
            for weight, vector in zip(row, value[place]):
                context[(*place, t)] += weight * vector
    return context


@variant("pytorch", "masked_softmax")
def minus_infinity_only_beside_a_key(scores, mask=None):
    if mask is None:
        return scores.softmax(dim=-1)
    some = mask.expand(scores.shape).any(dim=-1, keepdim=True)
    return scores.masked_fill(~mask & some, -torch.inf).softmax(dim=-1) * some


@variant("pytorch", "scaled_dot_scores", SCALED_DOT)
def the_query_is_scaled(query, key):
    return torch.einsum("...tk,...sk->...ts", query / query.shape[-1] ** 0.5, key)


@variant("pytorch", "Attention.forward", GENERAL)
def one_query_after_the_other(self, query, key, value, mask=None, need_weights=True):
    full = None if mask is None else mask.expand(*query.shape[:-1], key.shape[-2])
    pairs = [
        torch_forward(self, q, key, value, m)
        for q, m in zip(
            query.split(1, dim=-2),
            [None] * query.shape[-2] if full is None else full.split(1, dim=-2),
        )
    ]
    context, weights = (torch.cat(parts, dim=-2) for parts in zip(*pairs))
    return context, weights if need_weights else None


@variant("keras", "masked_softmax")
def powers_masked_and_divided(scores, mask=None):
    mask = tf.ones_like(scores, tf.bool) if mask is None else mask
    zero, one = tf.zeros((), scores.dtype), tf.ones((), scores.dtype)
    highest = tf.reduce_max(tf.where(mask, scores, scores.dtype.min), axis=-1, keepdims=True)
    powers = tf.exp(tf.where(mask, scores - tf.stop_gradient(highest), zero))
    powers = tf.where(mask, powers, zero)
    total = tf.reduce_sum(powers, axis=-1, keepdims=True)
    return powers / tf.where(total == 0, one, total)


@variant("keras", "general_scores", GENERAL)
def the_keys_are_projected(query, key, weight):
    return tf.einsum("...tq,...sq->...ts", query, tf.einsum("qk,...sk->...sq", weight, key))
