"""The prover's side of moving claims to one column point: sum over points of <vector, eq(point, .)>.

The vectors are as wide as a row, and so are the eq tables: 64 MiB a point for rows of 2^20 entries. Where memory is
limited they are made again for each of the first rounds, a few at a time, until those bound so far may be held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from zkcore.field.kernels import MODULUS, Column, FieldArray, Kernels, Sumcheck
from zkcore.field.room import left
from zkcore.polynomial.point import Point, eq

ENTRY_BYTES = 64  # of a vector and its eq table
SHARE = 2  # half of the room is for what is held; it is half as much again while it is first bound
AT_ONCE = 8  # points whose tables are made together where they are made again

Make = Callable[[Point], FieldArray]


class Unheld(Mapping[Point, FieldArray]):
    """Vectors by point, [2^len(point), 4], made whenever they are asked for. `rounds`: in which they are."""

    def __init__(self, points: Sequence[Point], make: Make, rounds: int) -> None:
        self._points, self._make, self.rounds = dict.fromkeys(points), make, rounds

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
    variables = len(points[0])
    rounds = rounds_again(len(points) << variables, variables, left(k))
    return Unheld(points, make, rounds) if rounds else {p: make(p) for p in points}


def rounds_again(entries: int, variables: int, room: int | None) -> int:
    """In how many rounds tables of so many entries, of all points, are made again, for so many bytes."""
    rounds = 0
    while room is not None and rounds + 1 < variables and 3 * (entries * ENTRY_BYTES >> rounds) // 2 > room // SHARE:
        rounds += 1
    return rounds


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
    """Vector and eq table of each point, their first variables bound."""
    return [t for p in points for t in (_bind(k, own[p], bound), _eq_table(k, p, bound))]


def _bind(k: Kernels, vector: FieldArray, bound: Sequence[int]) -> FieldArray:
    return k.contract(vector, 1, len(vector) >> len(bound), k.eq_table(bound)) if bound else vector


def _eq_table(k: Kernels, point: Point, bound: Sequence[int]) -> FieldArray:
    return k.eq_table(point[len(bound) :], eq(point[: len(bound)], tuple(bound)))


class _MadeAgain:
    """Implements Sumcheck."""

    def __init__(self, k: Kernels, own: Unheld) -> None:
        self._k, self._own = k, own
        self._bound: list[int] = []
        self._held: Sumcheck | None = None

    def round(self) -> list[int]:
        if self._held:
            return self._held.round()
        total = [0, 0]
        for some in _some(list(self._own)):
            found = _sumcheck(self._k, _tables(self._k, some, self._own, self._bound)).round()
            total = [(a + b) % MODULUS for a, b in zip(total, found, strict=True)]
        return total

    def bind(self, challenge: int) -> None:
        if self._held:
            self._held.bind(challenge)
            return
        self._bound.append(challenge)
        if len(self._bound) == self._own.rounds:
            self._held = _sumcheck(self._k, _tables(self._k, list(self._own), self._own, self._bound))

    def finals(self) -> list[int]:
        if self._held is None:
            raise TypeError("not all variables are bound")
        return self._held.finals()
