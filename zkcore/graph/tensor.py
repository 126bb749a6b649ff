"""Tensors as the graph knows them: names, shapes, intervals. No data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zkcore.claim import Place
from zkcore.relation import Expr

LIMIT = 1 << 253  # an interval beyond this could wrap around the field
KINDS = ("public", "weight", "committed", "virtual")


@dataclass(eq=False)
class Tensor:
    """`lo`, `hi`: interval of the real cells (inside `support`, a public mask, where one is set)."""

    name: str
    shape: tuple[int, ...]
    kind: str
    lo: int
    hi: int
    clean: bool = False  # zero on its padding, by construction; committed padding is never trusted
    support: tuple[str, tuple[int, ...]] | None = None
    group: str = ""  # committed tensors of a group are opened together
    l1: Mapping[tuple[int, ...], int] | None = None  # public: bound of the sum of |entries| along these axes

    def __getitem__(self, letters: str) -> Expr:
        if len(letters) != len(self.shape):
            raise ValueError(f"{self.name} has {len(self.shape)} axes, not {letters!r}")
        return Expr(((1, self.name, letters),))

    @property
    def ternary(self) -> bool:
        """A weight whose entries are declared to be -1, 0 and 1."""
        return self.kind == "weight" and self.lo >= -1 and self.hi <= 1

    def describe(self) -> list[object]:
        return [self.name, list(self.shape), self.kind, str(self.lo), str(self.hi), self.clean]


Specs = Mapping[str, Tensor]


class PublicTensor(Protocol):
    """What both sides compute from the statement. The verifier evaluates it; a closed form keeps that cheap."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def lo(self) -> int: ...

    @property
    def hi(self) -> int: ...

    @property
    def l1(self) -> Mapping[tuple[int, ...], int]: ...

    @property
    def scale_bits(self) -> int:
        """Its fraction bits, for float passes."""
        ...

    def array(self) -> NDArray[np.int64]:
        """All entries, [*shape]."""
        ...

    def evaluate(self, place: Place) -> int | None:
        """Its extension at a point, or None if there is no closed form: then `array` is evaluated."""
        ...

    def paired(self, place: Place, other: Place) -> int | None:
        """The extension of  eq(place, .) * self  at `other` (needed of masks), or None if there is no closed form."""
        ...

    def describe(self) -> list[object]:
        """Canonical definition for the statement."""
        ...


@dataclass(frozen=True)
class Output:
    """What an op says of a tensor it makes. A virtual one's interval follows from the relation that defines it."""

    shape: tuple[int, ...]
    committed: bool = False
    lo: int = 0
    hi: int = 0


def signed(bits: int) -> tuple[int, int]:
    """The interval of a two's complement number."""
    return -(1 << bits - 1), (1 << bits - 1) - 1


def committed(shape: tuple[int, ...], bits: int) -> Output:
    """A committed tensor of signed `bits`-bit integers; a lookup must prove it."""
    lo, hi = signed(bits)
    return Output(shape, True, lo, hi)
