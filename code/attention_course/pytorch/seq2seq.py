"""Encoder–decoder models: what passes is one vector, or all encoder states to look things up in."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from attention_course.axes import check_score
from attention_course.pytorch.attention import AdditiveScore, Attention, DotScore, GeneralScore
from attention_course.pytorch.masks import padding_mask
from attention_course.pytorch.recurrent import GRU, LSTM, RNN, Bidirectional, State

CELLS = {"rnn": RNN, "gru": GRU, "lstm": LSTM}


class Memory(NamedTuple):
    """What the encoder leaves behind for the decoder."""

    outputs: Tensor  # (B,S,H), or (B,S,2H) bidirectional: one state a source token
    mask: Tensor  # (B,1,S) bool, True = real token
    context: Tensor  # (B,H): the one fixed vector
    keys: Tensor | None = None  # (B,S,A): what a score makes of the outputs once a sentence


class Decoding(NamedTuple):
    """Where decoding stands: the state of the protocol of `attention_course.decoding`."""

    memory: Memory
    hidden: State
    weights: np.ndarray | None = None  # (B,S): where the last step looked, if the model looks


class Encoder(nn.Module):
    """Embedding, then a recurrent layer over the real tokens."""

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        bidirectional: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        layer = CELLS[cell]
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.dropout = nn.Dropout(dropout)
        self.rnn = (
            Bidirectional(layer, embed_size, hidden_size)
            if bidirectional
            else layer(embed_size, hidden_size)
        )

    def forward(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, State]:
        """source (B,S) int, lengths (B,) -> outputs (B,S,H or 2H), final state."""
        return self.rnn(self.dropout(self.embedding(source)), lengths)


class Decoder(nn.Module):
    """Embedding, recurrent layer, readout; `*_size` is what the last two read."""

    def __init__(
        self,
        vocab_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str,
        rnn_size: int,
        readout_size: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_size)
        self.rnn = CELLS[cell](rnn_size, hidden_size)
        self.readout = nn.Linear(readout_size, vocab_size)


class Seq2Seq(nn.Module):
    """Encoder's final state = decoder's first state, nothing else passes (Sutskever et al. 2014).

    `cell` is "rnn", "gru" or "lstm" (which hands over h and c). With a bidirectional encoder the
    two final states, 2H numbers, are brought to H by tanh of a linear `bridge`. `seed` fixes the
    initial weights. `dropout` is the share of numbers that training sets to zero, anew at each
    batch, in both embeddings and in what the readout sees (Srivastava et al. 2014).
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
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {sorted(CELLS)}, got {cell!r}")
        self.hidden_size = hidden_size
        self.memory_size = 2 * hidden_size if bidirectional else hidden_size
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            sizes = (embed_size, hidden_size, cell)
            self.encoder = Encoder(source_size, *sizes, bidirectional, dropout)
            self.decoder = Decoder(target_size, *sizes, *self.decoder_sizes(embed_size))
            if bidirectional:
                self.bridge = nn.Linear(2 * hidden_size, hidden_size)
                if cell == "lstm":
                    self.bridge_cell = nn.Linear(2 * hidden_size, hidden_size)
            for name, part in self.extra_parts().items():
                self.add_module(name, part)
        self.bidirectional = bidirectional
        self.dropout = nn.Dropout(dropout)

    # What a kind of decoder decides: these four and nothing else.

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        """Width of what the decoder's recurrent layer reads, and of what its readout sees."""
        return embed_size, self.hidden_size

    def extra_parts(self) -> dict[str, nn.Module]:
        """Modules beside encoder, decoder and bridges, by name."""
        return {}

    def rnn_inputs(self, embedded: Tensor, memory: Memory) -> Tensor:
        """What the decoder's recurrent layer reads at each step, (B,T,·)."""
        return embedded

    def readout_inputs(self, states: Tensor, memory: Memory) -> tuple[Tensor, Tensor | None]:
        """What the readout sees, (B,T,·), and the attention weights, if any, (B,T,S)."""
        return states, None

    # The model.

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        """source (B,S) int, lengths (B,) -> memory, first decoder state."""
        outputs, state = self.encoder(source, lengths)
        if self.bidirectional:
            bridges = [self.bridge, getattr(self, "bridge_cell", None)]
            state = tuple(
                torch.tanh(bridge(part)) for bridge, part in zip(bridges, state, strict=False)
            )
        mask = padding_mask(lengths, source.shape[1], source.device)
        return Memory(outputs, mask, state[0]), state

    def decode(
        self, target_in: Tensor, memory: Memory, state: State
    ) -> tuple[Tensor, State, Tensor | None]:
        """target_in (B,T) int (T = 1 while decoding) -> logits (B,T,V), last state, attention
        weights (B,T,S), which are None for a model that has none.
        """
        embedded = self.dropout(self.decoder.embedding(target_in))
        states, state = self.decoder.rnn(self.rnn_inputs(embedded, memory), None, state)
        inputs, weights = self.readout_inputs(states, memory)
        return self.decoder.readout(self.dropout(inputs)), state, weights

    def forward(self, source: Tensor, source_lengths: Tensor, target_in: Tensor) -> Tensor:
        """Teacher forcing: logits (B,T,V) for the whole target at once."""
        memory, state = self.encode(source, source_lengths)
        return self.decode(target_in, memory, state)[0]

    # The decoding protocol of `attention_course.decoding`: NumPy in, NumPy out.

    @torch.no_grad()
    def start(self, source: np.ndarray, source_lengths: np.ndarray) -> Decoding:
        """Encode a batch; the result is the first `state` for `step`."""
        self.eval()
        device = next(self.parameters()).device
        source, lengths = torch.as_tensor(source, device=device), torch.as_tensor(source_lengths)
        return Decoding(*self.encode(source, lengths))

    @torch.no_grad()
    def step(self, state: Decoding, tokens: np.ndarray) -> tuple[np.ndarray, Decoding]:
        """One decoder step: tokens (B,) -> log-probabilities (B,V), next state."""
        memory = state.memory
        column = torch.as_tensor(tokens, device=memory.context.device)[:, None]
        logits, hidden, weights = self.decode(column, memory, state.hidden)
        last = None if weights is None else weights[:, 0].cpu().numpy()
        log_probs = logits[:, 0].log_softmax(dim=-1)
        return log_probs.cpu().numpy(), Decoding(memory, hidden, last)

    def select(self, state: Decoding, rows: np.ndarray) -> Decoding:
        """The sentences `rows` (n,) int of `state`, in this order, each as often as it is named:
        what beam search keeps.
        """

        index = torch.as_tensor(rows, device=state.memory.context.device)

        def chosen(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[index]

        memory, hidden = Memory(*map(chosen, state.memory)), tuple(map(chosen, state.hidden))
        return Decoding(memory, hidden, None if state.weights is None else state.weights[rows])

    @torch.no_grad()
    def alignment(
        self, source: np.ndarray, source_lengths: np.ndarray, target_in: np.ndarray
    ) -> np.ndarray:
        """Teacher forcing: where each step looks, weights (B,T,S). TypeError if the model does not
        look.
        """
        memory, hidden, _ = self.start(source, source_lengths)
        target_in = torch.as_tensor(target_in, device=memory.context.device)
        weights = self.decode(target_in, memory, hidden)[2]
        if weights is None:
            raise TypeError(f"{type(self).__name__} has no attention, so no weights to show")
        return weights.cpu().numpy()


class PeekySeq2Seq(Seq2Seq):
    """The same fixed vector, handed to *every* decoder step and readout (Cho et al. 2014).

    The recurrent layer reads [E y_{t−1}; c], the readout sees [s_t; c].
    """

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size + self.hidden_size, 2 * self.hidden_size

    def rnn_inputs(self, embedded: Tensor, memory: Memory) -> Tensor:
        return _join(embedded, memory.context)

    def readout_inputs(self, states: Tensor, memory: Memory) -> tuple[Tensor, None]:
        return _join(states, memory.context), None


class AttentionSeq2Seq(Seq2Seq):
    """The readout sees [c_t; s_t], where c_t is looked up by s_t in *all* encoder states.

    Luong et al. 2015, simplified: their h̃_t = tanh(W_c [c_t; s_t]) is left out, and so is input
    feeding. `score` is "dot", "scaled_dot", "general" or "additive"; only the last two suit a
    bidirectional encoder, whose states have twice the size of the query.
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
        score: str = "dot",
    ) -> None:
        check_score(score, bidirectional)
        self.score = score
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, bidirectional, seed, dropout)

    def decoder_sizes(self, embed_size: int) -> tuple[int, int]:
        return embed_size, self.memory_size + self.hidden_size

    def extra_parts(self) -> dict[str, nn.Module]:
        sizes = (self.hidden_size, self.memory_size)
        scores = {
            "dot": DotScore,
            "scaled_dot": lambda: DotScore(scaled=True),
            "general": lambda: GeneralScore(*sizes),
            "additive": lambda: AdditiveScore(*sizes, self.hidden_size),
        }
        return {"attention": Attention(scores[self.score]())}

    def readout_inputs(self, states: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        outputs = memory.outputs
        context, weights = self.attention(states, outputs, outputs, memory.mask)
        return torch.cat([context, states], dim=-1), weights


def _join(sequence: Tensor, vector: Tensor) -> Tensor:
    """(B,T,·) with (B,H) repeated at every step -> (B,T,·+H)."""
    repeated = vector[:, None, :].expand(-1, sequence.shape[1], -1)
    return torch.cat([sequence, repeated], dim=-1)
