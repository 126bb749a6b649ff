"""Points of the Boolean hypercube's extension, and the one variable order for all of zkcore.

The FIRST coordinate of a point belongs to the MOST significant bit of the index. A tensor with several axes is indexed
row-major, each axis padded to a power of two: its point is the axes' points, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import chain
from math import prod

from zkcore.field.kernels import MODULUS

Point = tuple[int, ...]


def num_vars(size: int) -> int:
    """Variables of an axis of `size` >= 1 cells."""
    return (size - 1).bit_length()


def padded(shape: Sequence[int]) -> tuple[int, ...]:
    """Every axis rounded up to a power of two."""
    return tuple(1 << num_vars(n) for n in shape)


def total_vars(shape: Sequence[int]) -> int:
    return sum(num_vars(n) for n in shape)


def split(point: Sequence[int], shape: Sequence[int]) -> tuple[Point, ...]:
    """Cut a flat point into one point per axis."""
    parts, start = [], 0
    for n in shape:
        end = start + num_vars(n)
        parts.append(tuple(point[start:end]))
        start = end
    if start != len(point):
        raise ValueError(f"a point of {len(point)} coordinates for a shape {tuple(shape)} of {start} variables")
    return tuple(parts)


def join(parts: Sequence[Sequence[int]]) -> Point:
    return tuple(chain.from_iterable(parts))


def index_point(index: int, variables: int) -> Point:
    """The Boolean point of an index."""
    return tuple((index >> (variables - 1 - i)) & 1 for i in range(variables))


def eq(x: Sequence[int], y: Sequence[int]) -> int:
    """eq(x, y) = prod_i (x_i y_i + (1 - x_i)(1 - y_i)): 1 at x = y, 0 at other Boolean points."""
    out = 1
    for a, b in zip(x, y, strict=True):
        factor = (b if a else 1 - b) if a in (0, 1) else 1 - a - b + 2 * a * b  # the bits of an index are cheap
        out = out * factor % MODULUS
    return out


def eq_at_indices(point: Sequence[int]) -> Callable[[int, int], int]:
    """(index, k) -> eq of the index's k bits with the point's first k coordinates. Indices that begin alike share the
    products of what they begin with."""

    @cache
    def at(index: int, k: int) -> int:
        if not k:
            return 1
        r = point[k - 1]
        return at(index >> 1, k - 1) * (r if index & 1 else 1 - r) % MODULUS

    return at


def less_than(point: Sequence[int], size: int) -> int:
    """Extension of [index < size]: one product per bit of `size`, down to its last that is set."""
    bit = 1 << len(point)
    if size >= bit:
        return 1
    total, prefix = 0, 1
    for r in point:
        bit >>= 1
        if not size & bit:
            prefix = prefix * (1 - r) % MODULUS
            continue
        total += prefix * (1 - r)
        if not size & (bit - 1):
            break
        prefix = prefix * r % MODULUS
    return total % MODULUS


def counting(point: Sequence[int], size: int) -> int:
    """Extension of 0, 1, ..., size - 1, and zeros up to the power of two: an aligned piece for each bit of `size`."""
    tails = [0]  # of the coordinates from the i-th on: the extension of all indices they can take
    for k, r in enumerate(reversed(point)):
        tails.append(tails[-1] + (r << k))
    tails.reverse()
    if size >> len(point):
        return tails[0] % MODULUS
    total, prefix, start = 0, 1, 0
    for i, r in enumerate(point):
        bit = size & 1 << (len(point) - 1 - i)
        if bit:
            total += prefix * (1 - r) % MODULUS * (start + tails[i + 1])
            start += bit
        prefix = prefix * (r if bit else 1 - r) % MODULUS
    return total % MODULUS


def box(points: Sequence[Sequence[int]], shape: Sequence[int]) -> int:
    """Extension of the indicator of a tensor's real cells."""
    return prod(less_than(p, n) for p, n in zip(points, shape, strict=True)) % MODULUS


def paired_less_than(x: Sequence[int], y: Sequence[int], size: int) -> int:
    """sum over z < size of eq(x, z) eq(y, z): the extension of eq(x, .) [. < size] at y."""
    zeros = [(1 - a) * (1 - b) % MODULUS for a, b in zip(x, y, strict=True)]
    ones = [a * b % MODULUS for a, b in zip(x, y, strict=True)]
    suffix = [1]
    for a, b in zip(reversed(zeros), reversed(ones), strict=True):
        suffix.append(suffix[-1] * (a + b) % MODULUS)
    suffix.reverse()
    if size >> len(x):
        return suffix[0]
    total, prefix = 0, 1
    for i in range(len(x)):
        if size >> (len(x) - 1 - i) & 1:
            total += prefix * zeros[i] * suffix[i + 1]
            prefix = prefix * ones[i] % MODULUS
        else:
            prefix = prefix * zeros[i] % MODULUS
    return total % MODULUS


def paired_box(x: Sequence[Sequence[int]], y: Sequence[Sequence[int]], shape: Sequence[int]) -> int:
    """The extension of eq(x, .) restricted to a tensor's real cells, at y."""
    return prod(paired_less_than(a, b, n) for a, b, n in zip(x, y, shape, strict=True)) % MODULUS
