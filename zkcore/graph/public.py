"""Public tensors: what the statement says, as arrays for the prover and as closed forms for the verifier."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from zkcore.claim import Place
from zkcore.errors import GraphError
from zkcore.field.kernels import MODULUS
from zkcore.polynomial.eq_values import dot, eq_values, products
from zkcore.polynomial.point import Point, box, eq, index_point, join, less_than, num_vars, paired_box

Integers = NDArray[np.int64]
NO_NORMS: Mapping[tuple[int, ...], int] = {}


@dataclass(frozen=True)
class Dense:
    """Any table of integers; evaluated entry by entry. `scale_bits`: its fraction bits, for float passes."""

    values: Integers
    lo: int
    hi: int
    l1: Mapping[tuple[int, ...], int] = field(default_factory=lambda: NO_NORMS)
    scale_bits: int = 0

    def __post_init__(self) -> None:
        if self.values.size and not self.lo <= self.values.min() <= self.values.max() <= self.hi:
            raise GraphError(f"a public tensor leaves its declared interval [{self.lo}, {self.hi}]")
        for axes, bound in self.l1.items():
            if int(np.abs(self.values).sum(axis=axes).max()) > bound:
                raise GraphError(f"a public tensor's entries exceed the declared norm {bound} along axes {axes}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def array(self) -> Integers:
        return self.values

    def evaluate(self, place: Place) -> int | None:
        return None

    def paired(self, place: Place, other: Place) -> int | None:
        return None

    def describe(self) -> list[object]:
        digest = hashlib.sha256(np.ascontiguousarray(self.values).tobytes()).hexdigest()
        return ["dense", list(self.shape), self.lo, self.hi, digest]


@dataclass(frozen=True)
class OneHot:
    """[*outer, width]: row x has its 1 at column index[x]. An index of -1 is an empty row."""

    index: tuple[int, ...]
    outer: tuple[int, ...]
    width: int
    columns: int = 1  # bound of the ones in a column, for interval analysis
    lo: int = 0
    hi: int = 1
    scale_bits: int = 0

    def __post_init__(self) -> None:
        used = Counter(i for i in self.index if i >= 0)
        if used and (max(used) >= self.width or max(used.values()) > self.columns):
            raise GraphError(
                f"a one-hot tensor leaves its {self.width} columns, or has over {self.columns} ones in one"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.outer, self.width)

    @property
    def l1(self) -> Mapping[tuple[int, ...], int]:
        axes = tuple(range(len(self.outer)))
        return {(len(self.outer),): 1, axes: self.columns}

    def array(self) -> Integers:
        return self.narrow().astype(np.int64)

    def narrow(self) -> NDArray[np.int8]:
        """As `array`: of a vocabulary and a long prompt half a gigabyte less."""
        out = np.zeros((len(self.index), self.width), dtype=np.int8)
        index = np.array(self.index, dtype=np.int64)
        rows = np.nonzero(index >= 0)[0]
        out[rows, index[rows]] = 1
        return out.reshape(self.shape)

    def evaluate(self, place: Place) -> int | None:
        """sum over rows of eq(row) eq(column)."""
        rows, column = eq_values(self.outer, place[:-1]), place[-1]
        low = len(column) // 2
        left, right = (
            eq_values((1 << len(x),), (x,)) for x in (column[: len(column) - low], column[len(column) - low :])
        )
        columns = [left[i >> low] * right[i & (1 << low) - 1] % MODULUS if i >= 0 else 0 for i in self.index]
        return dot(rows, columns)

    def paired(self, place: Place, other: Place) -> int | None:
        return None

    def describe(self) -> list[object]:
        return ["one-hot", list(self.index), list(self.outer), self.width, self.columns]


@dataclass(frozen=True)
class Select:
    """[rows, *shape]: row a has its 1 at flat cell index[a] of `inner`."""

    index: tuple[int, ...]
    inner: tuple[int, ...]
    lo: int = 0
    hi: int = 1
    scale_bits: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index), *self.inner)

    @property
    def l1(self) -> Mapping[tuple[int, ...], int]:
        return {tuple(range(1, len(self.inner) + 1)): 1}

    def array(self) -> Integers:
        out = np.zeros((len(self.index), int(np.prod(self.inner))), dtype=np.int64)
        out[np.arange(len(self.index)), list(self.index)] = 1
        return out.reshape(self.shape)

    def evaluate(self, place: Place) -> int | None:
        rows, total = eq_values(self.shape[:1], place[:1]), 0
        for weight, i in zip(rows, self.index, strict=True):
            cell = np.unravel_index(i, self.inner)
            points = [index_point(int(c), num_vars(n)) for c, n in zip(cell, self.inner, strict=True)]
            total += weight * eq(join(points), join(place[1:]))
        return total % MODULUS

    def paired(self, place: Place, other: Place) -> int | None:
        return None

    def describe(self) -> list[object]:
        return ["select", list(self.index), list(self.inner)]


@dataclass(frozen=True)
class Below:
    """[rows, width]: [column < bound[row]]."""

    bounds: tuple[int, ...]
    width: int
    lo: int = 0
    hi: int = 1
    l1: Mapping[tuple[int, ...], int] = field(default_factory=lambda: NO_NORMS)
    scale_bits: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.bounds), self.width)

    def array(self) -> Integers:
        columns = np.arange(self.width, dtype=np.int64)
        return (columns[None, :] < np.array(self.bounds, dtype=np.int64)[:, None]).astype(np.int64)

    def evaluate(self, place: Place) -> int | None:
        rows = eq_values(self.shape[:1], place[:1])
        return sum(w * less_than(place[1], b) for w, b in zip(rows, self.bounds, strict=True)) % MODULUS

    def paired(self, place: Place, other: Place) -> int | None:
        return None

    def describe(self) -> list[object]:
        return ["below", list(self.bounds), self.width]


@dataclass(frozen=True)
class CausalTiles:
    """[pairs, tile, tile]: tile pairs (I, J), J <= I; all ones, but on the diagonal only [j <= i]."""

    tiles: int
    tile: int
    lo: int = 0
    hi: int = 1
    l1: Mapping[tuple[int, ...], int] = field(default_factory=lambda: NO_NORMS)
    scale_bits: int = 0

    @property
    def pairs(self) -> list[tuple[int, int]]:
        return [(i, j) for i in range(self.tiles) for j in range(i + 1)]

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.tiles * (self.tiles + 1) // 2, self.tile, self.tile)

    @property
    def _diagonal(self) -> list[int]:
        """Where I = J among the pairs."""
        return [i * (i + 3) // 2 for i in range(self.tiles)]

    def array(self) -> Integers:
        full = np.ones((self.tile, self.tile), dtype=np.int64)
        return np.stack([np.tril(full) if i == j else full for i, j in self.pairs])

    def evaluate(self, place: Place) -> int | None:
        weights = eq_values(self.shape[:1], place[:1])
        on = sum(weights[i] for i in self._diagonal)
        off = sum(weights) - on
        square = less_than(place[1], self.tile) * less_than(place[2], self.tile)
        return (on * _lower(self.tile, place[1], place[2]) + off * square) % MODULUS

    def paired(self, place: Place, other: Place) -> int | None:
        here, there = eq_values(self.shape[:1], place[:1]), eq_values(self.shape[:1], other[:1])
        on = dot([here[i] for i in self._diagonal], [there[i] for i in self._diagonal])
        off = dot(here, there) - on
        return (
            on * _paired_lower(self.tile, place[1:], other[1:]) + off * paired_box(place[1:], other[1:], self.shape[1:])
        ) % MODULUS

    def describe(self) -> list[object]:
        return ["causal tiles", self.tiles, self.tile]


@dataclass(frozen=True)
class Ones:
    """1 on every real cell: repeats a tensor along axes that it lacks, and leaves padding alone."""

    shape: tuple[int, ...]
    lo: int = 1
    hi: int = 1
    l1: Mapping[tuple[int, ...], int] = field(default_factory=lambda: NO_NORMS)
    scale_bits: int = 0

    def array(self) -> Integers:
        return np.ones(self.shape, dtype=np.int64)

    def evaluate(self, place: Place) -> int | None:
        return box(place, self.shape)

    def paired(self, place: Place, other: Place) -> int | None:
        return paired_box(place, other, self.shape)

    def describe(self) -> list[object]:
        return ["ones", list(self.shape)]


# A proof asks for the same values again and again: of every box of a tensor, say, at one point.
@lru_cache(maxsize=64)
def _lower(tile: int, query: Point, key: Point) -> int:
    """sum over real rows i of eq(i) [j <= i]."""
    keys = accumulate(eq_values((tile,), (key,)))
    return dot(eq_values((tile,), (query,)), list(keys))


@lru_cache(maxsize=64)
def _paired_lower(tile: int, place: Place, other: Place) -> int:
    """The extension of eq(place, .) [j <= i] on a tile, at `other`."""
    rows, keys = (
        products(eq_values((tile,), (a,)), eq_values((tile,), (b,))) for a, b in zip(place, other, strict=True)
    )
    return dot(rows, list(accumulate(keys)))
