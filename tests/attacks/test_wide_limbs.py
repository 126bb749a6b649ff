"""Range checks whose tables are longer than table_bits, since their cells are many: a number beyond such a table, a
limb that is another's, a remainder that belongs to the next quotient. Every lie is proved anew."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from zkcore.graph.builder import Builder
from zkcore.graph.public import Dense
from zkcore.graph.rules import Digit
from zkcore.graph.system import System, freeze
from zkcore.graph.witness import Tamper
from zkcore.relation import Integers
from zkcore.testing.toolbox import CLEAR, HIDING, Attacker, Setup, plus, prove_system, rejection, verify_system

CELLS, SHIFT, BITS = 100, 5, 8  # not a power of two; 2^5 rows are the most that pay
X = np.stack([np.arange(CELLS) * 61 % 128 - 64, np.arange(CELLS) * 37 % 128 - 64], 1)
W = np.array([[17], [-11]])


@cache
def requantised() -> tuple[System, dict[str, Integers]]:
    """y = round(x w / 2^SHIFT), in BITS signed bits."""
    b = Builder(2)
    x, w = b.public("x", Dense(X, -64, 63)), b.public("w", Dense(W, -32, 31))
    acc = b.einsum("acc", "im,mo->io", x, w)
    y = b.committed("y", (CELLS, 1), -(1 << BITS - 1), (1 << BITS - 1) - 1)
    b.requantise(y, "io", acc, SHIFT)
    made = (X @ W + (1 << SHIFT - 1)) >> SHIFT
    return freeze(b), {"y": made}


def test_what_is_attacked_has_wide_limbs() -> None:
    system, given = requantised()
    tables = {r.name: r.table.name for r in system.relations if r.table}
    assert tables == {"y.range.4.range": "range4", "y.range.0": "range4", "y.rest.0": "range5"}
    assert isinstance(system.digits["y.range.4"], Digit)
    for setup in (CLEAR, HIDING):
        verify_system(system, prove_system(system, given, setup), setup)


LIES: dict[str, Tamper] = {
    "the quotient one too high: the remainder is negative": {"y": plus(1, 7)},
    "one too low: the remainder is the table's size or more": {"y": plus(-1, 99)},
    "a quotient beyond its interval": {"y": plus(1 << BITS, 3)},
    "a limb one too high: the low one is negative": {"y.range.4": plus(1, 50)},
    "a limb one too low: the low one is its table's size or more": {"y.range.4": plus(-1, 0)},
    "a limb beyond its table": {"y.range.4": plus(1 << 4, 98)},
}


@pytest.mark.parametrize("setup", [CLEAR, HIDING], ids=["clear", "hiding"])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_about_a_wide_limb_is_caught_by_the_lookups(lie: Tamper, setup: Setup) -> None:
    system, given = requantised()
    attacker = Attacker()
    proof = prove_system(system, given, setup, tamper=lie, channel=attacker)
    assert "lookups" in attacker.guards
    assert rejection(system, proof, setup) == ("lookups" if setup is CLEAR else "constraints")
