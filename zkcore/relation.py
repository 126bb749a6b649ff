"""An op's algebra as data. Four kinds of relation carry a whole language model:

    einsum   out = sum of ONE product of tensors          linear   out = affine sum of tensors at one point (no rounds)
    lookup   affine columns are a row of a table, wherever a public mask is 1; a virtual column may be DEFINED by it
    zero     an affine sum of tensors vanishes on the real cells

Axes are named by single letters, as in einsum strings. Proving and verifying are derived from this data alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from zkcore.errors import GraphError

Integers = NDArray[np.int64]
Term = tuple[int, str, str]  # coefficient, tensor, its axes' letters


@dataclass(frozen=True)
class Expr:
    """const + sum of coefficient * tensor[letters]. A constant lives on real cells only."""

    terms: tuple[Term, ...] = ()
    const: int = 0

    def __add__(self, other: Expr | int) -> Expr:
        if isinstance(other, Expr):
            return Expr(self.terms + other.terms, self.const + other.const)
        return Expr(self.terms, self.const + other)

    def __mul__(self, k: int) -> Expr:
        return Expr(tuple((c * k, n, a) for c, n, a in self.terms), self.const * k)

    def __neg__(self) -> Expr:
        return self * -1

    def __sub__(self, other: Expr | int) -> Expr:
        return self + -other

    def __rsub__(self, other: Expr | int) -> Expr:
        return -self + other

    __radd__, __rmul__ = __add__, __mul__


@dataclass(frozen=True)
class Table:
    """A public table. Column 0 is the index: consecutive integers. `ranges` bounds each column, and column 0 to the
    unit. `make`: the columns; None if the index is all there is, which nobody has to write out then. GraphError: the
    columns are not what is said of them."""

    name: str
    size: int
    ranges: tuple[tuple[int, int], ...]
    make: Callable[[], list[Integers]] | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.size < 1 or self.ranges[0][1] - self.first + 1 != self.size or not (self.make or len(self.ranges) == 1):
            raise GraphError(f"table {self.name}: {self.size} rows cannot be indexed by {self.ranges[0]}")

    @cached_property
    def columns(self) -> list[Integers]:
        index = np.arange(self.first, self.first + self.size, dtype=np.int64)
        if self.make is None:
            return [index]
        made = [np.ascontiguousarray(c, dtype=np.int64) for c in self.make()]
        if not np.array_equal(made[0], index):
            raise GraphError(f"table {self.name}: its first column must count from {self.first}, row by row")
        for k, (column, (lo, hi)) in enumerate(zip(made, self.ranges, strict=True)):
            if column.shape != (self.size,) or column.min() < lo or column.max() > hi:
                raise GraphError(f"table {self.name}: column {k} is not {self.size} numbers from {lo} to {hi}")
        return made

    @cached_property
    def digest(self) -> str:
        """A verifier asks for it: what has millions of rows is not made for that."""
        if self.make is None:
            return hashlib.sha256(f"{self.size} integers from {self.first}".encode()).hexdigest()
        return hashlib.sha256(b"".join(c.tobytes() for c in self.columns)).hexdigest()

    @property
    def first(self) -> int:
        return self.ranges[0][0]


@cache
def range_table(bits: int) -> Table:
    """0, 1, ..., 2^bits - 1."""
    return Table(f"range{bits}", 1 << bits, ((0, (1 << bits) - 1),))


@cache
def below_table(size: int) -> Table:
    """0, 1, ..., size - 1."""
    return Table(f"below{size}", size, ((0, size - 1),))


@dataclass(frozen=True)
class Relation:
    """`name` is also the name of the guard it installs."""

    kind: str  # einsum | linear | lookup | zero
    name: str
    spec: str  # einsum: "ik,kj->ij"; others: the letters of the domain
    exprs: tuple[Expr, ...]  # einsum: one bare tensor per factor; lookup: columns; linear, zero: one
    outs: tuple[str, ...] = ()  # the tensors it defines
    table: Table | None = None
    mask: str | None = None
    mask_letters: str = ""
    group: str = ""

    def reads(self) -> tuple[tuple[str, str], ...]:
        """(tensor, letters) in order."""
        return self._reads

    @cached_property
    def _reads(self) -> tuple[tuple[str, str], ...]:
        return tuple((n, a) for e in self.exprs for _, n, a in e.terms)

    def factors(self) -> tuple[list[str], str]:
        """Einsum only: each factor's letters, and the output's."""
        ins, out = self.spec.split("->")
        return ins.split(","), out

    def describe(self) -> list[object]:
        """Canonical content for the statement."""
        exprs = [[e.const, [list(t) for t in e.terms]] for e in self.exprs]
        table = [self.table.name, self.table.digest] if self.table else None
        return [
            self.kind,
            self.name,
            self.spec,
            exprs,
            list(self.outs),
            table,
            self.mask,
            self.mask_letters,
            self.group,
        ]
