"""How a tensor lies in commitment rows: row-major over padded axes, 2^columns entries a row. Rows without a real cell
are not committed: they are zero."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from zkcore.claim import Place
from zkcore.field import space
from zkcore.field.kernels import FieldArray, Kernels
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import Point, join, num_vars, padded, split, total_vars


@dataclass(frozen=True)
class Layout:
    """`log_width`: the scheme's row width. A tensor smaller than a row fills the row's head."""

    shape: tuple[int, ...]
    log_width: int

    @cached_property
    def columns(self) -> int:
        """log2 of the entries of one of this tensor's rows."""
        return min(self.log_width, total_vars(self.shape))

    @cached_property
    def row_ids(self) -> NDArray[np.int64]:
        """Which rows of the padded tensor are committed, ascending."""
        ids, below = np.zeros(1, dtype=np.int64), total_vars(self.shape)
        for n in self.shape:
            below -= num_vars(n)
            if below >= self.columns:
                own = np.arange(n, dtype=np.int64) << (below - self.columns)
            else:
                step = min(self.columns - below, num_vars(n))
                own = np.arange(((n - 1) >> step) + 1, dtype=np.int64)
            ids = (ids[:, None] + own[None, :]).reshape(-1)
            if below <= self.columns:
                break
        return ids

    @cached_property
    def stored(self) -> tuple[int, ...]:
        """The shape whose cells, row-major, are the rows': an axis of 7 * 2^k that a row divides stays what it is."""
        out, below = [], 0
        for n in reversed(self.shape):
            step = 1 << min(max(self.columns - below, 0), num_vars(n))
            out.append(-(-n // step) * step)
            below += num_vars(n)
        return tuple(reversed(out))

    def fold(self, kernels: Kernels, array: Array, row_point: Point, ternary: bool = False) -> FieldArray:
        """[2^columns, 4]: the rows combined at a point. `array` is the tensor as it is kept, padded or not; `ternary`:
        it is declared to be."""
        axis, inside = self._cut
        before, letters = self.shape[:axis], "abcdefghijkl"[: len(self.shape)]
        outer = dict(zip(letters[:axis], split(row_point[: total_vars(before)], before), strict=True))
        left, _ = multilinear.bind(kernels, array, letters, outer, ternary)
        rest = padded(self.shape[axis:])
        if len(row_point) > total_vars(before):
            have, step = arrays.shape_of(left), 1 << inside
            blocks = -(-have[0] // step)
            left = arrays.pad_to(left, (blocks * step, *have[1:]))
            cells = left.reshape(blocks, step, *have[1:], *((4,) if arrays.is_field(left) else ()))
            names = "z" + letters[: len(have)]
            left, _ = multilinear.bind(kernels, cells, names, {"z": row_point[total_vars(before) :]}, ternary)
            rest = (step, *rest[1:])
        made = arrays.pad_to(left, rest)
        return space.flat(made) if arrays.is_field(made) else kernels.from_ints(space.flat(made))

    @cached_property
    def _cut(self) -> tuple[int, int]:
        """The axis within which rows end (all axes before it only number rows), and log2 of its cells in one row."""
        below = total_vars(self.shape)
        for axis, n in enumerate(self.shape):
            below -= num_vars(n)
            if below <= self.columns:
                return axis, min(self.columns - below, num_vars(n))
        return len(self.shape), 0

    def rows(self, array: Array) -> Array:
        """[rows, 2^columns] or [rows, 2^columns, 4]."""
        tail = (4,) if arrays.is_field(array) else ()
        held = array[tuple(slice(0, n) for n in self.stored)]
        return space.contiguous(arrays.pad_to(held, self.stored)).reshape(-1, 1 << self.columns, *tail)

    def split(self, place: Place) -> tuple[Point, Point]:
        """(row point, column point); the latter has the scheme's full width, zeros first."""
        point = join(place)
        cut = len(point) - self.columns
        return point[:cut], (0,) * (self.log_width - self.columns) + point[cut:]


def count_rows(shapes: Sequence[tuple[int, ...]], log_width: int) -> int:
    return sum(len(Layout(s, log_width).row_ids) for s in shapes)
