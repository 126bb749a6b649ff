"""The table against the function itself, from an independent implementation in high precision."""

from __future__ import annotations

import math

import mpmath
import pytest
from zkcore_gelu.table import gelu


@pytest.mark.parametrize(("bits", "fraction_in", "fraction_out"), [(8, 4, 6), (8, 0, 12), (12, 8, 10), (12, 10, 8)])
def test_every_entry_is_the_rounded_function(bits: int, fraction_in: int, fraction_out: int) -> None:
    table = gelu(bits, fraction_in, fraction_out)
    top = 1 << bits - 1
    assert len(table) == 2 * top
    with mpmath.workprec(200):
        for i, entry in enumerate(table, -top):
            x = mpmath.mpf(i) / 2**fraction_in
            assert entry == mpmath.floor(2**fraction_out * x * mpmath.ncdf(x) + mpmath.mpf(1) / 2), i


def test_a_full_width_table() -> None:
    table = gelu(16, 10, 12)
    assert (table[0], table[1 << 15], table[-1]) == (0, 0, 4 * ((1 << 15) - 1))
    for i in range(-(1 << 15), 1 << 15, 997):
        exact = i / 2**10 * (1 + math.erf(i / 2**10 / math.sqrt(2))) / 2 * 2**12
        assert abs(table[i + (1 << 15)] - exact) <= 0.5 + 1e-6
