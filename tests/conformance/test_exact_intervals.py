"""`Builder.within`: an interval to the unit, whatever its size; and with it, that weights are ternary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from zkcore.field.kernels import MODULUS
from zkcore.graph.arrays import Array, from_objects
from zkcore.graph.builder import Builder
from zkcore.graph.system import System, freeze
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.subprotocols.tlookup import TLookup
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Setup,
    commit_weights,
    prove_system,
    rejection,
    tools,
    verify_system,
)

ARGUMENTS: list[LookupArgument] = [LogupGkr(), TLookup()]
INTERVALS = [(0, 0), (-1, 0), (-1, 1), (-2, 1), (3, 7), (-100, 99), (-128, 127), (-400, 500), (0, 256)]
HALF = (MODULUS + 1) // 2  # times 2 is 1


def system(lo: int, hi: int, shape: tuple[int, ...] = (5, 3)) -> System:
    build = Builder(8)
    tensor = build.weight("w", shape, lo, hi)
    build.within("w.range", "ab", tensor["ab"], lo, hi)
    return freeze(build)


def guards(lo: int, hi: int, values: Array, setup: Setup) -> set[str]:
    """What a cheater meets who commits to these, and goes on; the verifier must reject."""
    mine, attacker = system(lo, hi), Attacker()
    weights = commit_weights(mine, {"w": values}, setup)
    proof = prove_system(mine, {"w": values}, setup, weights=weights, channel=attacker)
    assert rejection(mine, proof, setup, weights=weights)
    return set(attacker.guards)


def with_entry(lo: int, hi: int, value: int) -> Array:
    """Honest entries around one that is not."""
    cells = np.array([(lo, hi)[i % 2] for i in range(15)], dtype=object)
    cells[7] = value
    return from_objects(tools().kernels, cells.reshape(5, 3))


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: a.name)
@pytest.mark.parametrize("interval", INTERVALS, ids=str)
def test_all_its_numbers_and_no_others(interval: tuple[int, int], argument: LookupArgument) -> None:
    lo, hi = interval
    for setup in (replace(CLEAR, argument=argument), replace(HIDING, argument=argument)):
        mine = system(lo, hi)
        given = {"w": np.random.default_rng(1).integers(lo, hi + 1, (5, 3))}
        given["w"].flat[:2] = lo, hi
        weights = commit_weights(mine, given, setup)
        verify_system(mine, prove_system(mine, given, setup, weights=weights), setup, weights=weights)
        if setup.hiding:
            continue
        for outside in (lo - 1, hi + 1, lo - 2, hi + 256, 1 << 40):
            assert guards(lo, hi, with_entry(lo, hi, outside), setup) == {"lookups"}, outside


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: a.name)
@pytest.mark.parametrize("hiding", [False, True])
@pytest.mark.parametrize("value", [2, -2, 3, HALF, MODULUS - HALF, MODULUS // 3, 1 << 253])
def test_no_field_element_passes_for_a_ternary_weight(value: int, hiding: bool, argument: LookupArgument) -> None:
    """2, its neighbours, and what only a field has: 1/2, -1/2."""
    setup = replace(HIDING if hiding else CLEAR, argument=argument)
    found = guards(-1, 1, with_entry(-1, 1, value), setup)
    assert "lookups" in found


def test_minus_one_and_its_alias_are_one_commitment() -> None:
    """r - 1 is -1: one field element, one encoding, one commitment; there is no second weight to pass for it."""
    mine, k = system(-1, 1), tools().kernels
    plain = np.full((5, 3), -1, dtype=np.int8)
    alias = k.from_scalars([MODULUS - 1] * 15).reshape(5, 3, 4)
    rows = [commit_weights(mine, {"w": w}, CLEAR)["w"].public for w in (plain, alias)]
    assert rows[0] == rows[1]
    np.testing.assert_array_equal(k.from_ints(plain), alias)
    with pytest.raises(ValueError, match="not below R"):
        k.from_scalars([MODULUS + 1])  # nor a second encoding of 1


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: a.name)
def test_an_alias_in_the_place_of_another_weight(argument: LookupArgument) -> None:
    """Ternary both, but the owner committed to 1 and proves about r - 1: the opening says no."""
    mine, setup = system(-1, 1), replace(HIDING, argument=argument)
    honest = np.ones((5, 3), dtype=np.int64)
    weights = commit_weights(mine, {"w": honest}, setup)
    other = {"w": np.where(np.arange(15).reshape(5, 3) == 7, -1, honest)}
    attacker = Attacker()
    proof = prove_system(mine, other, setup, weights=weights, channel=attacker)
    assert rejection(mine, proof, setup, weights=weights) == "opening"
