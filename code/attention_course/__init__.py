"""The shared modules of the attention course.

One mechanism, three readings: `scratch` is NumPy with hand-written gradients, `pytorch` and `keras`
say the same in each framework. The other modules belong to no framework.
"""

__version__ = "0.1.0"
