"""Attacks on reductions that share a sumcheck, and on definitions of several groups that share a tree."""

from __future__ import annotations

import numpy as np
import pytest

from tests.attacks.kit import (
    MODES,
    SQUARE,
    Case,
    Forged,
    Step,
    add,
    corrected,
    freeze_challenge,
    public,
    side_by_side,
    symmetric,
)
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.system import System, freeze
from zkcore.subprotocols import waves
from zkcore.subprotocols.joint import GUARD
from zkcore.testing.toolbox import CLEAR, HIDING, Attacker, Setup, plus, prove_system, rejection, verify_system
from zkcore.transcript.channel import Make

FALSE = 5
LOW, MIDDLE, HIGH = ("evaluations", 0), ("evaluations", 1), ("evaluations", 2)
CLAIM = Step("middle tie", MIDDLE)
PARTS = ("parts", 0)
WALKS = {
    "middle": (CLAIM,),
    GUARD: (CLAIM, Step("middle", PARTS, (0, 1))),  # slots in the order of sizes: high, middle, low
    "low": (CLAIM, Step("middle", PARTS, (0, 1)), Step(GUARD, PARTS, (0, 0, 1))),
    "high": (CLAIM, Step("middle", PARTS, (0, 1)), Step(GUARD, PARTS, (1,))),
}


def broken(case: Case, forged: Forged, hiding: bool) -> set[str]:
    """What is false, as a prover who goes on sees it. The verifier agrees."""
    guards = [g for g in forged.guards if g != "constraints"]
    assert case.rejection(forged.proof, hiding) == ("constraints" if hiding and guards else "".join(guards[:1]))
    return set(guards)


@MODES
def test_they_are_one_sumcheck(hiding: bool) -> None:
    forged = side_by_side().forge(hiding=hiding)
    assert not side_by_side().rejection(forged.proof, hiding)
    order = forged.t.order
    at = order.index("? claims")
    assert order[:at].count("> evaluations") == 3, "all claims' values were absorbed"
    assert order[at + 1 : at + 9] == [*(3 * ["> round", "? round"]), "> parts", "> evaluations"]


@MODES
@pytest.mark.parametrize("guard", WALKS)
def test_each_guard_alone(guard: str, hiding: bool) -> None:
    """A false claim about one product is carried on, into what the others are said to be as well."""
    case = side_by_side(FALSE)
    assert broken(case, case.forge(corrected(case, {}, *WALKS[guard], hiding=hiding), hiding), hiding) == {guard}


@MODES
@pytest.mark.parametrize("frozen", [True, False], ids=["foreknown", "drawn"])
def test_claims_about_different_products(hiding: bool, frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They err against each other. Known before, the batch challenge would let it pass: all else is corrected."""
    if frozen:
        freeze_challenge(monkeypatch, "claims", 1)
    case = contradiction()
    steps = Step("two", PARTS), Step("one", PARTS, (0, 1))  # the last relation comes first
    forged = case.forge(corrected(case, {("evaluations", 0): add(1, -1)}, *steps, hiding=hiding), hiding)
    assert broken(case, forged, hiding) == (set() if frozen else {GUARD})


def contradiction() -> Case:
    """Two sums of rows, of which the sum is public."""
    v, w = np.array([[1, -2], [0, 1]]), np.array([[1, 1], [-1, 1]])
    b = Builder(2)
    one = b.einsum("one", "io->i", b.weight("v", (2, 2), -2, 1))
    two = b.einsum("two", "io->i", b.weight("w", (2, 2), -2, 1))
    public(b, "truth", v.sum(1) + w.sum(1))
    b.zero("tie", "i", one["i"] + two["i"] - b.tensors["truth"]["i"])
    return Case(freeze(b), {"v": v, "w": w}).committed()


@MODES
def test_how_steps_are_cut_is_part_of_the_format(hiding: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = side_by_side().forge(hiding=hiding)
    monkeypatch.setattr("zkcore.graph.system.LEAST_JOINT", 1)
    parted = side_by_side().forge(hiding=hiding)
    rounds = [forged.t.order.count("> round") for forged in (whole, parted)]
    assert rounds[1] - rounds[0] == 1 + 2, "products of 1, 2 and 3 variables"
    assert "> parts" not in parted.t.order
    assert not side_by_side().rejection(parted.proof, hiding)
    assert side_by_side().rejection(whole.proof, hiding)
    assert side_by_side(FALSE).rejection(side_by_side(FALSE).forge(hiding=hiding).proof, hiding)


@MODES
def test_more_claims_than_go_side_by_side(hiding: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are merged, also where nothing else would be: about a sum of tensors, or a product without rounds."""
    monkeypatch.setattr(waves, "MANY", 1)
    for make in (many, symmetric):
        case, false = make(), make(FALSE)
        assert not case.rejection(case.forge(hiding=hiding).proof, hiding)
        assert "> merged" in case.forge(hiding=hiding).t.order
        assert false.rejection(false.forge(hiding=hiding).proof, hiding)
        assert case.rejection(case.forge({("merged", 0): add(1)}, hiding).proof, hiding)


def many(false: int = 0) -> Case:
    """A sum of tensors plus its transpose is public."""
    v, w = np.array([[1, -2], [0, 1]]), np.array([[1, 1], [-1, 1]])
    b = Builder(2)
    total = b.linear("total", "io", b.weight("v", (2, 2), -2, 1)["io"] + b.weight("w", (2, 2), -2, 1)["io"])
    turned = b.einsum("turned", "io->oi", total)
    public(b, "truth", v + w + (v + w).T + np.array([[false, 0], [0, 0]]))
    b.zero("tie", "io", total["io"] + turned["io"] - b.tensors["truth"]["io"])
    return Case(freeze(b), {"v": v, "w": w}).committed()


# --- definitions ---
def groups(openings: tuple[str, str] = ("", "")) -> tuple[System, dict[str, Array]]:
    """A looked-up square in each of two groups; the first has more lookups."""
    b, y = Builder(4), np.array([[-2, 1], [0, -1]])
    given = dict[str, Array]()
    for group, opening in zip("ab", openings, strict=True):
        b.group, b.opening, b.scope = group, opening, f"{group}."
        out, z = b.committed(f"{group}.y", (2, 2), -2, 1), b.committed(f"{group}.z", (2, 2), 0, 255)
        [e] = b.lookup("square", SQUARE, "io", [out["io"]], defines={"e": 1})
        b.nonneg("z.range", "io", z["io"], 8)
        b.zero("same", "io", e["io"] - z["io"])
        given |= {f"{group}.y": y, f"{group}.z": y**2}
        if group == "a":
            b.nonneg("again", "io", z["io"], 8)
    return freeze(b), given


def test_definitions_of_neighbouring_groups_share_a_tree() -> None:
    for openings, trees in ((("", ""), 1), (("a", "b"), 2)):
        channel = Diary()
        prove_system(*groups(openings), CLEAR, channel=channel)
        assert sum(label.startswith("commit pushforward") for label in channel.labels) == trees


class Diary(Attacker):
    def __init__(self) -> None:
        super().__init__()
        self.labels = list[str]()

    def move(self, label: str, size: int, make: Make) -> bytes:
        self.labels.append(label)
        return super().move(label, size, make)


@pytest.mark.parametrize("setup", [CLEAR, HIDING], ids=["clear", "hiding"])
@pytest.mark.parametrize("group", ["a", "b"])
def test_a_false_function_value_in_either_group(group: str, setup: Setup) -> None:
    system, given = groups()
    verify_system(system, prove_system(system, given, setup), setup)
    attacker, lie = Attacker(), plus(1, 2)
    proof = prove_system(system, given, setup, tamper={f"{group}.e": lie, f"{group}.z": lie}, channel=attacker)
    assert "square values" in attacker.guards
    assert rejection(system, proof, setup)
