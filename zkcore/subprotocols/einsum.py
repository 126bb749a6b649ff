"""Claims about  out[o] = sum_s prod_f factor_f  become one claim per factor (Thaler 2013, section 4).

Axes that only one factor and the output have are bound first: that is a row fold of integers. The others are summed by
a sumcheck; axes that stay in the output although several factors have them (element-wise products) enter with eq.
Committed padding is not trusted: a summed axis whose padding no factor keeps clean gets a public indicator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkcore.claim import Claim, Place
from zkcore.field.kernels import MODULUS, FieldArray
from zkcore.field.space import is_field
from zkcore.graph.arrays import Array
from zkcore.polynomial import multilinear
from zkcore.polynomial.boxes import whole
from zkcore.polynomial.point import Point, eq, join, less_than, num_vars, split
from zkcore.relation import Relation
from zkcore.subprotocols.joint import Proving
from zkcore.subprotocols.plans import Plan
from zkcore.subprotocols.session import At, Session, Wanted, flat
from zkcore.subprotocols.side_by_side import HALF


def together(session: Session, relation: Relation, claims: Sequence[Claim]) -> list[list[Claim]]:
    """Claims that differ only in axes that several factors share with the output: the factors are bound alike."""
    p, (_, out) = session.plan(relation), relation.factors()
    groups: dict[Place, list[Claim]] = {}
    for claim in claims:
        bound = tuple(point for x, point in zip(out, claim.place, strict=True) if x not in p.shared)
        groups.setdefault(bound, []).append(claim)
    return list(groups.values())


@dataclass(frozen=True)
class Product:
    """A set of claims, as `together` makes them, as a step of a joint sumcheck: their eq factors are added up."""

    session: Session
    relation: Relation
    plan: Plan
    claims: Sequence[Claim]

    @property
    def guard(self) -> str:
        return self.relation.name

    @property
    def degree(self) -> int:
        return self.plan.degree

    @property
    def variables(self) -> int:
        return self.plan.variables

    @property
    def entries(self) -> int:
        return self.plan.degree << self.plan.variables

    def wanted(self, point: Point) -> list[Wanted] | None:
        p = self.plan
        bound = dict(zip(p.summed, split(point, [p.size[x] for x in p.summed]), strict=True))
        return factors_at(self.session, self.relation, {**self._at(self.claims[0]), **bound})

    def weight(self, powers: Sequence[int], point: Point) -> int:
        """The claims' eq on the shared axes, added up, times the indicators, at a point; 1 where neither is a table."""
        p, total = self.plan, 0
        there = dict(zip(p.summed, split(point, [p.size[x] for x in p.summed]), strict=True))
        for claim, power in zip(self.claims, powers, strict=True):
            at = self._at(claim)
            for x in p.shared:
                power = power * eq(at[x], there[x]) % MODULUS
            total += power
        for x in p.padded:
            total = total * less_than(there[x], p.size[x]) % MODULUS
        return total % MODULUS

    def proving(self, powers: Sequence[int]) -> Proving:
        """The sumcheck over the bound factors: one without a summed axis is a number, one that comes twice is one
        table."""
        k, p, own = self.session.kernels, self.plan, self._at(self.claims[0])
        shape = [1 << num_vars(p.size[x]) for x in p.summed]
        alone = bool(p.shared) and not p.padded and len(self.claims) == 1  # eq need be no table
        factors = [(name, letters) for (name, _), letters in zip(self.relation.reads(), p.factors, strict=True)]
        tables, numbers = dict[tuple[str, str], Array](), dict[tuple[str, str], int]()
        for name, letters in dict.fromkeys(factors):
            outer = {x: own[x] for x in letters if x not in p.summed}
            data = self.session.data().array(name)
            ternary = self.session.system.ternary(name)
            bound, left = multilinear.bind(k, data, letters, outer, ternary, self.session.eq_tables)
            if left:
                tables[name, letters] = flat(bound, left, p.summed, shape)
            else:
                numbers[name, letters] = k.to_scalars(bound.reshape(1, 4))[0] if is_field(bound) else int(bound)
        places = {f: i for i, f in enumerate(tables)}
        term, laid = [places[f] for f in factors if f in places], list(tables.values())
        if p.weighted and not alone:
            term.append(len(laid))
            laid.append(self._weight_table(powers, shape))
        scale = powers[0] if alone or not p.weighted else 1
        point = None
        if alone:  # eq(1/2, x) = 1/2 on an axis that it is not about
            unshared = sum(num_vars(p.size[x]) for x in p.summed if x not in p.shared)
            scale = scale << unshared
            point = [r for x in p.summed for r in (own[x] if x in p.shared else [HALF] * num_vars(p.size[x]))]
        for f in factors:
            scale = scale * numbers.get(f, 1) % MODULUS
        sumcheck = k.sumcheck(laid, [(scale, tuple(term))], p.degree, point)

        def values() -> list[int]:
            finals = sumcheck.finals()
            return [numbers[f] if f in numbers else finals[places[f]] for f in factors]

        return Proving(sumcheck, values)

    def _at(self, claim: Claim) -> dict[str, Point]:
        return dict(zip(self.relation.factors()[1], claim.place, strict=True))

    def _weight_table(self, powers: Sequence[int], shape: list[int]) -> FieldArray:
        """`weight` over the summed domain."""
        k, p, shared = self.session.kernels, self.plan, "".join(self.plan.shared)
        lengths, places = [1 << num_vars(p.size[x]) for x in shared], [self._at(c) for c in self.claims]
        points = [(c, join([at[x] for x in shared])) for at, c in zip(places, powers, strict=True)]
        total = multilinear.eq_sum(k, points, None)
        table = flat(total.reshape(*lengths, 4), shared, p.summed, shape)
        for x in p.padded:
            table = k.multiply(table, flat(self.session.data().indicator(whole((p.size[x],))), x, p.summed, shape))
        return table.reshape(-1, 4)


def factors_at(session: Session, relation: Relation, at: At) -> list[Wanted]:
    return [w for e in relation.exprs for w in session.places(e, at)]
