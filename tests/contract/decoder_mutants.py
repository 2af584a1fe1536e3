"""Wrong decoders, each with the check that catches it, and right ones written otherwise.

The same spirit as `mutants`; here whole parts of a model, of decoding and of the measures are
replaced. The mistakes are those of public tutorials, courses and issues.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from decoder_properties import EMBED, HIDDEN

import attention_course.alignment as alignment
import attention_course.decoding as decoding
import attention_course.metrics as metrics
import attention_course.pytorch.attention as torch_attention
import attention_course.scratch.attention as scratch_attention
from attention_course.pytorch.bahdanau import BahdanauSeq2Seq as TorchDecoder
from attention_course.scratch.bahdanau import BahdanauSeq2Seq as ScratchDecoder
from attention_course.scratch.bahdanau import _Step
from attention_course.scratch.seq2seq import Decoding


class DecoderMutant(NamedTuple):
    """`wrong` in the place of attention_course.`target`: the check `caught_by` then fails."""

    target: str  # "pytorch.bahdanau.masked_softmax": the first word is the framework, if it is one
    wrong: Callable[..., Any]
    caught_by: str
    readout: str

    @property
    def framework(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.framework}-{self.wrong.__name__}-{self.caught_by}"


class DecoderVariant(NamedTuple):
    """`right` in the place of attention_course.`target`: every check must accept it."""

    target: str
    right: Callable[..., Any]

    @property
    def framework(self) -> str:
        return self.target.partition(".")[0]

    def __str__(self) -> str:
        return f"{self.framework}-{self.right.__name__}"


DECODER_MUTANTS: list[DecoderMutant] = []
DECODER_VARIANTS: list[DecoderVariant] = []


def mutant(target: str, caught_by: str, readout: str = "linear") -> Callable:
    """Register the function below as wrong."""

    def register(wrong: Callable) -> Callable:
        DECODER_MUTANTS.append(DecoderMutant(target, wrong, caught_by, readout))
        return wrong

    return register


def variant(target: str) -> Callable:
    """Register the function below as right."""

    def register(right: Callable) -> Callable:
        DECODER_VARIANTS.append(DecoderVariant(target, right))
        return right

    return register


# As they are before anything is replaced.
torch_attend, torch_decode = TorchDecoder.attend, TorchDecoder.decode
torch_step, torch_logits = TorchDecoder.step, TorchDecoder._logits
torch_compare = torch_attention.AdditiveScore.compare
scratch_encode_backward = ScratchDecoder.encode_backward
scratch_decode, scratch_logits = ScratchDecoder.decode, ScratchDecoder._logits
scratch_logits_backward = ScratchDecoder._logits_backward
torch_select, scratch_select = TorchDecoder.select, ScratchDecoder.select
compare_backward = scratch_attention.AdditiveScore.compare_backward
step_forward, step_backward = _Step.forward, _Step.backward
bleu, links_of = metrics.bleu, alignment.links_of
set_aside = decoding._set_aside

PYTORCH, SCRATCH = "pytorch.bahdanau.BahdanauSeq2Seq", "scratch.bahdanau.BahdanauSeq2Seq"


# Where the decoder looks.


@mutant("pytorch.bahdanau.masked_softmax", "padding_changes_nothing")
@mutant("pytorch.bahdanau.masked_softmax", "sentences_do_not_mix")
def no_mask(scores, mask=None):
    return scores.softmax(dim=-1)


@mutant("scratch.bahdanau.masked_softmax", "the_context_is_the_average_of_the_annotations")
def mask_after_the_softmax(scores, mask=None):
    powers = np.exp(scores)
    return powers / powers.sum(axis=-1, keepdims=True) * mask


@mutant("pytorch.bahdanau.masked_softmax", "the_context_is_the_average_of_the_annotations")
def softmax_over_the_queries(scores, mask=None):
    """One query a step: all weights are 1."""
    return scores.softmax(dim=-2) * mask


@mutant("scratch.bahdanau.masked_softmax", "sentences_do_not_mix")
def softmax_over_the_batch(scores, mask=None):
    powers = np.exp(scores)
    weights = powers / powers.sum(axis=0) * mask
    return weights / weights.sum(axis=-1, keepdims=True)


@mutant("pytorch.seq2seq.padding_mask", "padding_changes_nothing")
def the_padding_is_a_key(lengths, size, device=None):
    return torch.arange(size) <= lengths[:, None, None]


@mutant("pytorch.attention.AdditiveScore.compare", "sentences_do_not_mix")
def states_added_without_an_axis(self, query, projected):
    """(B,A) + (B,S,A) runs where B = S, and adds each sentence's state to another one's keys."""
    total = (query @ self.query_weight)[:, 0] + projected
    return (torch.tanh(total) @ self.vector)[:, None]


@mutant("pytorch.attention.AdditiveScore.compare", "the_query_has_not_seen_the_word")
def the_state_is_not_asked(self, query, projected):
    return torch_compare(self, torch.zeros_like(query), projected)


@mutant("pytorch.attention.AdditiveScore.compare", "weights_depend_on_the_source")
def the_source_is_not_asked(self, query, projected):
    """Places instead of annotations: the "attention" of a much-copied tutorial."""
    places = torch.arange(projected.shape[1], dtype=query.dtype)
    return query.sum(-1, keepdim=True) * places.cos()


@mutant("pytorch.attention.AdditiveScore.compare", "equals_the_reference")
def a_bias_inside_the_tanh(self, query, projected):
    return torch_compare(self, query, projected + 0.1)


@mutant(f"{PYTORCH}.attend", "keys_are_projected_once")
def keys_projected_at_each_step(self, query, memory):
    keys = self.attention.score.project(memory.outputs)
    return torch_attend(self, query, memory._replace(keys=keys))


# What it gets.


@mutant(f"{PYTORCH}.attend", "the_context_is_the_average_of_the_annotations")
@mutant(f"{PYTORCH}.attend", "the_encoder_learns_through_the_context")
def context_from_the_decoder_s_state(self, query, memory):
    """Σ_j α_tj W s: the weights sum to 1, so nothing of the source is left."""
    _, weights = torch_attend(self, query, memory)
    projected = query @ self.attention.score.query_weight
    repeated = torch.cat([projected, projected], dim=-1).expand(-1, weights.shape[-1], -1)
    return weights.detach() @ repeated, weights


@mutant(f"{PYTORCH}.attend", "one_hot_weights_select_an_annotation")
@mutant(f"{PYTORCH}.attend", "the_context_is_the_average_of_the_annotations")
def context_of_the_projected_annotations(self, query, memory):
    _, weights = torch_attend(self, query, memory)
    return (weights @ memory.keys).repeat(1, 1, 2), weights


@mutant(f"{PYTORCH}.attend", "the_encoder_learns_through_the_context")
def annotations_detached(self, query, memory):
    outputs, keys = memory.outputs.detach(), memory.keys.detach()
    return torch_attend(self, query, memory._replace(outputs=outputs, keys=keys))


@mutant(f"{PYTORCH}._logits", "step_by_step_is_teacher_forcing")
@mutant(f"{PYTORCH}._logits", "the_context_is_the_average_of_the_annotations")
def context_of_the_step_before(self, before, after, context, word):
    return torch_logits(self, before, after, context.roll(1, dims=1), word)


@mutant(f"{SCRATCH}._logits", "the_context_feeds_the_readout")
def context_kept_from_the_readout(self, before, after, context, word):
    return scratch_logits(self, before, after, np.zeros_like(context), word)


@mutant("scratch.bahdanau._Step.forward", "the_context_feeds_the_state")
def context_kept_from_the_state(self, word, state, memory):
    _, context, _ = step_forward(self, word, state, memory)
    inputs = np.concatenate([word, np.zeros_like(context)], axis=-1)
    after, state = self.rnn.forward(inputs, None, state)
    return after, context, state


# The order of things: decoders in PyTorch, one step after the other as tutorials write them.


def over_time(step: Callable[..., tuple]) -> Callable[..., tuple]:
    """`decode` by `step`(self, word (B,E), state, memory, context before (B,2H)) -> weights (B,S),
    context, state.
    """

    def decode(self, target_in, memory, state, truth=None):
        logits, weights = [], []
        context = torch.zeros_like(memory.outputs[:, 0])
        for t in range(target_in.shape[1]):
            tokens, before = target_in[:, t], state[0]
            if truth is not None and t > 0:
                tokens = torch.where(truth[:, t], tokens, logits[-1].argmax(dim=-1))
            word = self.decoder.embedding(tokens)
            alpha, context, state = step(self, word, state, memory, context)
            logits.append(self._logits(before, state[0], context, word))
            weights.append(alpha)
        return torch.stack(logits, dim=1), state, torch.stack(weights, dim=1)

    decode.__name__ = step.__name__
    return decode


def look(self, query: torch.Tensor, memory: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """query (B,H) -> weights (B,S), context (B,2H); Luong's form, v · tanh([s; h_j] [W; U])."""
    score, mask = self.attention.score, memory.mask[:, 0]
    repeated = query.unsqueeze(1).repeat(1, memory.outputs.shape[1], 1)
    joined = torch.cat([score.query_weight, score.key_weight])
    energy = torch.tanh(F.linear(torch.cat([repeated, memory.outputs], dim=-1), joined.T))
    alpha = (energy @ score.vector).masked_fill(~mask, -torch.inf).softmax(dim=-1)
    return alpha, (alpha.unsqueeze(-1) * memory.outputs).sum(dim=1)


def move(self, word: torch.Tensor, context: torch.Tensor, state: tuple) -> tuple:
    return self.decoder.rnn(torch.cat([word, context], dim=-1).unsqueeze(1), None, state)[1]


@variant(f"{PYTORCH}.decode")
@over_time
def everything_computed_anew_at_each_step(self, word, state, memory, last):
    alpha, context = look(self, state[0], memory)
    return alpha, context, move(self, word, context, state)


@mutant(f"{PYTORCH}.decode", "the_query_has_not_seen_the_word")
@over_time
def the_state_after_the_step_asks(self, word, state, memory, last):
    """s_t instead of s_{t−1}: moved by the context before, as Luong's input feeding does."""
    state = move(self, word, last, state)
    return *look(self, state[0], memory), state


@mutant(f"{PYTORCH}.decode", "the_query_has_not_seen_the_word")
@over_time
def the_word_asks_too(self, word, state, memory, last):
    """The query is made of the state and of the word read, as in PyTorch's first tutorial."""
    alpha, context = look(self, state[0] + F.pad(word, (0, HIDDEN - EMBED)), memory)
    return alpha, context, move(self, word, context, state)


@mutant(f"{PYTORCH}.decode", "equals_the_reference")
@over_time
def the_state_moves_by_the_context_before(self, word, state, memory, last):
    alpha, context = look(self, state[0], memory)
    return alpha, context, move(self, word, last, state)


@mutant(f"{PYTORCH}.step", "step_by_step_is_teacher_forcing")
def the_state_is_not_carried(self, state, tokens):
    log_probs, after = torch_step(self, state, tokens)
    return log_probs, after._replace(hidden=state.hidden)


@mutant(f"{SCRATCH}.step", "step_by_step_is_teacher_forcing")
def decoding_starts_from_zeros_again(self, state, tokens):
    logits, hidden, weights = scratch_decode(
        self, tokens[:, None], state.memory, tuple(map(np.zeros_like, state.hidden))
    )
    shifted = logits[:, 0] - logits[:, 0].max(axis=-1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return log_probs, Decoding(state.memory, hidden, weights[:, 0])


@mutant("pytorch.seq2seq.Seq2Seq.select", "selected_rows_go_on_by_themselves")
@mutant("pytorch.seq2seq.Seq2Seq.select", "beam_scores_are_the_model_s")
def the_rows_of_the_state_are_not_chosen(self, state, rows):
    chosen = torch_select(self, state, rows)
    stayed = np.arange(len(rows)) % len(state.hidden[0])
    return chosen._replace(hidden=tuple(part[stayed] for part in state.hidden))


@mutant("scratch.seq2seq.Seq2Seq.select", "selected_rows_go_on_by_themselves")
def the_rows_of_the_memory_are_not_chosen(self, state, rows):
    stayed = np.arange(len(rows)) % len(state.hidden[0])
    return scratch_select(self, state, rows)._replace(
        memory=scratch_select(self, state, stayed).memory
    )


# The paper's readout.


@mutant("scratch.layers.Maxout.forward", "maxout_takes_the_larger_of_neighbours", "maxout")
def maxout_of_the_two_halves(self, x):
    halves = np.stack(np.split(x, 2, axis=-1), axis=-1)
    self._cache = halves.argmax(axis=-1)[..., None]
    return halves.max(axis=-1)


@mutant(f"{PYTORCH}._logits", "maxout_reads_the_state_before_the_step", "maxout")
def maxout_of_the_state_after_the_step(self, before, after, context, word):
    return torch_logits(self, after, after, context, word)


@mutant("scratch.layers.Maxout.backward", "gradients_equal_autograd", "maxout")
def both_neighbours_learn(self, dy):
    return np.repeat(dy, 2, axis=-1)


# Scheduled sampling.


@mutant(f"{PYTORCH}.decode", "a_coin_for_each_token")
def a_coin_for_each_step_of_the_batch(self, target_in, memory, state, truth=None):
    truth = truth if truth is None else truth[:1].expand_as(truth)
    return torch_decode(self, target_in, memory, state, truth)


@mutant(f"{SCRATCH}.decode", "a_coin_for_each_token")
def a_coin_for_each_sentence(self, target_in, memory, state, truth=None):
    truth = truth if truth is None else np.repeat(truth[:, 1:2], truth.shape[1], axis=1)
    return scratch_decode(self, target_in, memory, state, truth)


@mutant(f"{PYTORCH}.decode", "truth_everywhere_is_teacher_forcing")
@mutant(f"{PYTORCH}.decode", "truth_nowhere_is_greedy_decoding")
def the_coin_means_the_opposite(self, target_in, memory, state, truth=None):
    return torch_decode(self, target_in, memory, state, truth if truth is None else ~truth)


@mutant(f"{SCRATCH}.decode", "truth_nowhere_is_greedy_decoding")
def reads_the_token_that_it_has_to_say(self, target_in, memory, state, truth=None):
    """The target leaks: without the true token it reads the next one."""
    if truth is not None:
        target_in = np.where(truth, target_in, np.roll(target_in, -1, axis=1))
    return scratch_decode(self, target_in, memory, state)


@mutant(f"{PYTORCH}.decode", "truth_nowhere_is_greedy_decoding")
def what_teacher_forcing_would_have_said(self, target_in, memory, state, truth=None):
    """One pass under teacher forcing, whose answers are read in a second: not its own path."""
    if truth is not None:
        said = torch_decode(self, target_in, memory, state)[0].argmax(dim=-1).roll(1, dims=1)
        said[:, 0] = target_in[:, 0]
        target_in = torch.where(truth, target_in, said)
    return torch_decode(self, target_in, memory, state)


# Gradients of the NumPy decoder, and its parameters on their way out.


@mutant(f"{SCRATCH}.encode_backward", "gradients_equal_autograd")
def annotations_learn_as_values_only(self, dmemory, dstate, state):
    dmemory = dmemory._replace(keys=np.zeros_like(dmemory.keys))
    scratch_encode_backward(self, dmemory, dstate, state)


@mutant("scratch.bahdanau._Step.backward", "gradients_equal_autograd")
def annotations_learn_as_keys_only(self, dstate, dcontext, dmemory):
    outputs = dmemory.outputs.copy()
    answer = step_backward(self, dstate, dcontext, dmemory)
    dmemory.outputs[...] = outputs
    return answer


@mutant("scratch.attention.AdditiveScore.compare_backward", "gradients_equal_autograd")
def the_state_does_not_learn_to_ask(self, dscores):
    dquery, dprojected = compare_backward(self, dscores)
    return np.zeros_like(dquery), dprojected


@mutant("scratch.layers.GradientSums.write", "gradients_equal_autograd")
def parameters_learn_from_the_first_step_only(self):
    """`backward` ends with the first step, whose gradients stay where they are."""


@mutant(f"{SCRATCH}._logits_backward", "gradients_equal_autograd", "maxout")
def maxout_teaches_the_state_after_the_step(self, dlogits):
    dbefore, dafter, dcontext, dword = scratch_logits_backward(self, dlogits)
    return dafter, dbefore, dcontext, dword


@mutant(f"{SCRATCH}.decode", "gradients_are_those_of_the_tokens_read")
def the_true_token_learns_where_another_was_read(self, target_in, memory, state, truth=None):
    answer = scratch_decode(self, target_in, memory, state, truth)
    self.decoder.embedding.forward(target_in)
    return answer


@mutant("scratch.weights.to_arrays", "parameters_have_the_common_names")
def weights_stored_out_in(model):
    return {name: param.T for name, param in model.params.items()}


# Beam search and the measures of a translation.


@mutant("decoding._set_aside", "beam_divides_by_the_length")
def no_division_by_the_length(live, chosen, divisor, into, ended=True):
    set_aside(live, chosen, 1.0, into, ended)


@mutant("decoding._set_aside", "beam_keeps_what_has_ended")
def what_has_ended_is_dropped(live, chosen, divisor, into, ended=True):
    if not ended:
        set_aside(live, chosen, divisor, into, ended)


@mutant("decoding._select_changed", "beam_takes_each_hypothesis_s_own_state")
def states_stay_where_they_are(select, state, rows, before):
    return select(state, np.arange(len(rows)) % before)


@mutant("metrics.bleu", "bleu_punishes_what_is_too_short")
def predictions_and_references_swapped(predictions, references, **options):
    return bleu(references, predictions, **options)


@mutant("alignment.links_of", "a_link_is_target_then_source")
def source_before_target(weights, **lengths):
    return frozenset((source, target) for target, source in links_of(weights, **lengths))


@mutant("alignment.links_of", "a_link_is_target_then_source")
def most_attended_target_of_each_source(weights, *, source_length, target_length, **options):
    columns = weights[:target_length, :source_length].T
    return frozenset((int(row.argmax()), s) for s, row in enumerate(columns))


@mutant("alignment.links_of", "a_link_is_target_then_source")
def eos_counted_as_a_word(weights, *, source_length, target_length, **options):
    return links_of(weights, source_length=source_length + 1, target_length=target_length)


# Right, and written differently.


@variant(f"{PYTORCH}._logits")
def each_part_has_its_own_product(self, before, after, context, word):
    layer = self.decoder.readout if self.readout == "linear" else self.maxout
    parts = (after if self.readout == "linear" else before, context, word)
    weights = layer.weight.split([part.shape[-1] for part in parts], dim=1)
    total = layer.bias + sum(part @ weight.T for part, weight in zip(parts, weights))
    if self.readout == "linear":
        return total
    return self.decoder.readout(torch.maximum(total[..., ::2], total[..., 1::2]))


@variant("scratch.bahdanau.masked_softmax")
def powers_masked_and_divided(scores, mask=None):
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True)) * mask
    return powers / powers.sum(axis=-1, keepdims=True)


@variant("scratch.layers.GradientSums.write")
def sums_copied_in_turn(self):
    for name in self.grads.keys() & self.sums.keys():
        np.copyto(self.grads[name], self.sums[name])
