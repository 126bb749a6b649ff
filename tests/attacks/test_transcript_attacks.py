"""Attacks on the protocol core by provers that re-prove: everything after a lie follows from it.

In clear mode the guard that is broken speaks; in hiding mode the one argument of finish() speaks for all of them. Each
attack states exactly which guards it breaks, so that none can be dropped unnoticed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.attacks.kit import (
    FINISH,
    KERNELS,
    KINDS,
    LOG_WIDTH,
    MODES,
    TOOLS,
    Attacker,
    Case,
    Cheat,
    CheatWire,
    Forged,
    Liar,
    Lies,
    Step,
    W,
    X,
    add,
    corrected,
    defined,
    freeze_challenge,
    matmul,
    padded,
    ranged,
    scalars,
    shifted,
    small,
    summed,
    symmetric,
    two_tables,
    two_weights,
)
from zkcore.backward import Driver
from zkcore.commitment.hyrax import Hyrax
from zkcore.errors import GraphError, ProofRejected
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS, Points
from zkcore.graph.builder import Builder
from zkcore.graph.public import Dense
from zkcore.graph.system import freeze
from zkcore.polynomial.univariate import lagrange
from zkcore.subprotocols.joint import GUARD
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.transcript import blind, inner_product
from zkcore.transcript.channel import DryChannel, VerifierChannel
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.values import Value
from zkcore.transcript.wire import POINT_BYTES, Combination, Rows, Wire

CASES = KINDS | {"summed": summed}


def verdict(case: Case, forged: Forged, hiding: bool) -> str:
    """What the verifier must say about a proof that breaks these guards."""
    seen = [g for g in forged.guards if not hiding or g in FINISH]
    return seen[0] if seen else ""


def assert_breaks(case: Case, forged: Forged, guards: set[str], hiding: bool) -> None:
    """The lie breaks exactly these guards, and the verifier says so."""
    expected = guards | ({"constraints"} if hiding and not guards & set(FINISH) else set())
    assert set(forged.guards) == expected, "the attack is not what it says"
    assert case.rejection(forged.proof, hiding) == verdict(case, forged, hiding) != ""


# --- controls ---
@MODES
@pytest.mark.parametrize("name", CASES)
def test_the_honest_proof_is_accepted(name: str, hiding: bool) -> None:
    case = CASES[name]()
    proof = case.prove(hiding)
    assert case.rejection(proof, hiding) == ""
    assert sum(size for _, _, size in case.messages(hiding)) == len(proof)
    assert len(case.elements(hiding)) >= len(case.messages(hiding))


@MODES
@pytest.mark.parametrize("name", CASES)
def test_an_attacker_without_a_lie_is_honest(name: str, hiding: bool) -> None:
    forged = CASES[name]().forge(hiding=hiding)
    assert forged.guards == []
    assert CASES[name]().rejection(forged.proof, hiding) == ""


# --- every number of every message ---
def lies_of(case: Case, hiding: bool, every: bool) -> list[tuple[str, int, int]]:
    """(label, n, element) of the honest run's messages: all of them, or one element of each message."""
    out, seen = [], dict[str, int]()
    for turn, (label, count) in enumerate(case.forge(hiding=hiding).t.messages):
        n = seen[label] = seen.get(label, -1) + 1
        out += [(label, n, j) for j in (range(count) if every else [turn % count])]
    return out


@pytest.mark.parametrize(("hiding", "every"), [(False, True), (True, False)], ids=["clear", "hiding"])
def test_every_number_counts(hiding: bool, every: bool) -> None:
    """Add to any number of any message and go on proving: something breaks, and the verifier says what."""
    case, rng = small(), random.Random(1)
    for label, n, j in lies_of(case, hiding, every):
        deltas = [0] * j + [rng.randrange(1, MODULUS)]
        forged = case.forge({(label, n): add(*deltas)}, hiding)
        assert forged.guards, (label, n, j)
        assert case.rejection(forged.proof, hiding) == verdict(case, forged, hiding) != "", (label, n, j)


def test_every_element_of_the_blind_argument_counts() -> None:
    """The same for what crosses in finish() and in the openings: scalars, points and what is inside rows."""
    case = matmul()
    honest = case.forge().t
    base = honest._wire.blinder_base
    inside = [k.removeprefix("inside ") for k in honest.seen if k.startswith("inside ")]
    assert {"mask", "cross", "error"} <= set(inside)
    for key, count in list(honest.seen.items()):
        for n in range(count):
            if key.startswith("points "):
                label = key.removeprefix("points ")
                if label in ("round", "evaluations", *inside):
                    continue  # another blind is still a commitment: below
                forged = case.forge(point_lies={(label, n): shifted(base, 1)})
            elif key.startswith(("wire ", "inside ")) and not key.startswith("inside commit"):
                forged = case.forge({(key, n): add(1)})
            else:
                continue
            assert forged.guards, (key, n)
            assert case.rejection(forged.proof) == verdict(case, forged, True) != "", (key, n)


def test_a_commitment_that_is_not_what_the_prover_believes() -> None:
    """Rows with another blind than the prover's: some opening fails."""
    case = small()
    honest = case.forge().t
    base = honest._wire.blinder_base
    for label in ("commit y", "commit multiplicity  range1", "root", "round", "evaluations", "products", "pin", "mask"):
        forged = case.forge(point_lies={(label, 0): shifted(base, 1)})
        expected = "opening" if label.startswith("commit") or label == "pin" else "witness row"
        assert expected in forged.guards, label
        assert case.rejection(forged.proof) == verdict(case, forged, True) != ""


# --- each guard alone: the lies walk past all guards but one ---
@dataclass(frozen=True)
class Walk:
    case: Callable[[], Case]
    guards: set[str]
    steps: tuple[Step, ...] = ()
    lies: tuple[tuple[tuple[str, int], tuple[int, ...]], ...] = ()

    def forge(self, hiding: bool) -> Forged:
        lies: Lies = {at: add(*deltas) for at, deltas in self.lies}
        return self.case().forge(corrected(self.case(), lies, *self.steps, hiding=hiding), hiding)


FALSE = 5  # a false public value
CLAIM = Step("tie", ("evaluations", 0))
CONTRADICTION = ((("evaluations", 0), (1, -1)), (("evaluations", 1), (-1,)))


def no_root(t: Cheat, values: list[int]) -> list[int]:
    return [0, values[1]]


WALKS = {
    "false output": Walk(lambda: matmul(FALSE), {"tie"}),
    "false accumulator": Walk(lambda: matmul(FALSE), {"acc"}, (CLAIM,)),
    "false weight": Walk(lambda: matmul(FALSE), {"opening"}, (CLAIM, Step("acc", ("evaluations", 1)))),
    "false sum": Walk(lambda: summed(FALSE), {"total"}, (CLAIM,)),
    "false transpose": Walk(lambda: symmetric(FALSE), {"turned"}, (Step("tie", ("evaluations", 0), (0, 1)),)),
    "one false claim of two": Walk(
        lambda: symmetric(FALSE),
        {"acc merge"},
        (Step("tie", ("evaluations", 0), (0, 1)), Step("turned", ("evaluations", 1))),
    ),
    "contradicting claims": Walk(symmetric, {"acc merge"}, lies=CONTRADICTION),
    "false merged value": Walk(symmetric, {"acc"}, (Step("acc merge", ("merged", 0)),), CONTRADICTION),
    "false factor after a merge": Walk(
        symmetric,
        {"opening"},
        (Step("acc merge", ("merged", 0)), Step("acc", ("evaluations", 2))),
        CONTRADICTION,
    ),
    "contradicting openings": Walk(two_weights, {"opening"}, lies=((("evaluations", 0), (1, -1)),)),
    "a value outside its table": Walk(lambda: ranged(7), {"lookups"}),
    "no inverse": Walk(ranged, {"lookups denominator"}, lies=((("root inverse", 0), (1,)),)),
    "false root": Walk(lambda: ranged(7), {"lookups layer"}, (Step("lookups", ("root", 0)),)),
    "false first layer": Walk(
        lambda: ranged(7),
        {"lookups layer"},
        (Step("lookups", ("root", 0)), Step("lookups layer", ("children", 0))),
    ),
    "false numerator leaves": Walk(
        lambda: ranged(7),
        {"lookups leaves"},
        (
            Step("lookups", ("root", 0)),
            *(Step("lookups layer", ("children", i), nth=i) for i in range(3)),
        ),
    ),
    "false denominator leaves": Walk(
        lambda: ranged(7),
        {"lookups leaves"},
        (
            Step("lookups", ("root", 0)),
            *(Step("lookups layer", ("children", i), (0, 0, 1, 0), i) for i in range(3)),
        ),
    ),
    "false multiplicity": Walk(
        lambda: ranged(7),
        {"opening"},
        (
            Step("lookups", ("root", 0)),
            *(Step("lookups layer", ("children", i), nth=i) for i in range(3)),
            Step("lookups leaves", ("evaluations", 0), (1, 0)),
        ),
    ),
    "false column": Walk(
        lambda: ranged(7),
        {"opening"},
        (
            Step("lookups", ("root", 0)),
            *(Step("lookups layer", ("children", i), (0, 0, 1, 0), i) for i in range(3)),
            Step("lookups leaves", ("evaluations", 0), (0, 1), 1),
        ),
    ),
    "a value outside its table, inverses": Walk(lambda: two_tables(7), {"lookups"}),
    "a false inverse": Walk(lambda: two_tables(7), {"opening"}, (Step("lookups", ("evaluations", 0)),)),
    "a false number": Walk(lambda: two_tables(7), {"opening"}, (Step("lookups", ("evaluations", 1)),)),
    "false function value": Walk(lambda: defined(FALSE), {"square values"}, (CLAIM,)),
    "false table sum": Walk(lambda: defined(FALSE), {"opening"}, (CLAIM, Step("square values", ("evaluations", 3)))),
}


@MODES
@pytest.mark.parametrize("name", WALKS)
def test_each_guard_alone(name: str, hiding: bool) -> None:
    walk = WALKS[name]
    assert_breaks(walk.case(), walk.forge(hiding), walk.guards, hiding)


def test_all_guards_of_the_core_are_walked_to() -> None:
    """What the small system asks for is attacked above, up to the names of its tensors."""
    kind = {"lookups", "lookups denominator", "lookups layer", "lookups leaves", "acc", "acc merge", "square values"}
    asked = {g.replace("definitions", "lookups") for g in small().forge(hiding=False).t.residual}
    ties = {g for g in asked if g.endswith(" tie")} | {"rows", "squares", "total"}  # zeros and einsums like tie and acc
    assert asked - ties == kind | {GUARD}  # which tests/attacks/test_side_by_side.py walks to
    assert kind <= {g for w in WALKS.values() for g in w.guards}


@MODES
def test_false_pushforward(hiding: bool) -> None:
    """It makes the table's sum right, and is not the pushforward."""
    case = defined(FALSE)
    lies = corrected(case, {}, CLAIM, hiding=hiding)
    forged = case.forge(lies, hiding, witness=Liar(case, {"pushforward square 1": making_up}))
    assert_breaks(case, forged, {"definitions"}, hiding)


def making_up(t: Cheat, values: list[int]) -> list[int]:
    """<f, F> takes in the false claim's error: f(1) = 1."""
    missing = t.errors["evaluations", 0][0] * t.drawn["definitions"][0]
    return [*values[:3], values[3] + missing]


@MODES
def test_other_multiplicities(hiding: bool) -> None:
    case = ranged()
    liar = Liar(case, {"multiplicity  range2": lambda t, m: [m[0] + 1, m[1] - 1, *m[2:]]})
    assert_breaks(case, case.forge(hiding=hiding, witness=liar), {"lookups"}, hiding)


@MODES
def test_another_tensor_than_honestly_computed(hiding: bool) -> None:
    """y is 1 too high, and all that follows from it: the remainder leaves its range, and the public sums are false."""
    case = small()
    witness = case.witness({"y": lambda array, w: np.where(np.arange(6).reshape(3, 2) == 5, array + 1, array)})
    forged = case.forge(hiding=hiding, witness=witness)
    assert {"lookups", "rows tie"} <= set(forged.guards)
    assert verdict(case, forged, hiding) == ("constraints" if hiding else "lookups")
    assert case.rejection(forged.proof, hiding) == verdict(case, forged, hiding)


# --- commitments ---
def with_inside(case: Case, name: str, values: np.ndarray, rows: bytes, blinds: Rows) -> Case:
    """Proves with `values` although `rows` are commitments to something else."""
    inside = case.committed(**{name: values}).weights[name][1].inside
    weights = {**case.weights, name: (rows, Rows(blinds.refs, inside, blinds.blinds))}
    return replace(case, given={**case.given, name: values}, weights=weights)


@MODES
def test_other_weights_than_committed(hiding: bool) -> None:
    """Commit to A, prove with B: every relation holds, the opening does not."""
    true, other = matmul(), W.copy()
    other[1, 1] += 1
    rows, secret = true.committed(w=other).weights["w"]
    cheat = with_inside(true, "w", W, rows, secret)  # the public output is that of W
    assert_breaks(cheat, cheat.forge(hiding=hiding), {"opening"}, hiding)
    assert true.rejection(true.prove(hiding), hiding) == ""


@MODES
def test_weights_of_another_commitment(hiding: bool) -> None:
    """The same weights under other blinds are another commitment: a proof is about one of them."""
    case, proof = matmul(), matmul().prove(hiding)
    again = case.committed(seed=1)
    assert case.rejection(proof, hiding) == ""
    assert again.rejection(again.prove(hiding), hiding) == ""
    assert again.rejection(proof, hiding) != ""


@MODES
def test_a_commitment_has_the_rows_its_shape_demands(hiding: bool) -> None:
    case, proof = two_weights(), two_weights().prove(hiding)
    (v, _), (w, _) = case.weights["v"], case.weights["w"]
    for a, b in (
        (v[:-POINT_BYTES], w),
        (v + w[:POINT_BYTES], w[POINT_BYTES:]),
        (v, w + w[:POINT_BYTES]),
        (b"", w),
        (v[:-1], w),
        (v + b"\0", w),
    ):
        bad = replace(case, weights={"v": (a, None), "w": (b, None)})  # type: ignore[dict-item]
        assert bad.rejection(proof, hiding) == "wrong number of commitment rows"


# --- products ---
def test_tampered_products() -> None:
    """A false root, and a product that makes up for it: all guards hold but the product's own constraint."""
    case = ranged(7)
    lies = corrected(case, {}, Step("lookups", ("root", 0)), Step("lookups layer", ("product", 0)))
    forged = case.forge(lies)
    assert forged.guards == ["constraints"]
    assert case.rejection(forged.proof) == "constraints"


# --- padding ---
@MODES
@pytest.mark.parametrize(("where", "guard"), [("summed axis", "acc"), ("axis summed later", "rows")])
def test_committed_padding_is_not_trusted(where: str, guard: str, hiding: bool) -> None:
    """Weights with something beside their real cells: all that follows counts it in, only the sum itself objects."""
    case = padded(where)
    assert_breaks(case, case.forge(hiding=hiding), {guard}, hiding)


# --- the pin ---
def test_true_evaluation_pinned_for_a_false_claim() -> None:
    """The inner product is satisfied; the constraint that ties the pin to the claims is not."""
    case = matmul(FALSE)
    lies = corrected(case, {}, CLAIM, Step("acc", ("evaluations", 1)))

    def truth(t: Cheat, values: list[int]) -> list[int]:
        missing = t.errors["evaluations", 1][0]
        for r in t.drawn["round"][-LOG_WIDTH:]:
            missing = missing * lagrange(2, r)[1] % MODULUS
        return [values[0] - missing]

    assert_breaks(case, case.forge({**lies, ("pin", 0): truth}), {"pin"}, True)


# --- the blind argument's own equations ---
@pytest.mark.parametrize(
    ("guard", "steps"),
    [
        ("constraints", ()),
        ("matrices", (Step("constraints", ("wire matrix values", 0), (0, 0, 1)),)),
        ("error row", (Step("constraints", ("wire error row", 0)),)),
        (
            "witness row",
            (
                Step("constraints", ("wire matrix values", 0), (0, 0, 1)),
                Step("matrices", ("wire folded value", 0)),
            ),
        ),
    ],
)
def test_each_equation_of_finish(guard: str, steps: tuple[Step, ...]) -> None:
    case = matmul(FALSE)
    forged = case.forge(corrected(case, {}, *steps))
    assert forged.guards == ["tie", guard]
    assert case.rejection(forged.proof) == guard


@pytest.mark.parametrize(("label", "guard"), [("mask", "matrices"), ("cross", "constraints"), ("error", "constraints")])
def test_the_folds_rows_are_what_they_should_be(label: str, guard: str) -> None:
    case = matmul()
    forged = case.forge({(f"inside {label}", 0): add(1)})
    assert set(forged.guards) <= {"constraints", "matrices", "error row", "witness row"}
    assert forged.guards
    assert case.rejection(forged.proof) == forged.guards[0]


class LateShift(Cheat):
    """Commits to a mask that also has a part on the messages' generators, chosen when all challenges are known: were
    the mask's commitment not multiplied by the fold challenge, the part would be added to every message slot."""

    def finish(self) -> None:
        grid = self._ledger
        true = list(grid.numbers)
        by = scalars([self.drawn["late"][0] - (true[0] or 0), *[0] * (grid.width - 1)])
        shift = KERNELS.to_scalars(by)
        honest_rows, honest_opening, honest_product = Wire.rows, blind._open_witness, inner_product.prove

        def rows(
            wire: Wire, label: str, bases: Points, count: int, make: Callable[[], np.ndarray], ternary: bool = False
        ) -> Rows:
            if label != "mask":
                return honest_rows(wire, label, bases, count, make, ternary)
            wide = np.concatenate([wire.message_bases, bases])
            return honest_rows(wire, label, wide, 1, lambda: np.concatenate([by.reshape(1, -1, 4), make()], axis=1))

        def opening(wire: Wire, grid: blind.Grid, folded: blind._Folded, *rest: object) -> None:
            if own := folded.secret:
                own.numbers = KERNELS.from_scalars([v or 0 for v in true])
            honest_opening(wire, grid, folded, *rest)  # type: ignore[arg-type]

        def product(wire: Wire, label: str, instance: inner_product.Instance) -> None:
            vector, secret = instance.secret or (by, 0)
            padding = np.zeros((len(vector) - grid.width, 4), dtype=np.uint64)
            vector = KERNELS.combine([(1, vector), (1, np.concatenate([by, padding]))], 0, len(vector))
            honest_product(wire, label, inner_product.Instance(**{**vars(instance), "secret": (vector, secret)}))

        grid.numbers = [((v or 0) + shift[p % grid.width]) % MODULUS for v, p in zip(true, grid.position, strict=True)]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Wire, "rows", rows)
            patch.setattr(blind, "_open_witness", opening)
            patch.setattr(inner_product, "prove", product)
            super().finish()


def know_the_future(t: Transcript) -> None:
    """False for all but one challenge: the message is committed before it is drawn."""
    [v] = t.message("v", 1, lambda: [5])
    t.require_zero(v - t.challenge("late"), "v is the challenge")
    t.finish()


def test_the_mask_cannot_shift_the_messages() -> None:
    channel = Attacker()
    know_the_future(LateShift(channel, b"", hiding=True))
    assert channel.guards == ["v is the challenge", "witness row"], "the shift satisfies all but the last equation"
    with pytest.raises(ProofRejected, match="^witness row$"):
        know_the_future(Transcript(VerifierChannel(bytes(channel.proof)), TOOLS, b""))


# --- what each challenge is for: attacks that win if it is foreknown ---
def foreknown_zero(hiding: bool) -> tuple[Case, Forged]:
    """The error is at cell 0, the point (1, ..., 1) does not see it."""
    return matmul(FALSE), matmul(FALSE).forge(hiding=hiding)


def foreknown_round(hiding: bool) -> tuple[Case, Forged]:
    case = matmul(FALSE)
    return case, case.forge(corrected(case, {}, CLAIM, Step("acc", ("round", 0)), hiding=hiding), hiding)


def foreknown_claims(hiding: bool) -> tuple[Case, Forged]:
    return symmetric(), symmetric().forge({at: add(*d) for at, d in CONTRADICTION}, hiding)


def foreknown_opening_batch(hiding: bool) -> tuple[Case, Forged]:
    return two_weights(), two_weights().forge({("evaluations", 0): add(1, -1)}, hiding)


GAMMA, BETA = 3, 1000


def foreknown_lookup(hiding: bool) -> tuple[Case, Forged]:
    """A multiplicity of row 0 that stands for 1/(beta - 7 gamma)."""
    case, value = ranged(7), BETA * pow(BETA - 7 * GAMMA, -1, MODULUS)
    liar = Liar(case, {"multiplicity  range2": lambda t, m: [m[0] - 1 + value, *m[1:]]})
    return case, case.forge(hiding=hiding, witness=liar)


def foreknown_definitions(hiding: bool) -> tuple[Case, Forged]:
    """Two claims about a function value err against each other."""
    return defined(), defined().forge({at: add(*d) for at, d in CONTRADICTION}, hiding)


def foreknown_definition_lookup(hiding: bool) -> tuple[Case, Forged]:
    """A pushforward with the right table sum, and fractions that agree at the known point only."""

    def both(t: Cheat, values: list[int]) -> list[int]:
        missing = t.errors["evaluations", 0][0] * t.drawn["definitions"][0]
        den = [BETA - GAMMA * row for row in (-2, -1)]
        ratio = den[1] * pow(den[0], -1, MODULUS)
        x = missing * pow(4 - ratio, -1, MODULUS)  # f(-2) x + f(-1) y = missing, x / den0 + y / den1 = 0
        return [values[0] + x, values[1] - x * ratio, *values[2:]]

    case = defined(FALSE)
    lies = corrected(case, {}, CLAIM, hiding=hiding)
    return case, case.forge(lies, hiding, witness=Liar(case, {"pushforward square 1": both}))


def foreknown_layer_batch(hiding: bool) -> tuple[Case, Forged]:
    """p + batch q is right although p and q are not."""
    root: Lies = {
        ("root", 0): lambda t, v: [0, v[0] + v[1]],
        ("root inverse", 0): lambda t, v: [pow(pow(v[0], -1, MODULUS) + t.errors["root", 0][1], -1, MODULUS)],
    }
    return ranged(7), ranged(7).forge(root, hiding)


def foreknown_halves(hiding: bool) -> tuple[Case, Forged]:
    """Two children err against each other."""
    case = ranged(7)
    steps = Step("lookups", ("root", 0)), Step("lookups layer", ("children", 0), (HALF, HALF - 1))
    return case, case.forge(corrected(case, {}, *steps, hiding=hiding), hiding)


HALF = 3


def foreknown_constraint_point(hiding: bool) -> tuple[Case, Forged]:
    return foreknown_zero(hiding)


def foreknown_matrix_batch(hiding: bool) -> tuple[Case, Forged]:
    case = matmul(FALSE)
    return case, case.forge(corrected(case, {}, Step("constraints", ("wire matrix values", 0), (1, 0, -1))))


def foreknown_fold(hiding: bool) -> tuple[Case, Forged]:
    """The cross term takes in what is missing: E' = 1 (T + missing) + E2."""
    honest, case = blind._fold, matmul(FALSE)

    def residues(t: Cheat) -> list[int]:
        numbers = KERNELS.from_scalars([v or 0 for v in t._ledger.numbers])
        a, b, c = map(KERNELS.to_scalars, blind._matrices(KERNELS, t._ledger.tape, numbers, 1))
        return [(x * y - z) % MODULUS for x, y, z in zip(a, b, c, strict=True)]

    def fold(wire: Wire, grid: blind.Grid) -> blind._Folded:
        out = honest(wire, grid)
        if own := out.secret:
            missing = KERNELS.from_scalars(residues(wire.cheat))  # type: ignore[attr-defined]
            own.error = KERNELS.combine([(1, own.error), (1, missing)], 0, len(missing))
        return out

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blind, "_fold", fold)
        return case, case.forge({("inside cross", 0): lambda t, v: add(*residues(t))(t, v)})


def foreknown_inverses(hiding: bool) -> tuple[Case, Forged]:
    """A multiplicity of row 0 that stands for 1/(beta + 7)."""
    case, value = two_tables(7), BETA * pow(BETA + 7, -1, MODULUS)
    liar = Liar(case, {"multiplicity  range2": lambda t, m: [m[0] - 1 + value, *m[1:]]})
    return case, case.forge(hiding=hiding, witness=liar)


def foreknown_equations(hiding: bool) -> tuple[Case, Forged]:
    """The number that is not in its own table is counted in the other."""
    case = two_tables(7)
    liar = Liar(
        case,
        {
            "multiplicity  range2": lambda t, m: [m[0] - 1, *m[1:]],
            "multiplicity  range4": lambda t, m: [*m[:7], m[7] + 1, *m[8:]],
        },
    )
    return case, case.forge(hiding=hiding, witness=liar)


def foreknown_equations_point(hiding: bool) -> tuple[Case, Forged]:
    """Only the first cell's inverse is looked at; the last one is that of row 0."""
    case = two_tables(7)
    inverse = {"inverse y range.0": lambda t, a: [*a[:3], pow(t.drawn["lookup"][1], -1, MODULUS)]}
    return case, case.forge(hiding=hiding, witness=Liar(case, inverse))


FOREKNOWN: dict[str, tuple[Callable[[bool], tuple[Case, Forged]], tuple[int, ...]]] = {
    "zero": (foreknown_zero, (1,)),
    "round": (foreknown_round, (7,)),
    "claims": (foreknown_claims, (1,)),
    "opening batch": (foreknown_opening_batch, (1,)),
    "lookup": (foreknown_lookup, (GAMMA, BETA)),
    "definitions": (foreknown_definitions, (1,)),
    "definition lookup": (foreknown_definition_lookup, (GAMMA, BETA, 1)),
    "layer batch": (foreknown_layer_batch, (1,)),
    "halves": (foreknown_halves, (HALF,)),
    "lookup, inverses": (foreknown_inverses, (GAMMA, BETA)),
    "equations": (foreknown_equations, (1,)),
    "equations point": (foreknown_equations_point, (0,)),
    "constraint point": (foreknown_constraint_point, (1,)),
    "matrix batch": (foreknown_matrix_batch, (1,)),
    "fold": (foreknown_fold, (1,)),
}
ONLY_HIDING = ("constraint point", "matrix batch", "fold")
MODES_OF = [(label, hiding) for label in FOREKNOWN for hiding in (False, True) if hiding or label not in ONLY_HIDING]
frozen_or_not = pytest.mark.parametrize("frozen", [True, False], ids=["foreknown", "drawn"])


@frozen_or_not
@pytest.mark.parametrize(("label", "hiding"), MODES_OF)
def test_challenge(label: str, hiding: bool, frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    attack, values = FOREKNOWN[label]
    if frozen:
        freeze_challenge(monkeypatch, label.removesuffix(", inverses"), *values)
    case, forged = attack(hiding)
    rejection = case.rejection(forged.proof, hiding)
    assert bool(rejection) != frozen, rejection or "accepted"  # the attack is real: only the challenge is in its way


# --- the inner product's challenges ---
SECRET, WEIGHTS = [3, 1, 4, 1], [2, 7, 1, 8]
TRUE = sum(a * b for a, b in zip(SECRET, WEIGHTS, strict=True))


def product(t: Transcript, value: int, attack: str = "", known: int = 0) -> None:
    """<a, w> = value for the vector in a commitment. The attacks prove TRUE + 1."""
    wire = t.wire()
    tensor, unit = wire.generators.take("tensor", 4), wire.message_bases[:1]
    bases, vector = tensor, SECRET
    if attack == "scale":  # a component on the unit makes up for the value: C + c (v + 1) U with -c U inside C
        bases, vector = np.concatenate([tensor, unit]), [*SECRET, -known]
    rows = wire.rows("row", bases, 1, lambda: scalars(vector).reshape(1, -1, 4))
    secret = None
    if rows.blinds is not None:
        secret = scalars(SECRET), KERNELS.to_scalars(rows.blinds)[0]
    commitment = Combination([(rows.refs, scalars([1]))])
    instance = inner_product.Instance((("tensor", 4),), "message", scalars(WEIGHTS), commitment, value, secret)
    inner_product.prove(wire, "test", instance)
    t.finish()


def attack_product(attack: str, known: int) -> Forged:
    def go(point_lies: dict[tuple[str, int], Callable[[Points], Points]], late: bool = False) -> Forged:
        channel = Attacker()
        t = Cheat(channel, b"", hiding=True)
        t.point_lies.update(point_lies)
        if late:  # L takes in -c U / x^2
            unit = t._wire.message_bases[:1]
            over = pow(known * known, -1, MODULUS)
            t.when["test scale"] = lambda: t.point_lies.update(
                {("test halving", 0): shifted(unit, -t.drawn["test scale"][0] * over % MODULUS)}
            )
        product(t, TRUE + 1, attack, known)
        return Forged(t, bytes(channel.proof), channel.guards)

    if attack == "answer":  # the announcement takes in what is missing
        gap = go({}).t.gap["test"]
        return go({("test announcement", 0): shifted(gap, 1)})
    return go({}, late=attack == "halving")


@frozen_or_not
@pytest.mark.parametrize(("attack", "known"), [("scale", 1), ("scale", 5), ("halving", 4), ("answer", 9)])
def test_inner_product_challenge(attack: str, known: int, frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if frozen:
        freeze_challenge(monkeypatch, f"test {attack}", known)
    proof = attack_product(attack, known).proof
    verifier = Transcript(VerifierChannel(proof), TOOLS, b"")
    if frozen:
        product(verifier, TRUE + 1)
    else:
        with pytest.raises(ProofRejected, match="^test$"):
            product(verifier, TRUE + 1)


@pytest.mark.parametrize("value", [TRUE, TRUE + 1, 0, -TRUE])
def test_inner_product(value: int) -> None:
    channel = Attacker()
    product(Cheat(channel, b"", hiding=True), value)
    verifier = Transcript(VerifierChannel(bytes(channel.proof)), TOOLS, b"")
    if value == TRUE:
        product(verifier, value)
    else:
        with pytest.raises(ProofRejected, match="^test$"):
            product(verifier, value)


def test_all_challenges_are_attacked() -> None:
    drawn = {label for case in (small(), two_tables()) for label in case.forge().t.drawn}
    inner = {f"{name} {c}" for name in ("opening", "witness row") for c in ("scale", "halving", "answer")}
    assert drawn == set(FOREKNOWN) - {"lookup, inverses"} | inner


# --- when each challenge is drawn ---
LAST_BEFORE = {
    "lookup": {"> commit multiplicity  range1", "> commit multiplicity  range2", "> commit multiplicity  range4"},
    "layer batch": {"> root inverse", "? halves"},
    "halves": {"> children"},
    "round": {"> round"},
    "claims": {"> evaluations", "> merged"},
    "definitions": {"> evaluations"},
    "definition lookup": {"> commit pushforward square 1"},
    "equations": {"> commit inverse  range4"},
    "equations point": {"? equations"},
    "opening scale": {"> pin"},
    "opening halving": {"> opening halving"},
    "opening answer": {"> opening announcement"},
    "fold": {"> mask scale"},
    "constraint point": {"? fold"},
    "matrix batch": {"> error row"},
    "witness row scale": {"> folded value"},
    "witness row halving": {"> witness row halving"},
    "witness row answer": {"> witness row announcement"},
}
ALL_BEFORE = {  # no more of these messages once the challenge is drawn
    "zero": ["commit y", "commit z"],
    "lookup": ["commit y", "commit z", "commit multiplicity *"],
    "opening batch": ["evaluations", "merged", "children", "root", "commit *"],
    "fold": ["evaluations", "pin", "opening *", "products", "mask", "cross", "error", "mask scale"],
    "matrix batch": ["matrix values", "error row"],
}


@pytest.mark.parametrize("name", ["small", "symmetric", "two tables"])
def test_challenges_are_drawn_in_time(name: str) -> None:
    """Directly after what they bind: with one drawn a message earlier, that message could be chosen to suit it."""
    order = CASES[name]().forge().t.order
    for before, event in pairwise(order):
        label = event.removeprefix("? ")
        if event.startswith("? ") and label in LAST_BEFORE and before != event:
            assert before in LAST_BEFORE[label], (before, event)
    for label, messages in ALL_BEFORE.items():
        if f"? {label}" in order:
            after = order[order.index(f"? {label}") :]
            assert not [m for m in messages if any(fnmatch(e, f"> {m}") for e in after)], label
    for label in {e.removeprefix("? ") for e in order if e.startswith("? ")}:
        assert label in LAST_BEFORE or label in ALL_BEFORE, f"nobody says when {label} is drawn"


def test_claims_that_meet_in_a_merge_precede_it() -> None:
    order = symmetric().forge().t.order
    at = order.index("? claims")
    assert order[:at].count("> evaluations") == 2, "both claims' values were absorbed"


@MODES
def test_statement_reaches_the_first_challenge(hiding: bool) -> None:
    """Two systems alike but for a public number draw different challenges from the first on."""
    one, two = (case.forge(hiding=hiding).t.drawn for case in (matmul(), matmul(1)))
    assert one.keys() == two.keys()
    assert not {c for v in one.values() for c in v} & {c for v in two.values() for c in v}


# --- claims that nobody answers for ---
@MODES
def test_a_weight_without_a_commitment(hiding: bool) -> None:
    """Its claims stay open: not a proof of anything."""
    case = two_weights()
    orphan = replace(case, weights={"v": case.weights["v"]})
    for go in (lambda: orphan.forge(hiding=hiding), lambda: orphan.messages(hiding)):
        with pytest.raises(GraphError, match=r"undischarged claims about \['w'\]"):
            go()


@MODES
def test_a_tensor_named_like_a_column(hiding: bool) -> None:
    """The column would take its place, and its claims be opened there."""
    b = Builder(2)
    y = b.committed("multiplicity  range2", (4,), 0, 3)
    b.nonneg("range", "i", y["i"], 2)
    case = Case(freeze(b), {"multiplicity  range2": np.array([0, 3, 3, 1])})
    with pytest.raises(GraphError, match="committed twice"):
        case.prove(hiding)


@MODES
def test_a_weight_committed_in_another_shape(hiding: bool) -> None:
    """Transposed, it has as many variables: a claim would mean another cell."""
    b = Builder(2)
    w = b.weight("w", (2, 3), -2, 1)
    b.zero("tie", "io", w["io"] - b.public("truth", Dense(X.T, -2, 1))["io"])
    tall = Builder(2)
    v = tall.weight("w", (3, 2), -2, 1)
    tall.zero("tie", "io", v["io"] - tall.public("truth", Dense(X, -2, 1))["io"])
    kept = Case(freeze(tall), {"w": X}).committed().weights["w"]
    case = Case(freeze(b), {"w": X.T})
    scheme, t = Hyrax(LOG_WIDTH), Transcript(DryChannel(), TOOLS, b"", hiding=hiding)
    adopted = scheme.adopt(t, (3, 2), kept[0], None)
    with pytest.raises(GraphError, match="another shape"):
        Driver(scheme, LogupGkr(), {"w": adopted}).run(case.system, t, None)


# --- determinism ---
SCRIPT = """
import hashlib
from tests.attacks.kit import Coins, small

for hiding in (False, True):
    proof = small().prove(hiding, Coins(1))
    flipped = bytes([proof[0], proof[1] ^ 1]) + proof[2:]
    verdicts = [repr(small().rejection(p, hiding)) for p in (proof, flipped)]
    print(hashlib.sha256(proof).hexdigest(), verdicts[0], verdicts[1] != verdicts[0])
"""


def test_neither_hash_seeds_nor_optimisation_matter() -> None:
    """Sets and dictionaries do not order anything, and no check is an assert that `python -O` strips."""
    said = set()
    for seed, flags in (("1", []), ("2", ["-O"]), ("3", ["-OO"])):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, *flags, "-c", SCRIPT]
        root = Path(__file__).parents[2]
        said.add(subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True, text=True).stdout)
    assert len(said) == 1
    assert [line.split()[1:] for line in said.pop().splitlines()] == [["''", "True"]] * 2


# --- generators ---
@pytest.mark.parametrize("apart", [False, True], ids=["shared", "apart"])
def test_tensors_and_evaluations_have_generators_of_their_own(apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the evaluation's generator also a tensor's, an entry could be traded for the evaluation after the scale."""
    honest_take, honest_prove = Generators.take, inner_product.prove
    if not apart:
        monkeypatch.setattr(Generators, "take", lambda g, p, n: honest_take(g, "message" if p == "tensor" else p, n))
    case = matmul(FALSE).committed()
    lies = corrected(case, {}, CLAIM, Step("acc", ("evaluations", 1)))

    def prove(wire: Wire, label: str, instance: inner_product.Instance) -> None:
        if label == "opening" and isinstance(wire, CheatWire) and instance.secret:
            t, secret = wire.cheat, instance.secret[0]
            missing = t.errors["evaluations", 1][0]
            for r in t.drawn["round"][-LOG_WIDTH:]:
                missing = missing * lagrange(2, r)[1] % MODULUS

            def trade() -> None:
                c, w = t.drawn["opening scale"][0], KERNELS.to_scalars(instance.weights)[0]
                entry = c * missing * pow(1 + c * w, -1, MODULUS)
                secret[:1] = KERNELS.combine([(1, secret[:1])], entry % MODULUS, 1)

            t.when["opening scale"] = trade
        honest_prove(wire, label, instance)

    with monkeypatch.context() as patch:
        patch.setattr(inner_product, "prove", prove)
        forged = case.forge(lies)
    assert forged.guards == (["opening"] if apart else [])
    assert case.rejection(forged.proof) == ("opening" if apart else "")


# --- the two sides' hands on a Value ---
def test_a_value_of_another_transcript_is_refused() -> None:
    one, two = (Cheat(Attacker(), b"", hiding=True) for _ in range(2))
    [v], [w] = one.message("v", 1, lambda: [1]), two.message("w", 1, lambda: [1])
    assert isinstance(v, Value)
    with pytest.raises(TypeError, match="two transcripts"):
        one.require_zero(v - w, "mixed")
