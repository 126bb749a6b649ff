"""One claim about  out[o] = sum_s prod_f factor_f  becomes one claim per factor (Thaler 2013, section 4).

Axes that only one factor and the output have are bound first: that is a row fold of integers. The others are summed by
a sumcheck; axes that stay in the output although several factors have them (element-wise products) enter with eq.
Committed padding is not trusted: a summed axis whose padding no factor keeps clean gets a public indicator.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from zkcore.claim import Claim
from zkcore.field.kernels import MODULUS, FieldArray, Sumcheck
from zkcore.graph.system import System
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import Point, eq, less_than, num_vars, split
from zkcore.relation import Relation
from zkcore.subprotocols.session import At, Session, flat


@dataclass(frozen=True)
class Plan:
    """Which axes are summed (`shared` of them are in the output too), and which need an indicator."""

    factors: list[str]
    size: dict[str, int]
    summed: str
    shared: list[str]
    padded: list[str]

    @property
    def weighted(self) -> bool:
        return bool(self.shared or self.padded)

    @property
    def degree(self) -> int:
        return sum(any(x in f for x in self.summed) for f in self.factors) + self.weighted


def plan(system: System, relation: Relation) -> Plan:
    factors, out = relation.factors()
    size = system.sizes(relation)
    summed = [x for x in size if x not in out or sum(x in f for f in factors) != 1]
    clean = {x for (n, _), f in zip(relation.reads(), factors, strict=True) for x in f if system.tensors[n].clean}
    padded = [x for x in summed if x not in out and x not in clean and size[x] & (size[x] - 1)]
    return Plan(factors, size, "".join(summed), [x for x in summed if x in out], padded)


def reduce(session: Session, relation: Relation, claim: Claim) -> None:
    """Both sides. Error: degree * rounds / r."""
    p, (_, out) = plan(session.system, relation), relation.factors()
    at = dict(zip(out, claim.place, strict=True))
    prover, fixed = _prover(session, relation, p, at) if session.t.proving else (None, {})
    variables = [num_vars(p.size[x]) for x in p.summed]
    point, final = session.sumcheck(claim.value, sum(variables), p.degree, prover)
    there = {**at, **dict(zip(p.summed, split(point, [p.size[x] for x in p.summed]), strict=True))}
    wanted = [w for e in relation.exprs for w in session.places(e, there)]

    def known() -> list[int]:
        left = iter(prover.finals() if prover else [])
        return [fixed[i] if i in fixed else next(left) for i in range(len(wanted))]

    values = session.values(wanted, known)
    weight = _weight(p, at, there)
    session.t.require_product([weight, *values], final, relation.name)


def _weight(p: Plan, at: At, there: At) -> int:
    weight = 1
    for x in p.shared:
        weight = weight * eq(at[x], there[x]) % MODULUS
    for x in p.padded:
        weight = weight * less_than(there[x], p.size[x]) % MODULUS
    return weight


def _prover(session: Session, relation: Relation, p: Plan, at: At) -> tuple[Sumcheck | None, dict[int, int]]:
    """The sumcheck over the bound factors; factors without a summed axis are numbers, by index. None: no axis is summed
    (a transposition)."""
    k, fixed, tables, scale = session.kernels, {}, [], 1
    shape = [1 << num_vars(p.size[x]) for x in p.summed]
    for i, ((name, _), letters) in enumerate(zip(relation.reads(), p.factors, strict=True)):
        outer = {x: at[x] for x in letters if x not in p.summed}
        bound, left = multilinear.bind(k, session.data().array(name), letters, outer, session.system.ternary(name))
        if left:
            tables.append(flat(bound, left, p.summed, shape))
        else:
            fixed[i] = int(bound) if bound.dtype != np.uint64 else k.to_scalars(bound.reshape(1, 4))[0]
            scale = scale * fixed[i] % MODULUS
    if not tables:
        return None, fixed
    full = p.weighted and len(p.shared) == len(p.summed)
    point = [r for x in p.summed for r in at[x]] if full else None
    own = tuple(range(len(tables)))
    if p.weighted and not full:
        tables.append(_weight_table(session, p, at, shape))
    terms = [(scale, (*own, *range(len(own), len(tables))))]
    return k.sumcheck(tables, terms, p.degree, point), fixed


def _weight_table(session: Session, p: Plan, at: At, shape: list[int]) -> FieldArray:
    """eq on the shared axes times the indicators, over the summed domain."""
    k = session.kernels
    shared = "".join(p.shared)
    points: list[Point] = [at[x] for x in shared]
    own = [1 << num_vars(p.size[x]) for x in shared]
    table = flat(multilinear.eq_over(k, points).reshape(*own, 4), shared, p.summed, shape)
    for x in p.padded:
        table = k.multiply(table, flat(session.data().indicator((p.size[x],)), x, p.summed, shape))
    return table.reshape(-1, 4)
