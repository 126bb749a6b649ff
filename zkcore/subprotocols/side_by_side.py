"""Sums over cubes of different sizes, proved by one sumcheck.

A part f over n of the N variables counts as 2^(n - N) f(x_1, ..., x_n), whose sum over the large cube is that of f over
the small one. It takes part in the first n rounds as it is; from then on it is a constant that halves in each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from typing import Protocol

from zkcore.field.joint import JoinsSumchecks, Joint, KnownSum
from zkcore.field.kernels import MODULUS, FieldKernels, Sumcheck, Term
from zkcore.polynomial.univariate import lagrange

HALF = pow(2, -1, MODULUS)


def share(variables: int, total: int) -> int:
    """2^(n - N): what a part's value at its point counts for in the end."""
    return pow(HALF, total - variables, MODULUS)


_weights = lru_cache(maxsize=64)(lagrange)  # parts of one degree share them


class Summand(Protocol):
    """The prover's, of one part."""

    @property
    def prover(self) -> Sumcheck: ...

    def round(self, degree: int) -> list[int]:
        """At 0, 2, ..., degree."""
        ...

    def bind(self, challenge: int) -> None: ...


@dataclass
class Claimed:
    """Of a part whose sum is known: its values at as many points as the others need follow from its own. `degree`: its
    own; `left`: variables still to bind; `late`: rounds since; `claim`: of what is left to sum. An engine's twin is
    csrc/include/zkcore/side_by_side.hpp."""

    prover: Sumcheck
    claim: int
    degree: int
    left: int
    late: int = 0
    _values: list[int] = field(default_factory=list)

    def round(self, degree: int) -> list[int]:
        if not self.left:
            return [self.claim * pow(HALF, self.late + 1, MODULUS) % MODULUS] * degree
        first, *rest = self.prover.round()
        self._values = [first, (self.claim - first) % MODULUS, *rest]
        return [first, *rest, *(self._at(x) for x in range(self.degree + 1, degree + 1))]

    def bind(self, challenge: int) -> None:
        if not self.left:
            self.late += 1
            return
        self.prover.bind(challenge)  # a GPU begins with the next round
        self.claim = self._at(challenge)
        self.left -= 1

    def _at(self, x: int) -> int:
        return sum(w * v for w, v in zip(_weights(self.degree, x), self._values, strict=True)) % MODULUS


@dataclass
class Part:
    """Of a part whose sum is not known, of the joint degree: sum of coefficient * product of tables. `left`: variables
    still to bind; `late`: rounds since."""

    prover: Sumcheck
    terms: Sequence[Term]
    left: int
    late: int = 0

    def round(self, degree: int) -> list[int]:
        if self.left:
            return self.prover.round()
        finals = self.prover.finals()
        value = sum(c * prod(finals[i] for i in factors) for c, factors in self.terms)
        return [value * pow(HALF, self.late + 1, MODULUS) % MODULUS] * degree

    def bind(self, challenge: int) -> None:
        if self.left:
            self.prover.bind(challenge)
            self.left -= 1
        else:
            self.late += 1


@dataclass(frozen=True)
class SideBySide:
    """A `Sumcheck` for the sum of all parts."""

    parts: Sequence[Summand]
    degree: int

    def round(self) -> list[int]:
        rounds = [p.round(self.degree) for p in self.parts]
        return [sum(values) % MODULUS for values in zip(*rounds, strict=True)]

    def bind(self, challenge: int) -> None:
        for p in self.parts:
            p.bind(challenge)

    def finals(self) -> list[int]:
        """All tables of all parts, in order."""
        return [v for p in self.parts for v in p.prover.finals()]


@dataclass(frozen=True)
class ClaimedSideBySide(SideBySide):
    """A `Joint`."""

    parts: Sequence[Claimed]

    def claims(self) -> list[int]:
        return [p.claim for p in self.parts]


def joint(kernels: FieldKernels, parts: Sequence[tuple[KnownSum, int]], degree: int) -> Joint:
    """`parts`: each with its number of variables."""
    if isinstance(kernels, JoinsSumchecks):
        return kernels.side_by_side([own for own, _ in parts], degree)
    return ClaimedSideBySide([Claimed(own.sumcheck, own.claim, own.degree, n) for own, n in parts], degree)
