"""Hidden numbers as nodes on a tape.

A `Value` is a linear form over committed slots. The tape keeps how it was made, never the form itself: constraint
matrices are never built, they are one pass over the tape forward (their product with a witness) or backward (their
product with a vector from the left). Both take time linear in the tape.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from zkcore.field.kernels import MODULUS, FieldArray, Forms, Kernels, LinearForms

Nodes = NDArray[np.int64]
ONE = 0  # node 0 is the constant one: every public constant is a multiple of it


@dataclass(frozen=True)
class _Laid:
    """A tape of some size as kernels read it. `inputs`: the constant one and the slots."""

    of: tuple[Kernels, int]
    forms: LinearForms
    inputs: Nodes


class Tape:
    """Nodes are numbered in order of creation: the constant one, slots, and forms over what came before."""

    def __init__(self) -> None:
        self.size = 1  # nodes
        self.slot_nodes: list[int] = []
        self.forms = Forms()
        self.products: list[tuple[int, int, int]] = []  # nodes (a, b, c): a * b = c
        self.zeros: list[int] = []  # nodes that vanish
        self._arrays: _Laid | None = None

    @property
    def slots(self) -> int:
        return len(self.slot_nodes)

    def take(self, numbers: Sequence[int | None]) -> list[Value]:
        """New committed slots; `numbers` are what the prover put there."""
        return [Value(self, node, v) for node, v in zip(self._reserve(len(numbers)), numbers, strict=True)]

    def slot(self, number: int | None) -> Value:
        return self.take([number])[0]

    def combine(self, terms: Sequence[tuple[int, Value]], constant: int = 0) -> Value:
        coefficients, nodes = [c % MODULUS for c, _ in terms], [v.node for _, v in terms]
        if constant:
            coefficients.append(constant % MODULUS)
            nodes.append(ONE)
        return Value(self, self._form(coefficients, nodes), _number(terms, constant))

    def follow(self, claim: Number, numbers: Sequence[int | None], weights: Sequence[int]) -> Value:
        """New slots with these numbers; then the weighted sum of them and, with the last weight, of a claim: one form
        for all."""
        if isinstance(claim, Value) and claim.tape is not self:
            raise TypeError("values of two transcripts in one expression")
        if len(weights) != len(numbers) + 1:
            raise ValueError("a weight for each slot, and one for the claim")
        slots, total = self._reserve(len(numbers)), _sum(weights, [*numbers, number_of(claim)])
        if isinstance(claim, Value):
            return Value(self, self._form(weights, [*slots, claim.node]), total)
        scale = weights[-1] * claim % MODULUS
        return Value(self, self._form([*weights[:-1], scale], [*slots, ONE]), total)

    def _reserve(self, count: int) -> range:
        own = range(self.size, self.size + count)
        self.size += count
        self.slot_nodes.extend(own)
        return own

    def _form(self, coefficients: Sequence[int], nodes: Sequence[int]) -> int:
        self.forms.add(self.size, coefficients, nodes)
        self.size += 1
        return self.size - 1

    def forward(self, kernels: Kernels, slots: FieldArray, one: int) -> FieldArray:
        """[size, 4]: every node's value when the slots hold `slots` [slots, 4] and the constant is `one`."""
        laid, given = self._laid(kernels), kernels.space.concatenate([kernels.from_scalars([one]), slots])
        return laid.forms.run(kernels.scatter_add(laid.inputs, given, self.size))

    def backward(self, kernels: Kernels, nodes: Nodes, weights: FieldArray) -> tuple[FieldArray, int]:
        """The coefficients of sum of weight * node over the slots [slots, 4], and that of the constant. A node may
        occur more than once."""
        laid, seeds = self._laid(kernels), kernels.scatter_add(kernels.space.own(nodes), weights, self.size)
        found = kernels.space.take(laid.forms.transposed(seeds), laid.inputs)
        return found[1:], kernels.to_scalars(found[:1])[0]

    def _laid(self, kernels: Kernels) -> _Laid:
        """Made once all is on the tape."""
        if self._arrays is None or self._arrays.of != (kernels, self.size):
            inputs = kernels.space.own(np.array([ONE, *self.slot_nodes], dtype=np.int64))
            self._arrays = _Laid((kernels, self.size), kernels.linear_forms(self.size, self.forms), inputs)
        return self._arrays

    def unread(self, kernels: Kernels) -> list[int]:
        """Slots that no constraint reads: dead messages."""
        constrained = np.array([*chain.from_iterable(self.products), *self.zeros], dtype=np.int64)
        live = self._laid(kernels).forms.reached(constrained)
        return np.flatnonzero(~live[np.array(self.slot_nodes, dtype=np.int64)]).tolist()


def number_of(value: Number) -> int | None:
    """The number, if this side knows it."""
    return value.number if isinstance(value, Value) else value


def _sum(weights: Sequence[int], numbers: Sequence[int | None]) -> int | None:
    """None if one of them is not known."""
    known = [v for v in numbers if v is not None]
    return sum(map(operator.mul, weights, known)) % MODULUS if len(known) == len(numbers) else None


def _number(terms: Sequence[tuple[int, Value]], constant: int) -> int | None:
    total = constant
    for c, v in terms:
        if v.number is None:
            return None
        total += c * v.number
    return total % MODULUS


@dataclass(eq=False, repr=False, slots=True)
class Value:
    """A number the verifier does not see. `+`, `-` and `*` by public integers are free; only `make` callbacks of
    messages, which run on the prover alone, may read `number`."""

    tape: Tape
    node: int
    number: int | None

    __array_ufunc__ = None  # numpy scalars on the left must not loop over us

    def __add__(self, other: Number) -> Value:
        return linear([(1, self), (1, other)], self.tape)

    def __sub__(self, other: Number) -> Value:
        return linear([(1, self), (-1, other)], self.tape)

    def __rsub__(self, other: Number) -> Value:
        return linear([(-1, self), (1, other)], self.tape)

    def __mul__(self, constant: int) -> Value:
        if isinstance(constant, Value):
            raise TypeError(
                "a product of two hidden values is a constraint: use Transcript.multiply or require_product"
            )
        return self.tape.combine([(operator.index(constant), self)])

    __radd__, __rmul__ = __add__, __mul__

    def _hidden(self, *_: object) -> NoReturn:
        raise TypeError("a Value is hidden: no protocol may compare it or branch on it")

    __bool__ = __eq__ = __hash__ = _hidden


Number = int | Value


def linear(terms: Iterable[tuple[int, Number]], tape: Tape | None = None, constant: int = 0) -> Value:
    """constant + sum of coefficient * number, as one node."""
    hidden = []
    for c, v in terms:
        if not isinstance(v, Value):
            constant += c * operator.index(v)
            continue
        if v.tape is not tape:
            if tape is not None:
                raise TypeError("values of two transcripts in one expression")
            tape = v.tape
        hidden.append((c, v))
    if tape is None:
        raise TypeError("no hidden value in a hidden expression: use plain integers")
    return tape.combine(hidden, constant % MODULUS)
