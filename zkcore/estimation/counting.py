"""An engine that counts what the engine in C++ would do, and does nothing. The counts mirror csrc/src/cpu verb by verb:
products of field elements, and of a field element and a machine integer, are exact whatever the data.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.estimation import group
from zkcore.estimation.blank import Blank, Meter, blank
from zkcore.estimation.counting_sumcheck import CountingSumcheck, CountingTree
from zkcore.estimation.tally import SOME, Tally, is_field
from zkcore.field.host import bucket_room, sums_fit
from zkcore.field.kernels import MODULUS, Column, FieldArray, FixedBase, Forms, IntArray, Leaves, Points, Term
from zkcore.field.room import Tree, TreePlan, tree_plan
from zkcore.field.space import NUMPY, Space

CENTRE = 1 / 8  # share of a function's table that bell-shaped values fall into


class CountingFixedBase:
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def combine(self, scalars: Sequence[int]) -> Points:
        self._tally.add_group("fixed_base", group.fixed_base(len(scalars)))
        return np.zeros(12, dtype=np.uint64)


class CountingLinearForms:
    def __init__(self, kernels: CountingKernels, size: int, forms: Forms) -> None:
        self._kernels, self._size, self._terms = kernels, size, len(forms.sources)
        kernels.tally.add("linear_forms", self._terms)

    def run(self, numbers: FieldArray) -> FieldArray:
        self._kernels.tally.add("run_linear_forms", self._terms, field_mults=self._terms)
        return self._kernels.field_array((self._size,))

    transposed = run

    def reached(self, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        return np.ones(self._size, dtype=np.bool_)


class CountingKernels:
    """Implements Kernels, and Limited: of a CPU's memory. `held`: what the process holds beside these arrays."""

    space: Space = NUMPY

    def __init__(self, meter: Meter, threads: int = 1, limit: int | None = None, held: int = 0) -> None:
        self.meter, self.tally, self._threads = meter, Tally(), threads
        self.limit, self.held = limit, held
        self._ternary, self._sums = group.TernaryRows(0), meter.room(0)

    def taken(self) -> int:
        return self.held + self.meter.live

    def counters(self) -> dict[str, int]:
        return self.tally.counters()

    def field_array(self, shape: Sequence[int], filled: float = 1.0) -> Blank:
        return blank(self.meter, (*shape, 4), np.uint64, (0, 0), filled)

    # --- field -------------------------------------------------------------------------------------------------------
    def from_ints(self, values: IntArray) -> FieldArray:
        self.tally.add("from_ints", values.size, small_mults=values.size)
        return self.field_array(values.shape)

    def from_scalars(self, values: Sequence[int]) -> FieldArray:
        self.tally.add("from_scalars", len(values))
        return self.field_array((len(values),))

    def to_scalars(self, values: FieldArray) -> list[int]:
        count = values.size // 4
        self.tally.add("to_scalars", count)
        return [SOME] * count

    def from_wide_bytes(self, data: bytes) -> FieldArray:
        count = len(data) // 64
        self.tally.add("from_wide_bytes", count, field_mults=3 * count)
        return self.field_array((count,))

    def eq_table(self, point: Sequence[int], scale: int = 1) -> FieldArray:
        size = 1 << len(point)
        self.tally.add("eq_table", size, field_mults=size - 1)
        return self.field_array((size,))

    def contract(self, column: Column, outer: int, inner: int, weights: FieldArray) -> FieldArray:
        self._products(column, outer * (weights.size // 4) * inner)
        return self.field_array((outer * inner,))

    def contract_ternary(self, column: Column, outer: int, inner: int, weights: FieldArray) -> FieldArray:
        self.tally.add("contract_ternary", outer * (weights.size // 4) * inner)
        return self.field_array((outer * inner,))

    def _products(self, column: Column, count: int) -> None:
        if is_field(column):
            self.tally.add("contract_field", count, field_mults=count)
        else:
            self.tally.add("contract_ints", count, small_mults=count)

    def dot(self, column: Column, weights: Column) -> int:
        if is_field(weights) or is_field(column):
            other = column if is_field(weights) else weights
            self._products(other, _length(other))
        else:
            self.tally.add("dot_ints", column.size)
        return SOME

    def combine(self, terms: Sequence[tuple[int, Column]], constant: int, length: int) -> FieldArray:
        fields, ints = linear_form(terms)
        self.tally.add("combine", length * len(terms), field_mults=fields * length, small_mults=ints * length)
        return self.field_array((length,), 1.0 if constant else max((_filled(c) for _, c in terms), default=0.0))

    def multiply(self, a: Column, b: Column) -> FieldArray:
        count = _length(a)
        self.tally.add("multiply", count, field_mults=count)
        return self.field_array((count,), min(_filled(a), _filled(b)))

    def batch_inverse(self, values: FieldArray) -> FieldArray:
        count = values.size // 4
        self.tally.add("batch_inverse", count, field_mults=3 * count)
        return self.field_array(values.shape[:-1])

    def scatter_add(self, index: NDArray[np.int64], values: FieldArray, size: int) -> FieldArray:
        self.tally.add("scatter_add", index.size)
        return self.field_array((size,), CENTRE * float(-np.expm1(-index.size / (CENTRE * size))))

    def linear_forms(self, size: int, forms: Forms) -> CountingLinearForms:
        return CountingLinearForms(self, size, forms)

    def fold_rounds(self, challenges: Sequence[int], degree: int) -> list[int]:
        rounds = len(challenges)
        self.tally.add("fold_rounds", rounds * degree, field_mults=rounds * (4 * degree + 3))
        return [SOME] * (rounds * degree + 1)

    def sumcheck(
        self, tables: Sequence[Column], terms: Sequence[Term], degree: int, eq_point: Sequence[int] | None = None
    ) -> CountingSumcheck:
        return CountingSumcheck.of(self.tally, self.meter, tables, terms, degree, eq_point is not None)

    def fraction_tree(self, runs: Sequence[Leaves], log_size: int) -> CountingTree:
        parts = []
        for run in runs:
            above, below = linear_form([(1, run.numerator)]), linear_form(run.denominator)
            parts.append((_length(run.numerator), above[0] + below[0], above[1] + below[1]))
        shape = Tree(sum(n for n, _, _ in parts), log_size, stretches=False)
        return CountingTree(self.tally, self.meter, parts, shape, self.tree_plan(shape))

    def tree_plan(self, tree: Tree) -> TreePlan:
        return tree_plan(self, tree)

    # --- curve -------------------------------------------------------------------------------------------------------
    def hash_to_curve(self, dst: bytes, prefix: bytes, start: int, count: int) -> Points:
        self.tally.add_group("hash_to_curve", group.hash_to_curve(count))
        return self._points(count)

    def encode(self, points: Points) -> bytes:
        self.tally.add("encode", points.size // 12)
        return bytes(4 * points.size)

    def decode(self, data: bytes) -> Points:
        count = len(data) // 48
        self.tally.add_group("decode", group.decode(count))
        return self._points(count)

    def msm(self, points: Points, scalars: FieldArray) -> Points:
        count = scalars.size // 4
        self.tally.add_group("msm", group.msm(count))
        return np.zeros(12, dtype=np.uint64)

    def commit_rows(self, generators: Points, rows: Column, blinds: FieldArray, blinder: FixedBase) -> Points:
        count, field = len(rows), is_field(rows)
        width = _length(rows) // max(1, count)
        magnitude = 1 << group.SCALAR_BITS - 1 if field else max(-int(rows.min()), int(rows.max()))
        adds = group.commit_rows(count, width, magnitude, _filled(rows))
        room = None if self.limit is None else bucket_room(self.limit)
        self.meter.room(group.bucket_memory(count, width, magnitude, self._threads, room))
        self.tally.add_group("commit_field" if field else "commit_ints", adds)
        return np.zeros((count, 12), dtype=np.uint64)

    def commit_ternary(self, generators: Points, rows: Column, blinds: FieldArray, blinder: FixedBase) -> Points:
        """The subset sums that it leaves take memory as long as these kernels are there."""
        if not sums_fit(self, len(generators)):
            return self.commit_rows(generators, rows, blinds, blinder)
        count = len(rows)
        if self._ternary.generators != len(generators):
            self._ternary = group.TernaryRows(len(generators))
        self.tally.add_group("commit_ternary", self._ternary.commit(count, rows.size // max(1, count)))
        self._sums = self.meter.room(self._ternary.bytes)
        return np.zeros((count, 12), dtype=np.uint64)

    def fold_points(self, points: Points, weights: FieldArray) -> Points:
        many = weights.size // 4
        outputs = points.size // 12 // many
        self.tally.add_group("fold_points", group.fold_points(many, outputs))
        return self._points(outputs)

    def fixed_base(self, points: Points) -> CountingFixedBase:
        bases = points.size // 12
        self.tally.add_group("fixed_base_table", group.fixed_base_table(bases))
        return CountingFixedBase(self.tally)

    def _points(self, count: int) -> Blank:
        return blank(self.meter, (count, 12), np.uint64)


def linear_form(terms: Sequence[tuple[int, Column]]) -> tuple[int, int]:
    """Products an entry: with field columns whose coefficient is not 1, and with integer columns."""
    fields = sum(is_field(column) and coefficient % MODULUS != 1 for coefficient, column in terms)
    return fields, sum(not is_field(column) for _, column in terms)


def _length(column: NDArray[Any]) -> int:
    return prod(column.shape[:-1]) if is_field(column) else column.size


def _filled(column: NDArray[Any]) -> float:
    return column.filled if isinstance(column, Blank) else 1.0
