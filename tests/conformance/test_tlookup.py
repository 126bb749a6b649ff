"""zkLLM's lookup argument: honest proofs of all shapes, and the cheats that its equations must stop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from numpy.typing import NDArray

from zkcore.backward import Driver
from zkcore.errors import GraphError, WitnessError
from zkcore.field.kernels import MODULUS, Term
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.complement import Complement
from zkcore.graph.public import CausalTiles, Dense, OneHot
from zkcore.graph.system import System, freeze
from zkcore.graph.witness import Tamper, Witness
from zkcore.ops.attention import Attention, AttentionSettings
from zkcore.ops.glu import SILU, Glu, GluSettings
from zkcore.ops.requantise import Requantise
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import padded
from zkcore.relation import Table
from zkcore.subprotocols.side_by_side import Part, SideBySide, share
from zkcore.subprotocols.tlookup import TLookup
from zkcore.testing.op_suite import Input, activation, check_op, public, sample
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Lie,
    become,
    plus,
    proof_size,
    prove_system,
    rejection,
    tools,
    verify_system,
)
from zkcore.transcript.channel import DryChannel, Make
from zkcore.transcript.rounds import run_rounds
from zkcore.transcript.transcript import Transcript

Integers = NDArray[np.int64]
TL, TL_HIDING = replace(CLEAR, argument=TLookup()), replace(HIDING, argument=TLookup())
INDEX = np.arange(11, dtype=np.int64)
SQUARES = Table("squares", 11, ((0, 10), (0, 100), (0, 1)), lambda: [INDEX, INDEX**2, INDEX % 2])
SHAPES = [(1, 1), (1, 3), (2, 2), (3, 5), (4, 4), (5, 3), (8, 1), (9, 2)]


# --- a system with lookups of every kind ------------------------------------------------------------------------------
class Sample:
    """t indexes a table of three columns inside a mask; u (one axis), v (two limbs, one of them virtual), w (a single
    cell) and p (inside the mask) share a range table. What the function values sum to is said in public."""

    def __init__(self, shape: tuple[int, int], group: str = "") -> None:
        rng = np.random.default_rng(prod(shape))
        self.mask = rng.integers(0, 2, shape)
        self.mask.flat[0] = 1
        self.given: dict[str, Integers] = {
            "t": rng.integers(0, 11, shape),
            "u": rng.integers(0, 16, shape[:1]),
            "v": rng.integers(0, 256, shape),
            "w": rng.integers(0, 16, (1,)),
            "p": rng.integers(0, 16, shape) * self.mask,
        }
        self.squares = self.given["t"] ** 2 * self.mask
        self.odd = self.given["t"] % 2 * self.mask
        self.group = group

    def system(self) -> System:
        b, shape = Builder(4, virtual_outputs=False), self.mask.shape
        t, mask = b.committed("t", shape, 0, 10), b.public("mask", Dense(self.mask, 0, 1))
        b.group = self.group
        square, odd = b.lookup("f", SQUARES, "ab", [t["ab"]], mask=(mask, "ab"), defines={"square": 1, "odd": 2})
        for name, letters, bits in (("u", "a", 4), ("v", "ab", 8), ("w", "c", 4), ("p", "ab", 4)):
            x = b.committed(name, self.given[name].shape, 0, (1 << bits) - 1)
            b.nonneg(f"{name}.range", letters, x[letters], bits, (mask, "ab") if name == "p" else None)
        for tensor, values in ((square, self.squares), (odd, self.odd)):
            said = b.public(f"said {tensor.name}", Dense(values.sum(0), 0, 109 * shape[0]))
            total = b.einsum(f"{tensor.name} total", "ab->b", tensor)
            b.zero(f"{tensor.name} said", "b", total["b"] - said["b"])
        return freeze(b)

    def cell(self, masked: bool) -> tuple[int, int]:
        """The first cell inside the mask, or the first outside."""
        a, b = np.argwhere(self.mask == (0 if masked else 1))[0]
        return int(a), int(b)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("group", ["", "layers.0"])
def test_honest_proofs_are_accepted(shape: tuple[int, int], group: str) -> None:
    case = Sample(shape, group)
    system = case.system()
    for setup in (TL, TL_HIDING) if not group else (TL,):
        proof = prove_system(system, case.given, setup)
        verify_system(system, proof, setup)
        assert proof_size(system, setup) == len(proof)


def test_groups_are_separate_arguments() -> None:
    b, given = Builder(4, virtual_outputs=False), {}
    for k, n in enumerate((3, 1, 6)):
        b.group, given[f"x{k}"] = f"layers.{k}", np.arange(n)
        x = b.committed(f"x{k}", (n,), 0, 15)
        b.nonneg(f"x{k}.range", "a", x["a"], 4)
    system = freeze(b)
    verify_system(system, prove_system(system, given, TL), TL)
    expect(system, given, {"x2": plus(16)}, "lookups layers.2")


def test_garbage_outside_the_mask_and_in_padding_is_harmless() -> None:
    case = Sample((5, 3))
    system = case.system()
    free = {**case.given, "t": np.where(case.mask == 1, case.given["t"], -12345)}
    verify_system(system, prove_system(system, free, TL), TL)
    for name, axes in (("t", 2), ("u", 1), ("v", 2), ("p", 2), ("square", 1), ("odd", 1)):
        lies = {name: soiled(axes)}
        if axes == 1 and name != "u":  # the prover's own sum runs over what is stored
            lies[f"{name} total"] = become(case.squares.sum(0) if name == "square" else case.odd.sum(0))
        verify_system(system, prove_system(system, case.given, TL, tamper=lies), TL)


def soiled(axes: int) -> Lie:
    """Sevens in the padding of the first axes: all that only lookups and sums read."""

    def lie(array: Array, witness: Witness) -> Array:
        out = np.full((*padded(array.shape[:axes]), *array.shape[axes:]), 7, dtype=np.int64)
        out[tuple(slice(0, n) for n in array.shape)] = array
        return out

    return lie


def test_a_table_may_be_used_in_part() -> None:
    """Only the first function of two: the pair is looked up in the table's first two columns."""
    b, t = Builder(4, virtual_outputs=False), np.array([3, 0, 10])
    [square] = b.lookup("f", SQUARES, "a", [b.committed("t", (3,), 0, 10)["a"]], defines={"square": 1})
    b.zero("said", "a", square["a"] - b.public("said", Dense(t * t, 0, 100))["a"])
    system = freeze(b)
    verify_system(system, prove_system(system, {"t": t}, TL), TL)
    with pytest.raises(WitnessError, match="lookups"):
        prove_system(system, {"t": t}, TL, tamper={"square": plus(1)})


def test_it_keeps_nothing_virtual() -> None:
    b = Builder(4)
    [square] = b.lookup("f", SQUARES, "a", [b.committed("t", (3,), 0, 10)["a"]], defines={"square": 1})
    b.zero("said", "a", square["a"] - b.public("said", Dense(np.array([1, 4, 9]), 0, 9))["a"])
    with pytest.raises(GraphError, match="tlookup keeps no function value virtual"):
        prove_system(freeze(b), {"t": np.array([1, 2, 3])}, TL)


# --- cheats -----------------------------------------------------------------------------------------------------------
def expect(system: System, given: Mapping[str, Array], tamper: Tamper, guard: str) -> None:
    """The guard stops the cheat: rejected by its name, accepted by those who overlook it, rejected in hiding too."""
    attacker = Attacker()
    proof = prove_system(system, given, TL, tamper=tamper, channel=attacker)
    assert attacker.guards == [guard]
    assert rejection(system, proof, TL) == guard
    blind = TL.overlooking(guard)
    assert rejection(system, prove_system(system, given, blind, tamper=tamper), blind) == ""
    hidden = prove_system(system, given, TL_HIDING, tamper=tamper, channel=Attacker())
    assert rejection(system, hidden, TL_HIDING)


def shift(*changes: tuple[int, int]) -> Lie:
    """Deltas at flat cells."""

    def lie(array: Array, witness: Witness) -> Array:
        cells = arrays.to_objects(witness.kernels, array)
        for at, delta in changes:
            cells.flat[at] = int(cells.item(at)) + delta
        return arrays.from_objects(witness.kernels, cells)

    return lie


CASE = Sample((5, 3))
SYSTEM = CASE.system()


@pytest.mark.parametrize("name, value", [("u", 16), ("u", -1), ("v", 256), ("v", -1), ("w", 16), ("w", MODULUS // 2)])
def test_a_value_outside_the_table(name: str, value: int) -> None:
    """In a direct column, in a virtual one behind a limb, in a relation of one cell."""
    expect(SYSTEM, CASE.given, {name: shift((0, value - int(CASE.given[name].flat[0])))}, "lookups")


@pytest.mark.parametrize("table", ["range4", "squares"])
@pytest.mark.parametrize("changes", [((3, 1),), ((0, -1),), ((2, 1), (5, -1))])
def test_a_wrong_multiplicity(table: str, changes: tuple[tuple[int, int], ...]) -> None:
    expect(SYSTEM, CASE.given, {f"multiplicity  {table}": shift(*changes)}, "lookups")


def test_a_multiplicity_that_hides_a_value_outside_the_table() -> None:
    """The cheat is counted at row 0 (where the prover's own count puts it), or at none."""
    lies = {"u": shift((0, 16 - int(CASE.given["u"][0])))}
    expect(SYSTEM, CASE.given, {**lies, "multiplicity  range4": shift((0, -1))}, "lookups")


def test_a_value_of_another_table() -> None:
    """12 is in range4 but not in range3, whose column it stands in; range4's multiplicities count it."""
    b, given = Builder(4, virtual_outputs=False), {"x": np.array([3, 7]), "y": np.array([3, 15, 0])}
    for name, bits in (("x", 3), ("y", 4)):
        tensor = b.committed(name, given[name].shape, 0, (1 << bits) - 1)
        b.nonneg(f"{name}.range", "a", tensor["a"], bits)
    lies = {"x": shift((1, 5)), "multiplicity  range3": shift((0, -1)), "multiplicity  range4": shift((12, 1))}
    expect(freeze(b), given, lies, "lookups")


INVERSES = ["inverse f", "inverse u.range.0", "inverse v.range.0", "inverse w.range.0", "inverse  range4"]


@pytest.mark.parametrize("name", INVERSES)
def test_a_wrong_inverse(name: str) -> None:
    expect(SYSTEM, CASE.given, {name: shift((0, 1))}, "lookups")


@pytest.mark.parametrize("name", ["inverse u.range.0", "inverse v.range.0", "inverse  range4", "inverse  squares"])
def test_wrong_inverses_with_the_right_sum(name: str) -> None:
    """Only A (S + beta) = selector notices."""
    expect(SYSTEM, CASE.given, {name: shift((0, 5), (1, -5))}, "lookups")


def scalar(witness: Witness, array: Array, cell: tuple[int, ...]) -> int:
    return int(arrays.to_objects(witness.kernels, array)[cell])


def beta_of(witness: Witness, relation: str, inverse: Array, cell: tuple[int, ...]) -> tuple[int, int]:
    """beta and the column at a cell: a cheater knows them once the inverses are due."""
    [r] = [r for r in witness.system.relations if r.name == relation]
    column = scalar(witness, witness.affine(r.exprs[0], r.spec), cell)
    return pow(scalar(witness, inverse, cell), -1, MODULUS) - column, column


def mended(relation: str, cheat: tuple[int, ...], hideout: tuple[int, ...]) -> Lie:
    """The bad value is counted at row 0: what the sum lacks is put at a cell that nobody selects."""

    def lie(array: Array, witness: Witness) -> Array:
        beta, column = beta_of(witness, relation, array, cheat)
        assert not 0 <= column < 16
        cells = arrays.to_objects(witness.kernels, array)
        cells[hideout] = (pow(beta, -1, MODULUS) - cells[cheat]) % MODULUS
        return arrays.from_objects(witness.kernels, cells)

    return lie


HIDEOUTS = [("p", 16, None), ("p", 99, (7, 1)), ("p", -1, (2, 3)), ("v", 300, (5, 0)), ("v", -1, (7, 3))]


@pytest.mark.parametrize("name, value, hideout", HIDEOUTS)
def test_an_inverse_that_nobody_selects_cannot_mend_the_sum(
    name: str, value: int, hideout: tuple[int, int] | None
) -> None:
    """At a masked cell (None), in padding. The sums do agree: what stops it is A (S + beta) = 0 there."""
    cheat, kept = CASE.cell(masked=False), list[Witness]()
    mend = mended(f"{name}.range.0", cheat, hideout or CASE.cell(masked=True))
    flat = int(np.ravel_multi_index(cheat, CASE.mask.shape))
    lies: dict[str, Lie] = {
        name: shift((flat, value - int(CASE.given[name].flat[flat]))),
        f"inverse {name}.range.0": keeping(kept, mend),
    }
    expect(SYSTEM, CASE.given, lies, "lookups")
    assert excess(kept[0], "range4") == 0


def keeping(kept: list[Witness], lie: Lie) -> Lie:
    def inner(array: Array, witness: Witness) -> Array:
        kept.append(witness)
        return lie(array, witness)

    return inner


def excess(witness: Witness, table: str) -> int:
    """sum A - sum m B of a table."""
    sides = [f"inverse {r.name}" for r in witness.system.relations if r.table and r.table.name == table]
    total = sum(arrays.to_objects(witness.kernels, witness.array(n)).sum() for n in sides)
    counts, rows = (
        arrays.to_objects(witness.kernels, witness.array(n)) for n in (f"multiplicity  {table}", f"inverse  {table}")
    )
    return int(total - (counts * rows).sum()) % MODULUS


def test_a_column_cannot_follow_beta() -> None:
    """A masked cell whose denominator is 0 would free its inverse. Its value must be known before beta is."""
    cheat, hideout = CASE.cell(masked=False), CASE.cell(masked=True)
    mend = mended("p.range.0", cheat, hideout)

    def late(array: Array, witness: Witness) -> Array:
        out = mend(array, witness)
        beta, _ = beta_of(witness, "p.range.0", array, cheat)
        cells = arrays.to_objects(witness.kernels, witness.array("p"))
        cells[hideout] = -beta % MODULUS
        witness.put("p", arrays.from_objects(witness.kernels, cells))
        return out

    flat, attacker = int(np.ravel_multi_index(cheat, CASE.mask.shape)), Attacker()
    lies: dict[str, Lie] = {"p": once(shift((flat, 16))), "inverse p.range.0": late}
    proof = prove_system(SYSTEM, CASE.given, TL, tamper=lies, channel=attacker)
    assert attacker.guards == ["opening"]
    assert rejection(SYSTEM, proof, TL) == "opening"


def once(lie: Lie) -> Lie:
    """What is put there later stays as it is."""
    done: list[bool] = []

    def inner(array: Array, witness: Witness) -> Array:
        if done:
            return array
        done.append(True)
        return lie(array, witness)

    return inner


def test_a_zero_denominator_has_no_inverse() -> None:
    """At a cell that counts, no A satisfies A 0 = 1."""

    def late(array: Array, witness: Witness) -> Array:
        beta, _ = beta_of(witness, "u.range.0", array, (0,))
        witness.put("u", arrays.from_objects(witness.kernels, np.array([-beta % MODULUS, *CASE.given["u"][1:]])))
        return array

    attacker = Attacker()
    proof = prove_system(SYSTEM, CASE.given, TL, tamper={"inverse u.range.0": late}, channel=attacker)
    assert attacker.guards == ["lookups", "opening"]
    assert rejection(SYSTEM, proof, TL) == "lookups"


@pytest.mark.parametrize("value", ["neighbour", "off by one", "of another row"])
def test_a_wrong_pair(value: str) -> None:
    """(x, y) with y in the table, but not in x's row; two cells so that their sum, said in public, is what it was."""
    b, t = Builder(4, virtual_outputs=False), np.array([3, 4, 9])
    square, odd = b.lookup("f", SQUARES, "a", [b.committed("t", (3,), 0, 10)["a"]], defines={"square": 1, "odd": 2})
    for tensor, total in ((square, int((t * t).sum())), (odd, 2)):
        said = b.public(f"said {tensor.name}", Dense(np.array([total]), 0, 1000))
        ones = b.public("one", Dense(np.ones((1, 3), dtype=np.int64), 0, 1))
        b.zero(f"{tensor.name} said", "c", b.einsum(f"{tensor.name} sum", "a,ca->c", tensor, ones)["c"] - said["c"])
    deltas = {"neighbour": (7, -7), "off by one": (1, -1), "of another row": (72, -72)}[value]
    cells = {"neighbour": (0, 1), "off by one": (0, 1), "of another row": (0, 2)}[value]
    lie = shift(*zip(cells, deltas, strict=True))
    expect(freeze(b), {"t": t}, {"square": lie}, "lookups")


def test_rows_of_values_cannot_be_swapped_between_cells() -> None:
    """Both columns of two cells exchanged, their index not."""
    cells = [int(i) for i in np.flatnonzero(CASE.mask.ravel())]
    t = CASE.given["t"].ravel()
    i, j = next((i, j) for i in cells for j in cells if i % 3 == j % 3 and t[i] != t[j])
    lies = {}
    for name, values in (("square", CASE.squares.ravel()), ("odd", CASE.odd.ravel())):
        d = int(values[j] - values[i])
        lies[name] = shift((i, d), (j, -d))
    expect(SYSTEM, CASE.given, lies, "lookups")


def test_a_masked_position_cannot_be_let_in() -> None:
    """A function value where no lookup speaks would enter every sum over it. What is said in public follows the lie."""
    case, column = Sample((5, 3)), CASE.cell(masked=True)
    flat = int(np.ravel_multi_index(column, case.mask.shape))
    case.squares = case.squares + 9 * (np.arange(15).reshape(5, 3) == flat)
    expect(case.system(), case.given, {"square": plus(9, flat)}, "square.masked")


@pytest.mark.parametrize("label", ["round", "evaluations"])
def test_a_lie_in_a_message(label: str) -> None:
    attacker = Attacker()
    lie = {label: lambda honest: [honest[0] + 1, *honest[1:]]}
    proof = prove_system(SYSTEM, CASE.given, TL, lies=lie, channel=attacker)
    assert attacker.guards and rejection(SYSTEM, proof, TL) == attacker.guards[0] == "lookups"


def test_everything_precedes_the_challenge_that_binds_it() -> None:
    events: list[str] = []

    class Diary(DryChannel):
        def move(self, label: str, size: int, make: Make) -> bytes:
            events.append(label)
            return super().move(label, size, make)

    class Watched(Transcript):
        def challenge(self, label: str) -> int:
            events.append(f"? {label}")
            return super().challenge(label)

    Driver(TL.scheme, TL.argument, {}).run(SYSTEM, Watched(Diary(), tools(), b"", hiding=False), None)
    tensors = max(events.index(f"commit {t.name}") for t in SYSTEM.of_kind("committed"))
    counts = [k for k, e in enumerate(events) if e.startswith("commit multiplicity")]
    inverses = [k for k, e in enumerate(events) if e.startswith("commit inverse")]
    lookups = sum(r.kind == "lookup" for r in SYSTEM.relations)
    assert len(counts) == 2 and len(inverses) == lookups + 2
    assert tensors < counts[0] and counts[-1] < events.index("? lookup")
    assert events.index("? lookup") < inverses[0] and inverses[-1] < events.index("? equations")


# --- its parts --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sizes", [(0,), (3,), (0, 2), (3, 1, 3, 0), (2, 4)])
def test_sums_side_by_side(sizes: tuple[int, ...]) -> None:
    """One sumcheck for the sum of all cubes' sums, against direct evaluation."""
    k, rng, n = tools().kernels, np.random.default_rng(sum(sizes)), max(sizes)
    terms: list[Term] = [(3, (0, 1)), (5, (0,))]
    tables = [[rng.integers(-9, 9, 1 << m) for _ in range(2)] for m in sizes]
    parts = [Part(k.sumcheck(t, terms, 3), terms, m) for t, m in zip(tables, sizes, strict=True)]
    claim = sum(int((3 * a * b + 5 * a).sum()) for a, b in tables)
    coins, joint = iter(range(1000, 2000)), SideBySide(parts, 3)
    point, final = run_rounds(lambda _l, _c, make: make(), lambda _l: next(coins), claim, n, 3, joint)
    values = [[multilinear.evaluate(k, t, (point[:m],)) for t in pair] for pair, m in zip(tables, sizes, strict=True)]
    expected = sum(share(m, n) * (3 * a * b + 5 * a) for m, (a, b) in zip(sizes, values, strict=True))
    assert final == expected % MODULUS
    assert joint.finals() == [v for pair in values for v in pair]


@pytest.mark.parametrize("tiles, tile", [(1, 3), (2, 2), (3, 5)])
def test_the_complement_of_a_mask(tiles: int, tile: int) -> None:
    rng, causal = np.random.default_rng(tile), CausalTiles(tiles, tile)
    outside = Complement(causal)
    dense = Dense(outside.array(), 0, 1)
    place = tuple(tuple(int(v) for v in rng.integers(1, 1 << 60, (n - 1).bit_length())) for n in causal.shape)
    assert (causal.array() + outside.array() == 1).all() and outside.shape == causal.shape
    assert outside.evaluate(place) == multilinear.evaluate(tools().kernels, dense.array(), place)
    assert Complement(dense).evaluate(place) is None


# --- every built-in op that looks something up, by the suite ----------------------------------------------------------
def test_requantise() -> None:
    check_op(Requantise(5, 8), {"x": activation(sample((3, 5), 12), 12)}, argument=TLookup())


def test_glu() -> None:
    gate = np.minimum(sample((1, 3, 5), 12, seed=1), (1 << 11) - 9)
    inputs = {"gate": activation(gate, 12, positions=0), "up": activation(sample((1, 3, 5), 8), 8, positions=0)}
    check_op(Glu(SILU, GluSettings(8, 9, 7, 5, 5, 4)), inputs, argument=TLookup())


@pytest.mark.parametrize("tiles, tile", [(1, 3), (2, 2)])
def test_attention(tiles: int, tile: int) -> None:
    """Its exp values and its flags are committed; nothing outside the mask counts."""
    settings = AttentionSettings(4, 8, 3, 8, 8, 16, 6)
    report = check_op(Attention(settings, tile), attended(tiles, tile), samples=2, argument=TLookup())
    assert "op.exp" in report.guards["op.e"] and report.guards["op.zero"] == {"op.exp"}


def attended(tiles: int, tile: int) -> dict[str, Input]:
    heads = {
        n: activation(sample((2, tiles, tile, 4), bits, seed=s), bits, positions=1)
        for s, (n, bits) in enumerate((("q", 5), ("k", 5), ("v", 6)))
    }
    causal = CausalTiles(tiles, tile)
    ends = {"row_of": [i for i, _ in causal.pairs], "col_of": [j for _, j in causal.pairs]}
    maps = {n: public(OneHot(tuple(e), (len(e),), tiles, tiles)) for n, e in ends.items()}
    return {**heads, **maps, "causal": public(causal)}
