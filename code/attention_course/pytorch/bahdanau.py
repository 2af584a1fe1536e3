"""The decoder of Bahdanau et al. 2015: look first, then move."""

import torch
from torch import Tensor, nn

from attention_course.axes import check_truth
from attention_course.pytorch.attention import (
    AdditiveScore,
    Attention,
    masked_softmax,
    weighted_sum,
)
from attention_course.pytorch.seq2seq import Memory, Seq2Seq, State

READOUTS = ("linear", "maxout")


class BahdanauSeq2Seq(Seq2Seq):
    """The state *before* the step, s_{t−1}, looks up c_t, and c_t helps to make s_t and y_t.

    e_tj = v · tanh(W s_{t−1} + U h_j)          appendix A.1.2; U h_j once a sentence
    α_t  = softmax(e_t),  c_t = Σ_j α_tj h_j    eqs. 6 and 5
    s_t  = f(s_{t−1}, [E y_{t−1}; c_t])         section 3.1; f is `cell`
    y_t  ~ softmax of the readout               eq. 4

    The annotations h_j are the 2H states of an encoder that reads both ways. `readout` "linear" is
    one layer on [s_t; c_t; E y_{t−1}], a simplification; "maxout" is the paper's (appendix A.2.2):
    the larger of each two neighbours of a layer on [s_{t−1}; c_t; E y_{t−1}], H/2 numbers, then
    the last layer. Also simpler than the paper: s_0 = tanh of a layer on both final states of the
    encoder, where the paper takes the backward one alone.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str = "gru",
        bidirectional: bool = True,
        seed: int = 0,
        dropout: float = 0.0,
        readout: str = "linear",
    ) -> None:
        if readout not in READOUTS:
            raise ValueError(f"readout must be one of {READOUTS}, got {readout!r}")
        if readout == "maxout" and hidden_size % 2:
            raise ValueError(f"hidden_size must be even for maxout, got {hidden_size}")
        self.readout = readout
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dropout)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        rnn_size = embed_size + self.memory_size
        if self.readout == "maxout":
            return rnn_size, self.hidden_size // 2
        return rnn_size, self.hidden_size + rnn_size

    def extra_parts(self) -> dict[str, nn.Module]:
        score = AdditiveScore(self.hidden_size, self.memory_size, self.hidden_size)
        parts = {"attention": Attention(score)}
        if self.readout == "maxout":
            rnn_size, _ = self.decoder_sizes(self.decoder.embedding.embedding_dim)
            parts["maxout"] = nn.Linear(self.hidden_size + rnn_size, self.hidden_size)
        return parts

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        """As `Seq2Seq.encode`; `memory.keys` are the projected annotations U h_j, (B,S,H)."""
        memory, state = super().encode(source, lengths)
        return memory._replace(keys=self.attention.score.project(memory.outputs)), state

    def attend(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """query s_{t−1} (B,1,H) -> context c_t (B,1,2H), weights α_t (B,1,S)."""
        scores = self.attention.score.compare(query, memory.keys)
        weights = masked_softmax(scores, memory.mask)
        return weighted_sum(weights, memory.outputs), weights

    def decode(
        self, target_in: Tensor, memory: Memory, state: State, truth: Tensor | None = None
    ) -> tuple[Tensor, State, Tensor]:
        """As `Seq2Seq.decode`: target_in (B,T) int -> logits (B,T,V), last state, weights (B,T,S).

        Scheduled sampling (Bengio et al. 2015): where `truth` (B,T) bool is False, the decoder
        reads not the token of `target_in` but the one it found most probable a step before; the
        first token is always the given one.
        """
        check_truth(Tensor, truth, target_in)
        steps = []
        for t, word in enumerate(self._embed(target_in).split(1, dim=1)):
            if truth is not None and t > 0 and not truth[:, t].all():
                said = self._logits(*steps[-1][:-1]).detach().argmax(dim=-1)
                word = torch.where(truth[:, t, None, None], word, self._embed(said))
            before = state[0][:, None]
            context, weights = self.attend(before, memory)
            after, state = self.decoder.rnn(torch.cat([word, context], dim=-1), None, state)
            steps.append((before, after, context, word, weights))
        *seen, weights = (torch.cat(parts, dim=1) for parts in zip(*steps))
        return self._logits(*seen), state, weights

    def forward(
        self,
        source: Tensor,
        source_lengths: Tensor,
        target_in: Tensor,
        truth: Tensor | None = None,
    ) -> Tensor:
        """Teacher forcing, or scheduled sampling with `truth` (B,T): logits (B,T,V)."""
        memory, state = self.encode(source, source_lengths)
        return self.decode(target_in, memory, state, truth)[0]

    def _embed(self, tokens: Tensor) -> Tensor:
        return self.dropout(self.decoder.embedding(tokens))

    def _logits(self, before: Tensor, after: Tensor, context: Tensor, word: Tensor) -> Tensor:
        """States before and after each step, contexts and words read, (B,T,·) -> logits (B,T,V)."""
        if self.readout == "linear":
            inputs = torch.cat([after, context, word], dim=-1)
        else:
            pairs = self.maxout(torch.cat([before, context, word], dim=-1)).unflatten(-1, (-1, 2))
            inputs = pairs.amax(dim=-1)
        return self.decoder.readout(self.dropout(inputs))
