"""The three frameworks, each behind one small adapter, so that no test asks which one it is.

What an adapter takes and gives are the framework's own arrays, except for gradients, which come as
NumPy arrays by name. A dtype is a word: "float64", "float16", "bfloat16". Whole models are asked in
NumPy arrays, (source, lengths, target_in) and perhaps (truth), and answer in them.
"""

import inspect
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np
import tensorflow as tf
import torch

import attention_course.keras.weights
import attention_course.pytorch.weights
import attention_course.scratch.weights

Arrays = dict[str, np.ndarray]
Make = Callable[..., Any]  # make("GeneralScore", 7, 4): a layer by its name, or its class

# Where a framework's names are looked up.
MODULES = (
    *("attention", "masks", "seq2seq", "weights", "bahdanau", "local", "luong"),
    *("multihead", "transformer"),
)
INPUTS = ("query", "key", "value")


class Framework:
    """What the three have in common: the same names in the same files."""

    name: str
    library: Any  # holds the dtypes by name
    weights: ModuleType
    half_precisions: tuple[str, ...] = ("float16", "bfloat16")

    def owner(self, name: str) -> ModuleType:
        """The module that has the function or class `name`."""
        for file in MODULES:
            try:
                module = import_module(f"attention_course.{self.name}.{file}")
            except ModuleNotFoundError:  # rare things are not in every framework
                continue
            if hasattr(module, name):
                return module
        raise AttributeError(f"none of {MODULES} in {self.name}/ has {name}")

    def __getattr__(self, name: str) -> Any:
        """The course's function or class of that name: `framework.dot_scores`."""
        return getattr(self.owner(name), name)

    def layer(self, build: Callable[[Make], Any], parameters: Arrays, dtype: str) -> Any:
        """The layer that `build` makes, with these parameters."""

        def make(kind: str | type, *arguments: Any, **options: Any) -> Any:
            kind = getattr(self, kind) if isinstance(kind, str) else kind
            if "dtype" in inspect.signature(kind).parameters:
                options["dtype"] = dtype
            return kind(*arguments, **options)

        layer = build(make)
        self.weights.from_arrays(layer, parameters)
        return layer

    def movers(self, cell: str) -> list[tuple[type, str]]:
        """The methods, as (class, name), by which a recurrent layer moves on."""
        return [(self.CELLS[cell], "forward")]

    def gradients(self, layer, query, key, value, mask, dcontext, **options: Any) -> Arrays:
        """Of what an attention is asked and of its parameters, from the gradient of the context."""
        inputs = dict(zip(INPUTS, (query, key, value)))
        return self.gradients_of(layer, inputs, mask, dcontext, **options)


class Scratch(Framework):
    name, library, weights = "scratch", np, attention_course.scratch.weights
    half_precisions = ("float16",)  # NumPy has no other

    def array(self, x: Any, dtype: str | None = None) -> np.ndarray:
        return np.array(x, dtype)

    def numpy(self, x: np.ndarray) -> np.ndarray:
        return x

    def call(self, layer: Any, *arrays: Any, **options: Any) -> tuple:
        return layer.forward(*arrays, **options)

    def gradients_of(self, layer, inputs: dict, mask, dcontext, **options: Any) -> Arrays:
        """By the hand-written backward."""
        layer.forward(*inputs.values(), mask, **options)
        found = layer.backward(dcontext)
        found = found if isinstance(found, tuple) else (found,)
        return dict(zip(inputs, found, strict=True)) | self.weights.gradients(layer)

    def trained(self, model: Any) -> list:
        """What an optimizer changes, array by array."""
        return list(model.params.values())

    def logits(self, model: Any, *arrays: np.ndarray) -> np.ndarray:
        return model.forward(*arrays)

    def model_gradients(self, model: Any, dlogits: np.ndarray, *arrays: np.ndarray) -> Arrays:
        model.forward(*arrays)
        model.backward(dlogits)
        return self.weights.gradients(model)


class PyTorch(Framework):
    name, library, weights = "pytorch", torch, attention_course.pytorch.weights

    def array(self, x: Any, dtype: str | None = None) -> torch.Tensor:
        tensor = torch.tensor(x)
        return tensor.to(getattr(torch, dtype)) if dtype else tensor

    def numpy(self, x: torch.Tensor) -> np.ndarray:
        x = x.detach()
        return (x.float() if x.dtype == torch.bfloat16 else x).numpy()

    def layer(self, build: Callable[[Make], Any], parameters: Arrays, dtype: str) -> Any:
        return super().layer(lambda make: build(make).to(getattr(torch, dtype)), parameters, dtype)

    def call(self, layer: Any, *arrays: Any, **options: Any) -> tuple:
        return layer(*arrays, **options)

    def gradients_of(self, layer, inputs: dict, mask, dcontext, **options: Any) -> Arrays:
        """By autograd."""
        layer.zero_grad()
        leaves = [x.detach().requires_grad_() for x in inputs.values()]
        context, _ = layer(*leaves, mask, **options)
        context.backward(dcontext)
        found = [torch.zeros_like(x) if x.grad is None else x.grad for x in leaves]
        parameters = self.weights.gradients(layer.double())  # NumPy has no bfloat16
        layer.to(dcontext.dtype)
        return dict(zip(inputs, map(self.numpy, found))) | parameters

    def trained(self, model: Any) -> list:
        return list(model.parameters())

    def logits(self, model: Any, *arrays: np.ndarray) -> np.ndarray:
        return self.numpy(model(*map(torch.tensor, arrays)))

    def model_gradients(self, model: Any, dlogits: np.ndarray, *arrays: np.ndarray) -> Arrays:
        model.zero_grad()
        model(*map(torch.tensor, arrays)).backward(torch.tensor(dlogits))
        return self.weights.gradients(model)


class Keras(Framework):
    name, library, weights = "keras", tf, attention_course.keras.weights

    def array(self, x: Any, dtype: str | None = None) -> tf.Tensor:
        tensor = tf.convert_to_tensor(np.array(x))
        return tf.cast(tensor, dtype) if dtype else tensor

    def numpy(self, x: tf.Tensor) -> np.ndarray:
        return (tf.cast(x, tf.float32) if x.dtype == tf.bfloat16 else x).numpy()

    def call(self, layer: Any, *arrays: Any, **options: Any) -> tuple:
        return layer(*arrays, **options)

    def gradients_of(self, layer, inputs: dict, mask, dcontext, **options: Any) -> Arrays:
        """By tf.GradientTape."""
        leaves = list(inputs.values())

        def loss() -> tf.Tensor:
            return tf.reduce_sum(layer(*leaves, mask, **options)[0] * dcontext)

        with tf.GradientTape() as tape:
            tape.watch(leaves)
            scalar = loss()
        found = tape.gradient(scalar, leaves, unconnected_gradients="zero")
        parameters = self.weights.gradients(layer, loss) if layer.trainable_variables else {}
        return dict(zip(inputs, map(self.numpy, found))) | parameters

    def movers(self, cell: str) -> list[tuple[type, str]]:
        """A whole sequence, or one step of a loop that is compiled."""
        return [(self.CELLS[cell], "call"), (self.Decoder, "move")]

    def trained(self, model: Any) -> list:
        return model.trainable_variables

    def logits(self, model: Any, *arrays: np.ndarray) -> np.ndarray:
        return model(*arrays).numpy()

    def model_gradients(self, model: Any, dlogits: np.ndarray, *arrays: np.ndarray) -> Arrays:
        return self.weights.gradients(model, lambda: tf.reduce_sum(model(*arrays) * dlogits))

    def compiled(self, layer: Any) -> Callable[..., tuple]:
        """The layer as a graph that knows the ranks and dtypes (float64), but no size."""
        floats, bools = (tf.TensorSpec((None,) * 3, dtype) for dtype in (tf.float64, tf.bool))
        return tf.function(
            lambda query, key, value, mask: layer(query, key, value, mask),
            input_signature=[floats, floats, floats, bools],
        )


FRAMEWORKS = {framework.name: framework for framework in (Scratch(), PyTorch(), Keras())}
