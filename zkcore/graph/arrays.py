"""Witness arrays: integers where they fit 64 bits, field elements where an attacker's do not.

A tensor's array has one dimension per axis, each between the real size and the padded one; cells it does not store are
zero. Integer arrays are signed; a field array has dtype uint64 and one more dimension of 4 limbs. They live where the
kernels have them (zkcore.field.space).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from zkcore.field import space
from zkcore.field.kernels import MODULUS, Kernels
from zkcore.field.space import Form
from zkcore.field.space import is_field as is_field
from zkcore.relation import Expr

Array: TypeAlias = NDArray[Any]  # signed integers, or uint64 for field elements
Objects = NDArray[np.object_]
_SAFE = 1 << 62


def taken(tensor: Any) -> Array:
    """What a forward pass made: a tensor of the host as a numpy array over the same memory, a device's as it is."""
    array: Array = tensor.numpy() if tensor.device.type == "cpu" else tensor
    return array


def shape_of(array: Array) -> tuple[int, ...]:
    shape = tuple(array.shape)
    return shape[:-1] if is_field(array) else shape


def to_objects(kernels: Kernels, array: Array) -> Objects:
    """Python integers, centred around zero, on the host."""
    if not is_field(array):
        return space.of(array).host(array).astype(object)
    flat = [v - MODULUS if v > MODULUS // 2 else v for v in kernels.to_scalars(array.reshape(-1, 4))]
    out = np.empty(len(flat), dtype=object)
    out[:] = flat
    return out.reshape(shape_of(array))


def from_objects(kernels: Kernels, values: Objects) -> Array:
    flat = [int(v) for v in values.ravel()]
    if all(-_SAFE < v < _SAFE for v in flat):
        return kernels.space.own(np.array(flat, dtype=np.int64).reshape(values.shape))
    return kernels.from_scalars([v % MODULUS for v in flat]).reshape(*values.shape, 4)


def pad_to(array: Array, shape: Sequence[int]) -> Array:
    """Zeros behind every axis, up to `shape`."""
    have = shape_of(array)
    if have == tuple(shape):
        return array
    if any(a > b for a, b in zip(have, shape, strict=True)):
        raise ValueError(f"an array of shape {have} does not fit {tuple(shape)}")
    return space.of(array).pad(array, (*shape, 4) if is_field(array) else tuple(shape))


def spread(array: Array, letters: str, domain: str) -> Array:
    """Transpose to the domain's order and insert axes of size 1 where a letter is absent."""
    order = sorted(range(len(letters)), key=lambda k: domain.index(letters[k]))
    tail = [len(letters)] if is_field(array) else []
    array = space.of(array).transpose(array, [*order, *tail])
    have = iter(shape_of(array))
    shape = [next(have) if x in letters else 1 for x in domain]
    return array.reshape([*shape, 4] if tail else shape)


def magnitude(array: Array) -> int:
    return space.magnitude(space.of(array).extent(array))


def affine(
    kernels: Kernels, expr: Expr, arrays: Sequence[Array], letters: str, real: Sequence[int], shape: Sequence[int]
) -> Array:
    """expr over a domain of `shape`, from the real one to the padded: tensors lacking an axis are repeated, the
    constant is added on real cells."""
    own = [_inside(a, axes, letters, shape) for (_, _, axes), a in zip(expr.terms, arrays, strict=True)]
    if not _fits(expr, own):
        return _object_affine(kernels, expr, own, letters, real, shape)
    total = kernels.space.zeros(shape, "int64")
    if expr.const:
        total[tuple(slice(0, n) for n in real)] += expr.const
    for (c, _, axes), a in zip(expr.terms, own, strict=True):
        kernels.space.accumulate(total[_stored(a, axes, letters)], c, spread(a, axes, letters))
    return total


def form(
    expr: Expr, arrays: Sequence[Array], letters: str, real: Sequence[int], shape: Sequence[int], digit: tuple[int, int]
) -> Form | None:
    """As `affine`, of what 64 bits hold. None: they do not."""
    if any(is_field(a) for a in arrays) or any(abs(c) >= _SAFE for c in (expr.const, *(c for c, _, _ in expr.terms))):
        return None
    own = [(c, axes, _inside(a, axes, letters, shape)) for (c, _, axes), a in zip(expr.terms, arrays, strict=True)]
    terms = tuple((c, spread(a, axes, letters)) for c, axes, a in own)
    return Form(terms, expr.const, tuple(real), tuple(shape), digit)


def _fits(expr: Expr, arrays: Sequence[Array]) -> bool:
    """Can no partial sum leave 64 bits? Narrow types say so without being read."""
    if any(is_field(a) for a in arrays):
        return False
    for measure in (space.widest, magnitude):
        sizes = (abs(c) * measure(a) for (c, _, _), a in zip(expr.terms, arrays, strict=True))
        if abs(expr.const) + sum(sizes) < _SAFE:
            return True
    return False


def _inside(array: Array, axes: str, letters: str, shape: Sequence[int]) -> Array:
    """What lies in the domain."""
    size = dict(zip(letters, shape, strict=True))
    return array[tuple(slice(0, size[x]) for x in axes)]


def _stored(array: Array, axes: str, letters: str) -> tuple[slice, ...]:
    """Where an array has cells: all along the axes it lacks."""
    size = dict(zip(axes, shape_of(array), strict=True))
    return tuple(slice(0, size.get(x)) for x in letters)


def _object_affine(
    kernels: Kernels, expr: Expr, arrays: Sequence[Array], letters: str, real: Sequence[int], shape: Sequence[int]
) -> Array:
    """Python integers: slow, always right."""
    total = np.zeros(tuple(shape), dtype=object)
    total[tuple(slice(0, n) for n in real)] += expr.const
    for (c, _, axes), a in zip(expr.terms, arrays, strict=True):
        total[_stored(a, axes, letters)] += c * spread(to_objects(kernels, space.contiguous(a)), axes, letters)
    return from_objects(kernels, total)


def einsum(kernels: Kernels, spec: str, arrays: Sequence[Array]) -> Array:
    """Exact integer einsum."""
    ins, _ = spec.split("->")
    size: dict[str, int] = {}
    for letters, a in zip(ins.split(","), arrays, strict=True):
        for x, n in zip(letters, shape_of(a), strict=True):
            size[x] = min(size.get(x, n), n)
    cut = [a[tuple(slice(0, size[x]) for x in f)] for f, a in zip(ins.split(","), arrays, strict=True)]
    made = None if any(is_field(a) for a in cut) else kernels.space.einsum(spec, cut)
    return _object_einsum(kernels, spec, cut) if made is None else made


def _object_einsum(kernels: Kernels, spec: str, arrays: Sequence[Array]) -> Array:
    """Python integers: slow, always right. (Reached by wide per-row numbers, and by attackers.)"""
    values = np.einsum(spec, *(to_objects(kernels, space.contiguous(a)) for a in arrays), optimize=False)
    return from_objects(kernels, np.asarray(values, dtype=object))
