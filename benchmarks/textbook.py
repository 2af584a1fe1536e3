"""What the course is measured against: an encoder–decoder with attention as a textbook writes it.

One call a step, with its own products, its own weight gradient to be summed up, and new arrays for
everything; a weighted sum is repeat, multiply, sum; the optimiser goes by the formula. Right, and
clear; `attention_course.scratch` must give the same numbers, faster. Padding is read like any other
token: as characters, or, where `lengths` are given, with its result thrown away.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


class LSTMStep:
    """One step of the LSTM, gates i, f, g, o."""

    def __init__(self, w_x, w_h, b):
        self.params = (w_x, w_h, b)

    def forward(self, x, state):
        w_x, w_h, b = self.params
        h, c = state
        i, f, g, o = np.split(x @ w_x + h @ w_h + b, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c_next = f * c + i * g
        h_next = o * np.tanh(c_next)
        self.cache = (x, h, c, i, f, g, o, c_next)
        return h_next, c_next

    def backward(self, dstate):
        w_x, w_h, _ = self.params
        x, h, c, i, f, g, o, c_next = self.cache
        dh, dc = dstate
        tanh_c = np.tanh(c_next)
        dc = dc + dh * o * (1 - tanh_c**2)
        di, df, dg, do = dc * g, dc * c, dc * i, dh * tanh_c
        da = np.concatenate(
            [di * i * (1 - i), df * f * (1 - f), dg * (1 - g**2), do * o * (1 - o)], axis=1
        )
        return da @ w_x.T, (da @ w_h.T, dc * f), (x.T @ da, h.T @ da, da.sum(axis=0))


class GRUStep:
    """One step of the GRU, gates r, z, n, reset after the product, z keeps."""

    def __init__(self, w_x, w_h, b_x, b_h):
        self.params = (w_x, w_h, b_x, b_h)

    def forward(self, x, state):
        w_x, w_h, b_x, b_h = self.params
        (h,) = state
        x_r, x_z, x_n = np.split(x @ w_x + b_x, 3, axis=1)
        h_r, h_z, h_n = np.split(h @ w_h + b_h, 3, axis=1)
        r, z = sigmoid(x_r + h_r), sigmoid(x_z + h_z)
        n = np.tanh(x_n + r * h_n)
        self.cache = (x, h, r, z, n, h_n)
        return ((1 - z) * n + z * h,)

    def backward(self, dstate):
        w_x, w_h, _, _ = self.params
        x, h, r, z, n, h_n = self.cache
        (dh,) = dstate
        dn = dh * (1 - z) * (1 - n**2)
        dz = dh * (h - n) * z * (1 - z)
        dr = dn * h_n * r * (1 - r)
        dx_part = np.concatenate([dr, dz, dn], axis=1)
        dh_part = np.concatenate([dr, dz, dn * r], axis=1)
        dw = (x.T @ dx_part, h.T @ dh_part, dx_part.sum(axis=0), dh_part.sum(axis=0))
        return dx_part @ w_x.T, (dh_part @ w_h.T + dh * z,), dw


class OverTime:
    """A step layer for each step; the same weights for all of them.

    With `lengths` every step reads every row, and a row that has ended keeps its state.
    """

    def __init__(self, step, params):
        self.step, self.params = step, params

    def forward(self, inputs, lengths, state):
        batch, size, _ = inputs.shape
        self.running = None if lengths is None else np.arange(size) < lengths[:, None]
        self.layers = []
        outputs = np.empty((batch, size, state[0].shape[1]), inputs.dtype)
        for t in range(size):
            layer = self.step(*self.params)
            after = layer.forward(inputs[:, t], state)
            if self.running is None:
                state, outputs[:, t] = after, after[0]
            else:
                running = self.running[:, t, None]
                state = tuple(np.where(running, new, old) for new, old in zip(after, state))
                outputs[:, t] = np.where(running, after[0], 0)
            self.layers.append(layer)
        return outputs, state

    def backward(self, doutputs, dstate):
        grads = [np.zeros_like(param) for param in self.params]
        batch, size, _ = doutputs.shape
        dinputs = np.empty((batch, size, len(self.params[0])), doutputs.dtype)
        for t in reversed(range(size)):
            dafter, dkept = (dstate[0] + doutputs[:, t], *dstate[1:]), None
            if self.running is not None:
                running = self.running[:, t, None]
                dkept = [np.where(running, 0, dpart) for dpart in dstate]
                dafter = tuple(np.where(running, dpart, 0) for dpart in dafter)
            dinputs[:, t], dstate, dparams = self.layers[t].backward(dafter)
            if dkept is not None:
                dstate = tuple(dpart + kept for dpart, kept in zip(dstate, dkept))
            for grad, dparam in zip(grads, dparams):
                grad += dparam
        return dinputs, dstate, grads


class EmbeddingOverTime:
    """A row of the weights for each token, one step after the other."""

    def __init__(self, weight):
        self.params = (weight,)

    def forward(self, ids):
        (weight,) = self.params
        self.ids = ids
        vectors = np.empty((*ids.shape, weight.shape[1]), weight.dtype)
        for t in range(ids.shape[1]):
            vectors[:, t] = weight[ids[:, t]]
        return vectors

    def backward(self, dvectors):
        grad = np.zeros_like(self.params[0])
        for t in range(self.ids.shape[1]):
            np.add.at(grad, self.ids[:, t], dvectors[:, t])
        return [grad]


class WeightedSumStep:
    """Each encoder state times its weight, added up."""

    def forward(self, states, weights):
        repeated = weights[:, :, None].repeat(states.shape[2], axis=2)
        self.cache = (states, repeated)
        return (states * repeated).sum(axis=1)

    def backward(self, dcontext):
        states, repeated = self.cache
        dproduct = dcontext[:, None].repeat(states.shape[1], axis=1)
        return dproduct * repeated, (dproduct * states).sum(axis=2)


class AttentionWeightStep:
    """The softmax of each encoder state's dot product with the decoder's state."""

    def forward(self, states, query, mask):
        repeated = query[:, None].repeat(states.shape[1], axis=1)
        scores = (states * repeated).sum(axis=2)
        weights = softmax(scores if mask is None else np.where(mask, scores, -np.inf))
        self.cache = (states, repeated, weights)
        return weights

    def backward(self, dweights):
        states, repeated, weights = self.cache
        dscores = weights * dweights
        dscores -= weights * dscores.sum(axis=1, keepdims=True)
        dproduct = dscores[:, :, None].repeat(states.shape[2], axis=2)
        return dproduct * repeated, (dproduct * states).sum(axis=1)


class AttentionOverTime:
    """The two of them for each decoder step; no parameters."""

    def forward(self, states, queries, mask):
        self.layers = []
        contexts = np.empty_like(queries)
        for t in range(queries.shape[1]):
            look, gather = AttentionWeightStep(), WeightedSumStep()
            contexts[:, t] = gather.forward(states, look.forward(states, queries[:, t], mask))
            self.layers.append((look, gather))
        return contexts

    def backward(self, dcontexts):
        dstates, dqueries = 0, np.empty_like(dcontexts)
        for t, (look, gather) in enumerate(self.layers):
            dgathered, dweights = gather.backward(dcontexts[:, t])
            dlooked, dqueries[:, t] = look.backward(dweights)
            dstates = dstates + dgathered + dlooked
        return dstates, dqueries


class AffineOverTime:
    """x W + b for all steps."""

    def __init__(self, weight, bias):
        self.params = (weight, bias)

    def forward(self, x):
        weight, bias = self.params
        self.x = x
        return (x.reshape(-1, x.shape[2]) @ weight + bias).reshape(*x.shape[:2], -1)

    def backward(self, dy):
        x, dy = self.x.reshape(-1, self.x.shape[2]), dy.reshape(-1, dy.shape[2])
        return (dy @ self.params[0].T).reshape(self.x.shape), [x.T @ dy, dy.sum(axis=0)]


class SoftmaxWithLoss:
    """Mean cross-entropy over all tokens."""

    def forward(self, logits, targets):
        self.places = (np.arange(targets.size), targets.reshape(-1))
        self.probs = softmax(logits.reshape(-1, logits.shape[2]))
        self.shape = logits.shape
        return -np.log(self.probs[self.places]).sum() / targets.size

    def backward(self):
        dlogits = self.probs
        dlogits[self.places] -= 1
        return (dlogits / len(dlogits)).reshape(self.shape)
