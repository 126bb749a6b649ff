"""What the signed subset sums of generators take: of each group, all sums with coefficients -1, 0 and 1, one of every
two that differ in sign (csrc/include/zkcore/ternary.hpp)."""

from __future__ import annotations

POINT_BYTES = 96  # of an affine point in memory
MOST_TRITS = 5  # generators of a group


def ternary_half(group: int) -> int:
    """Sums of a group that are kept."""
    return int((3**group - 1) // 2)


def sums_bytes(generators: int, group: int) -> int:
    return -(-generators // group) * ternary_half(group) * POINT_BYTES
