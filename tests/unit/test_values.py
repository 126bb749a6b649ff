"""Hidden numbers: the tape's two passes are adjoint, and a Value refuses whatever would look inside."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest

from zkcore.field import native
from zkcore.field.kernels import MODULUS
from zkcore.transcript.values import Tape, Value, linear

KERNELS = native.load()


def forward(tape: Tape, slots: list[int], one: int) -> list[int]:
    return KERNELS.to_scalars(tape.forward(KERNELS, KERNELS.from_scalars(slots), one))


def backward(tape: Tape, seeds: list[tuple[int, int]]) -> tuple[list[int], int]:
    nodes = np.array([node for node, _ in seeds], dtype=np.int64)
    slots, of_one = tape.backward(KERNELS, nodes, KERNELS.from_scalars([w for _, w in seeds]))
    return KERNELS.to_scalars(slots), of_one


def grown(rng: random.Random, slots: int, nodes: int, known: bool = True) -> tuple[Tape, list[Value]]:
    """A tape of random linear forms over earlier ones, constants among them."""
    tape = Tape()
    numbers = [rng.randrange(MODULUS) for _ in range(slots)]
    values = [tape.slot(number if known else None) for number in numbers]
    for _ in range(nodes):
        chosen = [rng.choice(values) for _ in range(rng.randint(1, 4))]
        form = linear([(rng.randint(-9, 9), v) for v in chosen], tape, rng.choice([0, 0, 1, -7, MODULUS + 5]))
        values.append(form)
    return tape, values


@pytest.mark.parametrize("seed", range(8))
def test_forward_and_backward_are_adjoint(seed: int) -> None:
    """<w, A z> by the tape forward equals <A^T w, z> by the tape backward, the constant's share included."""
    rng = random.Random(seed)
    tape, values = grown(rng, 5, 30)
    z, one = [rng.randrange(MODULUS) for _ in range(tape.slots)], rng.randrange(MODULUS)
    seeds = [(v.node, rng.randrange(MODULUS)) for v in rng.choices(values, k=12)]  # some nodes twice
    at = forward(tape, z, one)
    slots, of_one = backward(tape, seeds)
    assert (
        sum(w * at[n] for n, w in seeds) % MODULUS
        == (sum(a * b for a, b in zip(slots, z, strict=True)) + of_one * one) % MODULUS
    )
    assert all(0 <= w < MODULUS for w in slots)


def test_forward_on_what_the_prover_put_there_is_what_it_knows() -> None:
    tape, values = grown(random.Random(1), 4, 20)
    at = forward(tape, [v.number or 0 for v in values[:4]], 1)
    assert [at[v.node] for v in values] == [v.number for v in values]


def test_the_two_sides_build_the_same_tape() -> None:
    (mine, _), (yours, values) = grown(random.Random(2), 4, 20), grown(random.Random(2), 4, 20, known=False)
    assert all(v.number is None for v in values)
    assert mine.forms == yours.forms
    assert mine.slot_nodes == yours.slot_nodes


@pytest.mark.parametrize("public", [False, True])
def test_a_claim_that_is_followed_is_a_sum_over_new_slots(public: bool) -> None:
    """The same form as if it were written down, over slots of the same numbers."""
    rng, (tape, values) = random.Random(4), grown(random.Random(4), 3, 5)
    claim, weights = 11 if public else values[-1], [rng.randrange(MODULUS) for _ in range(5)]
    known = [rng.randrange(MODULUS) for _ in range(4)]
    followed = tape.follow(claim, known, weights)
    slots = [Value(tape, node, None) for node in tape.slot_nodes[-4:]]
    written = linear(list(zip(weights, [*slots, claim], strict=True)), tape)
    assert tape.slots == 7
    number = claim.number if isinstance(claim, Value) else claim
    assert number is not None
    assert followed.number == sum(w * v for w, v in zip(weights, [*known, number], strict=True)) % MODULUS
    assert backward(tape, [(followed.node, 1)]) == backward(tape, [(written.node, 1)])
    numbers = [rng.randrange(MODULUS) for _ in range(7)]
    at = forward(tape, numbers, 1)
    assert at[followed.node] == at[written.node]
    tape.zeros.append(followed.node)
    assert not set(tape.unread(KERNELS)) & {3, 4, 5, 6}
    assert tape.follow(claim, [None] * 4, weights).number is None


def test_what_is_refused_of_a_claim_that_is_followed() -> None:
    tape, other = Tape(), Tape()
    with pytest.raises(TypeError, match="two transcripts"):
        tape.follow(other.slot(1), [1], [1, 1])
    for weights in ([], [1], [1, 1, 1]):
        with pytest.raises(ValueError, match="a weight for each"):
            tape.follow(5, [1], weights)


def test_backward_of_nothing_is_nothing() -> None:
    tape, _ = grown(random.Random(3), 3, 5)
    assert backward(tape, []) == ([0, 0, 0], 0)
    assert backward(Tape(), []) == ([], 0)


def test_the_constant_alone() -> None:
    tape = Tape()
    v = tape.slot(4)
    form = v * 0 + 3
    assert form.number == 3
    assert backward(tape, [(form.node, 2)]) == ([0], 6)
    assert forward(tape, [99], 5)[form.node] == 15


def test_arithmetic() -> None:
    tape = Tape()
    v, w = tape.slot(3), tape.slot(5)
    cases: list[tuple[Value, int]] = [
        (v + w, 8),
        (v + 2, 5),
        (2 + v, 5),
        (v - w, -2),
        (v - 1, 2),
        (1 - v, -2),
        (v * 7, 21),
        (7 * v, 21),
        (v * -1, -3),
        (v * MODULUS, 0),
        (sum([v, w], 0 * v), 8),
        (np.int64(2) * v, 6),
        (v * np.int8(-2), -6),
        (np.int64(2) - v, -1),
        (linear([(2, v), (3, 4)], None, -1), 17),
    ]
    for got, expected in cases:
        assert isinstance(got, Value)
        assert got.number == expected % MODULUS


def test_numpy_integers_do_not_overflow() -> None:
    tape = Tape()
    v = tape.slot(MODULUS - 1)
    assert (np.int64(2**62) * v).number == -(2**62) % MODULUS
    assert (v + np.int64(-(2**63))).number == (-1 - 2**63) % MODULUS


LOOKS: dict[str, Callable[[Value, Value], object]] = {
    "bool": lambda v, w: bool(v),
    "if": lambda v, w: 1 if v else 2,
    "not": lambda v, w: not v,
    "equal": lambda v, w: v == w,
    "equal to a number": lambda v, w: v == 3,
    "unequal": lambda v, w: v != w,
    "number on the left": lambda v, w: 3 == v,  # noqa: SIM300
    "hash": lambda v, w: hash(v),
    "set": lambda v, w: {v},
    "dict key": lambda v, w: {v: 1},
    "in a list": lambda v, w: v in [w],
    "less": lambda v, w: v < w,  # type: ignore[operator]
    "sorted": lambda v, w: sorted([v, w]),  # type: ignore[type-var]
    "int": lambda v, w: int(v),  # type: ignore[call-overload]
    "index": lambda v, w: [0, 1, 2, 3][v],  # type: ignore[call-overload]
    "range": lambda v, w: range(v),  # type: ignore[call-overload]
    "modulo": lambda v, w: v % 2,  # type: ignore[operator]
    "power": lambda v, w: v**2,  # type: ignore[operator]
    "division": lambda v, w: v / 2,  # type: ignore[operator]
    "product of two": lambda v, w: v * w,  # type: ignore[operator]
    "fraction": lambda v, w: v * 0.5,  # type: ignore[operator]
    "plus a fraction": lambda v, w: v + 0.5,  # type: ignore[operator]
    "numpy array on the left": lambda v, w: np.arange(3) * v,
    "numpy float on the left": lambda v, w: np.float64(2) * v,
    "numpy array on the right": lambda v, w: v + np.arange(3),  # type: ignore[operator]
    "numpy comparison": lambda v, w: np.int64(3) == v,
}


@pytest.mark.parametrize("name", LOOKS)
@pytest.mark.parametrize("known", [True, False], ids=["prover", "verifier"])
def test_a_value_cannot_be_looked_at(name: str, known: bool) -> None:
    tape = Tape()
    v, w = tape.slot(3 if known else None), tape.slot(3 if known else None)
    with pytest.raises(TypeError):
        LOOKS[name](v, w)


def test_it_says_how_to_multiply() -> None:
    tape = Tape()
    with pytest.raises(TypeError, match="require_product"):
        tape.slot(1) * tape.slot(2)  # type: ignore[operator]


def test_its_text_shows_no_number() -> None:
    v = Tape().slot(123456789)
    assert "123456789" not in repr(v) + str(v) + f"{v}"


def test_values_of_two_transcripts_do_not_mix() -> None:
    v, w = Tape().slot(1), Tape().slot(2)
    for mix in (lambda: v + w, lambda: v - w, lambda: linear([(1, v), (1, w)])):
        with pytest.raises(TypeError, match="two transcripts"):
            mix()


def test_a_hidden_expression_hides_something() -> None:
    with pytest.raises(TypeError, match="plain integers"):
        linear([(1, 2), (3, 4)])


def test_unread_slots_are_found() -> None:
    tape = Tape()
    a, b, c, d, e = (tape.slot(i) for i in range(5))
    tape.zeros.append((a + 0 * b).node)  # b is named, hence read, although with weight 0
    tape.products.append((c.node, c.node, (c + 1).node))
    linear([(1, d), (1, e)])  # a form that no constraint uses
    assert tape.unread(KERNELS) == [3, 4]
