"""The prover's side of moving claims to one column point: sum over points of <vector, eq(point, .)>.

The vectors are as wide as a row, and so are the eq tables: 64 MiB a point for rows of 2^20 entries. Where memory is
limited the eq tables are made again for each of the first rounds, a few at a time, until those bound so far may be
held; and so are the vectors, where not even they fit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from zkcore.field.kernels import MODULUS, Column, FieldArray, Kernels, Sumcheck
from zkcore.field.room import BESIDE, left
from zkcore.polynomial.point import Point, eq

ENTRY_BYTES = 32  # of a vector or of an eq table
AT_ONCE = 8  # points whose tables are made together where they are made again

Make = Callable[[Point], FieldArray]


@dataclass(frozen=True)
class Plan:
    """`rounds`: in which tables are made again. `vectors`: are they held, and the eq tables alone made again?"""

    rounds: int
    vectors: bool


def plan(points: int, variables: int, room: int | None) -> Plan:
    """For so many bytes. When tables are held they are bound to others, half as large, first."""
    if room is None:
        return Plan(0, True)
    one = ENTRY_BYTES << variables
    room, rounds = room - BESIDE * one, 0
    while rounds + 1 < variables and 3 * points * one >> rounds > room:
        rounds += 1
    return Plan(rounds, points * one <= room)


class Unheld(Mapping[Point, FieldArray]):
    """Vectors by point, [2^len(point), 4], made whenever they are asked for."""

    def __init__(self, points: Sequence[Point], make: Make, planned: Plan) -> None:
        self._points, self._make, self.plan = dict.fromkeys(points), make, planned

    def __getitem__(self, point: Point) -> FieldArray:
        if point not in self._points:
            raise KeyError(point)
        return self._make(point)

    def __iter__(self) -> Iterator[Point]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)


def vectors(k: Kernels, points: Sequence[Point], make: Make) -> Mapping[Point, FieldArray]:
    """Held, if they and all that is made of them fit."""
    planned = plan(len(points), len(points[0]), left(k))
    return Unheld(points, make, planned) if planned.rounds else {p: make(p) for p in points}


def weigh(k: Kernels, own: Mapping[Point, FieldArray], weights: Mapping[Point, int], size: int) -> FieldArray:
    """[size, 4]: sum of weight * vector, a few at a time."""
    total, points = list[tuple[int, FieldArray]](), list(own)
    for some in _some(points) if isinstance(own, Unheld) else [points]:
        total = [(1, k.combine([*total, *((weights[p], own[p]) for p in some)], 0, size))]
    return total[0][1]


def sumcheck(k: Kernels, own: Mapping[Point, FieldArray]) -> Sumcheck:
    """Claims at one point share an eq table."""
    return _MadeAgain(k, own) if isinstance(own, Unheld) else _sumcheck(k, _tables(k, list(own), own, ()))


def _sumcheck(k: Kernels, tables: Sequence[Column]) -> Sumcheck:
    return k.sumcheck(tables, [(1, (i, i + 1)) for i in range(0, len(tables), 2)], 2)


def _some(points: Sequence[Point]) -> Iterator[Sequence[Point]]:
    return (points[start : start + AT_ONCE] for start in range(0, len(points), AT_ONCE))


def _tables(k: Kernels, points: Sequence[Point], own: Mapping[Point, FieldArray], bound: Sequence[int]) -> list[Column]:
    """Each point's vector, bound already, and its eq table, whose first variables are bound."""
    return [t for p in points for t in (own[p], _eq_table(k, p, bound))]


def _eq_table(k: Kernels, point: Point, bound: Sequence[int]) -> FieldArray:
    return k.eq_table(point[len(bound) :], eq(point[: len(bound)], tuple(bound)))


def _bind(k: Kernels, vector: FieldArray, bound: Sequence[int]) -> FieldArray:
    return k.contract(vector, 1, len(vector) >> len(bound), k.eq_table(bound)) if bound else vector


class _MadeAgain:
    """Implements Sumcheck."""

    def __init__(self, k: Kernels, own: Unheld) -> None:
        self._k, self._own = k, own
        self._bound: list[int] = []
        self._vectors = {p: own[p] for p in own} if own.plan.vectors else None  # bound so far
        self._held: Sumcheck | None = None

    def round(self) -> list[int]:
        if self._held:
            return self._held.round()
        total = [0, 0]
        for some in _some(list(self._own)):
            found = _sumcheck(self._k, self._tables(some)).round()
            total = [(a + b) % MODULUS for a, b in zip(total, found, strict=True)]
        return total

    def bind(self, challenge: int) -> None:
        if self._held:
            self._held.bind(challenge)
            return
        self._bound.append(challenge)
        if self._vectors is not None:
            for p, vector in self._vectors.items():
                self._vectors[p] = _bind(self._k, vector, [challenge])
        if len(self._bound) == self._own.plan.rounds:
            self._held = _sumcheck(self._k, self._tables(list(self._own)))
            self._vectors = None

    def _tables(self, points: Sequence[Point]) -> list[Column]:
        own = self._vectors or {p: _bind(self._k, self._own[p], self._bound) for p in points}
        return _tables(self._k, points, own, self._bound)

    def finals(self) -> list[int]:
        if self._held is None:
            raise TypeError("not all variables are bound")
        return self._held.finals()
