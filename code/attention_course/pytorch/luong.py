"""The decoder of Luong et al. 2015: move first, then look."""

import torch
from torch import Tensor, nn

from attention_course.axes import ATTENTIONS, LUONG_SCORES, check_option, check_score
from attention_course.pytorch.attention import (
    AdditiveScore,
    Attention,
    DotScore,
    GeneralScore,
    LocationScore,
    Score,
    masked_softmax,
    weighted_sum,
)
from attention_course.pytorch.local import LocalAttention, PlacePredictor
from attention_course.pytorch.seq2seq import Memory, Seq2Seq, State


class LuongSeq2Seq(Seq2Seq):
    """The state *after* the step, s_t, looks up c_t; both make h̃_t, which says the word.

    s_t  = f(s_{t−1}, [E y_{t−1}; h̃_{t−1}])    section 3.3, input feeding; else E y_{t−1} alone
    α_t  = softmax(score(s_t, h_j))            eqs. 7 and 8
    c_t  = Σ_j α_tj h_j                        section 3.1
    h̃_t = tanh(W_c [c_t; s_t])                eq. 5; h̃_0 = 0
    y_t  ~ softmax(W_s h̃_t)                   eq. 6

    `score` is "dot", "scaled_dot", "general", "additive" (the paper's concat) or "location", which
    knows `places` places; the first two do not suit a bidirectional encoder, whose states have
    twice the size of the query. `attention` is "global", or "local-m" or "local-p", which see
    `reach` places to both sides of one (see `local`). Without `input_feeding` no step waits for the
    one before and all are computed at once. Beyond the paper: W_c and W_s have biases. Its encoder
    and decoder are stacks of four layers (see `deep`); these have one.

    The decoder's state: the recurrent layer's; then, with input feeding, h̃ (B,H); then, for
    "local-m", the number of the next step (B,1).
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str = "lstm",
        bidirectional: bool = False,
        seed: int = 0,
        dropout: float = 0.0,
        score: str = "general",
        input_feeding: bool = True,
        attention: str = "global",
        reach: int = 10,
        places: int = 50,
    ) -> None:
        check_score(score, bidirectional, LUONG_SCORES)
        check_option("attention", attention, ATTENTIONS)
        self.score, self.input_feeding = score, input_feeding
        self.kind, self.reach, self.places = attention, reach, places
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dropout)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size + self.input_feeding * self.hidden_size, self.hidden_size

    def extra_parts(self) -> dict[str, nn.Module]:
        score = self._make_score()
        if self.kind == "global":
            attention = Attention(score)
        else:
            predicts = self.kind == "local-p"
            predictor = PlacePredictor(self.hidden_size, self.hidden_size) if predicts else None
            attention = LocalAttention(score, self.reach, predictor)
        combine = nn.Linear(self.memory_size + self.hidden_size, self.hidden_size)
        return {"attention": attention, "combine": combine}

    def _make_score(self) -> Score:
        sizes = (self.hidden_size, self.memory_size)
        if self.score == "general":
            return GeneralScore(*sizes)
        if self.score == "additive":
            return AdditiveScore(*sizes, self.hidden_size)
        if self.score == "location":
            return LocationScore(self.hidden_size, self.places)
        return DotScore(scaled=self.score == "scaled_dot")

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        """As `Seq2Seq.encode`; `memory.keys` is what the score makes of the states, once."""
        memory, state = super().encode(source, lengths)
        if self.input_feeding:
            state = (*state, torch.zeros_like(state[0]))
        if self.kind == "local-m":
            state = (*state, torch.zeros_like(state[0][:, :1]))
        return memory._replace(keys=self.attention.score.project(memory.outputs)), state

    def decode(
        self, target_in: Tensor, memory: Memory, state: State
    ) -> tuple[Tensor, State, Tensor]:
        """target_in (B,T) int -> logits (B,T,V), last state, weights (B,T,S)."""
        words = self.dropout(self.decoder.embedding(target_in))
        if not self.input_feeding:
            said, state, weights = self._move_and_look(words, memory, state)
        else:
            steps = []
            for word in words.split(1, dim=1):
                said, state, weights = self._move_and_look(word, memory, state)
                steps.append((said, weights))
            said, weights = (torch.cat(parts, dim=1) for parts in zip(*steps))
        return self.decoder.readout(self.dropout(said)), state, weights

    def _move_and_look(
        self, words: Tensor, memory: Memory, state: State
    ) -> tuple[Tensor, State, Tensor]:
        """words (B,T,E), T = 1 with input feeding -> h̃ (B,T,H), next state, weights (B,T,S)."""
        count = len(state) - self.input_feeding - (self.kind == "local-m")
        moved, more = state[:count], list(state[count:])
        if self.input_feeding:
            words = torch.cat([words, more[0][:, None]], dim=-1)
        states, moved = self.decoder.rnn(words, None, moved)
        context, weights = self.attend(states, memory, more[-1] if more else None)
        said = torch.tanh(self.combine(torch.cat([context, states], dim=-1)))
        if self.input_feeding:
            more[0] = said[:, -1]
        if self.kind == "local-m":
            more[-1] = more[-1] + words.shape[1]
        return said, (*moved, *more), weights

    def attend(
        self, query: Tensor, memory: Memory, first: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """query s_t (B,T,H) -> context (B,T,·), weights (B,T,S); `first` (B,1) is the number of the
        first of these steps, for "local-m".
        """
        if self.kind == "global":
            scores = self.attention.score.compare(query, memory.keys)
            weights = masked_softmax(scores, memory.mask)
        else:
            places = None
            if self.kind == "local-m":
                places = first + torch.arange(query.shape[1], device=query.device)
            weights = self.attention.weights(query, memory.keys, memory.mask, places)
        return weighted_sum(weights, memory.outputs), weights
