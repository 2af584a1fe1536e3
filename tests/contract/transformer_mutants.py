"""Wrong Transformers, each with the check that catches it, and right ones written otherwise. The
mistakes are those of public notebooks, tutorials and issues.
"""

from collections.abc import Callable
from copy import copy
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import torch
from torch import nn
from transformer_properties import LEARNED, ONE, PLAIN, PRE, PRE_ONE, TIED, UNPLACED, D, Kind

import attention_course.keras.transformer as keras_transformer
import attention_course.pytorch.transformer as torch_transformer
import attention_course.scratch.multihead as scratch_multihead
import attention_course.scratch.transformer as scratch_transformer
from attention_course.positions import sinusoidal_positions


class TransformerMutant(NamedTuple):
    """`wrong` in the place of attention_course.`target`: the check `caught_by` then fails."""

    target: str  # "pytorch.transformer.causal_mask": the first word is the framework
    wrong: Callable[..., Any]
    caught_by: str
    kind: Kind

    @property
    def framework(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.framework}-{self.wrong.__name__}-{self.kind}-{self.caught_by}"


MUTANTS: list[TransformerMutant] = []
VARIANTS: list[TransformerMutant] = []


def mutant(target: str, caught_by: str, kind: Kind = PLAIN) -> Callable:
    """Register the function below as wrong."""

    def register(wrong: Callable) -> Callable:
        MUTANTS.append(TransformerMutant(target, wrong, caught_by, kind))
        return wrong

    return register


def variant(target: str, kind: Kind = PLAIN) -> Callable:
    """Register the function below as right: every check must accept it."""

    def register(right: Callable) -> Callable:
        VARIANTS.append(TransformerMutant(target, right, "", kind))
        return right

    return register


# As they are before anything is replaced.
torch_model, torch_stack = torch_transformer.Transformer, torch_transformer.Stack
torch_decoder_layer = torch_transformer.DecoderLayer.forward
torch_encode, torch_select = torch_model.encode, torch_model.select
torch_step, torch_embed = torch_model.step, torch_stack.embed
torch_stack_init = torch_stack.__init__
torch_padding, torch_causal = torch_transformer.padding_mask, torch_transformer.causal_mask
scratch_decoder_layer = scratch_transformer.DecoderLayer.forward
scratch_encoder_layer = scratch_transformer.EncoderLayer.forward
scratch_decoder_backward = scratch_transformer.Decoder.backward
scratch_maps = scratch_transformer.Transformer.maps
keras_positions = keras_transformer.Positions.call
keras_step, keras_select = keras_transformer.Transformer.step, keras_transformer.Transformer.select
keras_norm = keras_transformer.layer_norm


# Who may look where.


@mutant("pytorch.transformer.causal_mask", "the_future_changes_nothing")
def no_look_ahead_mask(size, device=None):
    return torch.ones(size, size, dtype=torch.bool)


@mutant("keras.transformer.causal_mask", "the_future_changes_nothing")
def one_word_ahead(size):
    """tril(+1): each word knows the next one, which it is to say."""
    return tf.linalg.band_part(tf.ones((size, size), tf.bool), -1, 1)


@mutant("scratch.transformer.causal_mask", "each_token_sees_itself_and_those_before")
def not_even_itself(size):
    """tril(−1): trains, as the word comes past the sub-layer."""
    return np.tril(np.ones((size, size), bool), -1)


@mutant("pytorch.transformer.causal_mask", "each_token_sees_itself_and_those_before")
def only_those_behind(size, device=None):
    """triu for tril."""
    return torch.ones(size, size, dtype=torch.bool).triu()


@mutant("pytorch.transformer.padding_mask", "weights_lie_on_real_tokens")
def true_means_padding(lengths, size, device=None):
    """The polarity of `nn.MultiheadAttention`."""
    return ~torch_padding(lengths, size, device)


@mutant("keras.transformer.padding_mask", "padding_changes_nothing")
def padding_is_looked_at(lengths, size):
    return tf.ones((len(lengths), 1, size), tf.bool)


@mutant("scratch.transformer.EncoderLayer.forward", "padding_changes_nothing")
def the_mask_of_queries(self, x, mask):
    """(B,S,1): padding does not look, and is looked at."""
    return scratch_encoder_layer(self, x, mask.swapaxes(-1, -2))


@mutant("scratch.transformer.Encoder.forward", "padding_changes_nothing")
def an_encoder_without_a_mask(self, tokens, mask=None):
    x, seen = self.embed(tokens), []
    for layer in self.layers:
        x, weights = layer.forward(x, np.ones_like(mask))
        seen.append(weights)
    return self.last_norm(x), seen


@mutant("scratch.multihead._for_heads", "sentences_do_not_mix")
def a_mask_of_the_first_sentence(mask):
    """(S,) of one sentence, as if all were of one length."""
    return mask[:1, None] if mask.ndim == 3 else mask


# Query, key and value.


@mutant("pytorch.transformer.DecoderLayer.forward", "cross_attention_looks_at_the_source")
def keys_and_values_of_the_decoder(self, x, source, source_mask=None, *rest, **options):
    """Self-attention twice; no error where S = T or, as here, no mask is given."""
    own = self.cross_attention.project(x, x)
    return torch_decoder_layer(self, x, own, None, *rest, **options)


@mutant("pytorch.transformer.DecoderLayer.forward", "cross_attention_looks_at_the_source")
def the_source_is_not_read(self, x, source, *rest, **options):
    """A language model: cross-attention says the same whatever the source."""
    nothing = tuple(part * 0 for part in source)
    return torch_decoder_layer(self, x, nothing, *rest, **options)


@mutant("scratch.transformer.DecoderLayer.forward", "the_decoder_asks")
def the_encoder_asks(self, x, source, *rest):
    """Its token at the same place, as far as there is one."""
    vectors = scratch_multihead.merge_heads(source[0])
    query = vectors[:, np.arange(x.shape[1]) % vectors.shape[1]]
    wrong, attend = copy(self), self.cross_attention.attend
    wrong.cross_attention = copy(self.cross_attention)
    wrong.cross_attention.attend = lambda _, *others: attend(query, *others)
    return scratch_decoder_layer(wrong, x, source, *rest)


@mutant("pytorch.transformer.Decoder.project", "equals_the_reference")
def all_layers_look_at_what_the_first_projected(self, outputs):
    return (self.layers[0].cross_attention.project(outputs, outputs),) * len(self.layers)


@mutant("scratch.attention.scaled_dot_scores", "equals_the_reference")
def scaled_by_the_model_s_size(query, key):
    """√D for √d_k."""
    return query @ key.swapaxes(-1, -2) * D**-0.5


@mutant("pytorch.multihead.split_heads", "equals_the_reference")
def heads_by_a_reshape_alone(x, heads):
    return x.reshape(x.shape[0], heads, x.shape[1], -1)


# What comes in: words and their places.


@mutant("scratch.transformer.sinusoidal_positions", "equals_the_reference")
def i_for_2i(length, size):
    angles = np.arange(length)[:, None] * 10_000.0 ** (-np.arange(size // 2) / size)
    return np.stack([np.sin(angles), np.cos(angles)], axis=-1).reshape(length, size)


@mutant("pytorch.transformer.sinusoidal_positions", "equals_the_reference")
def all_sines_then_all_cosines(length, size):
    table = sinusoidal_positions(length, size)
    return np.concatenate([table[:, ::2], table[:, 1::2]], axis=1)


@mutant("keras.transformer.Positions.call", "equals_the_reference")
def places_count_from_one(self, x, first=0):
    return keras_positions(self, x, first + 1)


@mutant("pytorch.transformer.Positions.forward", "order_counts_if_there_are_positions", LEARNED)
def places_are_left_out(self, x, first=0):
    return x


@mutant("scratch.transformer.Stack.embed", "order_counts_if_there_are_positions", UNPLACED)
def places_where_none_are_wanted(self, tokens, first=0):
    vectors = self.embedding.forward(tokens) * self.scale
    return vectors + sinusoidal_positions(tokens.shape[1], D)


@mutant("pytorch.transformer.Stack.embed", "each_sub_layer_is_added_to_its_input", PRE)
def words_not_multiplied_by_root_d(self, tokens, first=0):
    return self.positions(self.embedding(tokens), first)


@mutant("keras.transformer.Stack.embed", "equals_the_reference", LEARNED)
def places_multiplied_by_root_d_as_well(self, tokens, first=0):
    return self.positions(self.embedding(tokens), first=first) * self.scale


@mutant("scratch.transformer.Stack.embed", "nothing_given_is_changed")
def words_multiplied_in_place(self, tokens, first=0):
    """Each call makes the vectors longer."""
    weight = self.embedding.params["weight"]
    weight *= self.scale
    return self.positions.forward(self.embedding.forward(tokens), first)


@mutant("pytorch.transformer.Positions.__init__", "parameters_have_the_common_names")
def the_table_is_trained(self, kind, model_size, longest):
    nn.Module.__init__(self)
    self.kind, self.longest = "learned", longest
    self.weight = nn.Parameter(torch.tensor(sinusoidal_positions(longest, model_size)))


@mutant("pytorch.transformer.Stack.__init__", "parameters_have_the_common_names")
def one_layer_many_times(self, *arguments):
    """`[layer] * 6`: six times the same one."""
    torch_stack_init(self, *arguments)
    self.layers = nn.ModuleList([self.layers[0]] * len(self.layers))


@mutant("pytorch.transformer.check_longest", "a_sentence_too_long_is_refused")
@mutant("scratch.transformer.check_longest", "a_sentence_too_long_is_refused", LEARNED)
def no_word_of_what_is_too_long(length, longest):
    """The sum of five vectors and six fails in words that name neither."""


@mutant("keras.transformer.Positions.call", "a_sentence_too_long_is_refused")
def the_last_place_again_and_again(self, x, first=0):
    places = tf.minimum(first + tf.range(tf.shape(x)[1]), self.longest - 1)
    return x + tf.gather(tf.constant(self.table), places)


# Residual connections, norms, the network in between.


@mutant("pytorch.transformer.Residual.after", "each_sub_layer_is_added_to_its_input")
def no_residual(self, x, y):
    return y if self.norm_first else self.norm(y)


@mutant("pytorch.transformer.Encoder.forward", "each_sub_layer_is_added_to_its_input")
def one_residual_around_the_stack(self, tokens, mask=None, need_weights=False):
    x = start = self.embed(tokens)
    seen = []
    for layer in self.layers:
        y, weights = layer.attention(x, x, x, mask, need_weights)
        x = layer.attention_residual.norm(y)
        x = layer.feed_forward_residual.norm(layer.feed_forward(x))
        seen.append(weights)
    return start + x, seen


@mutant("keras.transformer.Residual.after", "equals_the_reference")
def the_normed_input_is_added(self, x, y):
    """norm(x) + f(x): neither before nor after."""
    return self.norm(x) + y


def _normed_over(axis: int | tuple[int, ...], ddof: int = 0) -> Callable:
    def forward(self, x):
        centred = x - x.mean(axis=axis, keepdims=True)
        deviation = np.sqrt(x.var(axis=axis, keepdims=True, ddof=ddof) + self.epsilon)
        return centred / deviation * self.params["weight"] + self.params["bias"]

    return forward


@mutant("scratch.layers.LayerNorm.forward", "each_token_is_normed_on_its_own")
def divided_by_one_less(self, x):
    """`std()` of PyTorch, as in much public code."""
    return _normed_over(-1, ddof=1)(self, x)


@mutant("scratch.layers.LayerNorm.forward", "sentences_do_not_mix")
@mutant("scratch.layers.LayerNorm.forward", "each_token_is_normed_on_its_own", PRE)
def normed_over_the_batch(self, x):
    return _normed_over(0)(self, x)


@mutant("scratch.layers.LayerNorm.forward", "the_future_changes_nothing")
def normed_over_the_sentence(self, x):
    """Leaks what comes later, for which no mask of attention is to blame."""
    return _normed_over((1, 2))(self, x)


@mutant("keras.transformer.layer_norm", "equal_numbers_are_normed_to_the_bias")
def no_epsilon(size, dtype=None):
    return keras_norm(size, 0.0, dtype)


@mutant("keras.transformer.layer_norm", "equals_the_reference")
def epsilon_of_keras(size, dtype=None):
    return keras_norm(size, 1e-3, dtype)


@mutant("scratch.transformer.Stack.last_norm", "each_sub_layer_is_added_to_its_input", PRE)
def no_last_norm(self, x):
    return x


@mutant("keras.transformer.FeedForward.call", "equals_the_reference")
def nothing_cut_below_zero(self, x):
    return self.outer(self.inner(x))


@mutant("pytorch.transformer.FeedForward.forward", "equals_the_reference")
def gelu_for_relu(self, x):
    return self.outer(nn.functional.gelu(self.inner(x)))


# The readout.


@mutant("pytorch.transformer.Decoder.read", "equals_the_reference", TIED)
def a_tied_readout_multiplied_as_well(self, x):
    return x @ self.embedding.weight.T * D**0.5


@mutant("keras.transformer.Transformer.alignment", "weights_lie_on_real_tokens")
def the_first_layer_s_alignment(self, *arrays):
    return self.maps(*arrays).cross[0].mean(axis=1)


@mutant("scratch.transformer.Transformer.maps", "weights_lie_on_real_tokens")
def maps_exchanged(self, *arrays):
    encoder, decoder, cross = scratch_maps(self, *arrays)
    return scratch_transformer.Maps(encoder, cross, decoder)


# One step at a time.


@mutant("pytorch.transformer.Stack.embed", "one_step_at_a_time_is_teacher_forcing")
def place_zero_at_each_step(self, tokens, first=0):
    return torch_embed(self, tokens)


@mutant("pytorch.transformer.DecoderLayer.forward", "one_step_at_a_time_is_teacher_forcing")
def nothing_is_kept(self, x, source, source_mask=None, mask=None, past=None, need_weights=False):
    return torch_decoder_layer(self, x, source, source_mask, mask, None, need_weights)


@mutant("pytorch.transformer.DecoderLayer.forward", "one_step_at_a_time_is_teacher_forcing")
def keys_are_kept_and_values_are_not(self, x, *rest):
    *rest, past, need_weights = rest
    if past is not None:
        new = self.attention.project(*[self.attention_residual.before(x)] * 2)[1]
        past = past[0], new.expand_as(past[1])
    return torch_decoder_layer(self, x, *rest, past, need_weights)


@mutant("keras.transformer.Transformer.step", "one_step_at_a_time_is_teacher_forcing")
def the_cache_of_the_step_before(self, state, tokens):
    log_probs, after = keras_step(self, state, tokens)
    return log_probs, after._replace(past=state.past if state.weights is not None else after.past)


@mutant("pytorch.transformer.Transformer.step", "nothing_given_is_changed")
def the_cache_is_written_into(self, state, tokens):
    """What beam search keeps of an old state is then another one's."""
    log_probs, after = torch_step(self, state, tokens)
    for pair, old in zip(after.past, state.past or ()):
        old[1].copy_(pair[1][:, :, 1:])
    return log_probs, after


@mutant("pytorch.transformer.Transformer.step", "nothing_is_computed_again")
def the_source_projected_at_each_step(self, state, tokens):
    """Right in every number, and slow."""
    memory = state.memory._replace(layers=self.decoder.project(state.memory.outputs))
    return torch_step(self, state._replace(memory=memory), tokens)


@mutant("pytorch.transformer.Transformer.select", "selected_rows_go_on_by_themselves")
def the_cache_stays_behind(self, state, rows):
    chosen = torch_select(self, state, rows)
    index = np.arange(len(rows)) % len(state.memory.mask)
    return chosen._replace(past=torch_select(self, state, index).past)


@mutant("keras.transformer.Transformer.select", "selected_rows_go_on_by_themselves")
def the_memory_stays_behind(self, state, rows):
    index = np.arange(len(rows)) % len(state.memory.mask)
    return keras_select(self, state, rows)._replace(memory=keras_select(self, state, index).memory)


@mutant("pytorch.transformer.Transformer.select", "beam_scores_are_the_model_s")
def each_beam_goes_on_with_its_neighbour_s(self, state, rows):
    return torch_select(self, state, np.roll(rows, 1))


# The way back.


@mutant("scratch.transformer.Residual.before_backward", "gradients_equal_autograd")
@mutant("scratch.transformer.Residual.before_backward", "gradients_equal_autograd", PRE)
def no_gradient_past_the_sub_layer(self, dtotal, dinput):
    return self.norm.backward(dinput) if self.norm_first else dinput


@mutant("scratch.transformer.Decoder.backward", "gradients_equal_autograd")
def no_gradient_to_the_encoder(self, dlogits):
    return scratch_decoder_backward(self, dlogits) * 0


@mutant("scratch.transformer.Decoder.backward", "gradients_equal_autograd")
def the_encoder_hears_of_one_layer_only(self, dlogits):
    """Each layer looks at the source: the gradients must be added up."""
    dx = self.last_norm_backward(self.read_backward(dlogits)[0])
    for layer in reversed(self.layers):
        dx, dsource = layer.backward(dx)
        doutputs = sum(layer.cross_attention.project_backward(*dsource))
    self.embed_backward(dx)
    return doutputs


@mutant("scratch.transformer.Positions.backward", "gradients_equal_autograd", LEARNED)
def the_places_of_a_longer_batch_are_left(self, dx):
    first, last = self._cache
    self.grads["weight"][first:last] = dx.sum(axis=0)
    return dx


@mutant("scratch.transformer.FeedForward.backward", "gradients_equal_finite_differences")
def a_gradient_where_it_was_cut(self, dy):
    return self.inner.backward(self.outer.backward(dy))


@mutant("pytorch.transformer.Transformer.encode", "gradients_equal_finite_differences")
def the_source_is_detached(self, source, lengths):
    memory = torch_encode(self, source, lengths)
    outputs = memory.outputs.detach()
    return memory._replace(outputs=outputs, layers=self.decoder.project(outputs))


@mutant("keras.transformer.Decoder.project", "gradients_equal_autograd")
def no_gradient_by_the_keys(self, outputs):
    still = tf.stop_gradient(outputs)
    return tuple(layer.cross_attention.project(still, outputs) for layer in self.layers)


@mutant("scratch.transformer.Decoder.backward", "tied_gradients_are_sums", TIED)
def the_embedding_s_gradient_over_the_readout_s(self, dlogits):
    found = scratch_decoder_backward(self, dlogits)
    if self.readout is None:
        self.embedding.grads["weight"] -= self.read_backward(dlogits)[1]
    return found


@mutant("scratch.transformer.Transformer.backward", "tied_gradients_are_sums", ONE)
@mutant("scratch.transformer.Transformer.backward", "tied_gradients_are_sums", PRE_ONE)
def the_encoder_s_gradient_over_the_decoder_s(self, dlogits):
    self.encoder.backward(self.decoder.backward(dlogits))


@mutant("keras.transformer.Decoder.read", "tied_gradients_are_sums", TIED)
def the_readout_s_matrix_is_a_copy(self, x):
    if self.readout is None:
        return tf.matmul(x, self.embedding.embeddings.numpy(), transpose_b=True)
    return self.readout(x)


# Right, written otherwise.


@variant("pytorch.transformer.causal_mask")
def places_compared(size, device=None):
    places = torch.arange(size)
    return places[:, None] >= places


@variant("scratch.transformer.sinusoidal_positions")
def as_rotations(length, size):
    """One turn of each pair a place: powers of exp(i ω)."""
    turns = np.exp(1j * 10_000.0 ** (-np.arange(0, size, 2) / size))
    points = np.cumprod(np.tile(turns, (length, 1)), axis=0) / turns
    return np.stack([points.imag, points.real], axis=-1).reshape(length, size)


@variant("pytorch.transformer.EncoderLayer.forward", PRE)
@variant("pytorch.transformer.EncoderLayer.forward")
def as_the_paper_says_it(self, x, mask=None, need_weights=False):
    first, second = self.attention_residual, self.feed_forward_residual
    if first.norm_first:
        rows = first.norm(x)
        y, weights = self.attention(rows, rows, rows, mask, need_weights)
        x = x + y
        return x + self.feed_forward(second.norm(x)), weights
    y, weights = self.attention(x, x, x, mask, need_weights)
    x = first.norm(x + y)
    return second.norm(x + self.feed_forward(x)), weights


@variant("scratch.layers.LayerNorm.forward", PRE)
def by_the_mean_of_squares(self, x):
    """σ² = E[x²] − μ²."""
    mean = x.mean(axis=-1, keepdims=True)
    variance = np.square(x).mean(axis=-1, keepdims=True) - mean**2
    deviation = np.sqrt(variance + self.epsilon)
    self._cache = ((x - mean) / deviation, deviation)
    return self._cache[0] * self.params["weight"] + self.params["bias"]


@variant("pytorch.transformer.Decoder.read", TIED)
@variant("pytorch.transformer.Decoder.read", PRE_ONE)
def with_f_linear(self, x):
    return nn.functional.linear(x, self.embedding.weight)


@variant("scratch.transformer.Transformer.select")
def one_row_after_the_other(self, state, rows):
    """All arrays of a state, whatever they are, by one rule."""

    def chosen(part):
        if isinstance(part, np.ndarray):
            return np.stack([part[row] for row in rows])
        return part if part is None else rebuilt(part, map(chosen, part))

    def rebuilt(part, parts):
        return type(part)(*parts) if hasattr(part, "_fields") else tuple(parts)

    return chosen(state)
