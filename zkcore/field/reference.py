"""The field half of the contract in plain Python integers: slow, obvious, and the oracle of the tests.

Nothing here is shared with the native engine: what they agree on, they agree on by computing it twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import numpy as np
from numpy.typing import NDArray

from zkcore.field.kernels import MODULUS, Column, FieldArray, Forms, IntArray, Leaves, Term

_TO_MONTGOMERY = pow(2, 256, MODULUS)
_FROM_MONTGOMERY = pow(_TO_MONTGOMERY, -1, MODULUS)
_WIDE_PIECE = 64


def encode(scalars: Sequence[int]) -> FieldArray:
    """[n] -> [n, 4], Montgomery form."""
    data = b"".join((s * _TO_MONTGOMERY % MODULUS).to_bytes(32, "little") for s in scalars)
    return np.frombuffer(data, dtype="<u8").astype(np.uint64).reshape(-1, 4)


def decode(column: Column) -> list[int]:
    """A column of either kind as scalars, flattened."""
    if column.dtype != np.uint64:
        return [int(x) % MODULUS for x in column.reshape(-1).tolist()]
    data = np.ascontiguousarray(column).astype("<u8").tobytes()
    pieces = [int.from_bytes(data[i : i + 32], "little") for i in range(0, len(data), 32)]
    return [piece * _FROM_MONTGOMERY % MODULUS for piece in pieces]


def eq_values(point: Sequence[int], scale: int = 1) -> list[int]:
    """scale * prod_i (w_i x_i + (1 - w_i)(1 - x_i)) for all x, the first coordinate most significant."""
    values = [scale % MODULUS]
    for w in point:
        values = [v * f % MODULUS for v in values for f in (1 - w, w)]
    return values


def _log2(length: int) -> int:
    if length < 1 or length & (length - 1):
        raise ValueError(f"length {length} is not a power of two")
    return length.bit_length() - 1


class ReferenceSumcheck:
    """Every table, eq(w, x) among them, is a list of scalars; each round evaluates the sum as it is written."""

    def __init__(self, tables: Sequence[list[int]], terms: Sequence[Term], degree: int, eq: list[int] | None) -> None:
        self._count = len(tables)
        lengths = {len(table) for table in tables}
        if len(lengths) != 1:
            raise ValueError("sumcheck needs tables of one length")
        self._variables = _log2(lengths.pop())
        self._tables = [list(table) for table in tables]
        self._terms = [(c, tuple(factors)) for c, factors in terms]
        if eq is not None:
            if len(eq) != len(self._tables[0]):
                raise ValueError("eq_point has the wrong number of coordinates")
            self._tables.append(eq)
            self._terms = [(c, (*factors, self._count)) for c, factors in self._terms]
        self._degree = degree
        if any(j < 0 or j >= len(self._tables) for _, factors in terms for j in factors):
            raise ValueError("a term names a table that is not there")
        if any(len(factors) > degree for _, factors in self._terms):
            raise ValueError("a term has more factors than the degree")

    def _at(self, x: int) -> list[list[int]]:
        """Every table with its most significant variable set to x."""
        half = len(self._tables[0]) // 2
        return [[(t[i] + x * (t[half + i] - t[i])) % MODULUS for i in range(half)] for t in self._tables]

    def round(self) -> list[int]:
        if not self._variables:
            raise RuntimeError("no variable is left")
        return [self._sum(self._at(x)) for x in (0, *range(2, self._degree + 1))]

    def _sum(self, tables: list[list[int]]) -> int:
        total = 0
        for i in range(len(tables[0])):
            for coefficient, factors in self._terms:
                product = coefficient
                for j in factors:
                    product = product * tables[j][i] % MODULUS
                total += product
        return total % MODULUS

    def bind(self, challenge: int) -> None:
        if not self._variables:
            raise RuntimeError("no variable is left")
        self._tables = self._at(challenge)
        self._variables -= 1

    def finals(self) -> list[int]:
        if self._variables:
            raise RuntimeError("not every variable is bound")
        return [table[0] for table in self._tables[: self._count]]


class ReferenceFractionTree:
    def __init__(self, runs: Sequence[Leaves], log_size: int) -> None:
        p: list[int] = []
        q: list[int] = []
        for run in runs:
            numerators = decode(run.numerator)
            p += numerators
            q += ReferenceField().combine_scalars(run.denominator, run.constant, len(numerators))
        unused = 2**log_size - len(p)
        if unused < 0:
            raise ValueError("more leaves than the tree has room for")
        self._layers = [(p + [0] * unused, q + [1] * unused)]
        while len(p := self._layers[0][0]) > 1:
            q = self._layers[0][1]
            pairs = range(0, len(p), 2)
            above = [(p[i] * q[i + 1] + p[i + 1] * q[i]) % MODULUS for i in pairs]
            self._layers.insert(0, (above, [q[i] * q[i + 1] % MODULUS for i in pairs]))

    def root(self) -> tuple[int, int]:
        p, q = self._layers[0]
        return p[0], q[0]

    def layer(self, depth: int, point: Sequence[int], batch: int) -> ReferenceSumcheck:
        if not 0 <= depth < len(self._layers) - 1 or len(point) != depth:
            raise ValueError("no such layer, or a point of the wrong length")
        p, q = self._layers[depth + 1]
        tables = [p[0::2], p[1::2], q[0::2], q[1::2]]
        return ReferenceSumcheck(tables, [(1, (0, 3)), (1, (1, 2)), (batch, (2, 3))], 3, eq_values(point))


class ReferenceLinearForms:
    def __init__(self, size: int, forms: Forms) -> None:
        self._size, self._forms, last = size, list[tuple[int, list[tuple[int, int]]]](), -1
        terms = list(zip(forms.coefficients, forms.sources, strict=True))
        for node, (start, end) in zip(forms.nodes, pairwise(forms.starts), strict=True):
            own = terms[start:end]
            if not last < node < size or any(not 0 <= n < node or not 0 <= c < MODULUS for c, n in own):
                raise ValueError("a form out of order, or no scalar")
            self._forms.append((node, own))
            last = node

    def _decoded(self, numbers: FieldArray) -> list[int]:
        if len(numbers) != self._size:
            raise ValueError(f"expected {self._size} numbers")
        return decode(numbers)

    def run(self, numbers: FieldArray) -> FieldArray:
        out = self._decoded(numbers)
        for node, terms in self._forms:
            out[node] = sum(c * out[n] for c, n in terms) % MODULUS
        return encode(out)

    def transposed(self, numbers: FieldArray) -> FieldArray:
        out = self._decoded(numbers)
        for node, terms in reversed(self._forms):
            weight, out[node] = out[node], 0
            for c, n in terms:
                out[n] = (out[n] + c * weight) % MODULUS
        return encode(out)

    def reached(self, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        out = np.zeros(self._size, dtype=np.bool_)
        out[nodes] = True
        for node, terms in reversed(self._forms):
            if out[node]:
                out[[n for _, n in terms]] = True
        return out


class ReferenceField:
    """Implements FieldKernels."""

    def from_ints(self, values: IntArray) -> FieldArray:
        return encode(decode(values)).reshape(*values.shape, 4)

    def from_scalars(self, values: Sequence[int]) -> FieldArray:
        if any(not 0 <= v < MODULUS for v in values):
            raise ValueError("a scalar must lie in [0, R)")
        return encode(values)

    def to_scalars(self, values: FieldArray) -> list[int]:
        return decode(values)

    def from_wide_bytes(self, data: bytes) -> FieldArray:
        if len(data) % _WIDE_PIECE:
            raise ValueError("wide bytes come in pieces of 64")
        starts = range(0, len(data), _WIDE_PIECE)
        return encode([int.from_bytes(data[i : i + _WIDE_PIECE], "little") % MODULUS for i in starts])

    def eq_table(self, point: Sequence[int], scale: int = 1) -> FieldArray:
        return encode(eq_values(point, scale))

    def contract(self, column: Column, outer: int, inner: int, weights: FieldArray) -> FieldArray:
        values, w = decode(column), decode(weights)
        k = len(w)
        if len(values) != outer * k * inner:
            raise ValueError("column does not have outer * k * inner entries")
        cells = [(o, i) for o in range(outer) for i in range(inner)]
        return encode([sum(values[(o * k + j) * inner + i] * w[j] for j in range(k)) for o, i in cells])

    def contract_ternary(self, column: Column, outer: int, inner: int, weights: FieldArray) -> FieldArray:
        if column.dtype != np.int8 or any(x not in (-1, 0, 1) for x in column.reshape(-1).tolist()):
            raise ValueError("an entry is not -1, 0 or 1")
        return self.contract(column, outer, inner, weights)

    def dot(self, column: Column, weights: Column) -> int:
        return sum(a * b for a, b in zip(decode(column), decode(weights), strict=True)) % MODULUS

    def combine(self, terms: Sequence[tuple[int, Column]], constant: int, length: int) -> FieldArray:
        return encode(self.combine_scalars(terms, constant, length))

    def combine_scalars(self, terms: Sequence[tuple[int, Column]], constant: int, length: int) -> list[int]:
        total = [constant] * length
        for coefficient, column in terms:
            total = [t + coefficient * x for t, x in zip(total, decode(column), strict=True)]
        return [t % MODULUS for t in total]

    def multiply(self, a: Column, b: Column) -> FieldArray:
        return encode([x * y for x, y in zip(decode(a), decode(b), strict=True)])

    def batch_inverse(self, values: FieldArray) -> FieldArray:
        return encode([pow(v, -1, MODULUS) if v else 0 for v in decode(values)]).reshape(values.shape)

    def scatter_add(self, index: NDArray[np.int64], values: FieldArray, size: int) -> FieldArray:
        out = [0] * size
        for i, value in zip(index.tolist(), decode(values), strict=True):
            if not 0 <= i < size:
                raise ValueError(f"index {i} lies outside [0, {size})")
            out[i] += value
        return encode(out)

    def fold_rounds(self, challenges: Sequence[int], degree: int) -> list[int]:
        out, later = list[int](), 1  # the last claim's coefficient in the claim after a round
        for r in reversed(challenges):
            w = [
                prod((r - j) * pow(i - j, -1, MODULUS) for j in range(degree + 1) if j != i) % MODULUS
                for i in range(degree + 1)
            ]
            out = [later * c % MODULUS for c in (w[0] - w[1], *w[2:])] + out
            later = later * w[1] % MODULUS
        return [*out, later]

    def linear_forms(self, size: int, forms: Forms) -> ReferenceLinearForms:
        return ReferenceLinearForms(size, forms)

    def sumcheck(
        self, tables: Sequence[Column], terms: Sequence[Term], degree: int, eq_point: Sequence[int] | None = None
    ) -> ReferenceSumcheck:
        eq = None if eq_point is None else eq_values(eq_point)
        return ReferenceSumcheck([decode(table) for table in tables], terms, degree, eq)

    def fraction_tree(self, runs: Sequence[Leaves], log_size: int) -> ReferenceFractionTree:
        return ReferenceFractionTree(runs, log_size)
