"""Steps that do not wait for each other are one sumcheck, whatever their sizes, degrees and layers.

A step has claims, and says  sum of power_k claim_k = sum over its cube of weight * product of factors.  The powers are
those of one challenge, drawn when all claims of all steps are bound. The steps' sums are added up (side_by_side.py);
in the end the prover says what each step's summand is at the point, these numbers account for the rounds' last claim,
and each is tied to the values of the step's own factors. Error: (claims - 1 + degree * variables) / r.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from zkcore.claim import Claim
from zkcore.field.joint import Joint, KnownSum
from zkcore.field.kernels import MODULUS, Sumcheck
from zkcore.polynomial import univariate
from zkcore.polynomial.point import Point
from zkcore.subprotocols.session import Session, Wanted
from zkcore.subprotocols.side_by_side import joint, share
from zkcore.transcript.rounds import nothing, weighted
from zkcore.transcript.values import Number, Value

GUARD = "side by side"


@dataclass(frozen=True)
class Proving:
    """`values`: of the factors, in the order of `wanted`, once every variable is bound."""

    sumcheck: Sumcheck
    values: Callable[[], list[int]]


class Step(Protocol):
    @property
    def claims(self) -> Sequence[Claim]: ...

    @property
    def guard(self) -> str: ...

    @property
    def variables(self) -> int: ...

    @property
    def degree(self) -> int: ...

    @property
    def entries(self) -> int:
        """Of all its tables."""
        ...

    def proving(self, powers: Sequence[int]) -> Proving:
        """The prover's."""
        ...

    def wanted(self, point: Point) -> list[Wanted] | None:
        """Which values its factors are; None: one value that the prover says, about which a claim is to follow."""
        ...

    def weight(self, powers: Sequence[int], point: Point) -> int: ...


@dataclass(frozen=True)
class Reduced:
    """Where a step ended: its factors have these values."""

    point: Point
    values: list[Number]


def run(session: Session, steps: Sequence[Step]) -> list[Reduced]:
    powers = _powers(session, steps)
    claims = [(p, c.value) for own, s in zip(powers, steps, strict=True) for p, c in zip(own, s.claims, strict=True)]
    n, degree = max(s.variables for s in steps), max(s.degree for s in steps)
    made = session.data().settled(lambda: _proving(steps, powers)) if session.t.proving else []
    prover = joint(session.kernels, _parts(made, steps, powers), degree) if made else None
    point, final = session.sumcheck(weighted(claims), n, degree, prover)
    ends = _ends(session, steps, prover, final)
    points = [point[: s.variables] for s in steps]
    out = [Reduced(p, v) for p, v in zip(points, _values(session, steps, points, made), strict=True)]
    for step, own, end, found in zip(steps, powers, ends, out, strict=True):
        session.t.require_product([step.weight(own, found.point), *found.values], end, step.guard)
    return out


def _powers(session: Session, steps: Sequence[Step]) -> list[list[int]]:
    """By step: what each claim counts for."""
    count = sum(len(s.claims) for s in steps)
    gamma = 1
    if count > 1:
        session.t.error("claims", count - 1)
        gamma = session.t.challenge("claims")
    left = iter(univariate.powers(gamma, count))
    return [[next(left) for _ in s.claims] for s in steps]


def _proving(steps: Sequence[Step], powers: Sequence[Sequence[int]]) -> list[Proving]:
    return [s.proving(own) for s, own in zip(steps, powers, strict=True)]


def _parts(
    made: Sequence[Proving], steps: Sequence[Step], powers: Sequence[Sequence[int]]
) -> list[tuple[KnownSum, int]]:
    return [
        (KnownSum(m.sumcheck, _sum(s, own), s.degree), s.variables)
        for m, s, own in zip(made, steps, powers, strict=True)
    ]


def _sum(step: Step, powers: Sequence[int]) -> int:
    """The prover's own: a step's share of what is proved."""
    numbers = [c.value.number if isinstance(c.value, Value) else c.value for c in step.claims]
    return sum(p * (v or 0) for p, v in zip(powers, numbers, strict=True)) % MODULUS


def _ends(session: Session, steps: Sequence[Step], prover: Joint | None, final: Number) -> list[Number]:
    """What each step's summand is at its point."""
    if len(steps) == 1:
        return [final]
    n = max(s.variables for s in steps)
    said = session.t.message("parts", len(steps), prover.claims if prover else nothing)
    terms = [(-share(s.variables, n), v) for s, v in zip(steps, said, strict=True)]
    session.t.require_zero(weighted([(1, final), *terms]), GUARD)
    return list(said)


def _values(
    session: Session, steps: Sequence[Step], points: Sequence[Point], made: Sequence[Proving]
) -> Iterator[list[Number]]:
    """Two messages for all steps: of what no claim stands about yet, and evaluations."""
    wanted = [s.wanted(p) for s, p in zip(steps, points, strict=True)]

    def made_of(new: bool) -> list[int]:
        return [v for w, m in zip(wanted, made, strict=True) if (w is None) == new for v in m.values()]

    said = session.t.message("merged", sum(w is None for w in wanted), lambda: made_of(True))
    found = session.values([w for own in wanted if own is not None for w in own], lambda: made_of(False))
    merged, values = iter(list[Number](said)), iter(found)
    for own in wanted:
        yield [next(merged)] if own is None else [next(values) for _ in own]
