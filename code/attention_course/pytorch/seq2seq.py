"""Encoder–decoder models without attention, and one with the plainest attention as a preview."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from attention_course.pytorch.attention import dot_product_attention
from attention_course.pytorch.recurrent import GRU, LSTM, RNN, Bidirectional, State

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class Memory(NamedTuple):
    """What the encoder leaves behind for the decoder."""

    outputs: Tensor  # (B,S,H), or (B,S,2H) bidirectional: one state a source token
    mask: Tensor  # (B,S) bool, True = real token
    context: Tensor  # (B,H): the one fixed vector


class Encoder(nn.Module):
    """Embedding, then a recurrent layer over the real tokens."""

    def __init__(
        self, vocab_size: int, embed_size: int, hidden_size: int, cell: str, bidirectional: bool
    ) -> None:
        super().__init__()
        layer = CELLS[cell]
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = (
            Bidirectional(layer, embed_size, hidden_size)
            if bidirectional
            else layer(embed_size, hidden_size)
        )

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """source (B,S) int, lengths (B,) -> outputs (B,S,H or 2H), final state."""
        return self.rnn(self.embedding(source), lengths)


class Decoder(nn.Module):
    """Embedding, recurrent layer, readout; `*_extra` numbers are joined to their inputs."""

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        rnn_extra: int,
        readout_extra: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = CELLS[cell](embed_size + rnn_extra, hidden_size)
        self.readout = nn.Linear(hidden_size + readout_extra, vocab_size)


class Seq2Seq(nn.Module):
    """Encoder's final state = decoder's first state, nothing else passes (Sutskever et al. 2014).

    `cell` is "rnn", "gru" or "lstm" (which hands over h and c). With a bidirectional encoder the
    two final states, 2H numbers, are brought to H by tanh of a linear `bridge`. `seed` fixes the
    initial weights.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str = "gru",
        bidirectional: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {sorted(CELLS)}, got {cell!r}")
        self.hidden_size = hidden_size
        self.memory_size = 2 * hidden_size if bidirectional else hidden_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.encoder = Encoder(source_size, embed_size, hidden_size, cell, bidirectional)
            self.decoder = Decoder(target_size, embed_size, hidden_size, cell, *self.extra_inputs())
            if bidirectional:
                self.bridge = nn.Linear(2 * hidden_size, hidden_size)
                if cell == "lstm":
                    self.bridge_cell = nn.Linear(2 * hidden_size, hidden_size)
        self.bidirectional = bidirectional

    # What a kind of decoder decides: these three and nothing else.

    def extra_inputs(self) -> tuple[int, int]:
        """How many numbers join the decoder's recurrent input and its readout's input."""
        return 0, 0

    def rnn_inputs(self, embedded: Tensor, memory: Memory) -> Tensor:
        """What the decoder's recurrent layer reads at each step, (B,T,·)."""
        return embedded

    def readout_inputs(self, states: Tensor, memory: Memory) -> Tensor:
        """What the readout sees at each step, (B,T,·)."""
        return states

    # The model.

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        """source (B,S) int, lengths (B,) -> memory, first decoder state."""
        outputs, state = self.encoder(source, lengths)
        if self.bidirectional:
            bridges = [self.bridge, getattr(self, "bridge_cell", None)]
            state = tuple(
                torch.tanh(bridge(part)) for bridge, part in zip(bridges, state, strict=False)
            )
        positions = torch.arange(source.shape[1], device=source.device)
        mask = positions < lengths.to(source.device)[:, None]
        return Memory(outputs, mask, state[0]), state

    def decode(self, target_in: Tensor, memory: Memory, state: State) -> tuple[Tensor, State]:
        """target_in (B,T) int, all steps at once (T = 1 while decoding) -> logits (B,T,V), last
        state.
        """
        embedded = self.decoder.embedding(target_in)
        states, state = self.decoder.rnn(self.rnn_inputs(embedded, memory), None, state)
        return self.decoder.readout(self.readout_inputs(states, memory)), state

    def forward(self, source: Tensor, source_lengths: Tensor, target_in: Tensor) -> Tensor:
        """Teacher forcing: logits (B,T,V) for the whole target at once."""
        memory, state = self.encode(source, source_lengths)
        return self.decode(target_in, memory, state)[0]

    # The decoding protocol of `attention_course.decoding`: NumPy in, NumPy out.

    @torch.no_grad()
    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> tuple[Memory, State]:
        """Encode a batch; the result is the first `state` for `step`."""
        self.eval()
        device = next(self.parameters()).device
        return self.encode(torch.as_tensor(source, device=device), torch.as_tensor(source_lengths))

    @torch.no_grad()
    def step(
        self, state: tuple[Memory, State], tokens: np.ndarray
    ) -> tuple[np.ndarray, tuple[Memory, State]]:
        """One decoder step: tokens (B,) -> log-probabilities (B,V), next state."""
        memory, hidden = state
        column = torch.as_tensor(tokens, device=memory.context.device)[:, None]
        logits, hidden = self.decode(column, memory, hidden)
        return logits[:, 0].log_softmax(dim=-1).cpu().numpy(), (memory, hidden)


class PeekySeq2Seq(Seq2Seq):
    """The same fixed vector, handed to *every* decoder step and readout (Cho et al. 2014)."""

    def extra_inputs(self) -> tuple[int, int]:
        return self.hidden_size, self.hidden_size

    def rnn_inputs(self, embedded: Tensor, memory: Memory) -> Tensor:
        return _join(embedded, memory.context)

    def readout_inputs(self, states: Tensor, memory: Memory) -> Tensor:
        return _join(states, memory.context)


class DotSeq2Seq(Seq2Seq):
    """A preview of Chapter 2: the readout sees [s_t; c_t], looked up in *all* encoder states.

    Simplified Luong (dot score; no W_c, no tanh, no input feeding). The encoder must be
    unidirectional, since the dot product needs queries and keys of one size.
    """

    def extra_inputs(self) -> tuple[int, int]:
        if self.memory_size != self.hidden_size:
            raise ValueError(
                "bidirectional must be False: the dot score needs keys of size "
                f"{self.hidden_size} like the queries, got {self.memory_size}"
            )
        return 0, self.hidden_size

    def readout_inputs(self, states: Tensor, memory: Memory) -> Tensor:
        context, _ = dot_product_attention(
            states, memory.outputs, memory.outputs, memory.mask[:, None, :]
        )
        return torch.cat([states, context], dim=-1)


def _join(sequence: Tensor, vector: Tensor) -> Tensor:
    """(B,T,·) with (B,H) repeated at every step -> (B,T,·+H)."""
    repeated = vector[:, None, :].expand(-1, sequence.shape[1], -1)
    return torch.cat([sequence, repeated], dim=-1)
