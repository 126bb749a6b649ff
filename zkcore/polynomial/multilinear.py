"""Multilinear extensions of arrays whose axes need not be powers of two: unstored cells are zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

from numpy.typing import NDArray

from zkcore.field.eq_kernels import SumsEq
from zkcore.field.kernels import ContractsAll, FieldArray, FieldKernels, Fold
from zkcore.field.space import contiguous, is_field, is_ternary, of
from zkcore.polynomial.point import Point, join

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
    shape = list(array.shape[: len(axes)])
    folds = _folds(tables or kernels.eq_table, shape, axes, at)
    left = "".join(x for x in axes if x not in at)
    if not folds:
        return array, left
    additions = ternary and is_ternary(array)
    if isinstance(kernels, ContractsAll) and not additions:
        made = kernels.contract_all([(contiguous(array), folds)])
    else:
        fold, made = kernels.contract_ternary if additions else kernels.contract, contiguous(array)
        for outer, count, inner, weights in folds:
            made, fold = fold(made, outer, inner, weights[:count]), kernels.contract
    return made.reshape(*(n for x, n in zip(axes, shape, strict=True) if x not in at), 4), left


def _folds(
    eq_table: Callable[[Point], FieldArray], shape: Sequence[int], axes: str, at: Mapping[str, Point]
) -> list[Fold]:
    """That bind an array: longest axis first."""
    sizes, out = dict(zip(axes, shape, strict=True)), list[Fold]()
    for x in sorted((x for x in axes if x in at), key=lambda x: -sizes[x]):
        left = list(sizes)
        i, own = left.index(x), list(sizes.values())
        out.append((prod(own[:i]), own[i], prod(own[i + 1 :]), eq_table(at[x])))
        del sizes[x]
    return out


def evaluate(kernels: FieldKernels, array: Cells, place: Sequence[Point], ternary: bool = False) -> int:
    """The extension of an array with one axis per point of `place`."""
    return evaluate_all(kernels, [(array, place, ternary)])[0]


def evaluate_all(
    kernels: FieldKernels, wanted: Iterable[tuple[Cells, Sequence[Point], bool]], tables: EqTables | None = None
) -> list[int]:
    """Of each (array, place, ternary), as `evaluate`. A device is waited for once, at the end."""
    todo, kept, numbers = _Evaluations(kernels), tables or kernels.eq_table, list[int]()
    for array, place, ternary in wanted:
        letters = "".join(chr(97 + i) for i in range(len(place)))
        at = dict(zip(letters, place, strict=True))
        if place and todo.together and not (ternary and is_ternary(array)):
            todo.add(len(numbers), array, _folds(kept, array.shape[: len(place)], letters, at))
            numbers.append(0)
            continue
        left, _ = bind(kernels, array, letters, at, ternary, tables)
        if is_field(left):
            todo.made(len(numbers), left)
        numbers.append(0 if is_field(left) else int(left))
    for i, number in todo.numbers():
        numbers[i] = number
    return numbers


class _Evaluations:
    """Of whole arrays: what they are, by their position among what is wanted. Several small ones at a time are folded
    in one call, and no more are held for it."""

    ARRAYS, ENTRIES = 8, 1 << 24

    def __init__(self, kernels: FieldKernels) -> None:
        self._kernels, self.together = kernels, kernels if isinstance(kernels, ContractsAll) else None
        self._waiting, self._entries = list[tuple[Cells, Sequence[Fold]]](), 0
        self._found, self._positions = list[FieldArray](), list[int]()

    def add(self, position: int, array: Cells, folds: Sequence[Fold]) -> None:
        self._positions.append(position)
        self._waiting.append((contiguous(array), folds))
        self._entries += prod(array.shape)
        if len(self._waiting) == self.ARRAYS or self._entries >= self.ENTRIES:
            self._fold()

    def made(self, position: int, value: FieldArray) -> None:
        self._fold()
        self._positions.append(position)
        self._found.append(value.reshape(1, 4))

    def numbers(self) -> Iterator[tuple[int, int]]:
        self._fold()
        if not self._found:
            return
        laid = self._found[0] if len(self._found) == 1 else of(self._found[0]).concatenate(self._found)
        yield from zip(self._positions, self._kernels.to_scalars(laid), strict=True)

    def _fold(self) -> None:
        if self._waiting and self.together:
            self._found.append(self.together.contract_all(self._waiting))
        self._waiting, self._entries = [], 0


def eq_over(kernels: FieldKernels, points: Sequence[Point]) -> FieldArray:
    """The eq table of several axes' points, flat over the padded domain."""
    return kernels.eq_table(join(points))


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
