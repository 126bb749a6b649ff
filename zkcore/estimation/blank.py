"""Arrays with a shape, a type and an interval, but no memory: what the prover computes with when its work is counted.

A `Blank` is a numpy array whose strides are all 0. Views of it (slices, transpositions, reshapings) come for free; what
would copy is overridden here. A numpy function that nothing is said about works all the same, on zeros in memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

Shape = tuple[int, ...]


@dataclass
class Meter:
    """Bytes that a run's arrays would occupy; how often array operations outside the engine write, and how much."""

    live: int = 0
    peak: int = 0
    copies: int = 0
    written: int = 0

    def room(self, size: int) -> Room:
        return Room(self, size)


class Room:
    """The memory of one array and its views, given back when the last of them is gone."""

    def __init__(self, meter: Meter, size: int) -> None:
        self.meter, self.size = meter, size
        meter.live += size
        meter.peak = max(meter.peak, meter.live)

    def __del__(self) -> None:
        self.meter.live -= self.size


class Blank(np.ndarray[Any, np.dtype[Any]]):
    """`lo`, `hi`: interval of the entries. `filled`: the share of them that is not zero, as far as one can tell."""

    room: Room
    lo: int
    hi: int
    filled: float

    def __array_finalize__(self, source: NDArray[Any] | None) -> None:
        if isinstance(source, Blank):
            self.room, self.lo, self.hi, self.filled = source.room, source.lo, source.hi, source.filled

    def like(self, shape: Sequence[int], dtype: DTypeLike | None = None) -> Blank:
        """A new array of such entries; one that numpy, not the engine, would write."""
        made = blank(self.room.meter, shape, dtype or self.dtype, (self.lo, self.hi), self.filled)
        made.room.meter.written += made.nbytes
        made.room.meter.copies += 1
        return made

    # --- what copies -------------------------------------------------------------------------------------------------
    def copy(self, order: str = "C") -> Blank:  # type: ignore[override]
        """Of a whole array: itself, since it would be contiguous."""
        return self if self.nbytes == self.room.size else self.like(self.shape)

    def astype(self, dtype: DTypeLike, *args: Any, **options: Any) -> Blank:  # type: ignore[override]
        return self.like(self.shape, dtype)

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, np.ndarray):
            return super().__getitem__(key)
        if key.dtype == bool:
            count = key.size if isinstance(key, Blank) else int(key.sum())
            return self.like((count, *self.shape[key.ndim :]))
        made = self.like((*key.shape, *self.shape[1:]))
        made.filled = min(1.0, self.filled * self.size / max(1, made.size))  # rows are left out because they are empty
        return made

    def min(self, *args: Any, **options: Any) -> int:  # type: ignore[override]
        return self.lo

    def max(self, *args: Any, **options: Any) -> int:  # type: ignore[override]
        return self.hi

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        if method != "__call__":
            return getattr(ufunc, method)(*(zeros(x) for x in inputs), **options)
        shape = np.broadcast_shapes(*(np.shape(x) for x in inputs))
        tiny = [x.dtype.type(1) if isinstance(x, np.ndarray) else x for x in inputs]
        made = self.like(shape, ufunc(*tiny).dtype)  # in the place of `out`, too: x += y takes what it is given
        return _interval(made, ufunc, [x for x in inputs if isinstance(x, Blank)])

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if rule := _RULES.get(func):
            return rule(*args, **kwargs)
        return super().__array_function__(func, types, args, kwargs)


def blank(
    meter: Meter, shape: Sequence[int], dtype: DTypeLike, interval: tuple[int, int] = (0, 0), filled: float = 1.0
) -> Blank:
    kind = np.dtype(dtype)
    made = np.ndarray.__new__(Blank, tuple(shape), kind, np.zeros(1, dtype=kind), 0, (0,) * len(shape))
    made.room = meter.room(math.prod(shape) * kind.itemsize)
    (made.lo, made.hi), made.filled = interval, filled
    return made


def zeros(array: Any) -> Any:
    """In memory."""
    return np.zeros(array.shape, array.dtype) if isinstance(array, Blank) else array


# --- numpy functions that would copy ---------------------------------------------------------------------------------
def _interval(made: Blank, ufunc: np.ufunc, sources: Sequence[Blank]) -> Blank:
    if ufunc is np.negative:
        made.lo, made.hi = -sources[0].hi, -sources[0].lo
    if ufunc is np.add:
        made.lo, made.hi = sum(s.lo for s in sources), sum(s.hi for s in sources)
    return made


def _first(arrays: Sequence[Any]) -> Blank:
    return next(a for a in arrays if isinstance(a, Blank))


def _pad(array: Blank, widths: Sequence[tuple[int, int]]) -> Blank:
    made = array.like([n + a + b for n, (a, b) in zip(array.shape, widths, strict=True)])
    made.filled = array.filled * array.size / max(1, made.size)
    return made


def _concatenate(parts: Sequence[NDArray[Any]], axis: int = 0) -> Blank:
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    return _first(parts).like(shape)


def _stack(parts: Sequence[NDArray[Any]], axis: int = 0) -> Blank:
    shape = list(parts[0].shape)
    shape.insert(axis, len(parts))
    return _first(parts).like(shape)


def _bincount(index: Blank, weights: None = None, minlength: int = 0) -> Blank:
    made = index.like((minlength,), np.int64)
    each = index.size / max(1, minlength)
    made.lo, made.hi, made.filled = 0, max(1, index.size // 16), 1 - math.exp(-each)
    return made


def _where(condition: NDArray[Any], a: Any, b: Any) -> Blank:
    source = _first((a, b, condition))
    shape = np.broadcast_shapes(*(np.shape(x) for x in (condition, a, b)))
    return source.like(shape, np.result_type(a, b))


def _broadcast_to(array: Blank, shape: Sequence[int]) -> Blank:
    """A view of more entries than there are."""
    made = blank(Meter(), shape, array.dtype, (array.lo, array.hi), array.filled)
    made.room = array.room
    return made


_RULES: dict[Any, Callable[..., Any]] = {
    np.pad: _pad,
    np.concatenate: _concatenate,
    np.stack: _stack,
    np.bincount: _bincount,
    np.where: _where,
    np.broadcast_to: _broadcast_to,
}
