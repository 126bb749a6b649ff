"""Attacks on lookups that share a tree: on definitions of several groups, tables or columns, which are told apart by
powers of challenges, and on tables, which are told apart by their tags."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest

from tests.attacks.kit import MODES, SQUARE, Case, Cheat, Forged, Liar, Step, add, corrected, freeze_challenge, public
from zkcore.field.kernels import MODULUS
from zkcore.graph.builder import Builder
from zkcore.graph.system import freeze
from zkcore.relation import Table
from zkcore.subprotocols import logup_gkr
from zkcore.subprotocols.leaf_blocks import Compression

GAMMA, BETA = 3, 1000
FALSE = 5
VALUES = ("evaluations", 1)  # the functions', at the zero's point; 0 are those of the lookups' leaves
Y = np.array([[-2, 1], [0, -1]])
FOREKNOWN = pytest.mark.parametrize("frozen", [True, False], ids=["foreknown", "drawn"])
CUBES = Table(
    "cubes", 4, ((-2, 1), (-8, 1), (-6, 6)), lambda: [np.arange(-2, 2), np.arange(-2, 2) ** 3, np.arange(-6, 7, 4)]
)
ONES = Table("ones", 4, ((-2, 1), (1, 1)), lambda: [np.arange(-2, 2), np.ones(4, dtype=np.int64)])


@cache
def functions(*tables: Table, false: int = 0) -> Case:
    """A committed tensor for each table, each in a group of its own. The sum of all function values is public.
    `false`: what is added to a cell of it."""
    b, given, total = Builder(4), dict[str, np.ndarray](), np.zeros_like(Y)
    values = []
    for k, table in enumerate(tables):
        b.group = b.scope = f"{k}."
        y = b.committed(f"{k}.y", Y.shape, -2, 1)
        given[y.name] = np.roll(Y, k)
        values += b.lookup("f", table, "io", [y["io"]], defines={f"e{c}": c for c in range(1, len(table.ranges))})
        total = total + sum(column[given[y.name] + 2] for column in table.columns[1:])
        if not k:
            b.nonneg("again", "io", y["io"] + 2, 2)  # the largest tree has twice as many cells as each definition
            b.nonneg("and again", "io", y["io"] + 2, 2)
            b.nonneg("once more", "io", y["io"] + 2, 2)
    public(b, "truth", total + np.array([[false, 0], [0, 0]]))
    b.group = b.scope = ""
    b.zero("tie", "io", sum((v["io"] for v in values), -b.tensors["truth"]["io"]))
    return Case(freeze(b), given)


def decided(case: Case, forged: Forged, hiding: bool) -> set[str]:
    """What is false, as a prover who goes on sees it. The verifier agrees."""
    guards = [g for g in forged.guards if g != "constraints"]
    assert case.rejection(forged.proof, hiding) == ("constraints" if hiding and guards else "".join(guards[:1]))
    return set(guards)


@MODES
@pytest.mark.parametrize("tables", [(SQUARE, SQUARE), (SQUARE, ONES), (CUBES,)], ids=["one", "two", "columns"])
def test_they_are_one_tree(tables: tuple[Table, ...], hiding: bool) -> None:
    case = functions(*tables)
    forged = case.forge(hiding=hiding)
    assert decided(case, forged, hiding) == set()
    assert forged.t.order.count("? definitions") == 1
    assert sum(label.startswith("> commit pushforward") for label in forged.t.order) == len(
        case.system.of_kind("virtual")
    ) - (tables == (SQUARE, SQUARE))


@MODES
@FOREKNOWN
@pytest.mark.parametrize("tables", [(SQUARE, SQUARE), (CUBES,)], ids=["relations", "columns"])
def test_claims_about_two_functions(
    tables: tuple[Table, ...], hiding: bool, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They err against each other: of two relations with one table, or of two columns of one relation."""
    if frozen:
        freeze_challenge(monkeypatch, "definitions", 1)
    case = functions(*tables)
    forged = case.forge({VALUES: add(1, -1)}, hiding)
    assert decided(case, forged, hiding) == (set() if frozen else {f"{tables[0].name} values"})


@MODES
@FOREKNOWN
def test_pushforwards_of_two_columns(hiding: bool, frozen: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """They err against each other, so that the table's sum takes in a false value."""
    if frozen:
        freeze_challenge(monkeypatch, "definition lookup", GAMMA, BETA, 1)
    case = functions(CUBES, false=FALSE)
    lies = corrected(case, {}, Step("tie", VALUES), hiding=hiding)
    liar = Liar(case, {f"pushforward 0. cubes {c}": partial(_in_row_0, sign) for c, sign in ((1, 1), (2, -1))})
    guards = set() if frozen else {"definitions 0."}
    assert decided(case, case.forge(lies, hiding, witness=liar), hiding) == guards


def _in_row_0(sign: int, t: Cheat, values: list[int]) -> list[int]:
    """The functions are -8 and -6 there."""
    missing = t.errors[VALUES][0] * t.drawn["definitions"][0]
    return [values[0] + sign * missing * pow(-8 + 6, -1, MODULUS), *values[1:]]


@MODES
@pytest.mark.parametrize("tagged", [True, False])
def test_a_row_of_another_table(hiding: bool, tagged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """7 is no row of the first table. It is counted as one of the second, in the same tree."""
    if not tagged:
        monkeypatch.setattr(logup_gkr, "Compression", lambda b, g, tags: Compression(b, g, dict.fromkeys(tags, 0)))
    b = Builder(4)
    y, z = b.committed("y", (4,), 0, 3), b.committed("z", (2,), 0, 15)
    b.nonneg("y range", "i", y["i"], 2)
    b.nonneg("z range", "i", z["i"], 4)
    case = Case(freeze(b), {"y": np.array([0, 3, 3, 7]), "z": np.array([9, 0])})
    lies = {
        "multiplicity  range2": lambda t, m: [m[0] - 1, *m[1:]],  # where a prover counts what is no row
        "multiplicity  range4": lambda t, m: [*m[:7], m[7] + 1, *m[8:]],
    }
    liar = Liar(case, lies)
    assert decided(case, case.forge(hiding=hiding, witness=liar), hiding) == ({"lookups"} if tagged else set())
