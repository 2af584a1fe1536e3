"""The course's models in NumPy, forward and hand-written backward: the executable mathematics.

Same files, names and parameter names as `pytorch` and `keras`. A layer has `params` and `grads`
(dictionaries of arrays), `forward` and `backward`, and remembers its last forward call only.
Gradients carry the name of what they belong to with a `d` in front: `dlogits` is ∂loss/∂logits.
"""
