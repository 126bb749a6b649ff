"""LogUp by fraction trees, with function outputs kept virtual.

check    sum over cells of 1/(beta - cell) = sum over table rows of m/(beta - row): multiplicities m are committed
         before beta; a cell or row is its table's tag and columns, compressed by powers of gamma. One tree for all.
define   y = f(t) is never committed: claims y~(z) = v become claims on t (logup*, Soukhanov 2025/946). With a
         challenge delta, each table column f gets ONE pushforward: F_j = sum over claims i and cells with t = j of
         delta^i eq(z_i, cell). Then <f, F> = sum_i delta^i v_i is a sumcheck over the table, and a tree shows
         sum over cells of delta^i eq/(beta - t) = sum_j F_j/(beta - j).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod
from typing import TypeAlias, cast

from zkcore.field import space
from zkcore.field.eq_kernels import SumsEq
from zkcore.field.kernels import MODULUS, FieldArray, IntArray
from zkcore.graph import arrays
from zkcore.polynomial import univariate
from zkcore.polynomial.boxes import boxes
from zkcore.polynomial.point import join, num_vars, total_vars
from zkcore.relation import Relation, Table
from zkcore.subprotocols.leaf_blocks import (
    Compression,
    cell_blocks,
    cell_weights,
    index_blocks,
    prove_blocks,
    table_block,
    table_of,
)
from zkcore.subprotocols.lookup import Definition
from zkcore.subprotocols.session import Session
from zkcore.transcript.rounds import weighted

Parts: TypeAlias = dict[int, list[tuple[int, FieldArray]]]  # of a column's pushforward: weight, summand


class LogupGkr:
    name = "logup_gkr"
    virtual_outputs = True

    def check(self, session: Session, relations: Sequence[Relation], group: str) -> None:
        """Error: (cells + rows) / r for beta, columns times that for gamma, plus the tree's."""
        if not relations:
            return
        tables = _tables(relations)
        for table in tables:
            mine = [r for r in relations if r.table == table]
            session.commit(_multiplicity(group, table), (table.size,), partial(count, session, table, mine))
        gamma, beta = session.t.challenges("lookup", 2)
        fractions_error(session, "lookup", relations, max(len(t.ranges) for t in tables))
        compression = Compression(beta, gamma, {t: i for i, t in enumerate(tables)})
        blocks = [table_block(session, t, compression, [(-1, _multiplicity(group, t))]) for t in tables]
        blocks += [b for r in relations for b in cell_blocks(session, r, compression)]
        prove_blocks(session, "lookups" if not group else f"lookups {group}", blocks)

    def define(self, session: Session, definitions: Sequence[Definition], group: str) -> None:
        """Error: claims / r for delta and columns / r for lambda; (cells + rows) / r for gamma and as much for beta;
        the variables of a claim's point, lest cells of one index outside the table cancel; plus the tree's and the
        table sumchecks'."""
        if not definitions:
            return
        delta = session.t.challenge("definitions")
        powers = univariate.powers(delta, len(definitions) + 1)[1:]
        keys = list(dict.fromkeys((table_of(d.relation), d.column) for d in definitions))
        weighed = list(zip(powers, definitions, strict=True))
        tables = _tables([d.relation for d in definitions])
        made = {t: Pushforwards(session, t, [(p, d) for p, d in weighed if d.relation.table == t]) for t in tables}
        for table, column in keys:
            session.commit(_pushforward(group, table, column), (table.size,), partial(made[table].column, column))
        gamma, beta, batch = session.t.challenges("definition lookup", 3)
        relations = list(dict.fromkeys(d.relation for d in definitions))
        session.t.error("definitions", len(definitions) + max(total_vars(session.system.domain(r)) for r in relations))
        session.t.error("definitions", len(keys))
        fractions_error(session, "definitions", relations, 1)
        shares = {key: pow(batch, i, MODULUS) for i, key in enumerate(keys, 1)}
        compression = Compression(beta, gamma, {t: i for i, t in enumerate(tables)})
        blocks = []
        for table in tables:
            columns = [(-shares[key], _pushforward(group, *key)) for key in keys if key[0] == table]
            blocks.append(table_block(session, table, compression, columns, index_only=True))
        for relation in relations:
            weights = [(p * shares[_key(d)] % MODULUS, d) for p, d in weighed if d.relation is relation]
            blocks += index_blocks(session, relation, compression, weights)
        prove_blocks(session, f"definitions {group}".strip(), blocks)
        for table in tables:
            mine = [(p, d) for p, d in weighed if d.relation.table == table]
            _table_sum(session, group, table, mine)


def fractions_error(session: Session, term: str, relations: Sequence[Relation], columns: int, ways: int = 1) -> None:
    """Of gamma and beta. Cleared of denominators, a false sum of fractions is a polynomial that does not vanish, of
    degree N in beta and N * columns in gamma, for N cells and rows. `ways`: of going wrong, in beta."""
    cells = sum(prod(session.system.domain(r)) for r in relations)
    n = cells + sum(t.size for t in _tables(relations))
    session.t.error(term, n * columns)
    session.t.error(term, n * ways)


def count(session: Session, table: Table, relations: Sequence[Relation]) -> IntArray:
    """How often each row of the table is looked up. [table.size]"""
    here = session.kernels.space
    total = here.zeros((table.size,), "int64")
    for r in relations:
        total += session.data().tally(r)
    return total


class Pushforwards:
    """F_j of a table's columns: the weights of the cells that refer to row j. [table.size, 4] each. The first one to be
    asked for makes all: the cells are read once. `definitions`: with the weights of their claims."""

    def __init__(self, session: Session, table: Table, definitions: Sequence[tuple[int, Definition]]) -> None:
        self._session, self._table, self._definitions = session, table, definitions
        self._made = dict[int, FieldArray]()

    def column(self, column: int) -> FieldArray:
        if column not in self._made:
            self._made = self._all()
        return self._made.pop(column)

    def _all(self) -> dict[int, FieldArray]:
        parts: Parts = {d.column: [] for _, d in self._definitions}
        add = self._add_at_once if isinstance(self._session.kernels, SumsEq) else self._add_by_boxes
        for relation in dict.fromkeys(d.relation for _, d in self._definitions):
            add(parts, relation, [(p, d) for p, d in self._definitions if d.relation is relation])
        return {c: self._session.kernels.combine(p, 0, self._table.size) for c, p in parts.items()}

    def _add_at_once(self, parts: Parts, relation: Relation, own: Sequence[tuple[int, Definition]]) -> None:
        data, table, k = self._session.data(), self._table, cast(SumsEq, self._session.kernels)
        points = [join(d.claim.place) for _, d in own]
        sums = k.eq_by_row(data.index(relation)[0], table.first, table.size, data.chosen(relation), points)
        for (p, d), found in zip(own, sums, strict=True):
            parts[d.column].append((p, found))

    def _add_by_boxes(self, parts: Parts, relation: Relation, own: Sequence[tuple[int, Definition]]) -> None:
        session, table, k = self._session, self._table, self._session.kernels
        rows = k.space.table_rows(session.data().index(relation)[0], table.first, table.size)
        for box in boxes(session.system.domain(relation)):
            index = space.flat(arrays.pad_to(rows[box.slices], box.size))
            for column in dict.fromkeys(d.column for _, d in own):
                weights = cell_weights(session, relation, [(p, d) for p, d in own if d.column == column], box)
                parts[column].append((1, k.scatter_add(index, weights, table.size)))


def _table_sum(session: Session, group: str, table: Table, definitions: Sequence[tuple[int, Definition]]) -> None:
    """sum_i delta^i v_i = sum_f <f, F_f> over the table's columns."""
    t, k = session.t, session.kernels
    columns = list(dict.fromkeys(d.column for _, d in definitions))
    names = [_pushforward(group, table, c) for c in columns]
    claim = weighted([(p, d.claim.value) for p, d in definitions])
    prover, variables = None, num_vars(table.size)
    if t.proving:
        size = (1 << variables,)
        tables = [arrays.pad_to(session.entries(table, c), size) for c in columns]
        tables += [arrays.pad_to(session.data().array(n), size) for n in names]
        terms = [(1, (i, len(columns) + i)) for i in range(len(columns))]
        prover = k.sumcheck(tables, terms, 2)
    point, final = session.sumcheck(claim, variables, 2, prover)
    known = (lambda: prover.finals()[len(columns) :]) if prover else None
    values = session.values([(n, (point,)) for n in names], known)
    found = [(-session.table_value(table, c, point), v) for c, v in zip(columns, values, strict=True)]
    t.require_zero(weighted([(1, final), *found]), f"{table.name} values")


def _key(d: Definition) -> tuple[Table, int]:
    return table_of(d.relation), d.column


def _tables(relations: Sequence[Relation]) -> list[Table]:
    return list(dict.fromkeys(table_of(r) for r in relations))


def _multiplicity(group: str, table: Table) -> str:
    return f"multiplicity {group} {table.name}"


def _pushforward(group: str, table: Table, column: int) -> str:
    return " ".join(["pushforward", *([group] if group else []), table.name, str(column)])
