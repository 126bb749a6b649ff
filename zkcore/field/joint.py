"""What kernels may do about many sumchecks that are proved as one (zkcore/subprotocols/side_by_side.py)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from zkcore.field.kernels import Sumcheck


@dataclass(frozen=True)
class KnownSum:
    """A sumcheck of which nothing is bound yet, with its sum. `degree`: of its rounds."""

    sumcheck: Sumcheck
    claim: int
    degree: int


class Joint(Sumcheck, Protocol):
    """For the sum of all parts. Each `bind` follows a `round`; `finals` are all tables of all parts, in order."""

    def claims(self) -> list[int]:
        """Of each part: what is left to sum."""
        ...


@runtime_checkable
class JoinsSumchecks(Protocol):
    """Kernels that go through a round of all parts in one call: Python would take longer than a GPU does."""

    def side_by_side(self, parts: Sequence[KnownSum], degree: int) -> Joint:
        """Rounds of `degree`, which no part exceeds. The sumchecks are these kernels' own."""
        ...
