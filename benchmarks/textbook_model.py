"""The textbook's encoder–decoder with attention, its optimiser and its decoding."""

import numpy as np
from textbook import (
    AffineOverTime,
    AttentionOverTime,
    EmbeddingOverTime,
    LSTMStep,
    OverTime,
    SoftmaxWithLoss,
)


class TextbookModel:
    """LSTM encoder and decoder, dot attention, readout of [c; s]: the course's AttentionSeq2Seq.

    `params` are that model's, by the same names. The decoder starts from h *and* c.
    """

    def __init__(self, params):
        self.params = {name: param.copy() for name, param in params.items()}
        self.grads = {}
        p = self.params
        self.encoder_embedding = EmbeddingOverTime(p["encoder.embedding.weight"])
        self.decoder_embedding = EmbeddingOverTime(p["decoder.embedding.weight"])
        self.encoder, self.decoder = (
            OverTime(LSTMStep, [p[f"{side}.rnn.{name}"] for name in ("w_x", "w_h", "b")])
            for side in ("encoder", "decoder")
        )
        self.attention = AttentionOverTime()
        self.readout = AffineOverTime(p["decoder.readout.weight"], p["decoder.readout.bias"])
        self.loss = SoftmaxWithLoss()

    def encode(self, source, lengths=None):
        """source (B,S) -> states (B,S,H), last state, mask (B,S) or None."""
        embedded = self.encoder_embedding.forward(source)
        hidden_size = len(self.encoder.params[1])
        zeros = np.zeros((len(source), hidden_size), embedded.dtype)
        states, last = self.encoder.forward(embedded, lengths, (zeros, zeros))
        mask = None if lengths is None else np.arange(source.shape[1]) < lengths[:, None]
        return states, last, mask

    def decode(self, target_in, states, state, mask):
        embedded = self.decoder_embedding.forward(target_in)
        queries, state = self.decoder.forward(embedded, None, state)
        contexts = self.attention.forward(states, queries, mask)
        return self.readout.forward(np.concatenate([contexts, queries], axis=2)), state

    def forward(self, source, target_in, target_out, lengths=None):
        """The loss under teacher forcing; all targets are equally long, as dates are."""
        states, state, mask = self.encode(source, lengths)
        logits, _ = self.decode(target_in, states, state, mask)
        return self.loss.forward(logits, target_out)

    def backward(self):
        djoined, readout = self.readout.backward(self.loss.backward())
        dcontexts, dqueries = np.split(djoined, 2, axis=2)
        dstates, dlooked = self.attention.backward(dcontexts)
        zeros = np.zeros_like(dqueries[:, 0])
        dembedded, dstate, decoder = self.decoder.backward(dqueries + dlooked, (zeros, zeros))
        decoder_embedding = self.decoder_embedding.backward(dembedded)
        dembedded, _, encoder = self.encoder.backward(dstates, dstate)
        encoder_embedding = self.encoder_embedding.backward(dembedded)
        grads = [*encoder_embedding, *encoder, *decoder_embedding, *decoder, *readout]
        self.grads = dict(zip(self.params, grads, strict=True))

    def generate(self, source, sos, size, lengths=None):
        """The most probable token, `size` times: source (B,S) -> ids (B,`size`)."""
        states, state, mask = self.encode(source, lengths)
        tokens, said = np.full((len(source), 1), sos), []
        for _ in range(size):
            logits, state = self.decode(tokens, states, state, mask)
            tokens = logits.argmax(axis=2)
            said.append(tokens)
        return np.concatenate(said, axis=1)


class TextbookAdam:
    """Adam by its formula, parameter by parameter."""

    def __init__(self, params, learning_rate=1e-3, beta1=0.9, beta2=0.999, epsilon=1e-8):
        self.params, self.learning_rate = params, learning_rate
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.m = {name: np.zeros_like(param) for name, param in params.items()}
        self.v = {name: np.zeros_like(param) for name, param in params.items()}
        self.steps = 0

    def step(self, grads):
        self.steps += 1
        square_bias = 1 - self.beta2**self.steps
        rate = self.learning_rate * square_bias**0.5 / (1 - self.beta1**self.steps)
        epsilon = self.epsilon * square_bias**0.5
        for name, param in self.params.items():
            self.m[name] += (1 - self.beta1) * (grads[name] - self.m[name])
            self.v[name] += (1 - self.beta2) * (grads[name] ** 2 - self.v[name])
            param -= rate * self.m[name] / (np.sqrt(self.v[name]) + epsilon)


def clip(grads, max_norm):
    """Scale all gradients to a common norm of at most `max_norm`."""
    norm = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
    if norm > max_norm:
        for grad in grads.values():
            grad *= max_norm / norm


def train_step(model, adam, source, target_in, target_out, lengths=None, max_norm=5.0):
    """One update of the textbook's trainer; the loss."""
    loss = model.forward(source, target_in, target_out, lengths)
    model.backward()
    clip(model.grads, max_norm)
    adam.step(model.grads)
    return loss
