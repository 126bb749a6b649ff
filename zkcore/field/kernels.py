"""What an engine can do, as a contract: `native` (C++), `cuda` and `reference` (plain integers) implement it.

Data, everywhere in zkcore:

* scalar        a Python int in [0, R); R is the order of BLS12-381 G1
* field array   numpy uint64 [..., 4]: Montgomery form (factor 2^256), little-endian 64-bit limbs, always reduced
* integer array numpy int8, int16, int32 or int64 of any shape; negative entries mean R - |x|
* points        numpy uint64 [n, 12]: affine x then y, Montgomery form (factor 2^384) of Fq; infinity is all zeros

A column is an integer array or a field array: verbs that take columns take both and never ask the caller to expand
integers first. All arrays are C-contiguous; kernels of a device have torch tensors in their place (space.py). One
variable order for all: the FIRST coordinate of a point binds the MOST significant bit of the index. Verbs know no
transcript and draw no randomness.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from zkcore.field.space import Space

MODULUS = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001

FieldArray: TypeAlias = NDArray[np.uint64]
IntArray: TypeAlias = NDArray[np.int8] | NDArray[np.int16] | NDArray[np.int32] | NDArray[np.int64]
Column: TypeAlias = FieldArray | IntArray
Points: TypeAlias = NDArray[np.uint64]
Term: TypeAlias = tuple[int, tuple[int, ...]]


class Sumcheck(Protocol):
    """Prover's state for  sum_x eq(w, x) * sum_k c_k * prod_{j in term k} table_j(x),  x over n Boolean variables."""

    def round(self) -> list[int]:
        """Evaluations of the round polynomial at 0, 2, 3, ..., degree (the one at 1 is implied)."""
        ...

    def bind(self, challenge: int) -> None:
        """Fix the next (most significant unbound) variable."""
        ...

    def finals(self) -> list[int]:
        """After n binds: each table's value, in the order given."""
        ...


class FractionTree(Protocol):
    """The tree p/q over leaves num/den: p = p0*q1 + p1*q0, q = q0*q1; children of node y are 2y and 2y+1."""

    def root(self) -> tuple[int, int]: ...

    def layer(self, depth: int, point: Sequence[int], batch: int) -> Sumcheck:
        """Sumcheck over `depth` variables for  sum_y eq(point, y) * [(p0 + batch*q0)(y) * q1(y) + p1(y) * q0(y)],
        where p0, p1, q0, q1 are the children of the 2^depth nodes at `depth`. Degree 3; `finals`: p0, p1, q0, q1."""
        ...


class Leaves(Protocol):
    """A run of 2^k leaves: num = numerator column, den = constant + sum of coefficient * column."""

    @property
    def numerator(self) -> Column: ...

    @property
    def constant(self) -> int: ...

    @property
    def denominator(self) -> Sequence[tuple[int, Column]]: ...


@dataclass
class Forms:
    """Linear forms, one after the other: form i is number nodes[i], the sum of coefficients[t] * number sources[t] over
    the terms t from starts[i] to starts[i + 1] - 1."""

    nodes: array[int] = field(default_factory=lambda: array("q"))
    starts: array[int] = field(default_factory=lambda: array("q", [0]))
    coefficients: list[int] = field(default_factory=list)
    sources: array[int] = field(default_factory=lambda: array("q"))

    def add(self, node: int, coefficients: Sequence[int], sources: Sequence[int]) -> None:
        if len(coefficients) != len(sources):
            raise ValueError("a coefficient for each number")
        self.nodes.append(node)
        self.coefficients.extend(coefficients)
        self.sources.extend(sources)
        self.starts.append(len(self.sources))


class LinearForms(Protocol):
    """Forms over n numbers, each over what comes before it. `numbers`: [n, 4], left as they are."""

    def run(self, numbers: FieldArray) -> FieldArray:
        """[n, 4]: in order, every form's number becomes what the form says."""
        ...

    def transposed(self, numbers: FieldArray) -> FieldArray:
        """[n, 4]: the transposed map. In reverse order every form's number is added to those it is over, times the
        coefficients, and becomes 0."""
        ...

    def reached(self, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """[n], on the host: which numbers these are, or are over, directly or not. A coefficient of zero counts."""
        ...


class FieldKernels(Protocol):
    def from_ints(self, values: IntArray) -> FieldArray:
        """[*shape] -> [*shape, 4]."""
        ...

    def from_scalars(self, values: Sequence[int]) -> FieldArray: ...

    def to_scalars(self, values: FieldArray) -> list[int]:
        """Flattened."""
        ...

    def from_wide_bytes(self, data: bytes) -> FieldArray:
        """64 little-endian bytes a piece, reduced mod R: uniform to within 2^-257."""
        ...

    def eq_table(self, point: Sequence[int], scale: int = 1) -> FieldArray:
        """[2^n, 4]: scale * eq(point, x) for all x."""
        ...

    def contract(self, column: Column, outer: int, inner: int, weights: FieldArray) -> FieldArray:
        """column [outer, k, inner], weights [k, 4] -> [outer * inner, 4]: sum over k. k need not be a power of two."""
        ...

    def contract_ternary(self, column: Column, outer: int, inner: int, weights: FieldArray) -> FieldArray:
        """As `contract`, for int8 entries -1, 0 and 1: by additions alone. Any other entry is a ValueError."""
        ...

    def dot(self, column: Column, weights: Column) -> int: ...

    def combine(self, terms: Sequence[tuple[int, Column]], constant: int, length: int) -> FieldArray:
        """[length, 4]: constant + sum of coefficient * column, entry by entry."""
        ...

    def multiply(self, a: Column, b: Column) -> FieldArray:
        """Entry by entry, flattened."""
        ...

    def batch_inverse(self, values: FieldArray) -> FieldArray:
        """Zero stays zero."""
        ...

    def scatter_add(self, index: NDArray[np.int64], values: FieldArray, size: int) -> FieldArray:
        """[size, 4]: out[index[i]] += values[i]. An index outside [0, size) is a ValueError."""
        ...

    def linear_forms(self, size: int, forms: Forms) -> LinearForms:
        """Over `size` numbers. Forms' numbers increase; a form over its own number or a later one is a ValueError."""
        ...

    def fold_rounds(self, challenges: Sequence[int], degree: int) -> list[int]:
        """[rounds * degree + 1]: a sumcheck's last claim is a sum over the numbers that its rounds sent (values at 0,
        2, ..., degree), in order, and the first claim, with these weights."""
        ...

    def sumcheck(
        self, tables: Sequence[Column], terms: Sequence[Term], degree: int, eq_point: Sequence[int] | None = None
    ) -> Sumcheck:
        """Tables have 2^n entries, n >= 0. Without `eq_point` the factor eq(w, x) is absent; `degree` counts it."""
        ...

    def fraction_tree(self, runs: Sequence[Leaves], log_size: int) -> FractionTree:
        """Runs lie one after the other from leaf 0; the leaves left over, up to 2^log_size, are 0/1."""
        ...


class FixedBase(Protocol):
    """Precomputed multiples of a few bases."""

    def combine(self, scalars: Sequence[int]) -> Points:
        """[12]: sum of scalars[i] * bases[i]; fewer scalars than bases are allowed."""
        ...


class CurveKernels(Protocol):
    def hash_to_curve(self, dst: bytes, prefix: bytes, start: int, count: int) -> Points:
        """RFC 9380 suite BLS12381G1_XMD:SHA-256_SSWU_RO_ of prefix || uint64 big-endian(i), i = start, start+1, ..."""
        ...

    def encode(self, points: Points) -> bytes:
        """48 bytes each, the standard (Zcash) compressed form."""
        ...

    def decode(self, data: bytes) -> Points:
        """Only canonical encodings of points of the prime-order subgroup; else ValueError 'point I: reason'."""
        ...

    def msm(self, points: Points, scalars: FieldArray) -> Points:
        """[12]: sum of scalars[i] * points[i]."""
        ...

    def commit_rows(self, generators: Points, rows: Column, blinds: FieldArray, blinder: FixedBase) -> Points:
        """rows [n, w] (integers) or [n, w, 4]; generators [>= w, 12]; blinds [n, 4] -> [n, 12]:
        sum_j rows[i, j] * generators[j] + blinds[i] * (first base of `blinder`)."""
        ...

    def commit_ternary(self, generators: Points, rows: Column, blinds: FieldArray, blinder: FixedBase) -> Points:
        """As `commit_rows`, for int8 entries -1, 0 and 1: sums of signed subset sums of the generators, without a
        doubling. Any other entry is a ValueError."""
        ...

    def fold_points(self, points: Points, weights: FieldArray) -> Points:
        """points [k * n, 12], weights [k, 4] -> [n, 12]: out[i] = sum_j weights[j] * points[j * n + i]."""
        ...

    def fixed_base(self, points: Points) -> FixedBase: ...


RowSums: TypeAlias = Any  # what `SumsRows.sum_rows` yields for a tensor; its length is the number of rows


@runtime_checkable
class SumsRows(Protocol):
    """Kernels that commit to many tensors faster at once than one by one: all rows are summed up first, and blinded
    when their turn comes. The points are those of `commit_rows`."""

    @property
    def entries_together(self) -> int:
        """About so many entries make a good batch, and fit."""
        ...

    def sum_rows(self, generators: Points, tensors: Sequence[IntArray]) -> Sequence[RowSums]:
        """For tensors [n, w] with w > 0: sum_j rows[i, j] * generators[j]."""
        ...

    def blind_rows(self, sums: RowSums, blinds: Sequence[int], blinder: FixedBase) -> Points:
        """[n, 12]: sums[i] + blinds[i] * (first base of `blinder`)."""
        ...


Fold: TypeAlias = tuple[int, int, int, Any]  # outer, number of weights, inner, weights: so many of them, or more


@runtime_checkable
class ContractsAll(Protocol):
    """Kernels that fold many arrays in one call."""

    def contract_all(self, arrays: Sequence[tuple[Column, Sequence[Fold]]]) -> FieldArray:
        """[total, 4]: of each array what its folds (`contract`, one after the other, at least one) leave of it."""
        ...


@runtime_checkable
class Limited(Protocol):
    """Kernels of a device of which not all memory may be taken: `limit` bytes, None for all."""

    @property
    def limit(self) -> int | None: ...

    def taken(self) -> int:
        """Bytes."""
        ...


@runtime_checkable
class FollowsRounds(Protocol):
    """Kernels that take a verifier through all rounds of a sumcheck at once."""

    def follow_rounds(
        self, state: bytes, frames: tuple[bytes, bytes, bytes], messages: bytes, rounds: int, pieces: int, degree: int
    ) -> tuple[bytes, list[int], list[int]]:
        """`messages`: `pieces` of one size for each round. Of a 64-byte state and frames (b, m, c) a piece makes
        SHA-512(b + state + m + piece); then the round's challenge is SHA-512(b + state + c), the new state, mod R.
        Returns the state, the challenges, and what `fold_rounds` makes of them."""
        ...


class Kernels(FieldKernels, CurveKernels, Protocol):
    """Both halves, where their arrays live, and what they have counted."""

    @property
    def space(self) -> Space: ...

    def counters(self) -> dict[str, int]:
        """Work done by this process: `field_mults`, `group_adds` (additions and doublings), counted not timed.
        A GPU counts the group operations that it is set to do, those with the point at infinity among them."""
        ...
