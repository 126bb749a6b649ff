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
from zkcore.graph.system import System
from zkcore.polynomial import multilinear
from zkcore.polynomial.boxes import whole
from zkcore.polynomial.point import eq, less_than, num_vars, split
from zkcore.relation import Relation
from zkcore.subprotocols.session import At, Session, flat
from zkcore.transcript.rounds import weighted


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


def rounds(system: System, relation: Relation) -> int:
    """Of one sumcheck."""
    p = plan(system, relation)
    return sum(num_vars(p.size[x]) for x in p.summed)


def together(system: System, relation: Relation, claims: Sequence[Claim]) -> list[list[Claim]]:
    """Claims that differ only in axes that several factors share with the output: one sumcheck serves them all."""
    p, (_, out) = plan(system, relation), relation.factors()
    groups: dict[Place, list[Claim]] = {}
    for claim in claims:
        bound = tuple(point for x, point in zip(out, claim.place, strict=True) if x not in p.shared)
        groups.setdefault(bound, []).append(claim)
    return list(groups.values())


def reduce(session: Session, relation: Relation, claims: Sequence[Claim]) -> None:
    """Both sides; the claims are `together`. Of several, the sum of gamma^k claim_k is proved: their eq factors are
    added up. Error: (claims - 1 + degree * rounds) / r."""
    p, (_, out) = plan(session.system, relation), relation.factors()
    at = [dict(zip(out, claim.place, strict=True)) for claim in claims]
    gamma = _batch(session, len(claims))
    powers = [pow(gamma, k, MODULUS) for k in range(len(claims))]
    total = weighted(list(zip(powers, (c.value for c in claims), strict=True)))
    prover, fixed = _prover(session, relation, p, at, powers) if session.t.proving else (None, {})
    variables = [num_vars(p.size[x]) for x in p.summed]
    point, final = session.sumcheck(total, sum(variables), p.degree, prover)
    there = {**at[0], **dict(zip(p.summed, split(point, [p.size[x] for x in p.summed]), strict=True))}
    wanted = [w for e in relation.exprs for w in session.places(e, there)]

    def known() -> list[int]:
        left = iter(prover.finals() if prover else [])
        return [fixed[i] if i in fixed else next(left) for i in range(len(wanted))]

    values = session.values(wanted, known)
    weight = sum(c * _weight(p, own, there) for c, own in zip(powers, at, strict=True)) % MODULUS
    session.t.require_product([weight, *values], final, relation.name)


def _batch(session: Session, claims: int) -> int:
    if claims == 1:
        return 1
    session.t.error("claims", claims - 1)
    return session.t.challenge("claims")


def _weight(p: Plan, at: At, there: At) -> int:
    weight = 1
    for x in p.shared:
        weight = weight * eq(at[x], there[x]) % MODULUS
    for x in p.padded:
        weight = weight * less_than(there[x], p.size[x]) % MODULUS
    return weight


def _prover(
    session: Session, relation: Relation, p: Plan, at: Sequence[At], powers: Sequence[int]
) -> tuple[Sumcheck | None, dict[int, int]]:
    """The sumcheck over the bound factors; factors without a summed axis are numbers, by index. None: no axis is summed
    (a transposition)."""
    k, fixed, tables, scale = session.kernels, {}, [], 1
    shape = [1 << num_vars(p.size[x]) for x in p.summed]
    for i, ((name, _), letters) in enumerate(zip(relation.reads(), p.factors, strict=True)):
        outer = {x: at[0][x] for x in letters if x not in p.summed}
        bound, left = multilinear.bind(k, session.data().array(name), letters, outer, session.system.ternary(name))
        if left:
            tables.append(flat(bound, left, p.summed, shape))
        else:
            fixed[i] = k.to_scalars(bound.reshape(1, 4))[0] if is_field(bound) else int(bound)
            scale = scale * fixed[i] % MODULUS
    if not tables:
        return None, fixed
    full = p.weighted and len(p.shared) == len(p.summed) and len(at) == 1
    point = [r for x in p.summed for r in at[0][x]] if full else None
    own = tuple(range(len(tables)))
    if p.weighted and not full:
        tables.append(_weight_table(session, p, at, powers, shape))
    terms = [(scale, (*own, *range(len(own), len(tables))))]
    return k.sumcheck(tables, terms, p.degree, point), fixed


def _weight_table(session: Session, p: Plan, at: Sequence[At], powers: Sequence[int], shape: list[int]) -> FieldArray:
    """The claims' eq on the shared axes, added up, times the indicators; over the summed domain."""
    k, shared = session.kernels, "".join(p.shared)
    own = [1 << num_vars(p.size[x]) for x in shared]
    parts = [multilinear.eq_over(k, [one[x] for x in shared], c) for one, c in zip(at, powers, strict=True)]
    total = parts[0] if len(parts) == 1 else k.combine([(1, part) for part in parts], 0, len(parts[0]))
    table = flat(total.reshape(*own, 4), shared, p.summed, shape)
    for x in p.padded:
        table = k.multiply(table, flat(session.data().indicator(whole((p.size[x],))), x, p.summed, shape))
    return table.reshape(-1, 4)
