"""Hidden numbers as nodes on a tape.

A `Value` is a linear form over committed slots. The tape keeps how it was made, never the form itself: constraint
matrices are never built, they are one pass over the tape forward (their product with a witness) or backward (their
product with a vector from the left). Both take time linear in the tape.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from zkcore.field.kernels import MODULUS

ONE = 0  # node 0 is the constant one: every public constant is a multiple of it


class Tape:
    """Nodes in order of creation. A node is a slot (an int >= 0) or a combination ((coefficient, node), ...)."""

    def __init__(self) -> None:
        self.nodes: list[int | tuple[tuple[int, int], ...]] = [()]
        self.slots = 0
        self.products: list[tuple[int, int, int]] = []  # nodes (a, b, c): a * b = c
        self.zeros: list[int] = []  # nodes that vanish

    def take(self, numbers: Sequence[int | None]) -> list[Value]:
        """New committed slots; `numbers` are what the prover put there."""
        first = len(self.nodes)
        self.nodes.extend(range(self.slots, self.slots + len(numbers)))
        self.slots += len(numbers)
        return [Value(self, first + i, v) for i, v in enumerate(numbers)]

    def slot(self, number: int | None) -> Value:
        return self.take([number])[0]

    def combine(self, terms: Sequence[tuple[int, Value]], constant: int = 0) -> Value:
        node = tuple([(c % MODULUS, v.node) for c, v in terms])
        if constant:
            node += ((constant % MODULUS, ONE),)
        self.nodes.append(node)
        return Value(self, len(self.nodes) - 1, _number(terms, constant))

    def forward(self, slots: Sequence[int], one: int) -> list[int]:
        """Every node's value when the slots hold `slots` and the constant is `one`."""
        out = [one]
        for node in self.nodes[1:]:
            if isinstance(node, int):
                out.append(slots[node])
            else:
                out.append(sum(c * out[n] for c, n in node) % MODULUS)
        return out

    def backward(self, seeds: Iterable[tuple[int, int]]) -> tuple[list[int], int]:
        """The coefficients of sum of seed * node over the slots, and that of the constant. seeds: (node, weight)."""
        weight = [0] * len(self.nodes)
        for seed, w in seeds:
            weight[seed] += w
        slots: list[int] = [0] * self.slots
        for i in range(len(self.nodes) - 1, 0, -1):
            if not (w := weight[i] % MODULUS):
                continue
            node = self.nodes[i]
            if isinstance(node, int):
                slots[node] = w
            else:
                for c, n in node:
                    weight[n] += w * c
        return slots, weight[ONE] % MODULUS

    def unread(self) -> list[int]:
        """Slots that no constraint reads: dead messages."""
        live, nodes = bytearray(len(self.nodes)), self.nodes
        for a, b, c in self.products:
            live[a] = live[b] = live[c] = 1
        for a in self.zeros:
            live[a] = 1
        for i in range(len(nodes) - 1, 0, -1):
            if live[i] and type(node := nodes[i]) is tuple:
                for _, n in node:
                    live[n] = 1
        return [node for node, read in zip(nodes, live, strict=True) if not read and isinstance(node, int)]


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
