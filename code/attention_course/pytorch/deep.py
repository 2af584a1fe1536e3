"""Deeper: stacks of recurrent layers, with residuals; where attention meets them."""

import torch
from torch import Tensor, nn

from attention_course.axes import check_count, check_option
from attention_course.pytorch.attention import (
    AdditiveScore,
    Attention,
    DotScore,
    GeneralScore,
    masked_softmax,
    weighted_sum,
)
from attention_course.pytorch.masks import padding_mask
from attention_course.pytorch.recurrent import Bidirectional, State
from attention_course.pytorch.seq2seq import CELLS, Memory, Seq2Seq

DEEP_SCORES = ("dot", "general")


class Stack(nn.Module):
    """Recurrent layers on top of each other: each reads the outputs of the one below.

    Layers count from 1 at the bottom; `layer_1`, `layer_2`, … are their names. From layer
    `residual_from` on, what a layer has read is added to what it gives (Wu et al. 2016, section
    3.1):

    m_t^i, c_t^i = LSTM_i(m_{t−1}^i, c_{t−1}^i, x_t^{i−1}),  x_t^i = m_t^i + x_t^{i−1}

    The sum goes *up*; what layer i itself remembers is m^i, without it. If `bidirectional`, layer 1
    reads both ways and gives 2H numbers. `beside_size` numbers are joined to what each layer reads
    and are no part of the sum.

    Shapes: inputs (B,S,D), outputs (B,S,H). The state is flat, from the bottom: (h_1, c_1, h_2, …)
    for the LSTM, (h_1, h_2, …) for the others, (B,H) each, (B,2H) for a bidirectional layer 1.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden_size: int,
        layers: int,
        residual_from: int | None = None,
        bidirectional: bool = False,
        beside_size: int = 0,
    ) -> None:
        super().__init__()
        check_option("cell", cell, tuple(sorted(CELLS)))
        check_count("layers", layers)
        _check_residual(residual_from, layers, 3 if bidirectional else 2)
        self.count = layers
        self.residual_from = layers + 1 if residual_from is None else residual_from
        kind, size = CELLS[cell], input_size
        for number in range(1, layers + 1):
            sizes = (size + beside_size, hidden_size)
            both = bidirectional and number == 1
            layer = Bidirectional(kind, *sizes) if both else kind(*sizes)
            self.add_module(f"layer_{number}", layer)
            size = 2 * hidden_size if both else hidden_size

    def forward(
        self, inputs: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Run over `inputs` (B,S,D) from `state` (None: zeros); `lengths` (B,) of real tokens."""
        return self.climb(inputs, lengths, state)

    def climb(
        self,
        inputs: Tensor,
        lengths: Tensor | None = None,
        state: State | None = None,
        beside: Tensor | None = None,
        first: int = 1,
    ) -> tuple[Tensor, State]:
        """As `forward`, from layer `first` up; `state` is that of these layers, `beside` (B,S,·)
        what each of them reads besides.
        """
        numbers = range(first, self.count + 1)
        states = [None] * len(numbers) if state is None else _split(state, len(numbers))
        after: State = ()
        for number, before in zip(numbers, states, strict=True):
            outputs, last = self.layer(number, inputs, lengths, before, beside)
            inputs = inputs + outputs if number >= self.residual_from else outputs
            after += last
        return inputs, after

    def layer(
        self,
        number: int,
        inputs: Tensor,
        lengths: Tensor | None = None,
        state: State | None = None,
        beside: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """What layer `number` makes of `inputs` (B,S,·) and `beside` (B,S,·): m (B,S,H), state."""
        read = inputs if beside is None else torch.cat([inputs, beside], dim=-1)
        return getattr(self, f"layer_{number}")(read, lengths, state)


class DeepSeq2Seq(Seq2Seq):
    """Encoder and decoder are stacks; attention joins their tops (Luong et al. 2015, section 3).

    s_t  = top of the decoder's stack, which reads E y_{t−1}
    α_t  = softmax(score(s_t, h_j)), h_j the top of the encoder's stack     eqs. 7 and 8
    h̃_t = tanh(W_c [c_t; s_t]), c_t = Σ_j α_tj h_j                         eq. 5
    y_t  ~ softmax(W_s h̃_t)                                                eq. 6

    Each decoder layer starts from the last state of the encoder layer at its height. `score` is
    "dot" or "general". All layers read from left to right, as there. From layer `residual_from` on
    (2 or more, None: never) a layer's input is added to its output. Not from the paper: those
    residuals, biases in W_c and W_s. Left out: input feeding; so all target steps go at once.

    Raises TypeError and ValueError for `layers` and `residual_from`, ValueError for `score`.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str = "lstm",
        layers: int = 2,
        residual_from: int | None = None,
        seed: int = 0,
        dropout: float = 0.0,
        score: str = "general",
    ) -> None:
        check_option("score", score, DEEP_SCORES)
        self.cell, self.layers, self.residual_from = cell, layers, residual_from
        self.score = score
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, False, seed, dropout)

    def extra_parts(self) -> dict[str, nn.Module]:
        # Inside the constructor's seeded block: the single layers that it made give way to stacks.
        for part in (self.encoder, self.decoder):
            sizes = (part.embedding.embedding_dim, self.hidden_size)
            part.rnn = Stack(self.cell, *sizes, self.layers, self.residual_from)
        size = self.hidden_size
        score = GeneralScore(size, size) if self.score == "general" else DotScore()
        return {"attention": Attention(score), "combine": nn.Linear(2 * size, size)}

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        """As `Seq2Seq.encode`; the memory is that of the top layer, the state that of all."""
        memory, state = super().encode(source, lengths)
        keys = self.attention.score.project(memory.outputs)
        return memory._replace(context=_split(state, self.layers)[-1][0], keys=keys), state

    def readout_inputs(self, states: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """Top states s_t (B,T,H) -> h̃_t (B,T,H), weights (B,T,S)."""
        weights = masked_softmax(self.attention.score.compare(states, memory.keys), memory.mask)
        context = weighted_sum(weights, memory.outputs)
        return torch.tanh(self.combine(torch.cat([context, states], dim=-1))), weights


class GNMT(Seq2Seq):
    """The arrangement of Google's translator (Wu et al. 2016, section 3), at any size.

    Encoder: layer 1 reads both ways, all others from left to right. Decoder, at step t:

    α_t   = softmax(v · tanh(W s_{t−1}^1 + U h_j))   s^1 is the *bottom* layer's output
    c_t   = Σ_j α_tj h_j                       h_j: top of the encoder's stack
    s_t^i = layer i of [x_t^{i−1}; c_t]              every layer reads c_t; x_t^0 = E y_{t−1}
    y_t   ~ softmax of the readout of x_t^top        which does not see c_t itself

    From the third layer on x^i = s^i + x^{i−1}, on both sides (`Stack`). The question depends on
    the bottom layer alone, so only that one must go step by step; the layers above it run over all
    steps at once.

    The paper does not say where decoder states start: here each layer from the last state of the
    encoder layer at its height; for layer 1, of which there are two, tanh of a layer on both
    (`bridge`). The paper has 8 + 8 LSTM layers of 1024, word pieces and dropout between layers.

    Raises TypeError and ValueError for `layers`: an int of 2 or more.
    """

    def __init__(
        self,
        source_size: int,
        target_size: int,
        embed_size: int,
        hidden_size: int,
        cell: str = "lstm",
        layers: int = 4,
        seed: int = 0,
        dropout: float = 0.0,
    ) -> None:
        check_count("layers", layers, least=2)
        self.cell, self.layers = cell, layers
        sizes = (source_size, target_size, embed_size, hidden_size)
        super().__init__(*sizes, cell, True, seed, dropout)
        self.memory_size = hidden_size  # the top layer reads one way

    def extra_parts(self) -> dict[str, nn.Module]:
        # Inside the constructor's seeded block: the single layers that it made give way to stacks.
        embed_size, size = self.encoder.embedding.embedding_dim, self.hidden_size
        shape = (self.cell, embed_size, size, self.layers, 3 if self.layers >= 3 else None)
        self.encoder.rnn = Stack(*shape, bidirectional=True)
        self.decoder.rnn = Stack(*shape, beside_size=size)
        return {"attention": Attention(AdditiveScore(size, size, size))}

    def encode(self, source: Tensor, lengths: Tensor) -> tuple[Memory, State]:
        """As `Seq2Seq.encode`; the memory is that of the top layer, the state that of all."""
        outputs, state = self.encoder(source, lengths)
        bottom, *others = _split(state, self.layers)
        bridges = [self.bridge, getattr(self, "bridge_cell", None)]
        begin = [torch.tanh(bridge(part)) for bridge, part in zip(bridges, bottom, strict=False)]
        mask = padding_mask(lengths, source.shape[1], source.device)
        keys = self.attention.score.project(outputs)
        memory = Memory(outputs, mask, others[-1][0], keys)
        return memory, tuple(part for layer in (begin, *others) for part in layer)

    def attend(self, query: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """query s_{t−1} of the bottom layer (B,1,H) -> context (B,1,H), weights (B,1,S)."""
        weights = masked_softmax(self.attention.score.compare(query, memory.keys), memory.mask)
        return weighted_sum(weights, memory.outputs), weights

    def decode(
        self, target_in: Tensor, memory: Memory, state: State
    ) -> tuple[Tensor, State, Tensor]:
        """target_in (B,T) int -> logits (B,T,V), last state, weights (B,T,S)."""
        words = self.dropout(self.decoder.embedding(target_in))
        bottom, *others = _split(state, self.layers)
        steps = []
        for word in words.split(1, dim=1):
            context, weights = self.attend(bottom[0][:, None], memory)
            after, bottom = self.decoder.rnn.layer(1, word, None, bottom, context)
            steps.append((after, context, weights))
        states, context, weights = (torch.cat(parts, dim=1) for parts in zip(*steps))
        above = tuple(part for layer in others for part in layer)
        top, above = self.decoder.rnn.climb(states, None, above, context, first=2)
        return self.decoder.readout(self.dropout(top)), (*bottom, *above), weights


def _check_residual(residual_from: int | None, layers: int, least: int) -> None:
    """Below `least` a layer reads another size than it gives, so that there is no sum."""
    if residual_from is None:
        return
    if not isinstance(residual_from, int) or isinstance(residual_from, bool):
        given = type(residual_from).__name__
        raise TypeError(f"residual_from must be an int or None, got {given}")
    if not least <= residual_from <= layers:
        reason = f"; below layer {least} a layer reads another size than it gives"
        expected = f"lie in {least}..{layers}" if least <= layers else "be None"
        raise ValueError(
            f"residual_from must {expected} with {layers} layers, got {residual_from}{reason}"
        )


def _split(state: State, layers: int) -> list[State]:
    """The flat state as one tuple a layer, from the bottom."""
    size = len(state) // layers
    return [state[start : start + size] for start in range(0, len(state), size)]
