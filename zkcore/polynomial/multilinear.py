"""Multilinear extensions of arrays whose axes need not be powers of two: unstored cells are zero."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

from numpy.typing import NDArray

from zkcore.field.kernels import FieldArray, FieldKernels, SumsEq
from zkcore.field.space import contiguous, is_field, is_ternary
from zkcore.polynomial.point import Point

Cells: TypeAlias = NDArray[Any]
EQ_TABLES = 4  # that an engine sums at once


def bind(
    kernels: FieldKernels, array: Cells, axes: str, at: Mapping[str, Point], ternary: bool = False
) -> tuple[Cells, str]:
    """Evaluate the axes named in `at`; returns what is left and its axes. Longest axis first: it shrinks most.
    `ternary`: the entries are declared to be -1, 0 and 1, and folded by additions alone if they are."""
    shape = list(array.shape[: len(axes)])
    fold = kernels.contract_ternary if ternary and is_ternary(array) else kernels.contract
    for x in sorted((x for x in axes if x in at), key=lambda x: -shape[axes.index(x)]):
        i = axes.index(x)
        weights = kernels.eq_table(at[x])[: shape[i]]
        folded = fold(contiguous(array), prod(shape[:i]), prod(shape[i + 1 :]), weights)
        fold = kernels.contract
        del shape[i]
        axes = axes.replace(x, "")
        array = folded.reshape(*shape, 4)
    return array, axes


def evaluate(kernels: FieldKernels, array: Cells, place: Sequence[Point], ternary: bool = False) -> int:
    """The extension of an array with one axis per point of `place`."""
    letters = "".join(chr(97 + i) for i in range(len(place)))
    left, _ = bind(kernels, array, letters, dict(zip(letters, place, strict=True)), ternary)
    if not is_field(left):
        return int(left)
    return kernels.to_scalars(left.reshape(1, 4))[0]


def eq_over(kernels: FieldKernels, points: Sequence[Point], scale: int = 1) -> FieldArray:
    """scale * the eq table of several axes' points, flat over the padded domain."""
    return kernels.eq_table([r for p in points for r in p], scale)


def eq_sum(kernels: FieldKernels, points: Sequence[tuple[int, Point]], mask: Cells | None) -> FieldArray:
    """[2^n, 4]: sum of scale * eq(point, .) over (scale, point), and 0 where the int8 mask is 0."""
    if isinstance(kernels, SumsEq) and len(points) <= EQ_TABLES:
        return kernels.eq_sum(points, mask)
    total: FieldArray | None = None
    for scale, point in points:  # one at a time: they are as large as anything in a proof
        own = kernels.eq_table(point, scale)
        total = own if total is None else kernels.combine([(1, total), (1, own)], 0, len(own))
    if total is None:
        raise ValueError("a sum of no eq tables")
    return total if mask is None else kernels.multiply(total, mask)
