"""Group equations are decided as one: errors in them must not make up for one another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.attacks.kit import KERNELS, TOOLS, Attacker, scalars
from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS, Points
from zkcore.transcript import equations
from zkcore.transcript.channel import Channel, VerifierChannel
from zkcore.transcript.equations import Equations
from zkcore.transcript.transcript import Toolbox, Transcript
from zkcore.transcript.wire import Combination

Errors = dict[str, int]  # of each guard's point, in multiples of a generator


def multiple(purpose: str, number: int) -> Points:
    return KERNELS.msm(TOOLS.generators.take(purpose, 1), scalars([number % MODULUS])).reshape(1, 12)


def claim(channel: Channel, errors: Errors, tools: Toolbox = TOOLS, statement: bytes = b"") -> None:
    """For every guard a point that should be the first message generator; the points cross one after the other."""
    t = Transcript(channel, tools, statement)
    wire = t.wire()
    for guard, error in errors.items():
        refs = wire.points(guard, 1, lambda e=error: told(e))  # type: ignore[misc]
        wire.require_group_zero(guard, Combination([(refs, scalars([1]))], [("message", scalars([MODULUS - 1]))]))
    t.finish()


def told(error: int) -> Points:
    both = np.concatenate([multiple("message", 1), multiple("tensor", error)])
    return KERNELS.msm(both, scalars([1, 1])).reshape(1, 12)


def proved(errors: Errors, statement: bytes = b"") -> bytes:
    channel = Attacker()
    claim(channel, errors, statement=statement)
    return bytes(channel.proof)


def rejection(*proofs: tuple[Errors, bytes]) -> str:
    """Of several transcripts that are decided together; empty if they are accepted."""
    tools = replace(TOOLS, together=Equations(TOOLS.kernels, TOOLS.generators))
    for k, (errors, proof) in enumerate(proofs):
        claim(VerifierChannel(proof), errors, tools, b"%d" % k)
    try:
        assert tools.together is not None
        tools.together.decide()
    except ProofRejected as e:
        return str(e)
    return ""


def weigh(monkeypatch: pytest.MonkeyPatch, weights: list[int]) -> None:
    monkeypatch.setattr(Equations, "_weights", lambda self, count: weights[:count])


HONEST: Errors = {"first": 0, "second": 0, "third": 0}


@pytest.mark.parametrize("apart", [1, 3, 1 << 18])
@pytest.mark.parametrize("guard", HONEST)
def test_one_false_equation_is_named(guard: str, apart: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether points are summed up where they are, or together."""
    monkeypatch.setattr(equations, "APART", apart)
    told = {**HONEST, guard: 5}
    with pytest.raises(ProofRejected, match=guard):
        claim(VerifierChannel(proved(told)), told)
    claim(VerifierChannel(proved(HONEST)), HONEST)


def test_errors_do_not_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the coefficients known beforehand, they would."""
    told = {"first": 7, "second": -7, "third": 0}
    proof = proved(told)
    with pytest.raises(ProofRejected, match="first"):
        claim(VerifierChannel(proof), told)
    weigh(monkeypatch, [1, 1, 1])
    claim(VerifierChannel(proof), told)


def test_errors_that_cancel_for_foreknown_coefficients(monkeypatch: pytest.MonkeyPatch) -> None:
    """The coefficients of an honest proof are of no use to the one that they help to forge."""
    drawn = list[list[int]]()
    honest = Equations._weights

    def listening(self: Equations, count: int) -> list[int]:
        drawn.append(honest(self, count))
        return drawn[-1]

    monkeypatch.setattr(Equations, "_weights", listening)
    claim(VerifierChannel(proved(HONEST)), HONEST)
    weights = drawn[-1]
    told = {"first": 7, "second": -7 * pow(weights[1], -1, MODULUS), "third": 0}
    proof = proved(told)
    with pytest.raises(ProofRejected, match="first"):
        claim(VerifierChannel(proof), told)
    weigh(monkeypatch, weights)
    claim(VerifierChannel(proof), told)


def test_errors_of_two_transcripts_do_not_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = {"ranges": 3}, {"answer": -3}
    proofs = (one, proved(one, b"0")), (other, proved(other, b"1"))
    assert rejection(*proofs).startswith("ranges")
    assert rejection(({"ranges": 0}, proved({"ranges": 0}, b"0")), proofs[1]).startswith("answer")
    assert rejection(({"ranges": 0}, proved({"ranges": 0}, b"0")), ({"answer": 0}, proved({"answer": 0}, b"1"))) == ""
    weigh(monkeypatch, [1, 1])
    assert rejection(*proofs) == ""


def test_coefficients_depend_on_every_transcript(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = list[tuple[int, ...]]()
    honest = Equations._weights

    def listening(self: Equations, count: int) -> list[int]:
        drawn.append(tuple(honest(self, count)))
        return list(drawn[-1])

    monkeypatch.setattr(Equations, "_weights", listening)
    for first, second in ((0, 0), (1, 0), (0, 1), (1, 1)):
        errors = {"ranges": first}, {"answer": second}
        rejection(*((e, proved(e, b"%d" % k)) for k, e in enumerate(errors)))
    together = [weights for weights in drawn if len(weights) == 2]  # the attacker looks at each by itself, too
    assert len(together) == len({*together}) == 4


def encoded(number: int) -> bytes:
    return number.to_bytes(48, "big")


@pytest.mark.parametrize(
    "point",
    [
        encoded((1 << 383) | 1),  # not on the curve
        encoded(1 << 383),  # x = 0: of order 3
    ],
)
def test_bad_points_are_refused(point: bytes) -> None:
    with pytest.raises(ProofRejected, match="bad point"):
        claim(VerifierChannel(point), {"first": 0})


def test_nothing_is_taken_after_the_decision() -> None:
    tools = replace(TOOLS, together=Equations(TOOLS.kernels, TOOLS.generators))
    assert tools.together is not None
    tools.together.decide()
    with pytest.raises(TypeError, match="decided"):
        claim(VerifierChannel(proved(HONEST)), HONEST, tools)


def test_a_point_is_evaluated_after_the_decision_only() -> None:
    tools = replace(TOOLS, together=Equations(TOOLS.kernels, TOOLS.generators))
    t = Transcript(VerifierChannel(KERNELS.encode(multiple("tensor", 2))), tools, b"")
    refs = t.wire().points("point", 1, lambda: multiple("tensor", 2))
    wire, twice = t.wire(), Combination([(refs, scalars([2]))], [("tensor", scalars([1]))])
    for early in (t.finish, tools.together.decide if tools.together else t.finish):
        with pytest.raises(TypeError, match="decoded"):
            wire.evaluate(twice)
        early()
    assert wire.evaluate(twice) == KERNELS.encode(multiple("tensor", 5))


def test_equations_that_share_points_and_generators() -> None:
    """As single sums say, whatever occurs how often."""
    equations = Equations(TOOLS.kernels, TOOLS.generators)
    numbers: dict[str, Callable[[int], int]] = {"message": lambda i: 3 * i + 1, "tensor": lambda i: 5 * i + 2}
    channel = VerifierChannel(KERNELS.encode(np.concatenate([multiple("tensor", k) for k in (2, 3, 2)])))
    t = Transcript(channel, replace(TOOLS, together=equations), b"")
    wire = t.wire()
    refs = np.concatenate([wire.points("p", 1, lambda: multiple("tensor", 0)) for _ in range(3)])
    known = [(p, scalars([f(i) for i in range(4)])) for p, f in numbers.items()]
    short = [("tensor", scalars([9]))]
    c = Combination([(refs[[0, 1, 0]], scalars([1, 2, 3])), (refs[2:], scalars([4]))], [*known, *short])
    t.finish()
    equations.decide()
    factors = [f(i) for f in numbers.values() for i in range(4)]
    bases = [TOOLS.generators.take(p, 4) for p in numbers] + [multiple("tensor", 1)]
    expected = KERNELS.msm(np.concatenate(bases), scalars([*factors, 9 + 2 * 1 + 3 * 2 + 2 * 3 + 2 * 4]))
    assert wire.evaluate(c) == KERNELS.encode(expected.reshape(1, 12))
