"""Sums over cubes of different sizes, proved by one sumcheck.

A part f over n of the N variables counts as 2^(n - N) f(x_1, ..., x_n), whose sum over the large cube is that of f over
the small one. It takes part in the first n rounds as it is; from then on it is a constant that halves in each round.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from zkcore.field.kernels import MODULUS, Sumcheck, Term

HALF = pow(2, -1, MODULUS)


def share(variables: int, total: int) -> int:
    """2^(n - N): what a part's value at its point counts for in the end."""
    return pow(HALF, total - variables, MODULUS)


@dataclass
class Part:
    """The prover's: sum of coefficient * product of tables. `left`: variables still to bind; `late`: rounds since."""

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

    parts: Sequence[Part]
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
