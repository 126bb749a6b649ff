"""Multilinear extensions of arrays whose axes need not be powers of two: unstored cells are zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

from numpy.typing import NDArray

from zkcore.field.kernels import FieldArray, FieldKernels, SumsEq
from zkcore.field.space import contiguous, is_field, is_ternary, of
from zkcore.polynomial.point import Point

Cells: TypeAlias = NDArray[Any]
EQ_TABLES = 4  # that an engine sums at once


class EqTables:
    """eq tables of the points of axes, the last few kept: many tensors are evaluated at one point. Not to be written
    to."""

    KEPT = 16
    LONGEST = 16  # variables

    def __init__(self, kernels: FieldKernels) -> None:
        self._kernels, self._made = kernels, dict[Point, FieldArray]()

    def __call__(self, point: Point) -> FieldArray:
        table = self._made.pop(point, None)
        if table is None:
            table = self._kernels.eq_table(point)
        if len(point) <= self.LONGEST:
            self._made[point] = table  # the last to be asked for is the last to go
            if len(self._made) > self.KEPT:
                del self._made[next(iter(self._made))]
        return table


def bind(
    kernels: FieldKernels,
    array: Cells,
    axes: str,
    at: Mapping[str, Point],
    ternary: bool = False,
    tables: EqTables | None = None,
) -> tuple[Cells, str]:
    """Evaluate the axes named in `at`; returns what is left and its axes. Longest axis first: it shrinks most.
    `ternary`: the entries are declared to be -1, 0 and 1, and folded by additions alone if they are. `tables`: kept
    from other tensors at the same points."""
    shape, eq_table = list(array.shape[: len(axes)]), tables or kernels.eq_table
    fold = kernels.contract_ternary if ternary and is_ternary(array) else kernels.contract
    for x in sorted((x for x in axes if x in at), key=lambda x: -shape[axes.index(x)]):
        i = axes.index(x)
        weights = eq_table(at[x])[: shape[i]]
        folded = fold(contiguous(array), prod(shape[:i]), prod(shape[i + 1 :]), weights)
        fold = kernels.contract
        del shape[i]
        axes = axes.replace(x, "")
        array = folded.reshape(*shape, 4)
    return array, axes


def evaluate(kernels: FieldKernels, array: Cells, place: Sequence[Point], ternary: bool = False) -> int:
    """The extension of an array with one axis per point of `place`."""
    return evaluate_all(kernels, [(array, place, ternary)])[0]


def evaluate_all(
    kernels: FieldKernels, wanted: Iterable[tuple[Cells, Sequence[Point], bool]], tables: EqTables | None = None
) -> list[int]:
    """Of each (array, place, ternary), as `evaluate`. A device is waited for once, at the end."""
    numbers, found, positions = list[int](), list[FieldArray](), list[int]()
    for array, place, ternary in wanted:
        letters = "".join(chr(97 + i) for i in range(len(place)))
        left, _ = bind(kernels, array, letters, dict(zip(letters, place, strict=True)), ternary, tables)
        if is_field(left):
            positions.append(len(numbers))
            found.append(left.reshape(1, 4))
        numbers.append(0 if is_field(left) else int(left))
    if found:
        laid = found[0] if len(found) == 1 else of(found[0]).concatenate(found)
        for i, number in zip(positions, kernels.to_scalars(laid), strict=True):
            numbers[i] = number
    return numbers


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
