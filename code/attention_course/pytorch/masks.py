"""Who may attend to whom. True means "may attend", here and everywhere in the course.

`F.scaled_dot_product_attention` reads our masks as they are (with an axis for the heads);
`nn.MultiheadAttention` wants True for "forbidden", and gets it from the two adapters below.
"""

import torch
from torch import Tensor


def padding_mask(lengths: Tensor, size: int, device: torch.device | str | None = None) -> Tensor:
    """lengths (B,) int -> (B,1,S) bool: the first `lengths[b]` of S = `size` keys may be attended.

    The middle axis broadcasts over the queries: padding is a property of the keys. A length of 0 is
    allowed; nobody may then attend to anything in that row. The mask is made on `device`, that of
    the lengths if None.
    """
    lengths = torch.as_tensor(lengths)
    if lengths.dim() != 1 or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise TypeError(
            f"lengths must be integers of shape (B,), got {lengths.dtype} {tuple(lengths.shape)}"
        )
    if len(lengths) and not 0 <= lengths.min() <= lengths.max() <= size:
        raise ValueError(
            f"lengths must lie in 0..{size}, got {int(lengths.min())}..{int(lengths.max())}"
        )
    lengths = lengths.to(device or lengths.device)
    return torch.arange(size, device=lengths.device) < lengths[:, None, None]


def causal_mask(size: int, device: torch.device | str | None = None) -> Tensor:
    """(T,T) bool, T = `size`: query t may attend to keys 0..t, itself included, not to later ones.

    Combine with a padding mask by `&`.
    """
    if size < 1:
        raise ValueError(f"size must be 1 or more, got {size}")
    return torch.ones(size, size, dtype=torch.bool, device=device).tril()


def to_key_padding_mask(mask: Tensor) -> Tensor:
    """A padding mask (B,1,S) of ours -> `key_padding_mask` (B,S) of `nn.MultiheadAttention`.

    True changes its meaning: there it is a key to ignore.
    """
    _check_bool(mask)
    if mask.dim() != 3 or mask.shape[1] != 1:
        raise ValueError(f"mask must be a padding mask (B,1,S), got {tuple(mask.shape)}")
    return ~mask[:, 0]


def to_attn_mask(mask: Tensor, heads: int = 1) -> Tensor:
    """A mask (T,S) or (B,T,S) of ours -> `attn_mask` of `nn.MultiheadAttention`, (T,S) or (B·N,T,S)
    for N = `heads`.

    True changes its meaning: there it is a pair that is forbidden. The heads of one sentence stand
    side by side.
    """
    _check_bool(mask)
    if mask.dim() not in (2, 3):
        raise ValueError(f"mask must be (T,S) or (B,T,S), got {tuple(mask.shape)}")
    if heads < 1:
        raise ValueError(f"heads must be 1 or more, got {heads}")
    return ~mask if mask.dim() == 2 else ~mask.repeat_interleave(heads, dim=0)


def _check_bool(mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be bool with True = may attend, got {mask.dtype}")
