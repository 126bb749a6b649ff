"""What some engines can do with eq tables beside the contract of `zkcore.field.kernels`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from zkcore.field.kernels import FieldArray, IntArray


@runtime_checkable
class SumsEq(Protocol):
    """Kernels that make a sum of eq tables without making the tables."""

    def eq_sum(self, points: Sequence[tuple[int, Sequence[int]]], mask: IntArray | None) -> FieldArray:
        """[2^n, 4]: sum of scale * eq(point, x) over 1 to 4 points (scale, point), and 0 where the int8 mask is 0."""
        ...

    def eq_by_row(
        self, index: IntArray, first: int, size: int, mask: IntArray | None, points: Sequence[Sequence[int]]
    ) -> FieldArray:
        """[points, size, 4]: sum of eq(point, cell) over the cells of a domain (its axes padded) that refer to a row:
        row index - first, or 0 outside a table of `size` rows. Where the int8 mask is 0 there is no cell."""
        ...
