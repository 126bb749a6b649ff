"""Where arrays live, and the array operations the prover needs beside the kernels' verbs.

Kernels say where their arrays are: `kernels.space` makes new ones, `of(array)` is that of an array. On the host arrays
are numpy's; on a device they are torch tensors, of which the prover uses only what both understand alike: `shape`,
`len`, `reshape`, slices, `+ - * >> & ==` and assignment to a slice. All else goes through a space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from zkcore.field.kernels import IntArray

AnyArray = TypeVar("AnyArray", bound=NDArray[Any])
Shape = tuple[int, ...]
EXACT_FLOAT, EXACT_INT = 1 << 53, 1 << 62  # sums below these are exact in float64, and in 64 bits with room
NARROW = ("int8", "int16", "int32")


@dataclass(frozen=True)
class Form:
    """`constant` on the real cells + sum of coefficient * array, over a domain of `shape`. Arrays have its axes: they
    are repeated along those of one cell, and zero behind what they store. `digit`, a shift and a number of bits: of
    that, (value >> shift) mod 2^bits; (0, 0): all of it."""

    terms: tuple[tuple[int, Any], ...]
    constant: int
    real: Shape
    shape: Shape
    digit: tuple[int, int] = (0, 0)


class Space(Protocol):
    """Arrays are integer or field arrays, in this space; field arrays are moved, never computed with."""

    @property
    def device(self) -> str:
        """As torch names it."""
        ...

    def own(self, array: Any) -> NDArray[Any]:
        """A numpy array or a tensor of the host, here."""
        ...

    def host(self, array: NDArray[Any]) -> NDArray[Any]:
        """As a numpy array."""
        ...

    def zeros(self, shape: Sequence[int], kind: str) -> NDArray[Any]:
        """`kind`: int8, int16, int32, int64 or uint64."""
        ...

    def cast(self, array: IntArray, kind: str) -> IntArray: ...

    def contiguous(self, array: AnyArray) -> AnyArray:
        """Row-major in memory, as verbs want their arrays; what is, is not copied."""
        ...

    def pad(self, array: AnyArray, shape: Sequence[int]) -> AnyArray:
        """Zeros behind every dimension, up to `shape`."""
        ...

    def transpose(self, array: AnyArray, order: Sequence[int]) -> AnyArray: ...

    def broadcast(self, array: AnyArray, shape: Sequence[int]) -> AnyArray:
        """A view; not to be written to."""
        ...

    def concatenate(self, parts: Sequence[AnyArray]) -> AnyArray: ...

    def stack(self, parts: Sequence[AnyArray]) -> AnyArray: ...

    def take(self, array: AnyArray, index: NDArray[Any] | Sequence[int]) -> AnyArray:
        """array[index] along the first dimension; the index may have any shape."""
        ...

    def extent(self, array: IntArray) -> tuple[int, int]:
        """Least and largest entry; (0, 0) of none."""
        ...

    def accumulate(self, total: NDArray[Any], coefficient: int, array: IntArray) -> None:
        """total += coefficient * array, in 64 bits; the array is repeated along axes of size 1."""
        ...

    def table_rows(self, index: IntArray, first: int, size: int) -> NDArray[Any]:
        """int64: index - first where that lies in [0, size), else 0."""
        ...

    def look_up(self, entries: IntArray, index: IntArray, first: int) -> IntArray:
        """entries[row], for the rows above."""
        ...

    def tally(self, index: IntArray, chosen: NDArray[Any] | None, first: int, size: int) -> NDArray[Any]:
        """[size]: how often each of the table rows above occurs, where `chosen` is not 0."""
        ...

    def einsum(self, spec: str, arrays: Sequence[IntArray]) -> IntArray | None:
        """Exact, in 64-bit integers; None if a sum might leave 2^62."""
        ...


@runtime_checkable
class Guessing(Protocol):
    """A space that must be waited for whenever it answers: types are guessed, and many guesses looked at together."""

    def affine(self, form: Form, kind: str) -> tuple[IntArray, NDArray[Any]]:
        """Of type `kind`, and one number: not 0 if an entry or a partial sum did not fit."""
        ...

    def wrong(self, doubts: Sequence[NDArray[Any]]) -> list[bool]:
        """Which of these numbers are not 0."""
        ...


class NumpySpace:
    """Implements Space."""

    device = "cpu"

    def own(self, array: Any) -> NDArray[Any]:
        return array if isinstance(array, np.ndarray) else np.asarray(array)

    def host(self, array: NDArray[Any]) -> NDArray[Any]:
        return array

    def zeros(self, shape: Sequence[int], kind: str) -> NDArray[Any]:
        return np.zeros(tuple(shape), dtype=kind)

    def cast(self, array: IntArray, kind: str) -> IntArray:
        return array if array.dtype == kind else array.astype(kind)

    def contiguous(self, array: AnyArray) -> AnyArray:
        return array if array.flags.c_contiguous else array.copy()

    def pad(self, array: AnyArray, shape: Sequence[int]) -> AnyArray:
        widths = [(0, b - a) for a, b in zip(array.shape, shape, strict=True)]
        return cast(AnyArray, np.pad(array, widths))

    def transpose(self, array: AnyArray, order: Sequence[int]) -> AnyArray:
        return np.transpose(array, order)  # type: ignore[return-value]

    def broadcast(self, array: AnyArray, shape: Sequence[int]) -> AnyArray:
        return np.broadcast_to(array, tuple(shape))  # type: ignore[return-value]

    def concatenate(self, parts: Sequence[AnyArray]) -> AnyArray:
        return np.concatenate(parts)  # type: ignore[return-value]

    def stack(self, parts: Sequence[AnyArray]) -> AnyArray:
        return np.stack(parts)  # type: ignore[return-value]

    def take(self, array: AnyArray, index: NDArray[Any] | Sequence[int]) -> AnyArray:
        made: AnyArray = array[np.asarray(index)]
        return made

    def extent(self, array: IntArray) -> tuple[int, int]:
        return (int(array.min()), int(array.max())) if array.size else (0, 0)

    def accumulate(self, total: NDArray[Any], coefficient: int, array: IntArray) -> None:
        total += coefficient * self.cast(array, "int64")

    def table_rows(self, index: IntArray, first: int, size: int) -> NDArray[Any]:
        row: NDArray[Any] = self.cast(index, "int64") - first
        return row * ((row >= 0) & (row < size))

    def look_up(self, entries: IntArray, index: IntArray, first: int) -> IntArray:
        return self.take(entries, self.table_rows(index, first, len(entries)))

    def tally(self, index: IntArray, chosen: NDArray[Any] | None, first: int, size: int) -> NDArray[Any]:
        rows = self.table_rows(index, first, size)
        return np.bincount(rows.reshape(-1) if chosen is None else rows[chosen != 0], minlength=size)

    def einsum(self, spec: str, arrays: Sequence[IntArray]) -> IntArray | None:
        """Float64 matrix products only where no partial sum can leave 2^53."""
        bound = sum_bound(spec, [a.shape for a in arrays], [magnitude(self.extent(a)) for a in arrays])
        if bound < EXACT_FLOAT:
            product = np.einsum(spec, *(a.astype(np.float64) for a in arrays), optimize=True)
            return np.asarray(np.rint(product)).astype(np.int64)
        if bound < EXACT_INT:
            wide = [self.cast(a, "int64") for a in arrays]
            return np.asarray(np.einsum(spec, *wide, optimize=True), dtype=np.int64)
        return None


NUMPY = NumpySpace()


def of(array: Any) -> Space:
    """Where an array lives."""
    if isinstance(array, np.ndarray):
        return NUMPY
    from zkcore.field.torch_space import TorchSpace

    return TorchSpace(array.device)


def is_field(array: NDArray[Any]) -> bool:
    """A field array, not one of integers."""
    kind = array.dtype
    return kind == np.uint64 if isinstance(kind, np.dtype) else str(kind) == "torch.uint64"


def contiguous(array: AnyArray) -> AnyArray:
    return of(array).contiguous(array)


def is_ternary(array: NDArray[Any]) -> bool:
    """Whether the ternary verbs take it."""
    if str(array.dtype) not in ("int8", "torch.int8"):
        return False
    lo, hi = of(array).extent(array)
    return lo >= -1 and hi <= 1


def narrow(array: NDArray[Any]) -> NDArray[Any]:
    """Of the narrowest integer type that holds all entries; what has another type than int64 already, as it is: a
    device is not asked, and waited for, again."""
    if array.dtype.itemsize < 8 or is_field(array):
        return array
    here = of(array)
    kind = narrowest(here.extent(array))
    return array if kind == "int64" else here.cast(array, kind)


def narrowest(extent: tuple[int, int]) -> str:
    """The integer type for entries between these two."""
    for kind in NARROW:
        bits = 8 * np.dtype(kind).itemsize - 1
        if -(1 << bits) <= extent[0] and extent[1] < 1 << bits:
            return kind
    return "int64"


def flat(array: NDArray[Any]) -> NDArray[Any]:
    """[n] or [n, 4], row-major."""
    here = contiguous(array)
    return here.reshape(-1, 4) if is_field(array) else here.reshape(-1)


def widest(array: Any) -> int:
    """What the magnitude of an integer array's entries cannot exceed, by its type."""
    bits: int = 8 * array.dtype.itemsize - 1
    return 1 << bits


def magnitude(extent: tuple[int, int]) -> int:
    return max(abs(extent[0]), abs(extent[1]))


def sum_bound(spec: str, shapes: Sequence[Sequence[int]], magnitudes: Sequence[int]) -> int:
    """What no partial sum of an einsum exceeds."""
    ins, out = spec.split("->")
    size = {x: n for f, shape in zip(ins.split(","), shapes, strict=True) for x, n in zip(f, shape, strict=True)}
    bound = 1
    for m in magnitudes:
        bound *= max(1, m)
    for x, n in size.items():
        bound *= 1 if x in out else n
    return bound
