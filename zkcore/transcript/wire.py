"""What commitment schemes and the blind argument see, and no one else: points, scalars, rows with their blinders.

Points are absorbed as bytes when they cross and decoded all at once at the end (canonical form, curve and subgroup),
where the group equations collected on the way are decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from zkcore.errors import ProofRejected
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS, Column, FieldArray, FixedBase, Kernels, Points
from zkcore.field.space import contiguous, is_ternary
from zkcore.transcript.channel import Channel
from zkcore.transcript.sponge import Sponge

SCALAR_BYTES, POINT_BYTES = 32, 48
Refs = NDArray[np.int64]


@dataclass
class Rows:
    """Pedersen commitments to rows. `refs` points into the wire's pool; the prover also has what is inside. `ternary`:
    entries -1, 0 and 1, for the verbs that only add."""

    refs: Refs
    inside: Column | None = None
    blinds: FieldArray | None = None
    ternary: bool = False


def hedge(secrets: Iterable[Rows]) -> bytes:
    """The blinds: something only the owner knows, to hedge the system's randomness with."""
    return b"".join(r.blinds.tobytes() for r in secrets if r.blinds is not None)


@dataclass
class Combination:
    """A sum of scalar * point, over received points (`refs`) and known ones."""

    received: list[tuple[Refs, FieldArray]] = field(default_factory=list)
    known: list[tuple[Points, FieldArray]] = field(default_factory=list)


@dataclass(frozen=True)
class Error:
    """`times` challenges were drawn, each of which lets something false pass with probability `bad` / r at most."""

    term: str
    bad: int
    times: int = 1


class Wire:
    def __init__(self, kernels: Kernels, generators: Generators, channel: Channel, sponge: Sponge, width: int) -> None:
        self.kernels, self.generators, self.channel, self.sponge = kernels, generators, channel, sponge
        self.blinder_base = generators.take("blind", 1)
        self.message_bases = generators.take("message", width)
        self.fixed: FixedBase = kernels.fixed_base(kernels.space.concatenate([self.blinder_base, self.message_bases]))
        self.moved = 0  # bytes, both sides counting
        self.errors: list[Error] = []
        self._encoded: list[bytes] = []
        self._count = 0
        self._equations: list[tuple[str, Combination]] = []
        self._decoded: Points | None = None

    @property
    def proving(self) -> bool:
        return self.channel.proving

    def challenge(self, label: str) -> int:
        return self.sponge.challenge(label)

    def error(self, term: str, bad: int, times: int = 1) -> None:
        """What a protocol says of its challenges, beside where it draws them; see zkcore.soundness."""
        self.errors.append(Error(term, bad, times))

    def move(self, label: str, size: int, make: Callable[[], bytes]) -> bytes:
        data = self.channel.move(label, size, make)
        self.moved += size
        self.sponge.absorb(label, data)
        return data

    def scalars(self, label: str, count: int, make: Callable[[], list[int]]) -> list[int]:
        """Scalars in clear."""
        data = self.move(
            label, count * SCALAR_BYTES, lambda: b"".join((v % MODULUS).to_bytes(32, "big") for v in make())
        )
        values = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
        if any(v >= MODULUS for v in values):
            raise ProofRejected("non-canonical scalar", label)
        return values

    def points(self, label: str, count: int, make: Callable[[], Points]) -> Refs:
        """Points in clear."""
        return self._pool(self.move(label, count * POINT_BYTES, lambda: self.kernels.encode(make())))

    def adopt(self, data: bytes) -> Refs:
        """Points that came with the statement (a model's commitment). Absorbed here too: nobody can forget to."""
        self.sponge.absorb("adopt", data)
        return self._pool(data)

    def _pool(self, data: bytes) -> Refs:
        start, count = self._count, len(data) // POINT_BYTES
        self._encoded.append(data)
        self._count += count
        return np.arange(start, start + count, dtype=np.int64)

    def rows(self, label: str, bases: Points, count: int, make: Callable[[], Column], ternary: bool = False) -> Rows:
        """Commit to `count` rows: [count, width] integers or [count, width, 4] field elements. `ternary`: the entries
        are declared to be -1, 0 and 1 (a cheater's may be others)."""
        if not self.proving:
            return Rows(self.points(label, count, no_points))
        inside = contiguous(make())
        if len(inside) != count:
            raise ValueError(f"{label}: expected {count} rows, got {len(inside)}")
        blinds = self.blinders(count)
        ternary = ternary and is_ternary(inside)
        verb = self.kernels.commit_ternary if ternary else self.kernels.commit_rows
        refs = self.points(label, count, lambda: verb(bases, inside, blinds, self.fixed))
        return Rows(refs, inside, blinds, ternary)

    def blinders(self, count: int) -> FieldArray:
        return self.kernels.from_scalars(self.channel.blinders(count))

    def require_equal(self, guard: str, left: int, right: int) -> None:
        """A public equation, decided at once by whoever judges."""
        if self.channel.judging and (left - right) % MODULUS:
            self.channel.violated(guard)

    def require_group_zero(self, guard: str, combination: Combination) -> None:
        """The combination is the neutral element; decided in `settle`."""
        if self.channel.judging:
            self._equations.append((guard, combination))

    def settle(self) -> None:
        """Decode every point and decide the group equations."""
        if not self.channel.judging:
            return
        try:
            pool = self.kernels.decode(b"".join(self._encoded))
        except ValueError as e:
            raise ProofRejected("bad point", str(e)) from None
        self._decoded = pool
        for guard, combination in self._equations:
            if self.kernels.space.host(self._sum(combination)).any():
                self.channel.violated(guard)

    def evaluate(self, combination: Combination) -> bytes:
        """The encoded point that a combination is, once `settle` has decoded what was received."""
        return self.kernels.encode(self._sum(combination).reshape(1, 12))

    def encoding(self, ref: int) -> bytes:
        """A received point as it crossed."""
        return b"".join(self._encoded)[ref * POINT_BYTES : (ref + 1) * POINT_BYTES]

    def _sum(self, combination: Combination) -> Points:
        if self._decoded is None:
            raise TypeError("nothing is decoded before the transcript is finished")
        here = self.kernels.space
        points = [here.take(self._decoded, refs) for refs, _ in combination.received]
        points += [p for p, _ in combination.known]
        scalars = [s for _, s in combination.received] + [s for _, s in combination.known]
        return self.kernels.msm(here.concatenate(points), here.concatenate(scalars))


def no_points() -> Points:
    """The `make` of a side that makes nothing; never called there."""
    raise TypeError("only the prover makes points")
