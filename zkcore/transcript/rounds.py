"""The rounds of a sumcheck, for hidden and for clear messages alike (Lund, Fortnow, Karloff, Nisan 1992)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from zkcore.field.kernels import MODULUS, Sumcheck
from zkcore.polynomial.point import Point
from zkcore.polynomial.univariate import lagrange
from zkcore.transcript.values import Number, Value, linear

N = TypeVar("N", int, Value)
LABEL = "round"


class Send(Protocol):
    def __call__(self, label: str, count: int, make: Callable[[], list[int]]) -> Sequence[Number]: ...


def nothing() -> list[int]:
    """The `make` of a side that makes nothing; never called there."""
    raise TypeError("only the prover makes messages")


def weighted(terms: list[tuple[int, Number]]) -> Number:
    """sum of coefficient * number; an integer if no number is hidden."""
    total = 0
    for c, v in terms:
        if isinstance(v, Value):
            return linear(terms)
        total += c * v
    return total % MODULUS


def run_rounds(
    send: Send, draw: Callable[[str], int], claim: Number, num_vars: int, degree: int, prover: Sumcheck | None
) -> tuple[Point, Number]:
    """Reduce `claim = sum over the hypercube` to the value its summand must have at a random point.

    Round i sends s_i(0), s_i(2), ..., s_i(degree); s_i(1) = claim - s_i(0) is implied, so there is no check to forget.
    The caller discharges the result. Error: degree * num_vars / r.
    """
    point = []
    for _ in range(num_vars):
        first, *rest = send(LABEL, degree, prover.round if prover else nothing)
        r = draw(LABEL)
        if prover:
            prover.bind(r)  # a GPU computes the next round meanwhile
        w = lagrange(degree, r)
        claim = weighted([(w[0] - w[1], first), (w[1], claim), *zip(w[2:], rest, strict=True)])
        point.append(r)
    return tuple(point), claim
