"""The prover's data: arrays by tensor name. What ops did not compute is derived from the relations when first read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import TypeVar, cast

import numpy as np

from zkcore.field.kernels import Kernels
from zkcore.field.space import Form, narrow, narrowest
from zkcore.field.unmade import Given, Stacked, read, size
from zkcore.graph import arrays, one_hot
from zkcore.graph.arrays import Array
from zkcore.graph.guesses import Guesses
from zkcore.graph.rules import Digit, Entry
from zkcore.graph.selectors import Selectors
from zkcore.graph.system import System
from zkcore.polynomial.boxes import Box, whole
from zkcore.polynomial.point import padded
from zkcore.relation import Expr, Relation, Table

T = TypeVar("T")
SMALL = 1 << 20  # bytes: what is smaller is always kept
GIVEN = 3  # times the memory for virtual tensors: where nobody says how much of what is given may be kept
AT_ONCE = 4  # virtual tensors that may be in use together
Tamper = Mapping[str, Callable[[Array, "Witness"], Array]]


class Witness:
    """`given`: what ops computed, weights included. `tamper`: for attacks; {tensor: f(array, witness)}. `memory`: bytes
    of virtual tensors that are kept at most; the others are derived again when they are read again. With a limit
    arrays are of the narrowest type, and what is given in parts is put together again. `given_room`: if what is given
    takes more bytes, what of it lies on the host is moved again whenever it is read, as derived tensors are."""

    def __init__(
        self,
        system: System,
        kernels: Kernels,
        given: Mapping[str, Given],
        tamper: Tamper | None = None,
        memory: int | None = None,
        given_room: int | None = None,
    ) -> None:
        self.system, self.kernels, self._tamper = system, kernels, dict(tamper or {})
        self._given, self._arrays = dict(given), dict[str, Array]()  # given: until it is read, or to be read again
        self._memory, self._passing = memory, dict[str, int]()
        self._tables: dict[tuple[str, int], Array] = {}
        self._guesses = Guesses(kernels.space)
        self._making, self._unsettled = 0, list[str]()  # how deep in `settled`; what was derived there
        self._selectors = Selectors(kernels.space)
        self._lent = set[str]()  # copies of what lies elsewhere: they may go like virtual tensors
        if given_room is None and memory is not None:
            given_room = GIVEN * memory
        self._fits = given_room is None or sum(map(size, self._given.values())) <= given_room

    def array(self, name: str) -> Array:
        if name in self._passing:  # the last to be read is the last to go
            self._passing[name] = self._passing.pop(name)
        if name not in self._arrays:
            self.settled(lambda: self._read(name))
        return self._arrays[name]

    def _read(self, name: str) -> None:
        made = self._make(name)
        if name in self._tamper:
            wide = made if self._memory is None or arrays.is_field(made) else self.kernels.space.cast(made, "int64")
            made = self._tamper[name](wide, self)
        if self._memory is None:
            self._arrays[name] = made
        else:
            self._keep(name, self._guesses.narrowed(name, made), self._memory)
            if self._making:
                self._unsettled.append(name)

    def settled(self, make: Callable[[], T]) -> T:
        """What `make` makes of these arrays. If a type was guessed too narrow, all is made again with wider ones:
        nothing that follows may leave the prover before."""
        while True:
            self._making += 1
            try:
                made = make()
            finally:
                self._making -= 1
            if self._making:
                return made
            wrong, derived = self._guesses.wrong(self._unsettled), list(dict.fromkeys(self._unsettled))
            self._unsettled.clear()
            if wrong is None:
                return made
            del made  # its memory is needed again
            self._forget(wrong, derived)

    def _forget(self, wrong: set[str], derived: Sequence[str]) -> None:
        """These, and what was derived from them. `derived`: each after what it was derived from."""
        for name in derived:
            sources = set() if name in self._given else self.system.sources(name)
            if name in wrong or name in self._tamper or wrong & sources:  # a lie may depend on anything
                wrong.add(name)
                self._arrays.pop(name, None)
                self._passing.pop(name, None)

    def _keep(self, name: str, array: Array, memory: int) -> None:
        """Make room for it first."""
        self._arrays[name] = array
        room, tensor = size(array), self.system.tensors.get(name)
        if room < SMALL or tensor is None or not (tensor.kind == "virtual" or name in self._lent):
            return
        self._passing[name] = room
        while sum(self._passing.values()) > memory and len(self._passing) > AT_ONCE:
            oldest = next(iter(self._passing))
            del self._passing[oldest], self._arrays[oldest]

    def release(self) -> None:
        """Nothing derived will be read again."""
        for name in self._passing:
            del self._arrays[name]
        self._passing.clear()
        self._selectors.forget()

    def put(self, name: str, array: Array) -> None:
        """A column committed in mid-protocol."""
        self._arrays[name] = self._tamper[name](array, self) if name in self._tamper else array

    def _make(self, name: str) -> Array:
        if name in self._given:
            held = self._given[name]
            array = read(held, self.kernels.space)
            if self._memory is None:
                del self._given[name]
            elif isinstance(held, Stacked) or (array is not held and not self._fits):
                self._lent.add(name)
            return array.reshape(self._shape(name, array))
        if name in self.system.publics:
            public = self.system.publics[name]
            return self.kernels.space.own(public.array() if self._memory is None else one_hot.narrow(public))
        digit = self.system.digits.get(name)
        if isinstance(digit, Entry):
            return self._derive(digit.relation, digit.column)
        if digit:
            return self._digit(name, digit)
        relation, column = self.system.makers[name]
        return self._derive(relation, column)

    def _shape(self, name: str, array: Array) -> tuple[int, ...]:
        shape = self.system.tensors[name].shape
        if prod(array.shape) == prod(shape) and not arrays.is_field(array):
            return shape
        return tuple(array.shape)

    def _digit(self, name: str, digit: Digit) -> Array:
        shape, bits = self.system.tensors[name].shape, digit.bits

        def measured() -> Array:
            value = self.affine(digit.expr, digit.letters, shape)
            if arrays.is_field(value):
                objects = arrays.to_objects(self.kernels, value)
                return arrays.from_objects(self.kernels, (objects >> digit.shift) % (1 << bits))
            return (value >> digit.shift) & ((1 << bits) - 1)

        if self._memory is None:
            return measured()
        form = self._form(digit.expr, digit.letters, shape, (digit.shift, bits))
        return self._guesses.affine(name, form, measured, known=narrowest((0, (1 << bits) - 1)))

    def _derive(self, relation: Relation, column: int) -> Array:
        if relation.kind == "einsum":
            if (made := self._chosen_rows(relation)) is not None:
                return made
            return arrays.einsum(self.kernels, relation.spec, [self.array(n) for n, _ in relation.reads()])
        if relation.kind == "linear":
            form = relation.exprs[0], relation.spec, self.system.domain(relation)
            return self.affine(*form) if self._memory is None else self._typed(relation.outs[0], *form)
        if relation.table is None:
            raise TypeError(f"{relation.name} defines nothing")
        (index, table), chosen = self.index(relation), self.chosen(relation)
        values = self.kernels.space.look_up(self.entries(table, column), index, table.first)
        if chosen is not None:
            values *= chosen
        return values

    def _chosen_rows(self, relation: Relation) -> Array | None:
        """A product with a public one-hot tensor that only chooses along an axis needs no sums. None: it is another."""
        pick = one_hot.chosen_by(relation, self.system.publics)
        if pick is None or pick.name in self._tamper:
            return None
        array, here = self.array(pick.of), self.kernels.space
        shape = arrays.shape_of(array)
        if arrays.is_field(array) or shape[pick.axis] < pick.source.width:
            return None
        index = here.own(np.array(pick.source.index, dtype=np.int64))
        chosen = array[(slice(None),) * pick.axis + (index,)]
        laid = chosen.reshape(*shape[: pick.axis], *pick.source.outer, *shape[pick.axis + 1 :])
        made = here.contiguous(here.transpose(laid, pick.order))
        return made if self._memory is not None else here.cast(made, "int64")

    def entries(self, table: Table, column: int) -> Array:
        """A table's column, where the kernels are."""
        key = table.name, column
        if key not in self._tables:
            own = table.columns[column]
            self._tables[key] = self.kernels.space.own(own if self._memory is None else narrow(own))
        return self._tables[key]

    def affine(self, expr: Expr, letters: str, shape: Sequence[int] | None = None) -> Array:
        """An affine expression over a domain of `shape`, the padded one if there is none given."""
        inputs, real = self._inputs(expr, letters)
        return arrays.affine(self.kernels, expr, inputs, letters, real, padded(real) if shape is None else shape)

    def _inputs(self, expr: Expr, letters: str) -> tuple[list[Array], list[int]]:
        """And the real domain."""
        cells = {x: k for _, n, a in expr.terms for x, k in zip(a, self.system.tensors[n].shape, strict=True)}
        return [self.array(n) for _, n, _ in expr.terms], [cells[x] for x in letters]

    def _form(self, expr: Expr, letters: str, shape: Sequence[int], digit: tuple[int, int] = (0, 0)) -> Form | None:
        """For a device; None where all is as wide as it is made."""
        if self._guesses.certain or self._memory is None:
            return None
        inputs, real = self._inputs(expr, letters)
        return arrays.form(expr, inputs, letters, real, shape, digit)

    def _typed(
        self, name: str, expr: Expr, letters: str, shape: Sequence[int], within: tuple[int, int] | None = None
    ) -> Array:
        """As `affine`; of a narrower type where it is known."""
        form = self._form(expr, letters, shape)
        return self._guesses.affine(name, form, lambda: self.affine(expr, letters, shape), within)

    def looked_up(self, relation: Relation, column: int, shape: Sequence[int]) -> Array:
        """A lookup's column over a domain of `shape`, of a narrow type; not to be written to."""
        if relation.table is None:
            raise TypeError(f"{relation.name} is no lookup")
        expr, name = relation.exprs[column], f"{relation.name} {column}"
        if self._guesses.certain:
            return narrow(self.column(expr, relation.spec, shape))
        held = self._itself(expr, relation.spec, shape)
        if held is not None:
            return self._guesses.narrowed(name, held)
        return self._typed(name, expr, relation.spec, shape, relation.table.ranges[column])

    def column(self, expr: Expr, letters: str, shape: Sequence[int]) -> Array:
        """As `affine`, but perhaps a tensor itself, of any integer type: not to be written to."""
        held = self._itself(expr, letters, shape)
        return self.affine(expr, letters, shape) if held is None else held

    def _itself(self, expr: Expr, letters: str, shape: Sequence[int]) -> Array | None:
        """The tensor that an expression is."""
        if not expr.const and len(expr.terms) == 1:
            [(coefficient, name, axes)] = expr.terms
            if coefficient == 1 and axes == letters and arrays.shape_of(self.array(name)) == tuple(shape):
                return self.array(name)
        return None

    def chosen(self, relation: Relation) -> Array | None:
        """[real domain] 1 inside a lookup's mask; None if it has none."""
        if relation.mask is None:
            return None
        laid = arrays.spread(self.array(relation.mask), relation.mask_letters, relation.spec)
        return self.kernels.space.broadcast(laid, self.system.domain(relation))

    def selector(self, relation: Relation, box: Box | None = None) -> Array:
        """[box.size] 1 at the cells of a box that a lookup speaks about: real, and inside its mask. Not to be written
        to: lookups share it."""
        box = box or whole(self.system.domain(relation))
        if relation.mask is None:
            return self.indicator(box)
        mask = relation.mask, relation.mask_letters, relation.spec
        return self._selectors.inside(mask, box, lambda: cast(Array, self.chosen(relation))[box.slices])

    def indicator(self, box: Box) -> Array:
        """[box.size] int8: 1 at the real cells. Not to be written to."""
        return self._selectors.real(box)

    def tally(self, relation: Relation) -> Array:
        """[table.size] how many cells refer to each row of a lookup's table."""
        index, table = self.index(relation)
        return self.kernels.space.tally(index, self.chosen(relation), table.first, table.size)

    def index(self, relation: Relation) -> tuple[Array, Table]:
        """[real domain] where in its table each cell of a lookup looks. What lies outside is a cheater's: row 0 will
        suit them as well as any, since no multiplicity can make it right."""
        if relation.table is None:
            raise TypeError(f"{relation.name} is no lookup")
        domain = self.system.domain(relation)
        if self._guesses.certain:
            index = self.column(relation.exprs[0], relation.spec, domain)
        else:
            index = self.looked_up(relation, 0, domain)
        if arrays.is_field(index):
            outside = relation.table.first - 1
            wide = [int(v) for v in arrays.to_objects(self.kernels, index).flat]
            objects = [v if abs(v) < 1 << 60 else outside for v in wide]
            index = self.kernels.space.own(np.array(objects, dtype=np.int64).reshape(arrays.shape_of(index)))
        return index, relation.table
