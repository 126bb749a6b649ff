"""Group additions that the engine's verbs are expected to make: exact for what does not depend on the data, an
expectation for digits that happen to be zero and buckets that happen to be empty. Mirrors csrc/src/cpu: the choice of
windows in scalars.cpp, bucket sums in buckets.cpp, Straus in msm.cpp, folds in fold.cpp, subset sums in
commit_ternary.cpp.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from zkcore.field.subset_sums import MOST_TRITS, POINT_BYTES, sums_bytes, ternary_half

SCALAR_BITS = 254  # of a field element's magnitude, its sign apart
_NONZERO = 255 / 256  # share of 8-bit digits that are not zero
_BUCKETS_AT_ONCE = 1 << 20
_HASH = 63 + 5 + 2
_TERNARY_ADDS = (0, 66667, 44444, 32099, 24691, 19918)  # an entry, in groups of so many, in hundred-thousandths
_TERNARY_ROOM = 2400 << 20  # bytes of subset sums that a CPU keeps


@dataclass(frozen=True)
class Windows:
    """`count` digits of `bits` bits, in [-buckets, buckets]."""

    bits: int
    count: int
    buckets: int


@cache
def windows(width: int, magnitude: int) -> Windows:
    """The engine's choice for sums of `width` points with scalars up to `magnitude`."""
    size, options = magnitude.bit_length(), []
    if size <= 16:
        options.append(Windows(max(1, size), 1, max(1, magnitude)))
    needed = 1 + ((magnitude - 1).bit_length() if 0 < size <= 64 else size)
    for bits in range(2, 17):
        count = -(-needed // bits)
        if count >= 2:
            options.append(Windows(bits, count, 1 << bits - 1))
    return min(options, key=lambda w: 6 * w.count * (width + 2 * w.buckets) + (w.count - 1) * (16 + 7 * w.bits))


def bucket_sums(rows: int, width: int, magnitude: int) -> float:
    """Pippenger over `rows` rows, for digits spread evenly."""
    if not rows or not width or not magnitude:
        return 0.0
    w = windows(width, magnitude)
    lanes, length = rows * w.count, min(w.buckets, 128 if rows * w.count >= 16 else 16)
    stretches = -(-w.buckets // length)
    entries = width * (1.0 if w.count == 1 else 2 * w.buckets / (2 * w.buckets + 1))
    used = w.buckets * -math.expm1(-entries / w.buckets)
    full = used / w.buckets
    lane = entries - used + stretches * (length - 1) * (1 + full) * (1.0 if used > stretches else full)
    if stretches > 1:
        lane += 3 * stretches - 2 + math.log2(length)
    return lanes * lane + rows * (w.count - 1) * (w.bits + 1)


def bucket_memory(rows: int, width: int, magnitude: int, threads: int, room: int | None = None) -> int:
    """Bytes of the buckets that are held at a time. `room`: that they may take, if more than one row does."""
    w = windows(width, max(1, magnitude))
    one = w.buckets * POINT_BYTES + width * 12
    most = min(256 * threads, _BUCKETS_AT_ONCE // w.buckets)
    if room is not None:
        most = min(most, room // one)
    return min(rows * w.count, max(w.count, most)) * one


def commit_rows(rows: int, width: int, magnitude: int, filled: float) -> float:
    """`filled`: the share of entries that are not zero; they come in clusters."""
    return filled * bucket_sums(rows, width, magnitude) + rows * fixed_base(1)


@dataclass
class TernaryRows:
    """The engine's class of that name, for one vector of generators: it keeps their subset sums, of `group` each, and
    makes larger ones when many rows were `served`."""

    generators: int
    group: int = 1
    served: int = 0

    def commit(self, rows: int, width: int) -> float:
        """Group additions, for entries -1, 0 and 1 that are equally frequent."""
        self.served += rows * width
        before, self.group = self.group, self._best()
        g, rest = self.group, width % self.group
        used = width // g * (1 - 3.0**-g) + (1 - 3.0**-rest)
        sums = 0 if g == before else _subset_sums(self.generators, g)
        return sums + rows * max(0.0, used - 1) + rows * fixed_base(1)

    def _best(self) -> int:
        uses, have = self.served // max(1, self.generators), self.group
        costs = {have: uses * _TERNARY_ADDS[have]}
        for g in range(have + 1, MOST_TRITS + 1):
            if sums_bytes(self.generators, g) > _TERNARY_ROOM:
                break
            costs[g] = uses * _TERNARY_ADDS[g] + 100_000 * (ternary_half(g) - g) // g
        return min(costs, key=lambda g: (costs[g], g))

    @property
    def bytes(self) -> int:
        """Of the sums that are kept, and of the generators that they are of."""
        return sums_bytes(self.generators, self.group) + self.generators * POINT_BYTES if self.group > 1 else 0


def _subset_sums(generators: int, g: int) -> int:
    """Additions for the sums of each group of g, and of the generators left over; those of one are there."""
    rest = generators % g
    return generators // g * (ternary_half(g) - g) + ternary_half(rest) - rest


def fixed_base(scalars: int) -> float:
    """Full-size scalars on precomputed multiples."""
    return scalars * 32 * _NONZERO


def fixed_base_table(bases: int) -> int:
    return bases * 32 * (8 + 127)


def msm(points: int) -> float:
    if points < 12:
        return points * (9 + SCALAR_BITS / 6) + SCALAR_BITS
    return bucket_sums(1, points, 1 << SCALAR_BITS - 1)


def fold_points(weights: int, outputs: int) -> float:
    """Both halves of every weight as 4-NAFs of 128 bits; the doublings are shared."""
    return outputs * (127 + 2 * weights * 128 / 5 + 4 * weights - 1)


def hash_to_curve(count: int) -> int:
    return _HASH * count


def decode(count: int) -> int:
    """Square root aside: the subgroup check."""
    return 2 * (63 + 5) * count
