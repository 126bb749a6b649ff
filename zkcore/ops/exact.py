"""Exact integer arithmetic on torch tensors, and the refusal of what leaves its interval. For forward passes only."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from zkcore.errors import RangeError
from zkcore.field.space import EXACT_INT, narrowest
from zkcore.field.torch_space import bound_of as magnitude
from zkcore.field.torch_space import exact_einsum, exact_product, extents
from zkcore.relation import Table


def rounded_shift(x: Tensor, shift: int) -> Tensor:
    """floor((x + 2^(shift-1)) / 2^shift): half up."""
    if not 0 <= shift < 62:
        raise RangeError(f"a rescaling by 2^{shift} leaves 64-bit integers: values or weights differ too much in size")
    return (x + (1 << shift - 1)) >> shift if shift else x


def fit(x: Tensor, bits: int, what: str, fix: str) -> Tensor:
    """x, if it is a signed `bits`-bit integer everywhere."""
    if x.numel() == 0:
        return x
    [(lo, hi)] = extents([x])
    if lo < -(1 << bits - 1) or hi >= 1 << bits - 1:
        worst = lo if -lo > hi else hi
        raise RangeError(f"{what}: {worst} does not fit {bits} bits; {fix}")
    return x


def entries(table: Table, index: Tensor) -> Tensor:
    """A table's values at its indices."""
    row = index - table.first if table.first else index
    return torch.as_tensor(table.columns[1], device=index.device)[row]


def einsum(spec: str, *tensors: Tensor) -> Tensor:
    """An exact integer einsum, int64."""
    made = exact_einsum(spec, tensors)
    if made is None:
        raise RangeError("a sum of products can leave 64-bit integers; lower the scales")
    return made


def multiply(a: Tensor, b: Tensor) -> Tensor:
    made = exact_product(a, b)
    if made is None:
        raise RangeError("a product can leave 64-bit integers; lower the scales")
    return made


def narrow(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each of the narrowest integer type that holds all its entries."""
    found = extents(list(tensors.values()))
    return {n: x.to(getattr(torch, narrowest(e))) for (n, x), e in zip(tensors.items(), found, strict=True)}


def sum_of_squares(x: Tensor, factor: int) -> Tensor:
    """factor * sum x^2, of each row."""
    if factor * float(x.double().square().sum(-1).max()) >= EXACT_INT:
        raise RangeError("a sum of squares can leave 64-bit integers; lower model.hidden_bits")
    return factor * (x * x).sum(-1)


def scaled_rows(x: Tensor, factor: Tensor, gain: Tensor | None = None) -> Tensor:
    """x * factor [* gain]: a factor for each row, a gain for each column."""
    largest = x.abs().amax(-1).double() * factor.double() * (magnitude(gain) if gain is not None else 1)
    if float(largest.max()) >= EXACT_INT:
        raise RangeError("a product can leave 64-bit integers; lower the scales")
    scaled = x * factor[..., None]
    return scaled if gain is None else scaled * gain


def floor_sqrt_ratio(top: int, below: Tensor) -> Tensor:
    """floor(sqrt(top / below)) for below > 0. One Python integer a row: `top` may exceed 64 bits."""
    roots = [math.isqrt(top // n) for n in below.flatten().tolist()]
    return torch.tensor(roots, dtype=torch.int64, device=below.device).reshape(below.shape)
