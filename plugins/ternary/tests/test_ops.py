"""The ops under the suite of zkcore.testing, and under attacks of their own: each re-proves, and names the guard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from zkcore_ternary.absmax import Absmax
from zkcore_ternary.relu2 import RELU2, table
from zkcore_ternary.subnorm import SubNorm
from zkcore_ternary.token_scale import TokenScale

from zkcore.errors import GraphError, RangeError
from zkcore.field.kernels import MODULUS
from zkcore.graph.arrays import Array, from_objects, to_objects
from zkcore.graph.builder import Builder
from zkcore.graph.witness import Witness
from zkcore.ops.glu import Glu, GluSettings
from zkcore.relation import Integers
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.subprotocols.tlookup import TLookup
from zkcore.testing.attacks import cells, glu
from zkcore.testing.direct import unsatisfied
from zkcore.testing.op_bench import run_op
from zkcore.testing.op_suite import SIZES, Bench, Input, activation, check_op, sample, weight
from zkcore.testing.toolbox import (
    CLEAR,
    Attacker,
    Lie,
    become,
    commit_weights,
    plus,
    prove_system,
    rejection,
    tools,
    without,
)

ARGUMENTS: list[LookupArgument] = [LogupGkr(), TLookup()]
LAYOUTS = {"Iim": (2, 3, 5), "hIid": (2, 2, 3, 3), "hgIid": (2, 2, 1, 3, 2)}
BITS = 8


def positions(axes: str) -> int:
    return axes.index("Ii")


def rows(shape: tuple[int, ...], seed: int = 0) -> Integers:
    """One bit less than there is: an absmax of 2^(bits - 1) is beyond the op."""
    return sample(shape, BITS - 1, seed)


def follow(prefix: str = "op.") -> dict[str, Lie]:
    """What a cheater makes follow from a scale: the quotients."""

    def y(array: Array, witness: Witness) -> Array:
        x, scale = cells(witness, "x"), cells(witness, f"{prefix}scale")
        shape = [n if k < 2 else 1 for k, n in enumerate(x.shape)]
        n = np.array(scale).reshape(shape)
        return from_objects(witness.kernels, (254 * x + n) // (2 * np.where(n > 0, n, 1)))

    return {"y": y}


# --- absmax -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", SIZES)
def test_absmax(n: int) -> None:
    check_op(Absmax(BITS), {"x": activation(rows((1, n, 5)), BITS, positions=0)}, follow=follow(), samples=3)


@pytest.mark.parametrize("axes", LAYOUTS)
def test_absmax_of_all_heads(axes: str) -> None:
    x = activation(rows(LAYOUTS[axes]), BITS, positions=positions(axes))
    check_op(Absmax(BITS, axes), {"x": x}, samples=3, hiding=False)


def test_absmax_with_committed_inverses() -> None:
    check_op(Absmax(BITS), {"x": activation(rows((1, 3, 5)), BITS, positions=0)}, samples=2, argument=TLookup())


def test_rows_of_zeros_ties_and_ones() -> None:
    x = np.array([[[0, 0, 0], [5, -5, 5], [-9, 9, 0], [1, 0, -1], [0, 0, 63]]])
    check_op(Absmax(BITS), {"x": activation(x, BITS, positions=0)}, hiding=False, samples=15)
    made = run_op(Absmax(BITS), {"x": x[0]})
    assert made["scale"].tolist() == [1, 5, 9, 1, 63]
    assert made["floor"].tolist() == [1, 0, 0, 0, 0]
    assert made["y"].tolist() == [[0, 0, 0], [127, -127, 127], [-127, 127, 0], [127, 0, -127], [0, 0, 127]]


def test_it_is_the_quantiser_of_transformers() -> None:
    """round(127 x / max |x|); their ties go to even numbers, ours up."""
    x = torch.from_numpy(rows((64, 40), 3))
    theirs = (x * (127 / x.abs().max(1, keepdim=True).values)).round()
    ours = torch.from_numpy(run_op(Absmax(BITS), {"x": x.numpy()})["y"])
    assert (theirs - ours).abs().max() <= 1
    assert (theirs == ours).double().mean() > 0.99


def test_a_largest_magnitude_beyond_the_interval_is_refused() -> None:
    with pytest.raises(RangeError, match="128 does not fit 8 bits"):
        Absmax(8).forward({"x": torch.tensor([[-128, 5]])})
    build = Builder(8)
    x = build.weight("x", (1, 2, 3), -300, 300)
    with pytest.raises(GraphError, match="does not fit 8 bits"):
        Absmax(8).outputs({"x": x})


def bench(argument: LookupArgument = CLEAR.argument) -> Bench:
    op, x = Absmax(BITS), activation(np.array([[[3, -40, 7], [12, 12, -11]]]), BITS, positions=0)
    return Bench(op, {"x": x}, 8, run_op(op, {"x": x.flat()}), argument)


def caught(mine: Bench, tamper: dict[str, Lie], hiding: bool = False) -> set[str]:
    """The guards that a cheater meets; what comes after the lie follows, and the verifier must reject."""
    given, setup = mine.given(), mine.setup(hiding)
    mine_system = mine.system(mine.claims(mine.witness(given, tamper)))
    attacker, weights = Attacker(), commit_weights(mine_system, given, setup)
    proof = prove_system(mine_system, given, setup, weights=weights, tamper=tamper, channel=attacker)
    assert rejection(mine_system, proof, setup, weights=weights)
    return set(attacker.guards)


def scaled(value: int) -> dict[str, Lie]:
    """Another scale for the first token, with the quotients that belong to it."""
    scale = {"op.scale": become([[value, 12]])}
    return {**scale, **{f"op.{role}": lie for role, lie in follow().items()}}


@pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: a.name)
def test_a_changed_scale_is_rejected(argument: LookupArgument) -> None:
    mine = bench(argument)
    for value in (41, 80, 39, 20, 7, 0, -40):
        assert "op.attained" in caught(mine, scaled(value)), value


def test_a_scale_that_is_attained_but_exceeded_is_rejected() -> None:
    """The peak at a smaller magnitude: 7 is attained, and -40 exceeds it."""
    peak = np.array([[[0, 0, 1], [1, 0, 0]]])
    for hiding in (False, True):
        met = caught(bench(), {"op.peak": become(peak), **scaled(7)}, hiding)
        assert met and "op.attained" not in met and "op.one" not in met  # the lookups: below, above


def test_a_scale_from_two_peaks_is_rejected() -> None:
    peak = np.array([[[1, -1, 0], [1, 0, 0]]])
    assert "op.one" in caught(bench(), {"op.peak": become(peak), **scaled(43)})


def test_a_scale_from_the_floor_is_rejected() -> None:
    peak, floor = np.array([[[0, 0, 0], [1, 0, 0]]]), np.array([[1, 0]])
    met = caught(bench(), {"op.peak": become(peak), "op.floor": become(floor), **scaled(1)})
    assert met and not met & {"op.attained", "op.one"}  # the lookups again: 1 is exceeded


def field(make: Callable[[Witness], list[int]]) -> Lie:
    """Any field elements in an array's place."""

    def lie(array: Array, witness: Witness) -> Array:
        values = np.array([v % MODULUS for v in make(witness)], dtype=object)
        return from_objects(witness.kernels, values.reshape(to_objects(witness.kernels, array).shape))

    return lie


def alone(mine: Bench, lies: dict[str, Lie], guard: str) -> None:
    """Everything else about the lie is consistent: without its guard it is accepted."""
    given = mine.given()
    system = mine.system(mine.claims(mine.witness(given)))
    assert unsatisfied(system, Witness(system, tools().kernels, given, lies)) == [guard]
    weights = commit_weights(system, given)
    proof = prove_system(system, given, weights=weights, tamper=lies, channel=Attacker())
    assert rejection(system, proof, weights=weights)
    less = without(system, guard)
    proof = prove_system(less, given, weights=weights, tamper=lies)
    assert not rejection(less, proof, weights=weights)


ROW, FIFTH = [3, -400, 399], pow(5, -1, MODULUS)
SCALES: dict[str, tuple[list[int], dict[str, Lie], str]] = {
    "larger": (ROW, {"scale": become([[401]])}, "attained"),
    "smaller, attained": (ROW, {"scale": become([[399]]), "peak": become([[[0, 0, 1]]])}, "above.0"),
    "smaller, attained, above": ([3, 400, 399], {"scale": become([[399]]), "peak": become([[[0, 0, 1]]])}, "below.0"),
    "from two peaks": (ROW, {"scale": become([[403]]), "peak": become([[[1, -1, 0]]])}, "one"),
    "from two peaks and a floor": (
        ROW,
        {"scale": become([[402]]), "peak": become([[[1, -1, 0]]]), "floor": become([[-1]])},
        "floor.range.0",
    ),
    "from peaks that are fractions: 3/5 and 4/5": (
        [300, 400, 3],
        {"scale": become([[500]]), "peak": field(lambda _: [3 * FIFTH, 4 * FIFTH, 0])},
        "peak.range.0",
    ),
}


@pytest.mark.parametrize("name", SCALES)
def test_each_guard_of_a_scale_stands_alone(name: str) -> None:
    row, lies, guard = SCALES[name]
    tamper = {f"op.{role}": lie for role, lie in (follow() | lies).items()}
    alone(absmax_of(row), tamper, f"op.{guard}")


def absmax_of(row: list[int]) -> Bench:
    op, x = Absmax(10), activation(np.array([[row]]), 10, positions=0)
    return Bench(op, {"x": x}, 10, run_op(op, {"x": x.flat()}))


def test_a_scale_of_zero_meets_its_interval() -> None:
    """Where all of x is 0 the floor makes the scale 1; a peak instead would make it 0, and nothing a remainder."""
    mine = absmax_of([0, 0, 0])
    lies = {"op.scale": become([[0]]), "op.peak": become([[[1, 0, 0]]]), "op.floor": become([[0]])}
    system = mine.system({})
    broken = unsatisfied(system, Witness(system, tools().kernels, mine.given(), lies))
    assert broken == ["op.scale.range.0", "op.rest.room.0"]
    assert caught(mine, lies)


QUOTIENTS: dict[str, tuple[Lie, str]] = {
    "one more": (plus(1, 1), "rest.0"),
    "one less": (plus(-1, 1), "rest.room.0"),
    "a fraction, whose remainder is in its room": (
        field(lambda w: [32, (-3036 - 13) * pow(24, -1, MODULUS), 116]),
        "y.range.0",
    ),
}


@pytest.mark.parametrize("name", QUOTIENTS)
def test_each_guard_of_a_quotient_stands_alone(name: str) -> None:
    """round(127 * -12 / 12) is -127: 254 * -12 + 12 = -3036 = 24 * -127 + 12."""
    lie, guard = QUOTIENTS[name]
    alone(absmax_of([3, -12, 11]), {"op.y": lie}, f"op.{guard}")


@pytest.mark.parametrize("delta", [1, -1])
def test_a_quotient_off_by_one_and_its_alias_are_rejected(delta: int) -> None:
    """Off by one the remainder leaves its room; an inverse of 2 scale mod r, which keeps the remainder, leaves y's."""
    assert "lookups" in caught(bench(), {"op.y": plus(delta, 1)})

    def alias(array: Array, witness: Witness) -> Array:
        values = to_objects(witness.kernels, array)
        values.flat[1] = (254 * -40 + 40 - delta) * pow(80, -1, MODULUS) % MODULUS
        return from_objects(witness.kernels, values)

    assert "lookups" in caught(bench(), {"op.y": alias})


# --- token scale ------------------------------------------------------------------------------------------------------
def sums(axes: str) -> dict[str, Input]:
    shape = LAYOUTS[axes]
    tokens = shape[positions(axes)], shape[positions(axes) + 1]
    scale = activation(np.abs(sample(tokens, 7, 4)) + 1, 8, positions=0)
    x = activation(sample(shape, 8), 8, positions=positions(axes))
    return {"x": x, "scale": scale, "weight_scale": weight(np.array([77]), 8)}


@pytest.mark.parametrize("axes", LAYOUTS)
def test_token_scale(axes: str) -> None:
    check_op(TokenScale(axes, 6, 10), sums(axes), samples=3, hiding=axes == "Iim")


def test_a_changed_factor_or_weight_scale_is_rejected() -> None:
    op, inputs = TokenScale("hIid", 6, 10), sums("hIid")
    mine = Bench(op, inputs, 8, run_op(op, {r: i.flat() for r, i in inputs.items()}))
    assert "lookups" in caught(mine, {"op.factor": plus(1)})
    given, setup = mine.given(), mine.setup(hiding=True)
    weights = commit_weights(mine.system(mine.claims(mine.witness(given))), given, setup)
    inputs = {**inputs, "weight_scale": weight(np.array([78]), 8)}
    changed = replace(mine, inputs=inputs, made=run_op(op, {r: i.flat() for r, i in inputs.items()}))
    other = changed.given()
    system = changed.system(changed.claims(changed.witness(other)))
    attacker = Attacker()
    proof = prove_system(system, other, setup, weights=weights, channel=attacker)
    assert rejection(system, proof, setup, weights=weights) == "opening"


@pytest.mark.parametrize(
    ("lie", "guard"),
    [
        (plus(1, 1), "factor.rest.0"),
        (plus(-1, 1), "factor.rest.0"),
        (
            field(lambda w: [(int(s) * 77 + 32 - 1) * pow(64, -1, MODULUS) for s in cells(w, "scale").flat]),
            "factor.range.0",
        ),
    ],
    ids=["one more", "one less", "a fraction"],
)
def test_each_guard_of_a_factor_stands_alone(lie: Lie, guard: str) -> None:
    """The sums are 0, so that what is made of them is the same for every factor."""
    op, inputs = TokenScale("Iim", 6, 10), sums("Iim")
    inputs["x"] = activation(np.zeros(LAYOUTS["Iim"], dtype=np.int64), 8, positions=0)
    mine = Bench(op, inputs, 10, run_op(op, {r: i.flat() for r, i in inputs.items()}))
    alone(mine, {"op.factor": lie}, f"op.{guard}")


# --- the norm over all heads, the activation --------------------------------------------------------------------------
@pytest.mark.parametrize("axes", LAYOUTS)
def test_subnorm(axes: str) -> None:
    shape = LAYOUTS[axes]
    features = tuple(n for letter, n in zip(axes, shape, strict=True) if letter not in "Ii")
    gain = weight(np.abs(sample(features, 6, 2)) + 20, 8)
    x = activation(rows(shape), BITS, positions=positions(axes))
    check_op(SubNorm(axes, 12, 3, 12, 10), {"x": x, "gain": gain}, samples=3, hiding=axes == "hIid")


def norm_follow(array: Array, witness: Witness) -> Array:
    """y as it belongs to the inverse root at hand."""
    x, gain = cells(witness, "x"), np.array(cells(witness, "gain"))
    inverse = np.array(cells(witness, "op.inverse"))[..., None]
    return from_objects(witness.kernels, (x * inverse * gain + (1 << 11)) >> 12)


@pytest.mark.parametrize(
    ("lies", "guard"),
    [
        ({"inverse": plus(1, 1), "y": norm_follow}, "inverse.low.0"),
        ({"inverse": plus(-1, 1), "y": norm_follow}, "inverse.high.0"),
        ({"y": plus(1, 4)}, "y.rest.0"),
        ({"y": plus(-1, 4)}, "y.rest.0"),
    ],
    ids=["a larger root", "a smaller root", "one more", "one less"],
)
def test_each_guard_of_a_norm_stands_alone(lies: dict[str, Lie], guard: str) -> None:
    shape = LAYOUTS["Iim"]
    inputs = {"x": activation(rows(shape), BITS, positions=0), "gain": weight(np.abs(sample((5,), 6, 2)) + 20, 8)}
    op = SubNorm("Iim", 12, 3, 12, 10)
    mine = Bench(op, inputs, 16, run_op(op, {r: i.flat() for r, i in inputs.items()}))
    alone(mine, {f"op.{role}": lie for role, lie in lies.items()}, f"op.{guard}")


@pytest.mark.parametrize("fractions", [(5, 4), (3, 8), (4, 8), (0, 2)])
def test_squared_relu_is_rounded_half_up(fractions: tuple[int, int]) -> None:
    fraction_in, fraction_out = fractions
    for i, value in zip(range(-128, 128), table(8, fraction_in, fraction_out), strict=True):
        exact = max(i, 0) ** 2 * 2 ** (fraction_out - 2 * fraction_in)
        assert value == int(exact + 0.5)


def test_squared_relu_in_a_gated_unit() -> None:
    settings = GluSettings(8, 9, 7, 5, 3, 0)
    x = {n: activation(sample((1, 3, 4), 11, k), 11, positions=0) for k, n in enumerate(("gate", "up"))}
    check_op(Glu(RELU2, settings), x, follow=glu(settings, "op.", "gate"), samples=3)
