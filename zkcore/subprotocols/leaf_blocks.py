"""What the leaves of a lookup's fraction tree are: runs of cells and of table rows, as columns for the prover and as
formulas for the verifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from zkcore.field.kernels import MODULUS, Column, FieldArray, contiguous
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import eq, index_point, less_than, num_vars, split, total_vars
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
    """A run of leaves. `at` the leaf point, numerator and denominator are given by the verifier's own formulas."""

    num_vars: int
    run: Callable[[], Run]
    wanted: Callable[[At], list[tuple[str, tuple[tuple[int, ...], ...]]]]
    numerator: Callable[[At], Number]
    denominator: Callable[[At], Number]
    letters: str
    shape: tuple[int, ...]


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


def cell_weights(session: Session, relation: Relation, weights: Sequence[tuple[int, Definition]]) -> FieldArray:
    """sum of weight * eq(claim, cell) over the relation's selected cells; zero elsewhere. [2^n, 4]"""
    k = session.kernels
    tables = [multilinear.eq_over(k, d.claim.place) for _, d in weights]
    total = k.combine(list(zip((w for w, _ in weights), tables, strict=True)), 0, len(tables[0]))
    return k.multiply(total, contiguous(session.selector(relation)).reshape(-1))


def table_block(
    session: Session, table: Table, c: Compression, numerators: Sequence[tuple[int, str]], index_only: bool = False
) -> Block:
    columns = range(1 if index_only else len(table.ranges))
    variables = num_vars(table.size)

    def run() -> Run:
        held = [(w, session.data().array(n)) for w, n in numerators]
        one_small = len(held) == 1 and held[0][0] == -1 and not arrays.is_field(held[0][1])
        total = -held[0][1] if one_small else session.kernels.combine(held, 0, table.size)
        parts = [(c.power(k + 1), table.columns[k]) for k in columns]
        return _run(session, (table.size,), total, c.constant(table), parts)

    def numerator(at: At) -> Number:
        values = session.values([(n, (at["z"],)) for _, n in numerators])
        return weighted([(w, v) for (w, _), v in zip(numerators, values, strict=True)])

    def denominator(at: At) -> Number:
        z = at["z"]
        value = 1 + less_than(z, table.size) * c.constant(table)
        return (value + sum(c.power(k + 1) * session.table_value(table, k, z) for k in columns)) % MODULUS

    return Block(
        variables,
        run,
        lambda at: [(n, (at["z"],)) for _, n in numerators],
        numerator,
        denominator,
        "z",
        (table.size,),
    )


def cell_block(session: Session, relation: Relation, c: Compression) -> Block:
    """A lookup's cells: numerator 1 where it speaks, all columns in the denominator."""

    def numerator() -> Column:
        return session.selector(relation)

    return _relation_block(session, relation, c, relation.exprs, numerator, lambda at: session.selected(relation, at))


def index_block(
    session: Session, relation: Relation, c: Compression, weights: Sequence[tuple[int, Definition]]
) -> Block:
    """A defining lookup's cells: numerator sum of weight * eq(claim, cell), only the index in the denominator."""

    def at_point(at: At) -> Number:
        return sum(w * session.weighted_selected(relation, d.claim.place, at) for w, d in weights) % MODULUS

    return _relation_block(
        session, relation, c, relation.exprs[:1], lambda: cell_weights(session, relation, weights), at_point
    )


def _relation_block(
    session: Session,
    relation: Relation,
    c: Compression,
    exprs: Sequence[Expr],
    numerator: Callable[[], Column],
    numerator_at: Callable[[At], Number],
) -> Block:
    shape, table = session.system.domain(relation), table_of(relation)
    variables = total_vars(shape)

    def run() -> Run:
        parts: list[tuple[int, Array]] = []
        for k, expr in enumerate(exprs, 1):
            column = session.data().affine(expr, relation.spec)
            parts.append((c.power(k), column.reshape(-1, 4) if arrays.is_field(column) else column.reshape(-1)))
        return _run(session, shape, numerator(), c.constant(table), parts)

    def denominator(at: At) -> Number:
        real = session.real(relation, at)
        terms: Terms = [(c.power(k), session.affine(e, at, real)) for k, e in enumerate(exprs, 1)]
        return weighted([*terms, (1, (1 + real * c.constant(table)) % MODULUS)])

    def wanted(at: At) -> list[tuple[str, tuple[tuple[int, ...], ...]]]:
        return [w for e in exprs for w in session.places(e, at)]

    return Block(variables, run, wanted, numerator_at, denominator, relation.spec, shape)


def _run(
    session: Session, shape: tuple[int, ...], numerator: Column, constant: int, parts: Sequence[tuple[int, Array]]
) -> Run:
    """Columns over the padded cube of `shape`. If all its cells are real, the constant needs no column."""
    size = 1 << total_vars(shape)

    def fit(column: Column) -> Column:
        laid = contiguous(column)
        return arrays.pad_to(laid.reshape(-1, 4) if arrays.is_field(column) else laid.reshape(-1), (size,))

    terms = [(w, fit(p)) for w, p in parts]
    if size == prod(shape):
        return Run(fit(numerator), (constant + 1) % MODULUS, terms)
    return Run(fit(numerator), 1, [(constant, session.data().indicator(shape).reshape(-1)), *terms])


def prove_blocks(session: Session, guard: str, blocks: list[Block]) -> None:
    """Largest blocks first, so that each is aligned: its point is a suffix of the leaf point."""
    blocks = sorted(blocks, key=lambda b: -b.num_vars)
    total = num_vars(sum(1 << b.num_vars for b in blocks))
    leaf = fraction_tree.prove(session, guard, total, lambda: [b.run() for b in blocks])
    _leaves(session, guard, blocks, leaf)


def _leaves(session: Session, guard: str, blocks: Sequence[Block], leaf: Leaf) -> None:
    """num and den at the leaf point are sums over the blocks; leaves outside all blocks are 0/1."""
    n, offset, placed = len(leaf.point), 0, []
    for b in blocks:
        prefix = index_point(offset >> b.num_vars, n - b.num_vars)
        at = dict(zip(b.letters, split(leaf.point[n - b.num_vars :], b.shape), strict=True))
        placed.append((b, eq(prefix, leaf.point[: n - b.num_vars]), at))
        offset += 1 << b.num_vars
    session.values([w for b, _, at in placed for w in b.wanted(at)])
    num: Terms = [(weight, b.numerator(at)) for b, weight, at in placed]
    den: Terms = [(weight, b.denominator(at)) for b, weight, at in placed]
    outside = (1 - sum(weight for _, weight, _ in placed)) % MODULUS
    session.t.require_zero(weighted([(1, leaf.numerator), *((-w, v) for w, v in num)]), f"{guard} leaves")
    session.t.require_zero(
        weighted([(1, leaf.denominator), *((-w, v) for w, v in den), (-1, outside)]), f"{guard} leaves"
    )


def table_of(relation: Relation) -> Table:
    if relation.table is None:
        raise TypeError(f"{relation.name} is no lookup")
    return relation.table
