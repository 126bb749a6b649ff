"""Which relations hold, cell by cell, without any proof: what an attack breaks, by name. Real cells only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zkcore.field.kernels import MODULUS
from zkcore.graph import arrays
from zkcore.graph.arrays import Array, Objects
from zkcore.graph.rules import Entry
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.relation import Expr, Relation, Table


def unsatisfied(system: System, witness: Witness, among: Sequence[Relation] | None = None) -> list[str]:
    """Names of the relations that the witness breaks, in the system's order; `among`: of these alone."""
    relations = system.relations if among is None else among
    return [r.name for r in relations if not _holds(system, witness, r)]


def depending_on(system: System, *names: str) -> list[Relation]:
    """Relations that lies about these tensors can break: those that read one, or what is derived from it."""
    changed, before = {*names}, 0
    while len(changed) > before:
        before = len(changed)
        for r in system.relations:
            if r.outs and not changed.isdisjoint(n for n, _ in r.reads()):
                changed.update(r.outs)
        for limb, digit in system.digits.items():
            read = digit.relation.reads() if isinstance(digit, Entry) else [(n, a) for _, n, a in digit.expr.terms]
            if not changed.isdisjoint(n for n, _ in read):
                changed.add(limb)
    return [r for r in system.relations if not changed.isdisjoint([*r.outs, *(n for n, _ in r.reads())])]


def _holds(system: System, witness: Witness, relation: Relation) -> bool:
    if relation.kind == "einsum":
        found = arrays.einsum(witness.kernels, relation.spec, [_real(system, witness, n) for n, _ in relation.reads()])
        return _equal(arrays.to_objects(witness.kernels, found), _cells(system, witness, relation.outs[0]))
    columns = [_affine(system, witness, e, relation) for e in relation.exprs]
    if relation.kind == "linear":
        return _equal(columns[0], _cells(system, witness, relation.outs[0]))
    if relation.kind == "zero":
        return _equal(columns[0], np.zeros_like(columns[0]))
    columns += [_cells(system, witness, out) for out in relation.outs]
    return relation.table is not None and _looked_up(system, witness, relation, relation.table, columns)


def _looked_up(system: System, witness: Witness, relation: Relation, table: Table, columns: list[Objects]) -> bool:
    """Every selected cell is a row of the table; what the lookup defines is zero elsewhere."""
    on = _selected(system, witness, relation)
    row = columns[0] - table.first
    if any(not 0 <= r < table.size for r in row[on]):
        return False
    rows = np.where(on, row, 0).astype(np.int64)
    for k, column in enumerate(columns):
        defined = k >= len(relation.exprs)
        if not _equal(column[on], table.columns[k][rows][on]) or (defined and column[~on].any()):
            return False
    return True


def _selected(system: System, witness: Witness, relation: Relation) -> Array:
    shape = system.domain(relation)
    if relation.mask is None:
        return np.ones(shape, dtype=bool)
    laid = arrays.spread(_real(system, witness, relation.mask), relation.mask_letters, relation.spec)
    return np.broadcast_to(laid != 0, shape)


def _affine(system: System, witness: Witness, expr: Expr, relation: Relation) -> Objects:
    """[domain], centred around zero."""
    total = np.full(system.domain(relation), expr.const, dtype=object)
    for c, name, letters in expr.terms:
        laid = arrays.spread(_real(system, witness, name), letters, relation.spec)
        total = total + c * arrays.to_objects(witness.kernels, laid)
    centred: Objects = (total + MODULUS // 2) % MODULUS - MODULUS // 2
    return centred


def _real(system: System, witness: Witness, name: str) -> Array:
    array = witness.array(name)
    return np.array(array[tuple(slice(0, n) for n in system.tensors[name].shape)], order="C")


def _cells(system: System, witness: Witness, name: str) -> Objects:
    return arrays.to_objects(witness.kernels, _real(system, witness, name))


def _equal(a: Objects, b: Objects | Array) -> bool:
    return not np.any((np.asarray(a, dtype=object) - np.asarray(b, dtype=object)) % MODULUS)
