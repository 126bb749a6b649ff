"""The prover's data: arrays by tensor name. What ops did not compute is derived from the relations when first read."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from zkcore.field.kernels import FieldKernels
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.rules import Entry
from zkcore.graph.system import System
from zkcore.polynomial.point import padded
from zkcore.relation import Expr, Relation

Tamper = Mapping[str, Callable[[Array, "Witness"], Array]]


class Witness:
    """`given`: what ops computed, weights included. `tamper`: for attacks; {tensor: f(array, witness)}."""

    def __init__(
        self, system: System, kernels: FieldKernels, given: Mapping[str, Array], tamper: Tamper | None = None
    ) -> None:
        self.system, self.kernels, self._tamper = system, kernels, dict(tamper or {})
        self._given, self._arrays = dict(given), dict[str, Array]()
        self._makers = {out: (r, k) for r in system.relations for k, out in enumerate(r.outs, 1)}

    def array(self, name: str) -> Array:
        if name not in self._arrays:
            made = self._make(name)
            self._arrays[name] = self._tamper[name](made, self) if name in self._tamper else made
        return self._arrays[name]

    def put(self, name: str, array: Array) -> None:
        """A column committed in mid-protocol."""
        self._arrays[name] = self._tamper[name](array, self) if name in self._tamper else array

    def _make(self, name: str) -> Array:
        if name in self._given:
            return np.asarray(self._given[name]).reshape(self._shape(name, self._given[name]))
        if name in self.system.publics:
            return self.system.publics[name].array()
        digit = self.system.digits.get(name)
        if isinstance(digit, Entry):
            return self._derive(digit.relation, digit.column)
        if digit:
            value = self._real(self.affine(digit.expr, digit.letters), self.system.tensors[name].shape)
            return self._digit(value, digit.shift, digit.bits)
        relation, column = self._makers[name]
        return self._derive(relation, column)

    def _shape(self, name: str, array: Array) -> tuple[int, ...]:
        shape = self.system.tensors[name].shape
        if np.asarray(array).size == int(np.prod(shape)) and not arrays.is_field(array):
            return shape
        return array.shape

    def _digit(self, value: Array, shift: int, bits: int) -> Array:
        if arrays.is_field(value):
            objects = arrays.to_objects(self.kernels, value)
            return arrays.from_objects(self.kernels, (objects >> shift) % (1 << bits))
        return (value >> shift) & ((1 << bits) - 1)

    def _real(self, array: Array, shape: tuple[int, ...]) -> Array:
        return np.ascontiguousarray(array[tuple(slice(0, n) for n in shape)])

    def _derive(self, relation: Relation, column: int) -> Array:
        if relation.kind == "einsum":
            return arrays.einsum(self.kernels, relation.spec, [self.array(n) for n, _ in relation.reads()])
        if relation.kind == "linear":
            return self._real(self.affine(relation.exprs[0], relation.spec), self.system.domain(relation))
        table = relation.table
        if table is None:
            raise TypeError(f"{relation.name} defines nothing")
        shape = self.system.domain(relation)
        rows = self._real(self.rows(relation), shape)
        return table.columns[column][rows] * self._real(self.selector(relation), shape)

    def affine(self, expr: Expr, letters: str) -> Array:
        """An affine expression over the padded domain of `letters`."""
        size = {x: k for _, n, a in expr.terms for x, k in zip(a, self.system.tensors[n].shape, strict=True)}
        inputs = [self.array(n) for _, n, _ in expr.terms]
        return arrays.affine(self.kernels, expr, inputs, letters, [size[x] for x in letters])

    def selector(self, relation: Relation) -> Array:
        """[padded domain] 1 at the cells a lookup speaks about: real, and inside its mask."""
        return selector(self.system, relation, self.array(relation.mask) if relation.mask else None)

    def indicator(self, shape: tuple[int, ...]) -> Array:
        """[padded shape] int8: 1 at the real cells."""
        out = np.zeros(padded(shape), dtype=np.int8)
        out[tuple(slice(0, n) for n in shape)] = 1
        return out

    def rows(self, relation: Relation) -> Array:
        """[padded domain] the table row each cell refers to. An index outside the table is a cheater's: row 0 will
        suit them as well as any, since no multiplicity can make it right."""
        if relation.table is None:
            raise TypeError(f"{relation.name} is no lookup")
        index = self.affine(relation.exprs[0], relation.spec)
        if arrays.is_field(index):
            index = np.where(np.abs(o := arrays.to_objects(self.kernels, index)) < 1 << 60, o, -1).astype(np.int64)
        row = index - relation.table.first
        return np.where((row >= 0) & (row < relation.table.size), row, 0)


def selector(system: System, relation: Relation, mask: Array | None) -> Array:
    """[padded domain] int8."""
    real = system.domain(relation)
    out = np.zeros(padded(real), dtype=np.int8)
    inner = tuple(slice(0, n) for n in real)
    if mask is None:
        out[inner] = 1
    else:
        laid = arrays.spread(mask, relation.mask_letters, relation.spec)
        out[inner] = np.broadcast_to(laid, real)
    return out
