"""Wrong shapes, dtypes, masks and scores are reported in the same words in every framework.

An array is any object with `shape` and `dtype`: NumPy's, PyTorch's or TensorFlow's. In a compiled
TensorFlow function a size may be unknown (None); such an axis is taken on trust.
"""

from functools import cache
from typing import Any

Shape = tuple[int | None, ...]
SCORES = ("dot", "scaled_dot", "general", "additive")
LUONG_SCORES = (*SCORES, "location")
ATTENTIONS = ("global", "local-m", "local-p")
POSITIONS = ("sinusoidal", "learned", "none")
TIES = ("none", "target", "all")


def check_axes(kind: type, **arrays: tuple[Any, str]) -> None:
    """Raise unless every array is a floating-point `kind` with its named axes, equal by name.

    >>> check_axes(np.ndarray, query=(query, "... T d_k"), key=(key, "... S d_k"))

    The same name must have the same size everywhere; "..." stands for any number of leading axes
    (at least one), and they too must be the same everywhere. All dtypes must be one floating-point
    dtype. TypeError for a wrong type or dtype, ValueError for a wrong shape; both name the array.
    """
    sizes: dict[str, tuple[Any, str]] = {}
    first_name, first_dtype = None, None
    for name, (array, axes) in arrays.items():
        _check_type(kind, name, array)
        if first_name is None:
            first_name, first_dtype = name, array.dtype
        if array.dtype != first_dtype:
            raise TypeError(
                f"{name} must have the dtype of {first_name}, {_text(first_dtype)}, "
                f"got {_text(array.dtype)}"
            )
        for axis, size in _named_sizes(name, shape_of(array), axes):
            known, owner = sizes.setdefault(axis, (size, name))
            if not _equal(size, known):
                leading = "the leading axes" if axis == "..." else f"axis {axis}"
                raise ValueError(
                    f"{name}: {leading} must have size {known} as in {owner}, got {size}; "
                    f"{name} has shape {shape_of(array)}, "
                    f"{owner} has shape {shape_of(arrays[owner][0])}"
                )


def check_mask(kind: type, mask: Any, scores: Shape) -> None:
    """Raise unless `mask` is a boolean `kind` that is broadcastable to the shape of the scores."""
    if not isinstance(mask, kind):
        raise TypeError(f"mask must be a boolean {kind.__name__}, got {type(mask).__name__}")
    if "bool" not in _text(mask.dtype):
        raise TypeError(f"mask must be bool with True = may attend, got {_text(mask.dtype)}")
    shape = shape_of(mask)
    fits = len(shape) <= len(scores) and all(
        given == 1 or _equal(given, wanted)
        for given, wanted in zip(reversed(shape), reversed(scores))
    )
    if not fits:
        hint = ""
        if len(shape) == 2 and _equal(shape, (scores[0], scores[-1])):
            hint = "; a padding mask is (B,1,S), see padding_mask"
        raise ValueError(
            f"mask must be broadcastable to the scores, (..., T, S) = {scores}, got shape "
            f"{shape}{hint}"
        )


def check_truth(kind: type, truth: Any, target_in: Any) -> None:
    """Raise unless `truth`, if given, is a boolean `kind` (B,T) like `target_in`."""
    if truth is None:
        return
    if not isinstance(truth, kind) or "bool" not in _text(truth.dtype):
        given = _text(truth.dtype) if isinstance(truth, kind) else type(truth).__name__
        raise TypeError(
            f"truth must be a bool {kind.__name__}, True = read the true token, got {given}"
        )
    wanted, shape = shape_of(target_in), shape_of(truth)
    if len(shape) != 2:
        raise ValueError(f"truth must be (B,T) = {wanted} like target_in, got shape {shape}")
    for axis, size, given in zip("BT", wanted, shape):
        if not _equal(given, size):
            raise ValueError(
                f"truth: axis {axis} must have size {size}, got {given}; "
                f"expected (B,T) = {wanted} like target_in, got shape {shape}"
            )


def check_score(score: str, bidirectional: bool, scores: tuple[str, ...] = SCORES) -> None:
    """Raise unless `score` is one of `scores` and suits the encoder."""
    if score not in scores:
        raise ValueError(f"score must be one of {scores}, got {score!r}")
    if bidirectional and score in ("dot", "scaled_dot"):
        suited = " or ".join(f'"{name}"' for name in scores if not name.endswith("dot"))
        raise ValueError(
            f"score must be {suited} when bidirectional is True, since keys then "
            f"have twice the size of queries; got {score!r}"
        )


def check_option(name: str, given: Any, options: tuple[str, ...], hint: str = "") -> None:
    """Raise unless the argument `name` is one of `options`; `hint` says where others are."""
    if given not in options:
        raise ValueError(f"{name} must be one of {options}, got {given!r}{hint}")


def check_count(name: str, given: int, least: int = 1) -> None:
    """Raise unless the argument `name` is a whole number, `least` or more."""
    if not isinstance(given, int) or isinstance(given, bool):
        raise TypeError(f"{name} must be an int, got {type(given).__name__}")
    if given < least:
        raise ValueError(f"{name} must be {least} or more, got {given}")


def check_heads(model_size: int, heads: int) -> None:
    """Raise unless `heads` heads share `model_size` numbers evenly."""
    check_count("heads", heads)
    if model_size % heads:
        raise ValueError(f"heads must divide the model size {model_size}, got {heads}")


def check_smoothing(smoothing: float) -> None:
    """Raise unless a target can give away the share `smoothing` of its probability."""
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must lie in 0..1, below 1, got {smoothing}")


def check_transformer(positions: str, tie: str, **sizes: int) -> None:
    """Raise unless a Transformer can be built so: known options, sizes of 1 or more."""
    check_option("positions", positions, POSITIONS)
    check_option("tie", tie, TIES)
    for name, size in sizes.items():
        check_count(name, size)
    if tie == "all" and sizes["source_size"] != sizes["target_size"]:
        raise ValueError(
            'tie "all" needs one vocabulary for both languages, so source_size = target_size, '
            f"got {sizes['source_size']} and {sizes['target_size']}"
        )


def check_shifts(shifts: int, rows: int | None = None) -> None:
    """Raise unless a head can choose between `shifts` moves, as many to each side, on `rows`."""
    check_count("shifts", shifts)
    if shifts % 2 == 0:
        raise ValueError(f"shifts must be odd, as many moves to each side, got {shifts}")
    if rows is not None and shifts > rows:
        raise ValueError(f"shifts must be no more than the {rows} rows of the memory, got {shifts}")


def check_places(kind: type, places: Any, steps: Shape) -> None:
    """Raise unless `places`, a number for each step, is broadcastable to (..., T) = `steps`."""
    if not isinstance(places, kind):
        raise TypeError(f"places must be a {kind.__name__}, got {type(places).__name__}")
    shape = shape_of(places)
    if len(shape) > len(steps) or any(
        given not in (1, wanted) for given, wanted in zip(reversed(shape), reversed(steps))
    ):
        raise ValueError(
            f"places must be broadcastable to the steps, (..., T) = {steps}, got shape {shape}"
        )


def shape_of(array: Any) -> Shape:
    """The shape as a plain tuple; None where a compiled function does not know the size."""
    return tuple(array.shape)


def _check_type(kind: type, name: str, array: Any) -> None:
    if not isinstance(array, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, got {type(array).__name__}")
    if "float" not in _text(array.dtype):
        raise TypeError(f"{name} must be of a floating-point dtype, got {_text(array.dtype)}")


def _named_sizes(name: str, shape: Shape, axes: str) -> list[tuple[str, Any]]:
    names = axes.split()
    leading = names[0] == "..."
    trailing = names[1:] if leading else names
    extra = len(shape) - len(trailing)
    if extra < 1 if leading else extra != 0:
        count = f"at least {len(names)}" if leading else str(len(names))
        raise ValueError(f"{name} must have {count} axes ({', '.join(names)}), got shape {shape}")
    if 0 in shape:
        raise ValueError(f"{name}: every axis must have size 1 or more, got shape {shape}")
    pairs = list(zip(trailing, shape[extra:]))
    return [("...", shape[:extra]), *pairs] if leading else pairs


def _equal(given: Any, wanted: Any) -> bool:
    """Equality in which None, an unknown size, equals everything."""
    if isinstance(given, tuple) and isinstance(wanted, tuple):
        return len(given) == len(wanted) and all(map(_equal, given, wanted))
    return given is None or wanted is None or given == wanted


@cache
def _text(dtype: Any) -> str:
    """float32, whether NumPy, torch or TensorFlow says it."""
    return getattr(dtype, "name", str(dtype)).removeprefix("torch.")
