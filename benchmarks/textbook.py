"""What the course's layers are measured against: recurrent layers as a textbook writes them.

One call a step, with its own input product, its own weight gradient to be summed up, and new arrays
for everything. Padding is read like any other token and its result thrown away. Right, and clear;
`attention_course.scratch` must give the same numbers, faster.
"""

import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


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
    """A step layer for each step; the same weights for all of them."""

    def __init__(self, step, params):
        self.step, self.params = step, params

    def forward(self, inputs, lengths, state):
        size = inputs.shape[1]
        self.running = np.arange(size) < lengths[:, None]
        self.layers, outputs = [], []
        for t in range(size):
            layer = self.step(*self.params)
            running = self.running[:, t, None]
            after = layer.forward(inputs[:, t], state)
            state = tuple(np.where(running, new, old) for new, old in zip(after, state))
            outputs.append(np.where(running, after[0], 0))
            self.layers.append(layer)
        return np.stack(outputs, axis=1), state

    def backward(self, doutputs, dstate):
        grads = [np.zeros_like(param) for param in self.params]
        dinputs = []
        for t in reversed(range(len(self.layers))):
            running = self.running[:, t, None]
            dafter = tuple(np.where(running, dpart, 0) for dpart in dstate)
            dafter = (dafter[0] + np.where(running, doutputs[:, t], 0), *dafter[1:])
            dx, dbefore, dparams = self.layers[t].backward(dafter)
            dstate = tuple(np.where(running, new, old) for new, old in zip(dbefore, dstate))
            dinputs.append(dx)
            for grad, dparam in zip(grads, dparams):
                grad += dparam
        return np.stack(dinputs[::-1], axis=1), dstate, grads
