"""Witness arrays: integers where they fit 64 bits, field elements where an attacker's do not.

A tensor's array has one dimension per axis, each between the real size and the padded one; cells it does not store are
zero. Integer arrays are signed; a field array has dtype uint64 and one more dimension of 4 limbs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkcore.field.kernels import MODULUS, FieldKernels
from zkcore.polynomial.point import padded
from zkcore.relation import Expr

Array: TypeAlias = NDArray[Any]  # signed integers, or uint64 for field elements
Objects = NDArray[np.object_]
_SAFE = 1 << 62


def is_field(array: Array) -> bool:
    return array.dtype == np.uint64


def shape_of(array: Array) -> tuple[int, ...]:
    return array.shape[:-1] if is_field(array) else array.shape


def to_objects(kernels: FieldKernels, array: Array) -> Objects:
    """Python integers, centred around zero."""
    if not is_field(array):
        return array.astype(object)
    flat = [v - MODULUS if v > MODULUS // 2 else v for v in kernels.to_scalars(array.reshape(-1, 4))]
    out = np.empty(len(flat), dtype=object)
    out[:] = flat
    return out.reshape(shape_of(array))


def from_objects(kernels: FieldKernels, values: Objects) -> Array:
    flat = [int(v) for v in values.ravel()]
    if all(-_SAFE < v < _SAFE for v in flat):
        return np.array(flat, dtype=np.int64).reshape(values.shape)
    return kernels.from_scalars([v % MODULUS for v in flat]).reshape(*values.shape, 4)


def pad_to(array: Array, shape: Sequence[int]) -> Array:
    """Zeros behind every axis, up to `shape`."""
    have = shape_of(array)
    if have == tuple(shape):
        return array
    if any(a > b for a, b in zip(have, shape, strict=True)):
        raise ValueError(f"an array of shape {have} does not fit {tuple(shape)}")
    widths = [(0, b - a) for a, b in zip(have, shape, strict=True)]
    return np.pad(array, [*widths, (0, 0)] if is_field(array) else widths)


def spread(array: Array, letters: str, domain: str) -> Array:
    """Transpose to the domain's order and insert axes of size 1 where a letter is absent."""
    order = sorted(range(len(letters)), key=lambda k: domain.index(letters[k]))
    tail = [len(letters)] if is_field(array) else []
    array = np.transpose(array, [*order, *tail])
    have = iter(shape_of(array))
    shape = [next(have) if x in letters else 1 for x in domain]
    return array.reshape([*shape, 4] if tail else shape)


def magnitude(array: Array) -> int:
    if array.size == 0:
        return 0
    return max(abs(int(array.min())), abs(int(array.max())))


def affine(kernels: FieldKernels, expr: Expr, arrays: Sequence[Array], letters: str, real: Sequence[int]) -> Array:
    """expr over the padded domain: tensors lacking an axis are repeated, the constant is added on real cells."""
    shape = padded(real)
    bound = abs(expr.const)
    for (c, _, _), a in zip(expr.terms, arrays, strict=True):
        bound = _SAFE if is_field(a) else bound + abs(c) * magnitude(a)
    exact = bound < _SAFE
    total = np.zeros(shape, dtype=np.int64 if exact else object)
    total[tuple(slice(0, n) for n in real)] += expr.const
    for (c, _, axes), a in zip(expr.terms, arrays, strict=True):
        own = tuple(n for x, n in zip(letters, shape, strict=True) if x in axes)
        order = sorted(axes, key=letters.index)
        padded_shape = [own[order.index(x)] for x in axes]
        laid = pad_to(a, padded_shape)
        values = laid if exact else to_objects(kernels, laid)
        total += c * np.asarray(spread(values, axes, letters), dtype=total.dtype)
    return total if exact else from_objects(kernels, total)


def einsum(kernels: FieldKernels, spec: str, arrays: Sequence[Array]) -> Array:
    """Exact integer einsum. Float64 matrix products only where no partial sum can leave 2^53."""
    ins, _ = spec.split("->")
    size: dict[str, int] = {}
    for letters, a in zip(ins.split(","), arrays, strict=True):
        for x, n in zip(letters, shape_of(a), strict=True):
            size[x] = min(size.get(x, n), n)
    cut = [a[tuple(slice(0, size[x]) for x in f)] for f, a in zip(ins.split(","), arrays, strict=True)]
    if any(is_field(a) for a in cut):
        return _object_einsum(kernels, spec, cut)
    bound = 1
    for a in cut:
        bound *= max(1, magnitude(a))
    for x in set(size) - set(spec.split("->")[1]):
        bound *= size[x]
    if bound < 1 << 53:
        product = np.einsum(spec, *(a.astype(np.float64) for a in cut), optimize=True)
        return np.asarray(np.rint(product)).astype(np.int64)
    if bound < _SAFE:
        return np.asarray(np.einsum(spec, *cut, optimize=True), dtype=np.int64)
    return _object_einsum(kernels, spec, cut)


def _object_einsum(kernels: FieldKernels, spec: str, arrays: Sequence[Array]) -> Array:
    """Python integers: slow, always right. (Reached by wide per-row numbers, and by attackers.)"""
    values = np.einsum(spec, *(to_objects(kernels, a) for a in arrays), optimize=False)
    return from_objects(kernels, np.asarray(values, dtype=object))
