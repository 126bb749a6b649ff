"""zkLLM's tlookup (Sun, Li, Zhang 2024, arXiv 2404.16109, section 4): lookups with committed inverses.

For every table T with rows y, and for every relation whose cells x are looked up in it, S being its columns:

    m committed -> gamma, beta -> A, B committed -> alpha, u -> one sumcheck
    A(x) (S(x) + beta) = selector(x)        B(y) (T(y) + beta) = [y is a row]        sum_x A(x) = sum_y m(y) B(y)

where several columns are compressed by powers of gamma. With powers of alpha for the equations, eq(u, .) for the first
two, all tables and all relations share one sumcheck of degree 3. The paper has one secret column per table, N | D
cells; here each relation keeps an A of its own shape, side by side with the others (sums over small cubes are constants
in the rounds that they do not have). Stacking the columns of a table into one would pad each to a power of two, and
commit full-size scalars for padding; an A per relation commits real cells only and is opened at a product point.

Padding and masked cells need no trust: where the selector is 0, A is 0, whatever S is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Protocol, TypeVar

from zkcore.errors import GraphError
from zkcore.field.kernels import MODULUS, Column, FieldArray, Term
from zkcore.field.space import flat
from zkcore.graph import arrays
from zkcore.polynomial import univariate
from zkcore.polynomial.boxes import whole
from zkcore.polynomial.point import Point, eq, join, less_than, padded, split, total_vars
from zkcore.relation import Relation, Table
from zkcore.subprotocols.logup_gkr import count, fractions_error
from zkcore.subprotocols.lookup import Definition
from zkcore.subprotocols.session import At, Session, Wanted
from zkcore.subprotocols.side_by_side import Part, SideBySide, share
from zkcore.transcript.rounds import weighted
from zkcore.transcript.values import Number

N = TypeVar("N")


class Side(Protocol):
    """inverse * (beta + sum gamma^k column_k) = indicator on the cube of `shape`. In its table's sum the inverse is
    weighted by the column `numerator`, negated, or by 1 if there is none."""

    @property
    def inverse(self) -> str: ...

    @property
    def numerator(self) -> str | None: ...

    @property
    def table(self) -> Table: ...

    @property
    def letters(self) -> str: ...

    @property
    def shape(self) -> tuple[int, ...]: ...

    def columns(self) -> list[Column]:
        """The prover's, flat over the cube; so is `selector`."""
        ...

    def selector(self) -> Column: ...

    def indicator(self, at: At) -> int:
        """The selector's extension."""
        ...

    def wanted(self, at: At) -> list[Wanted]:
        """Evaluations that `values` reads."""
        ...

    def values(self, at: At) -> list[Number]:
        """The columns' extensions."""
        ...


@dataclass(frozen=True)
class Cells:
    """A relation's side: 1/(S + beta) at the cells that it speaks about."""

    session: Session
    relation: Relation
    numerator: str | None = None

    @property
    def inverse(self) -> str:
        return f"inverse {self.relation.name}"

    @property
    def table(self) -> Table:
        return table_of(self.relation)

    @property
    def letters(self) -> str:
        return self.relation.spec

    @property
    def shape(self) -> tuple[int, ...]:
        return self.session.system.domain(self.relation)

    def columns(self) -> list[Column]:
        return [flat(self.session.data().affine(e, self.letters)) for e in self.relation.exprs]

    def selector(self) -> Column:
        return flat(self.session.selector(self.relation))

    def indicator(self, at: At) -> int:
        return self.session.selected(self.relation, at)

    def wanted(self, at: At) -> list[Wanted]:
        return [w for e in self.relation.exprs for w in self.session.places(e, at)]

    def values(self, at: At) -> list[Number]:
        real = self.session.real(self.relation, at)
        return [self.session.affine(e, at, real) for e in self.relation.exprs]


@dataclass(frozen=True)
class Rows:
    """A table's side: 1/(T + beta) at its rows."""

    session: Session
    table: Table
    group: str
    letters: str = "y"

    @property
    def inverse(self) -> str:
        return f"inverse {self.group} {self.table.name}"

    @property
    def numerator(self) -> str | None:
        return multiplicity(self.group, self.table)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.table.size,)

    def columns(self) -> list[Column]:
        columns = [self.session.entries(self.table, k) for k in range(len(self.table.columns))]
        return [arrays.pad_to(c, padded(self.shape)) for c in columns]

    def selector(self) -> Column:
        return flat(self.session.data().indicator(whole(self.shape)))

    def indicator(self, at: At) -> int:
        return less_than(at["y"], self.table.size)

    def wanted(self, at: At) -> list[Wanted]:
        return []

    def values(self, at: At) -> list[Number]:
        return [self.session.table_value(self.table, k, at["y"]) for k in range(len(self.table.ranges))]


@dataclass(frozen=True)
class Challenges:
    """`sums[T]` and `inverses[side]`: powers of alpha, one for each equation. `point`: u."""

    gamma: int
    beta: int
    point: Point
    sums: dict[Table, int]
    inverses: dict[str, int]

    def denominator(self, columns: Sequence[N]) -> list[tuple[int, N]]:
        """The terms of sum gamma^k column_k, without beta."""
        return [(pow(self.gamma, k, MODULUS), c) for k, c in enumerate(columns)]


class TLookup:
    name = "tlookup"
    virtual_outputs = False

    def check(self, session: Session, relations: Sequence[Relation], group: str) -> None:
        """Error, over r: columns * (cells + rows) for gamma and beta in the sums of fractions, as much again for a
        denominator that vanishes where the selector is 0; equations for alpha, n for u, 3 n for the sumcheck of n
        rounds."""
        if not relations:
            return
        tables = list(dict.fromkeys(table_of(r) for r in relations))
        for table in tables:
            mine = [r for r in relations if r.table == table]
            session.commit(multiplicity(group, table), (table.size,), partial(count, session, table, mine))
        gamma, beta = session.t.challenges("lookup", 2)
        ways = 2  # a false sum, and a denominator that vanishes where nothing is selected
        fractions_error(session, "lookup", relations, ways * max(len(t.ranges) for t in tables), ways)
        sides: list[Side] = [*(Cells(session, r) for r in relations), *(Rows(session, t, group) for t in tables)]
        for side in sides:
            session.commit(side.inverse, side.shape, partial(_inverse, session, side, gamma, beta))
        alpha = session.t.challenge("equations")
        point = session.t.challenges("equations point", max(total_vars(s.shape) for s in sides))
        session.t.error("lookup", len(tables) + len(sides) - 1)
        session.t.error("lookup", 1, len(point))
        powers = iter(univariate.powers(alpha, len(tables) + len(sides)))
        sums, inverses = {t: next(powers) for t in tables}, {s.inverse: next(powers) for s in sides}
        _prove(session, f"lookups {group}".strip(), sides, Challenges(gamma, beta, point, sums, inverses))

    def define(self, session: Session, definitions: Sequence[Definition], group: str) -> None:
        """Nothing is virtual here: the builder has committed every function value."""
        if definitions:
            names = sorted({d.relation.name for d in definitions})
            raise GraphError(f"tlookup keeps no function value virtual, but these define some: {names}")


def _inverse(session: Session, side: Side, gamma: int, beta: int) -> FieldArray:
    """selector / (beta + sum gamma^k column_k). [*padded shape, 4]"""
    k, cube = session.kernels, padded(side.shape)
    terms = [(pow(gamma, i, MODULUS), c) for i, c in enumerate(side.columns())]
    inverse = k.batch_inverse(k.combine(terms, beta, prod(cube)))
    return k.multiply(inverse, side.selector()).reshape(*cube, 4)


def _prove(session: Session, guard: str, sides: Sequence[Side], c: Challenges) -> None:
    """sum over sides of  alpha^t numerator inverse + alpha^s eq(u, .) inverse denominator  is known to all."""
    n, placed = len(c.point), [(s, _at(s, c.point)) for s in sides]
    claim = sum(c.inverses[s.inverse] * s.indicator(at) for s, at in placed) % MODULUS
    parts = [_part(session, s, c) for s in sides] if session.t.proving else []
    point, final = session.sumcheck(claim, n, 3, SideBySide(parts, 3) if parts else None)
    placed = [(s, _at(s, point)) for s in sides]
    own = [(name, tuple(at.values())) for s, at in placed for name in (s.inverse, s.numerator) if name]
    session.values(own, lambda: [v for s, p in zip(sides, parts, strict=True) for v in _own(s, p)])
    session.values([w for s, at in placed for w in s.wanted(at)])
    found = [(-share(total_vars(s.shape), n), _final(session, s, c, at)) for s, at in placed]
    session.t.require_zero(weighted([(1, final), *found]), guard)


def _at(side: Side, point: Point) -> dict[str, Point]:
    """A side's own coordinates of a joint point are the first ones."""
    return dict(zip(side.letters, split(point[: total_vars(side.shape)], side.shape), strict=True))


def _part(session: Session, side: Side, c: Challenges) -> Part:
    """Tables: inverse, alpha^s eq(u, .), numerator (where there is one), columns."""
    k, data, total = session.kernels, session.data(), c.sums[side.table]
    variables, columns = total_vars(side.shape), side.columns()
    weight = k.eq_table(c.point[:variables], c.inverses[side.inverse])
    tables: list[Column] = [flat(arrays.pad_to(data.array(side.inverse), padded(side.shape))), weight]
    terms: list[Term] = [(total, (0,)), (c.beta, (0, 1))]
    if side.numerator:
        tables.append(flat(arrays.pad_to(data.array(side.numerator), padded(side.shape))))
        terms[0] = (-total % MODULUS, (0, 2))
    terms += [(w, (0, 1, len(tables) + i)) for w, i in c.denominator(range(len(columns)))]
    return Part(k.sumcheck([*tables, *columns], terms, 3), terms, variables)


def _own(side: Side, part: Part) -> list[int]:
    """Inverse and numerator at the point, from the sumcheck."""
    finals = part.prover.finals()
    return [finals[0], finals[2]] if side.numerator else finals[:1]


def _final(session: Session, side: Side, c: Challenges, at: At) -> Number:
    """inverse (alpha^t numerator + alpha^s eq(u, point) denominator): one product of hidden values."""
    place, total = tuple(at.values()), c.sums[side.table]
    [inverse] = session.values([(side.inverse, place)])
    numerator = (-total, session.values([(side.numerator, place)])[0]) if side.numerator else (total, 1)
    weight = c.inverses[side.inverse] * eq(c.point[: total_vars(side.shape)], join(place)) % MODULUS
    terms = [(weight * w, v) for w, v in c.denominator(side.values(at))]
    return session.t.multiply(inverse, weighted([numerator, (weight * c.beta, 1), *terms]))


def table_of(relation: Relation) -> Table:
    if relation.table is None:
        raise TypeError(f"{relation.name} is no lookup")
    return relation.table


def multiplicity(group: str, table: Table) -> str:
    return f"multiplicity {group} {table.name}"
