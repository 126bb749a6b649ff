"""Exact integer arithmetic on torch tensors, and the refusal of what leaves its interval. For forward passes only."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zkcore.errors import RangeError

_EXACT_FLOAT = 1 << 53
_EXACT_INT = 1 << 62


def rounded_shift(x: Tensor, shift: int) -> Tensor:
    """floor((x + 2^(shift-1)) / 2^shift): half up."""
    if not 0 <= shift < 62:
        raise RangeError(f"a rescaling by 2^{shift} leaves 64-bit integers: values or weights differ too much in size")
    return (x + (1 << shift - 1)) >> shift if shift else x


def fit(x: Tensor, bits: int, what: str, fix: str) -> Tensor:
    """x, if it is a signed `bits`-bit integer everywhere."""
    if x.numel() == 0:
        return x
    lo, hi = int(x.min()), int(x.max())
    if lo < -(1 << bits - 1) or hi >= 1 << bits - 1:
        worst = lo if -lo > hi else hi
        raise RangeError(f"{what}: {worst} does not fit {bits} bits; {fix}")
    return x


def magnitude(x: Tensor) -> int:
    return max(-int(x.min()), int(x.max()), 0) if x.numel() else 0


def einsum(spec: str, *tensors: Tensor) -> Tensor:
    """An exact integer einsum: in float64 where no partial sum can leave 2^53, else in int64."""
    ins, out = spec.split("->")
    size = {
        x: n for letters, t in zip(ins.split(","), tensors, strict=True) for x, n in zip(letters, t.shape, strict=True)
    }
    bound = 1
    for t in tensors:
        bound *= max(1, magnitude(t))
    for x in set(size) - set(out):
        bound *= size[x]
    if bound < _EXACT_FLOAT:
        return torch.einsum(spec, *(t.double() for t in tensors)).round().long()
    if bound < _EXACT_INT:
        return torch.einsum(spec, *tensors)
    raise RangeError(f"a sum of products can reach {bound}, beyond 64-bit integers; lower the scales")


def multiply(a: Tensor, b: Tensor) -> Tensor:
    if magnitude(a) * magnitude(b) >= _EXACT_INT:
        raise RangeError("a product can leave 64-bit integers; lower the scales")
    return a * b


def sum_of_squares(x: Tensor, factor: int) -> Tensor:
    """factor * sum x^2, of each row."""
    if factor * float(x.double().square().sum(-1).max()) >= _EXACT_INT:
        raise RangeError("a sum of squares can leave 64-bit integers; lower model.hidden_bits")
    return factor * (x * x).sum(-1)


def scaled_rows(x: Tensor, factor: Tensor, gain: Tensor | None = None) -> Tensor:
    """x * factor [* gain]: a factor for each row, a gain for each column."""
    largest = x.abs().amax(-1).double() * factor.double() * (magnitude(gain) if gain is not None else 1)
    if float(largest.max()) >= _EXACT_INT:
        raise RangeError("a product can leave 64-bit integers; lower the scales")
    scaled = x * factor[..., None]
    return scaled if gain is None else scaled * gain


def floor_sqrt_ratio(top: int, below: Tensor) -> Tensor:
    """floor(sqrt(top / below)) for below > 0. One Python integer a row: `top` may exceed 64 bits."""
    roots = [math.isqrt(top // n) for n in below.flatten().tolist()]
    return torch.tensor(roots, dtype=torch.int64, device=below.device).reshape(below.shape)
