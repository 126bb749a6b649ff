"""eq(point, x) for all x of a tensor's real cells, as a verifier's numbers."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from math import prod

from zkcore.field.kernels import MODULUS
from zkcore.polynomial.point import Point

SMALL = 1 << 14  # cells of a table of which many are kept


def eq_values(shape: tuple[int, ...], place: tuple[Point, ...]) -> tuple[int, ...]:
    """eq(place, x) for all real cells x, row-major."""
    return (_kept if prod(shape) <= SMALL else _lately)(shape, place)


def _made(shape: tuple[int, ...], place: tuple[Point, ...]) -> tuple[int, ...]:
    out = [1]
    for n, point in zip(shape, place, strict=True):
        axis = axis_values(n, point)
        out = [a * b % MODULUS for a in out for b in axis] if len(out) > 1 else axis
    return tuple(out)


_kept = lru_cache(maxsize=64)(_made)
_lately = lru_cache(maxsize=4)(_made)  # a stranger's long sequence has half a million tile pairs, 34 MB of numbers


def axis_values(size: int, point: Point) -> list[int]:
    """eq(point, x) for x < size; no more prefixes of numbers are followed than lead there."""
    axis = [1]
    for left, r in zip(range(len(point) - 1, -1, -1), point, strict=True):
        axis = [half for v in axis for high in [v * r % MODULUS] for half in (v - high, high)]
        del axis[((size - 1) >> left) + 1 :]
    return [v % MODULUS for v in axis]


def products(a: Sequence[int], b: Sequence[int]) -> list[int]:
    return [x * y % MODULUS for x, y in zip(a, b, strict=True)]


def dot(a: Sequence[int], b: Sequence[int]) -> int:
    total: int = sum(map(operator.mul, a, b))
    return total % MODULUS
