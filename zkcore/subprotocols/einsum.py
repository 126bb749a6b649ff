"""Claims about  out[o] = sum_s prod_f factor_f  become one claim per factor (Thaler 2013, section 4).

Axes that only one factor and the output have are bound first: that is a row fold of integers. The others are summed by
a sumcheck; axes that stay in the output although several factors have them (element-wise products) enter with eq.
Committed padding is not trusted: a summed axis whose padding no factor keeps clean gets a public indicator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkcore.claim import Claim, Place
from zkcore.field.kernels import MODULUS, FieldArray, Sumcheck
from zkcore.field.space import is_field
from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.polynomial import multilinear, univariate
from zkcore.polynomial.boxes import whole
from zkcore.polynomial.point import Point, eq, less_than, num_vars, split
from zkcore.relation import Relation
from zkcore.subprotocols.session import At, Session, flat
from zkcore.transcript.rounds import weighted
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.values import Number


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


def together(system: System, relation: Relation, claims: Sequence[Claim]) -> list[list[Claim]]:
    """Claims that differ only in axes that several factors share with the output: one sumcheck serves them all."""
    p, (_, out) = plan(system, relation), relation.factors()
    groups: dict[Place, list[Claim]] = {}
    for claim in claims:
        bound = tuple(point for x, point in zip(out, claim.place, strict=True) if x not in p.shared)
        groups.setdefault(bound, []).append(claim)
    return list(groups.values())


def reduce(session: Session, relation: Relation, sets: Sequence[Sequence[Claim]]) -> None:
    """Both sides; `sets`: as `together` makes them. The sum of gamma^k claim_k is proved by one sumcheck: in a set the
    claims' eq factors are added up, and every set brings factors of its own, bound at other places. Error: (claims - 1
    + degree * rounds) / r."""
    p, (_, out) = plan(session.system, relation), relation.factors()
    claims = [c for own in sets for c in own]
    gamma = _batch(session, len(claims))
    powers = univariate.powers(gamma, len(claims))
    total = weighted(list(zip(powers, (c.value for c in claims), strict=True)))
    left = iter(powers)
    terms = [_Set([dict(zip(out, c.place, strict=True)) for c in own], [next(left) for _ in own]) for own in sets]
    prover, fixed = _prover(session, relation, p, terms) if session.t.proving else (None, [])
    point, final = session.sumcheck(total, sum(num_vars(p.size[x]) for x in p.summed), p.degree, prover)
    bound = dict(zip(p.summed, split(point, [p.size[x] for x in p.summed]), strict=True))
    wanted = [[w for e in relation.exprs for w in session.places(e, {**s.at[0], **bound})] for s in terms]

    def known() -> list[int]:
        return _finals(p, fixed, prover.finals() if prover else [])

    values = iter(session.values([w for own in wanted for w in own], known))
    factors: list[list[Number]] = [
        [_weight(p, s, {**s.at[0], **bound}), *(next(values) for _ in own)]
        for s, own in zip(terms, wanted, strict=True)
    ]
    for product in factors[:-1]:
        final = weighted([(1, final), (-1, _product(session.t, product))])
    session.t.require_product(factors[-1], final, relation.name)


@dataclass(frozen=True)
class _Set:
    """Claims that are bound alike: their places by axis, and what they count for."""

    at: list[dict[str, Point]]
    powers: list[int]


def _batch(session: Session, claims: int) -> int:
    if claims == 1:
        return 1
    session.t.error("claims", claims - 1)
    return session.t.challenge("claims")


def _product(t: Transcript, factors: Sequence[Number]) -> Number:
    out: Number = 1
    for f in factors:
        out = t.multiply(out, f)
    return out


def _weight(p: Plan, own: _Set, there: At) -> int:
    """The claims' eq on the shared axes, added up, times the indicators, at a point."""
    total = 0
    for at, power in zip(own.at, own.powers, strict=True):
        for x in p.shared:
            power = power * eq(at[x], there[x]) % MODULUS
        total += power
    for x in p.padded:
        total = total * less_than(there[x], p.size[x]) % MODULUS
    return total % MODULUS


def _prover(
    session: Session, relation: Relation, p: Plan, sets: Sequence[_Set]
) -> tuple[Sumcheck | None, list[dict[int, int]]]:
    """The sumcheck over the bound factors; by set, the factors without a summed axis, which are numbers, by index.
    None: no axis is summed (a transposition)."""
    k, tables, terms, fixed = session.kernels, list[Array](), [], []
    shape = [1 << num_vars(p.size[x]) for x in p.summed]
    full = p.weighted and len(p.shared) == len(p.summed) and len(sets) == len(sets[0].at) == 1
    for own in sets:
        numbers, start, scale = dict[int, int](), len(tables), 1 if p.weighted else own.powers[0]
        for i, ((name, _), letters) in enumerate(zip(relation.reads(), p.factors, strict=True)):
            outer = {x: own.at[0][x] for x in letters if x not in p.summed}
            bound, left = multilinear.bind(k, session.data().array(name), letters, outer, session.system.ternary(name))
            if left:
                tables.append(flat(bound, left, p.summed, shape))
            else:
                numbers[i] = k.to_scalars(bound.reshape(1, 4))[0] if is_field(bound) else int(bound)
                scale = scale * numbers[i] % MODULUS
        fixed.append(numbers)
        if len(tables) == start:
            continue
        if p.weighted and not full:
            tables.append(_weight_table(session, p, own, shape))
        terms.append((scale, tuple(range(start, len(tables)))))
    if not tables:
        return None, fixed
    point = [r for x in p.summed for r in sets[0].at[0][x]] if full else None
    return k.sumcheck(tables, terms, p.degree, point), fixed


def _finals(p: Plan, fixed: Sequence[dict[int, int]], tables: Sequence[int]) -> list[int]:
    """The factors' values, set by set, out of those of the tables: which lie side by side, each set's weights last."""
    out, each = list[int](), len(tables) // len(fixed)
    for k, numbers in enumerate(fixed):
        left = iter(tables[k * each : (k + 1) * each])
        out += [numbers[i] if i in numbers else next(left) for i in range(len(p.factors))]
    return out


def _weight_table(session: Session, p: Plan, own: _Set, shape: list[int]) -> FieldArray:
    """`_weight` over the summed domain."""
    k, shared = session.kernels, "".join(p.shared)
    lengths = [1 << num_vars(p.size[x]) for x in shared]
    parts = [multilinear.eq_over(k, [at[x] for x in shared], c) for at, c in zip(own.at, own.powers, strict=True)]
    total = parts[0] if len(parts) == 1 else k.combine([(1, part) for part in parts], 0, len(parts[0]))
    table = flat(total.reshape(*lengths, 4), shared, p.summed, shape)
    for x in p.padded:
        table = k.multiply(table, flat(session.data().indicator(whole((p.size[x],))), x, p.summed, shape))
    return table.reshape(-1, 4)
