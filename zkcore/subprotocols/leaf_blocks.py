"""What the leaves of a lookup's fraction tree are: runs of cells and of table rows, as columns for the prover and as
formulas for the verifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from zkcore.field import space
from zkcore.field.kernels import MODULUS, Column, FieldArray
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.polynomial import multilinear
from zkcore.polynomial.boxes import Box, boxes, whole
from zkcore.polynomial.point import Point, eq_at_indices, less_than, num_vars
from zkcore.relation import Expr, Relation, Table
from zkcore.subprotocols import fraction_tree
from zkcore.subprotocols.fraction_tree import Leaf, Run
from zkcore.subprotocols.lookup import Definition
from zkcore.subprotocols.session import At, Session
from zkcore.transcript.rounds import weighted
from zkcore.transcript.values import Number

Terms = list[tuple[int, Number]]


@dataclass(frozen=True)
class Block:
    """A run of leaves: the cells of a box. `at` the leaf point, numerator and denominator are given by the verifier's
    own formulas. `ready`: what kernels must compute for these."""

    box: Box
    letters: str
    run: Callable[[], Run]
    wanted: Callable[[At], list[tuple[str, tuple[tuple[int, ...], ...]]]]
    numerator: Callable[[At], Number]
    denominator: Callable[[At], Number]
    ready: Callable[[At], object] = lambda at: None

    @property
    def num_vars(self) -> int:
        return self.box.num_vars

    def at(self, point: Point) -> dict[str, Point]:
        """The leaf point's own coordinates, as a point of each axis."""
        return dict(zip(self.letters, self.box.place(point), strict=True))


@dataclass(frozen=True)
class Compression:
    """den = beta - tag - sum gamma^k column_k; on padding den = 1, so that kernels may skip it."""

    beta: int
    gamma: int
    tags: dict[Table, int]

    def constant(self, table: Table) -> int:
        return (self.beta - self.tags[table] - 1) % MODULUS

    def power(self, k: int) -> int:
        return -pow(self.gamma, k, MODULUS) % MODULUS


def cell_weights(
    session: Session, relation: Relation, weights: Sequence[tuple[int, Definition]], box: Box
) -> FieldArray:
    """sum of weight * eq(claim, cell) over the relation's selected cells in a box; zero elsewhere. [2^n, 4]"""
    if not weights:
        raise TypeError("no claim defines these weights")
    points = []
    for w, d in weights:
        point, factor = box.restrict(d.claim.place)
        points.append((w * factor % MODULUS, point))
    everywhere = box.full and relation.mask is None
    mask = None if everywhere else space.flat(session.data().selector(relation, box))
    return multilinear.eq_sum(session.kernels, points, mask)


def table_block(
    session: Session, table: Table, c: Compression, numerators: Sequence[tuple[int, str]], index_only: bool = False
) -> Block:
    columns = range(1 if index_only else len(table.ranges))
    box = whole((table.size,))

    def run() -> Run:
        held = [(w, session.data().array(n)) for w, n in numerators]
        one_small = len(held) == 1 and held[0][0] == -1 and not arrays.is_field(held[0][1])
        total = -held[0][1] if one_small else session.kernels.combine(held, 0, table.size)
        parts = [(c.power(k + 1), space.narrow(session.entries(table, k))) for k in columns]
        return _run(session, box, space.narrow(total), c.constant(table), parts)

    def numerator(at: At) -> Number:
        values = session.values([(n, (at["z"],)) for _, n in numerators])
        return weighted([(w, v) for (w, _), v in zip(numerators, values, strict=True)])

    def denominator(at: At) -> Number:
        z = at["z"]
        value = 1 + less_than(z, table.size) * c.constant(table)
        return (value + sum(c.power(k + 1) * session.table_value(table, k, z) for k in columns)) % MODULUS

    def ready(at: At) -> list[int]:
        return [session.table_value(table, k, at["z"]) for k in columns]

    return Block(box, "z", run, lambda at: [(n, (at["z"],)) for _, n in numerators], numerator, denominator, ready)


def cell_blocks(session: Session, relation: Relation, c: Compression) -> list[Block]:
    """A lookup's cells: numerator 1 where it speaks, all columns in the denominator."""

    def numerator(box: Box) -> Column:
        return session.data().selector(relation, box)

    return _relation_blocks(session, relation, c, relation.exprs, numerator, lambda at: session.selected(relation, at))


def index_blocks(
    session: Session, relation: Relation, c: Compression, weights: Sequence[tuple[int, Definition]]
) -> list[Block]:
    """A defining lookup's cells: numerator sum of weight * eq(claim, cell), only the index in the denominator."""

    def numerator(box: Box) -> Column:
        return cell_weights(session, relation, weights, box)

    def at_point(at: At) -> Number:
        return sum(w * session.weighted_selected(relation, d.claim.place, at) for w, d in weights) % MODULUS

    return _relation_blocks(session, relation, c, relation.exprs[:1], numerator, at_point)


class _Columns:
    """A relation's columns, made once for all its boxes and held until the last of them is cut."""

    def __init__(self, session: Session, relation: Relation, count: int, cuts: Sequence[Box]) -> None:
        self._session, self._relation, self._count, self._cuts = session, relation, count, len(cuts)
        self._cover = tuple(max(ends) for ends in zip(*(b.end for b in cuts), strict=True))
        self._made: list[Array] | None = None

    def cut(self, box: Box) -> list[Array]:
        """[*box.size] each."""
        data = self._session.data()
        if self._made is None:
            self._made = [data.looked_up(self._relation, k, self._cover) for k in range(self._count)]
            self._left = self._cuts
        within = tuple(slice(a, b) for a, b in zip(box.start, box.end, strict=True))
        out = [column[within] for column in self._made]
        self._left -= 1
        if not self._left:
            self._made = None
        return out


def _relation_blocks(
    session: Session,
    relation: Relation,
    c: Compression,
    exprs: Sequence[Expr],
    numerator: Callable[[Box], Column],
    numerator_at: Callable[[At], Number],
) -> list[Block]:
    table, cuts = table_of(relation), boxes(session.system.domain(relation))
    columns = _Columns(session, relation, len(exprs), cuts)

    def run(box: Box) -> Run:
        parts = [(c.power(k), column) for k, column in enumerate(columns.cut(box), 1)]
        return _run(session, box, numerator(box), c.constant(table), parts)

    def denominator(at: At) -> Number:
        real = session.real(relation, at)
        terms: Terms = [(c.power(k), session.affine(e, at, real)) for k, e in enumerate(exprs, 1)]
        return weighted([*terms, (1, (1 + real * c.constant(table)) % MODULUS)])

    def wanted(at: At) -> list[tuple[str, tuple[tuple[int, ...], ...]]]:
        return [w for e in exprs for w in session.places(e, at)]

    return [Block(b, relation.spec, partial(run, b), wanted, numerator_at, denominator) for b in cuts]


def _run(session: Session, box: Box, numerator: Column, constant: int, parts: Sequence[tuple[int, Array]]) -> Run:
    """Columns over a box. If all its cells are real, the constant needs no column."""
    size = 1 << box.num_vars

    def fit(column: Column) -> Column:
        return arrays.pad_to(space.flat(column), (size,))

    terms = [(w, fit(p)) for w, p in parts]
    if box.full:
        return Run(fit(numerator), (constant + 1) % MODULUS, terms)
    return Run(fit(numerator), 1, [(constant, session.data().indicator(box).reshape(-1)), *terms])


def prove_blocks(session: Session, guard: str, blocks: list[Block]) -> None:
    """Largest blocks first, so that each is aligned: its point is a suffix of the leaf point."""
    blocks = sorted(blocks, key=lambda b: -b.num_vars)
    total = num_vars(sum(1 << b.num_vars for b in blocks))
    leaf = fraction_tree.prove(session, guard, total, lambda: session.data().settled(lambda: [b.run() for b in blocks]))
    _leaves(session, guard, blocks, leaf)


def _leaves(session: Session, guard: str, blocks: Sequence[Block], leaf: Leaf) -> None:
    """num and den at the leaf point are sums over the blocks; leaves outside all blocks are 0/1."""
    n, offset, placed = len(leaf.point), 0, []
    weight_of = eq_at_indices(leaf.point)
    for b in blocks:
        at = b.at(leaf.point[n - b.num_vars :])
        placed.append((b, weight_of(offset >> b.num_vars, n - b.num_vars), at))
        offset += 1 << b.num_vars
    session.values([w for b, _, at in placed for w in b.wanted(at)])
    for b, _, at in placed:
        b.ready(at)
    outside = (1 - sum(weight for _, weight, _ in placed)) % MODULUS

    def require() -> None:
        num: Terms = [(weight, b.numerator(at)) for b, weight, at in placed]
        den: Terms = [(weight, b.denominator(at)) for b, weight, at in placed]
        session.t.require_zero(weighted([(1, leaf.numerator), *((-w, v) for w, v in num)]), f"{guard} leaves")
        session.t.require_zero(
            weighted([(1, leaf.denominator), *((-w, v) for w, v in den), (-1, outside)]), f"{guard} leaves"
        )

    session.t.later(require)  # while a GPU builds the next tree


def table_of(relation: Relation) -> Table:
    if relation.table is None:
        raise TypeError(f"{relation.name} is no lookup")
    return relation.table
