"""Aligned cuboids that cover a tensor's real cells with little padding.

The extension of a tensor, with its first coordinates of an axis set to the bits of a number, is that of the aligned
piece of the axis at this number. So a lookup's cells may enter a fraction tree as several cubes that fit them, rather
than as one cube padded to powers of two: 40 heads as 32 + 8, 5120 columns as 4096 + 1024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import prod

from zkcore.field.kernels import MODULUS
from zkcore.polynomial.point import Point, eq, index_point, num_vars, padded, split, total_vars

WORTHWHILE = 1 << 16  # cells of a padded domain, from which on it is cut
TOLERATED = 8  # padding of an axis is cut off while it is more than an eighth of the real cells


@dataclass(frozen=True)
class Box:
    """Per axis of a domain `shape`: `start`, a multiple of `size`, which is a power of two."""

    shape: tuple[int, ...]
    start: tuple[int, ...]
    size: tuple[int, ...]

    @cached_property
    def num_vars(self) -> int:
        return total_vars(self.size)

    @property
    def end(self) -> tuple[int, ...]:
        return tuple(a + n for a, n in zip(self.start, self.size, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where it lies, cut at the real cells."""
        return tuple(slice(a, min(b, n)) for a, b, n in zip(self.start, self.end, self.shape, strict=True))

    @property
    def real(self) -> tuple[int, ...]:
        """The real cells of each axis, counted from its corner."""
        return tuple(s.stop - s.start for s in self.slices)

    @property
    def full(self) -> bool:
        """Are all its cells real?"""
        return all(b <= n for b, n in zip(self.end, self.shape, strict=True))

    def place(self, point: Sequence[int]) -> tuple[Point, ...]:
        """A point of the box as a point of the domain, by axis."""
        return tuple(before + own for before, own in zip(self._before, split(point, self.size), strict=True))

    @cached_property
    def _before(self) -> tuple[Point, ...]:
        """The first coordinates of an axis, those of all its cells."""
        return tuple(
            index_point(a // n, num_vars(whole) - num_vars(n))
            for a, n, whole in zip(self.start, self.size, self.shape, strict=True)
        )

    def restrict(self, place: Sequence[Point]) -> tuple[Point, int]:
        """eq(place, .) on the box: the box's point, and a factor."""
        factor, own = 1, list[int]()
        for start, size, point in zip(self.start, self.size, place, strict=True):
            cut = len(point) - num_vars(size)
            factor = factor * eq(index_point(start >> num_vars(size), cut), point[:cut]) % MODULUS
            own += point[cut:]
        return tuple(own), factor


def whole(shape: tuple[int, ...]) -> Box:
    """The padded domain."""
    return Box(shape, (0,) * len(shape), padded(shape))


@lru_cache(maxsize=256)  # the same ones serve all layers
def boxes(shape: tuple[int, ...]) -> Sequence[Box]:
    """They are disjoint, and every real cell lies in one."""
    if prod(padded(shape)) < WORTHWHILE:
        return (whole(shape),)
    cut = product(*(pieces(n) for n in shape))
    return tuple(Box(shape, tuple(a for a, _ in own), tuple(n for _, n in own)) for own in cut)


def pieces(cells: int) -> list[tuple[int, int]]:
    """(start, size): powers of two, descending."""
    out, start = list[tuple[int, int]](), 0
    while True:
        rest = cells - start
        size = 1 << num_vars(rest)
        if (size - rest) * TOLERATED <= cells:
            return [*out, (start, size)]
        out.append((start, size >> 1))
        start += size >> 1
