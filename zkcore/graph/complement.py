"""The cells outside a public mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zkcore.claim import Place
from zkcore.field.kernels import MODULUS
from zkcore.graph.public import NO_NORMS, Integers
from zkcore.graph.tensor import PublicTensor
from zkcore.polynomial.point import box


@dataclass(frozen=True)
class Complement:
    """1 - mask on the mask's real cells, 0 on its padding."""

    mask: PublicTensor
    lo: int = 0
    hi: int = 1
    l1: Mapping[tuple[int, ...], int] = field(default_factory=lambda: NO_NORMS)
    scale_bits: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.mask.shape

    def array(self) -> Integers:
        return 1 - self.mask.array()

    def evaluate(self, place: Place) -> int | None:
        inside = self.mask.evaluate(place)
        return None if inside is None else (box(place, self.shape) - inside) % MODULUS

    def paired(self, place: Place, other: Place) -> int | None:
        return None

    def describe(self) -> list[object]:
        return ["complement", self.mask.describe()]
