"""Sum of fractions = 0 by a tree of sumchecks (Papini, Haböck 2023/1284). No inverse is ever committed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zkcore.field.kernels import MODULUS, Column, FractionTree
from zkcore.polynomial.point import Point, eq
from zkcore.subprotocols.session import Session
from zkcore.transcript.rounds import weighted
from zkcore.transcript.values import Number


@dataclass(frozen=True)
class Run:
    """2^k leaves num/den, the prover's: den = constant + sum of coefficient * column."""

    numerator: Column
    constant: int
    denominator: list[tuple[int, Column]]


@dataclass(frozen=True)
class Leaf:
    """What remains to be shown: the leaves' numerator and denominator have these extensions at `point`."""

    point: Point
    numerator: Number
    denominator: Number


def prove(session: Session, guard: str, num_vars: int, runs: Callable[[], Sequence[Run]]) -> Leaf:
    """The fractions at the 2^num_vars leaves sum to zero, and no denominator vanishes.

    A zero denominator would free its numerator, so the root's denominator is shown to be invertible.
    Error: sum over layers of (3 (j - 1) + 3) / r.
    """
    t = session.t
    tree = session.kernels.fraction_tree(runs(), num_vars) if t.proving else None
    p, q = t.message("root", 2, lambda: _root(tree))
    t.require_zero(p, guard)
    [inverse] = t.message("root inverse", 1, lambda: [pow(_root(tree)[1], -1, MODULUS)])
    t.require_product([q, inverse], 1, f"{guard} denominator")
    point: Point = ()
    claim: tuple[Number, Number] = (p, q)
    for depth in range(num_vars):
        point, claim = _layer(session, guard, tree, point, claim)
        if len(point) != depth + 1:
            raise TypeError("a layer binds one more variable")
    return Leaf(point, *claim)


def _root(tree: FractionTree | None) -> list[int]:
    if tree is None:
        raise TypeError("only the prover makes messages")
    return list(tree.root())


def _layer(
    session: Session, guard: str, tree: FractionTree | None, point: Point, claim: tuple[Number, Number]
) -> tuple[Point, tuple[Number, Number]]:
    """p + batch q = sum_y eq(point, y) [(p0 + batch q0) q1 + p1 q0](y)."""
    t, depth = session.t, len(point)
    batch = t.challenge("layer batch")
    t.error("fraction tree", 1, 2)  # this one, and that between the halves
    prover = tree.layer(depth, point, batch) if tree else None
    total = weighted([(1, claim[0]), (batch, claim[1])])
    at, final = session.sumcheck(total, depth, 3, prover)
    p0, p1, q0, q1 = t.message("children", 4, lambda: prover.finals() if prover else [])
    weight = eq(point, at)
    rest = weighted([(1, final), (-weight, t.multiply(p1, q0))])
    t.require_product([weighted([(weight, p0), (weight * batch, q0)]), q1], rest, f"{guard} layer")
    mu = t.challenge("halves")
    down = [weighted([((1 - mu) % MODULUS, lo), (mu, hi)]) for lo, hi in ((p0, p1), (q0, q1))]
    return (*at, mu), (down[0], down[1])
