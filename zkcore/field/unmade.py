"""Arrays that are made when they are read, so that whoever keeps what they are made of keeps nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

from numpy.typing import NDArray

from zkcore.field.space import Space, of


@dataclass(frozen=True, eq=False)
class Stacked:
    """Integer arrays side by side along a new first axis, as an array of `shape`: the parts may be of other shapes with
    as many cells, of several integer types, and anywhere."""

    parts: tuple[NDArray[Any], ...]
    shape: tuple[int, ...]

    def array(self, here: Space) -> NDArray[Any]:
        return here.stack([here.own(part) for part in self.parts]).reshape(self.shape)

    def reshape(self, shape: tuple[int, ...]) -> Stacked:
        return Stacked(self.parts, shape)


@dataclass(frozen=True, eq=False)
class Again:
    """What a function makes, always the same."""

    make: Callable[[], NDArray[Any]]

    def array(self, here: Space) -> NDArray[Any]:
        return here.own(self.make())


Given: TypeAlias = NDArray[Any] | Stacked
Held: TypeAlias = Given | Again


def read(held: Held, here: Space) -> NDArray[Any]:
    """In a space: what is there already is not copied."""
    return held.array(here) if isinstance(held, Stacked | Again) else here.own(held)


def whole(given: Given) -> NDArray[Any]:
    """Where it is."""
    return given.array(of(given.parts[0])) if isinstance(given, Stacked) else given


def size(given: Given) -> int:
    """Bytes of what is there."""
    if isinstance(given, Stacked):
        return sum(map(size, given.parts))
    return int(prod(given.shape)) * int(given.dtype.itemsize)
