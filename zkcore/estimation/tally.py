"""Work by verb: how often it was called, and how much it did."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.field.kernels import MODULUS

SOME = pow(3, -1, MODULUS)  # in the place of field elements that nobody knows: as long as any, and not zero


@dataclass
class Work:
    """`units`: what the verb's time grows with: entries, products or additions. The rest as the engine counts it."""

    calls: int = 0
    units: float = 0
    field_mults: int = 0
    small_mults: int = 0
    group_adds: float = 0

    def plus(self, other: Work, sign: int = 1) -> Work:
        return Work(
            self.calls + sign * other.calls,
            self.units + sign * other.units,
            self.field_mults + sign * other.field_mults,
            self.small_mults + sign * other.small_mults,
            self.group_adds + sign * other.group_adds,
        )


@dataclass
class Tally:
    verbs: dict[str, Work] = field(default_factory=lambda: defaultdict(Work))

    def add(self, verb: str, units: float, *, field_mults: int = 0, small_mults: int = 0) -> None:
        w = self.verbs[verb]
        w.calls += 1
        w.units += units
        w.field_mults += field_mults
        w.small_mults += small_mults

    def add_group(self, verb: str, additions: float) -> None:
        w = self.verbs[verb]
        w.calls += 1
        w.units += additions
        w.group_adds += additions

    def snapshot(self) -> dict[str, Work]:
        return {verb: w.plus(Work()) for verb, w in self.verbs.items()}

    def counters(self) -> dict[str, int]:
        """As `Kernels.counters` gives them."""
        works = self.verbs.values()
        return {
            "field_mults": sum(w.field_mults for w in works),
            "small_mults": sum(w.small_mults for w in works),
            "group_adds": round(sum(w.group_adds for w in works)),
        }


def is_field(array: NDArray[Any]) -> bool:
    return array.dtype == np.uint64
