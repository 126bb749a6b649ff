"""Claims, and the book that knows which of them still stand. Every claim is discharged exactly once."""

from __future__ import annotations

from dataclasses import dataclass

from zkcore.errors import GraphError
from zkcore.polynomial.point import Point
from zkcore.transcript.values import Number

Place = tuple[Point, ...]  # one point per axis


@dataclass(frozen=True, eq=False)
class Claim:
    """The multilinear extension of `tensor` takes `value` at `place`. The value may be hidden."""

    tensor: str
    place: Place
    value: Number


class ClaimLedger:
    """Claims by tensor and place; asking twice for the same evaluation yields the same claim."""

    def __init__(self) -> None:
        self._open: dict[str, dict[Place, Number]] = {}
        self._closed: set[str] = set()

    def get(self, tensor: str, place: Place) -> Number | None:
        return self._open.get(tensor, {}).get(place)

    def add(self, claim: Claim) -> None:
        if claim.tensor in self._closed:
            raise GraphError(f"a claim about {claim.tensor} after its claims were discharged")
        if self.get(claim.tensor, claim.place) is not None:
            raise GraphError(f"a second claim about {claim.tensor} at one place would hide the first")
        self._open.setdefault(claim.tensor, {})[claim.place] = claim.value

    def take(self, tensor: str) -> list[Claim]:
        """All claims about a tensor, to be discharged by the caller; no more may follow."""
        self._closed.add(tensor)
        return [Claim(tensor, place, value) for place, value in self._open.pop(tensor, {}).items()]

    def assert_empty(self) -> None:
        if self._open:
            raise GraphError(f"undischarged claims about {sorted(self._open)}")
