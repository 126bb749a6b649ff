"""The op by zkcore's own suite; the table against the function itself, by another implementation in high precision."""

from __future__ import annotations

import math

import mpmath
import pytest
from zkcore_gelu import GELU
from zkcore_gelu.table import gelu

from zkcore.ops.glu import Glu, GluSettings
from zkcore.testing.op_suite import activation, check_op, sample


@pytest.mark.parametrize("ffn", [1, 3, 8])
def test_the_op_conforms(ffn: int) -> None:
    gate, up = sample((1, 3, ffn), bits=11, seed=1), sample((1, 3, ffn), bits=8, seed=2)
    settings = GluSettings(bits=8, gate_acc=9, up_acc=7, gate=5, act=5, y=4)
    inputs = {"gate": activation(gate, bits=11, positions=0), "up": activation(up, bits=8, positions=0)}
    check_op(Glu(GELU, settings), inputs)


def test_the_real_function_is_the_one_that_the_table_approximates() -> None:
    torch = pytest.importorskip("torch")
    x = torch.arange(-128, 128, dtype=torch.float64) / 16
    assert (GELU.real(x) * 64 - torch.tensor(gelu(8, 4, 6))).abs().max() <= 0.5 + 1e-9


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
