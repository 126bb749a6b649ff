"""How the prover finds committed tensors that no op computes. The verifier never reads these."""

from __future__ import annotations

from dataclasses import dataclass

from zkcore.relation import Expr, Relation, Table


@dataclass(frozen=True)
class Digit:
    """A limb: (expr // 2^shift) mod 2^bits, over `letters`."""

    expr: Expr
    letters: str
    shift: int
    bits: int


@dataclass(frozen=True)
class Entry:
    """A function value: `column` of the table row that the lookup `relation` refers to, zero outside its mask."""

    relation: Relation
    column: int


def head(table: Table, columns: int) -> Table:
    """The table's first columns."""
    if columns == len(table.ranges):
        return table
    name = f"{table.name}, {columns} columns"
    return Table(name, table.size, table.ranges[:columns], lambda: table.columns[:columns])
