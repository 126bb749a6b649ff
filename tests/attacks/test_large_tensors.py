"""Attacks on what only large tensors meet: lookups in boxes, claims that share one sumcheck, openings in parts.

The thresholds are lowered, so that small systems take the same paths.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from tests.attacks.kit import (
    MODES,
    Case,
    Step,
    add,
    corrected,
    defined,
    freeze_challenge,
    public,
    ranged,
    symmetric,
    two_weights,
)
from zkcore.commitment import hyrax
from zkcore.graph.builder import Builder
from zkcore.graph.system import freeze
from zkcore.polynomial import boxes
from zkcore.subprotocols import waves
from zkcore.subprotocols.joint import GUARD
from zkcore.testing.toolbox import CLEAR, HIDING, Attacker, Setup, plus, prove_system, rejection, verify_system

CONTRADICTION = ((("evaluations", 0), (1, -1)), (("evaluations", 1), (-1,)))
SHAPE = (3, 5)  # boxes: 2 + 1 by 4 + 1


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "WORTHWHILE", 1)
    monkeypatch.setattr(waves, "SMALL", -1)


# --- boxes ---
@pytest.mark.parametrize("cell", range(15))
def test_a_value_outside_its_table_in_any_cell(cell: int) -> None:
    assert len(boxes.boxes(SHAPE)) == 4
    b = Builder(4)
    y = b.committed("y", SHAPE, 0, 15)
    b.nonneg("range", "ij", y["ij"], 4)
    system, given = freeze(b), {"y": np.arange(15).reshape(SHAPE)}
    verify_system(system, prove_system(system, given), CLEAR)
    attacker = Attacker()
    proof = prove_system(system, given, tamper={"y": plus(100, cell)}, channel=attacker)
    assert attacker.guards == ["lookups"]
    assert rejection(system, proof) == "lookups"


@pytest.mark.parametrize("setup", [CLEAR, HIDING], ids=["clear", "hiding"])
@pytest.mark.parametrize("cell", [0, 4, 10, 14])
def test_a_false_function_value_in_any_box(cell: int, setup: Setup) -> None:
    """The index is right, the value virtual: only the definitions speak about it."""
    from tests.attacks.kit import SQUARE

    y = np.array([[-2, 1, 0, 1, -1], [1, 0, -2, 1, 0], [-1, -1, 0, 1, -2]])
    b = Builder(2)
    out, z = b.committed("y", SHAPE, -2, 1), b.committed("z", SHAPE, 0, 255)
    [e] = b.lookup("square", SQUARE, "ij", [out["ij"]], defines={"e": 1})
    b.nonneg("z.range", "ij", z["ij"], 8)
    b.zero("same", "ij", e["ij"] - z["ij"])
    system, given = freeze(b), {"y": y, "z": y**2}
    verify_system(system, prove_system(system, given, setup), setup)
    attacker, lie = Attacker(), plus(1, cell)
    proof = prove_system(system, given, setup, tamper={"e": lie, "z": lie}, channel=attacker)
    assert "square values" in attacker.guards
    assert rejection(system, proof, setup)


@MODES
def test_what_was_attacked_whole_is_refused_in_boxes(hiding: bool) -> None:
    for case in (ranged(7), defined(5)):
        assert case.rejection(case.forge(hiding=hiding).proof, hiding)
    for case in (ranged(), defined(), symmetric(), two_weights()):
        assert not case.rejection(case.forge(hiding=hiding).proof, hiding)


# --- claims that share a sumcheck ---
@cache
def products(false: int = 0) -> Case:
    """Products of committed numbers plus their transpose are public: two claims that differ in shared axes alone."""
    v, w = np.array([[1, -2], [0, 1]]), np.array([[-1, 1], [1, -2]])
    b = Builder(2)
    p = b.einsum("p", "io,io->io", b.weight("v", (2, 2), -2, 1), b.weight("w", (2, 2), -2, 1))
    turned = b.einsum("turned", "io->oi", p)
    public(b, "truth", v * w + (v * w).T + np.array([[false, 0], [0, 0]]))
    b.zero("tie", "io", p["io"] + turned["io"] - b.tensors["truth"]["io"])
    return Case(freeze(b), {"v": v, "w": w}).committed()


def test_claims_on_products_are_one_sumcheck() -> None:
    order = products().forge().t.order
    assert order.count("? claims") == 1
    assert "> merged" not in order
    at = order.index("? claims")
    assert order[:at].count("> evaluations") == 2, "both claims' values were absorbed"
    assert order[at + 1] == "> round"


@MODES
@pytest.mark.parametrize("frozen", [True, False], ids=["foreknown", "drawn"])
def test_claims_that_contradict_each_other(hiding: bool, frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their errors cancel if the batch challenge is known; drawn after both values, it is in the way."""
    if frozen:
        freeze_challenge(monkeypatch, "claims", 1)
    forged = products().forge({at: add(*d) for at, d in CONTRADICTION}, hiding)
    assert bool(products().rejection(forged.proof, hiding)) != frozen


def test_claims_at_different_places_are_one_sumcheck_side_by_side() -> None:
    order = symmetric().forge().t.order
    assert order.count("? claims") == 1
    assert "> merged" not in order
    at = order.index("? claims")
    assert order[:at].count("> evaluations") == 2, "both claims' values were absorbed"
    assert order[at:].count("> evaluations") == 1, "and the factors' values cross together"


@MODES
@pytest.mark.parametrize("frozen", [True, False], ids=["foreknown", "drawn"])
def test_claims_side_by_side_that_contradict_each_other(
    hiding: bool, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if frozen:
        freeze_challenge(monkeypatch, "claims", 1)
    lies = {at: add(*d) for at, d in CONTRADICTION}
    steps = Step("acc", ("parts", 0)), Step("acc", ("parts", 0), (0, 1), nth=1)
    forged = symmetric().forge(corrected(symmetric(), lies, *steps, hiding=hiding), hiding)
    assert [g for g in forged.guards if g != "constraints"] == ([] if frozen else [GUARD])
    assert bool(symmetric().rejection(forged.proof, hiding)) != frozen


@MODES
def test_what_is_true_and_false_side_by_side(hiding: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not symmetric().rejection(symmetric().forge(hiding=hiding).proof, hiding)
    assert symmetric(5).rejection(symmetric(5).forge(hiding=hiding).proof, hiding)
    for told in (add(1, 0), add(0, 1)):  # of either set alone
        assert symmetric().rejection(symmetric().forge({("evaluations", 2): told}, hiding).proof, hiding)
    whole = symmetric().forge(hiding=hiding)
    monkeypatch.setattr("zkcore.graph.system.LEAST_JOINT", 1)  # one set a sumcheck: another proof
    parted = symmetric().forge(hiding=hiding)
    assert [f.t.order.count("> evaluations") for f in (whole, parted)] == [3, 4]
    assert not symmetric().rejection(parted.proof, hiding)
    assert symmetric().rejection(whole.proof, hiding)


@MODES
def test_a_false_product(hiding: bool) -> None:
    assert not products().rejection(products().forge(hiding=hiding).proof, hiding)
    assert products(5).rejection(products(5).forge(hiding=hiding).proof, hiding)


# --- openings in parts ---
@MODES
@pytest.mark.parametrize("frozen", [True, False], ids=["foreknown", "drawn"])
def test_openings_in_parts(hiding: bool, frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two claims that contradict their tensors, each in a part of its own: with rounds that carry both errors alike,
    they cancel in the join, if its challenge is known."""
    monkeypatch.setattr(hyrax, "POINTS", 1)
    assert not two_points().rejection(two_points().forge(hiding=hiding).proof, hiding)
    freeze_challenge(monkeypatch, "round", 7)
    if frozen:
        freeze_challenge(monkeypatch, "opening batch", 1)
    forged = two_points().forge({("evaluations", 0): add(1, -1)}, hiding)
    assert forged.t.order.count("? opening batch") == 3
    assert bool(two_points().rejection(forged.proof, hiding)) != frozen


@cache
def two_points() -> Case:
    """The sum of a tensor and of another's transpose is public: openings at two column points."""
    v, w = np.array([[1, -2], [0, 1]]), np.array([[-1, 1], [1, -2]])
    b = Builder(2)
    one, two = b.weight("v", (2, 2), -2, 1), b.weight("w", (2, 2), -2, 1)
    public(b, "truth", v + w.T)
    b.zero("tie", "io", one["io"] + two["oi"] - b.tensors["truth"]["io"])
    return Case(freeze(b), {"v": v, "w": w}).committed()


def test_a_part_more_or_less_is_another_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides cut the openings alike: what was made in one part is not taken for two."""
    proof = two_points().forge().proof
    assert not two_points().rejection(proof)
    monkeypatch.setattr(hyrax, "POINTS", 1)
    assert two_points().rejection(proof)
