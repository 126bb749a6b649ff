"""The group equations of one or several transcripts, decided as one sum of multiples of points.

Every equation says that a combination of received points and generators is the neutral element. With coefficients drawn
when all messages are bound, their sum is neutral only if each is, but for one coefficient in r. In the sum a generator
and a received point occur once each, however many equations they are in: two openings over the same 2^20 generators
cost what one does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zkcore.errors import ProofRejected
from zkcore.field.generators import Generators
from zkcore.field.kernels import FieldArray, Kernels, Points
from zkcore.transcript.sponge import Sponge

POINT_BYTES = 48
APART = 1 << 18  # points that are summed up where they are
Refs = NDArray[np.int64]


@dataclass
class Combination:
    """A sum of scalar * point: over received points (`refs`), and over the first generators of a purpose."""

    received: list[tuple[Refs, FieldArray]] = field(default_factory=list)
    known: list[tuple[str, FieldArray]] = field(default_factory=list)


@dataclass
class Side:
    """One transcript's: `state` of its hash when all was absorbed, the points as they crossed, the equations by guard,
    and what to do if one does not hold. `refs`: once decoded, where its points are in the pool."""

    state: bytes
    encoded: Sequence[bytes]
    equations: Sequence[tuple[str, Combination]]
    violated: Callable[[str], None]
    refs: Refs = field(default_factory=lambda: np.zeros(0, dtype=np.int64))


class Equations:
    """Takes what transcripts leave, and decides all of it at once: every point canonical, on the curve and in the
    subgroup, every combination neutral."""

    def __init__(self, kernels: Kernels, generators: Generators) -> None:
        self.kernels, self.generators = kernels, generators
        self.pool: Points | None = None
        self._sides: list[Side] = []

    def add(self, side: Side) -> None:
        if self.pool is not None:
            raise TypeError("these equations are decided")
        self._sides.append(side)

    def decide(self) -> None:
        """Raises ProofRejected for a bad point, and tells the side whose guard is violated."""
        self._decode()
        stated = [(side, guard, c) for side in self._sides for guard, c in side.equations]
        if not stated:
            return
        weights = self._weights(len(stated))
        terms = [(w, side, c) for w, (side, _, c) in zip(weights, stated, strict=True)]
        if not self._host(self._sum(terms)).any():
            return
        named = False
        for side, guard, c in stated:
            if self._host(self._sum([(1, side, c)])).any():
                named = True
                side.violated(guard)
        if not named:
            raise ProofRejected("equations", "each holds, their sum does not: a fault of this program or machine")

    def evaluate(self, side: Side, combination: Combination) -> bytes:
        """The encoded point that a combination is."""
        return self.kernels.encode(self._sum([(1, side, combination)]).reshape(1, 12))

    def _host(self, points: Points) -> NDArray[np.uint64]:
        return self.kernels.space.host(points)

    def _weights(self, count: int) -> list[int]:
        """Fiat-Shamir: they depend on all that any of the transcripts absorbed. The first may be 1."""
        sponge = Sponge()
        for side in self._sides:
            sponge.absorb("transcript", side.state)
        return [1, *(sponge.challenge("equation") for _ in range(count - 1))][:count]

    def _decode(self) -> None:
        """A pool of all points; bytes that crossed twice (a model's rows) are decoded once."""
        start: dict[bytes, int] = {}
        count = 0
        for side in self._sides:
            for data in side.encoded:
                if data not in start:
                    start[data] = count
                    count += len(data) // POINT_BYTES
        try:
            self.pool = self.kernels.decode(b"".join(start))
        except ValueError as e:
            raise ProofRejected("bad point", str(e)) from None
        for side in self._sides:
            side.refs = _ranges([start[d] for d in side.encoded], [len(d) // POINT_BYTES for d in side.encoded])

    def _sum(self, terms: Sequence[tuple[int, Side, Combination]]) -> Points:
        """sum of weight * combination."""
        if self.pool is None:
            raise TypeError("nothing is decoded before the equations are decided")
        k, here = self.kernels, self.kernels.space
        refs, scalars = list[Refs](), list[FieldArray]()
        known: dict[str, list[tuple[int, FieldArray]]] = defaultdict(list)
        for w, side, c in terms:
            for own, s in c.received:
                refs.append(side.refs[own])
                scalars.append(_scaled(k, w, s))
            for purpose, s in c.known:
                known[purpose].append((w, s))
        parts = list[tuple[Points, FieldArray]]()
        if refs:
            used, places = np.unique(np.concatenate(refs), return_inverse=True)
            factors = k.scatter_add(here.own(places.astype(np.int64)), here.concatenate(scalars), len(used))
            parts.append((here.take(self.pool, used), factors))
        for purpose, multiples in known.items():
            most = max(len(s) for _, s in multiples)
            padded = [(w, s if len(s) == most else here.pad(s, (most, 4))) for w, s in multiples]
            parts.append((self.generators.take(purpose, most), k.combine(padded, 0, most)))
        return self._multiplied(parts)

    def _multiplied(self, parts: Sequence[tuple[Points, FieldArray]]) -> Points:
        """[12]: the sum of scalar * point over all parts. One sum is faster than several, but for copying points."""
        k, here = self.kernels, self.kernels.space
        sums = [k.msm(points, factors) for points, factors in parts if len(points) >= APART]
        if small := [part for part in parts if len(part[0]) < APART]:
            sums.append(k.msm(here.concatenate([p for p, _ in small]), here.concatenate([f for _, f in small])))
        return sums[0] if len(sums) == 1 else k.msm(here.stack(sums), k.from_scalars([1] * len(sums)))


def _scaled(k: Kernels, weight: int, scalars: FieldArray) -> FieldArray:
    return scalars if weight == 1 else k.combine([(weight, scalars)], 0, len(scalars))


def _ranges(starts: Sequence[int], lengths: Sequence[int]) -> Refs:
    """start, start + 1, ..., of each length, one after the other."""
    counts = np.array(lengths, dtype=np.int64)
    before = np.cumsum(counts) - counts
    shift = np.repeat(np.array(starts, dtype=np.int64) - before, counts)
    refs: Refs = np.arange(int(counts.sum()), dtype=np.int64) + shift
    return refs
