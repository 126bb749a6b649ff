"""What commitment schemes and the blind argument see, and no one else: points, scalars, rows with their blinders.

Points are absorbed as bytes when they cross and decoded all at once at the end (canonical form, curve and subgroup),
where the group equations collected on the way are decided.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from zkcore.errors import ProofRejected
from zkcore.field.generators import Generators
from zkcore.field.kernels import (
    MODULUS,
    Column,
    FieldArray,
    FixedBase,
    FollowsRounds,
    Kernels,
    Points,
    RowSums,
    SumsRows,
)
from zkcore.field.space import Space, contiguous, is_ternary
from zkcore.field.unmade import Held, read
from zkcore.transcript.channel import Channel
from zkcore.transcript.equations import POINT_BYTES as POINT_BYTES
from zkcore.transcript.equations import Combination as Combination
from zkcore.transcript.equations import Equations, Side
from zkcore.transcript.equations import Refs as Refs
from zkcore.transcript.sponge import Sponge

SCALAR_BYTES = 32
BLINDER, MESSAGE, TENSOR, WIDE, UNIT = "blind", "message", "tensor", "wide", "unit"  # purposes of generators
Known = tuple[tuple[str, int], ...]  # the first generators of each purpose, one after the other


@dataclass
class Rows:
    """Pedersen commitments to rows. `refs` points into the wire's pool; the prover also has what is inside. `ternary`:
    entries -1, 0 and 1, for the verbs that only add."""

    refs: Refs
    inside: Held | None = None
    blinds: FieldArray | None = None
    ternary: bool = False

    def known(self, here: Space) -> Column:
        """What is inside, in a space. Raises TypeError on the verifier."""
        if self.inside is None:
            raise TypeError("only the prover knows what is inside")
        return read(self.inside, here)


def hedge(secrets: Iterable[Rows]) -> bytes:
    """The blinds: something only the owner knows, to hedge the system's randomness with."""
    return b"".join(r.blinds.tobytes() for r in secrets if r.blinds is not None)


@dataclass(frozen=True)
class Error:
    """`times` challenges were drawn, each of which lets something false pass with probability `bad` / r at most."""

    term: str
    bad: int
    times: int = 1


class Wire:
    def __init__(
        self,
        kernels: Kernels,
        generators: Generators,
        channel: Channel,
        sponge: Sponge,
        width: int,
        together: Equations | None = None,
    ) -> None:
        """`together`: where the group equations are left, to be decided with those of other transcripts."""
        self.kernels, self.generators, self.channel, self.sponge = kernels, generators, channel, sponge
        self.blinder_base = generators.take(BLINDER, 1)
        self.message_bases = generators.take(MESSAGE, width)
        self.moved = 0  # bytes, both sides counting
        self.errors: list[Error] = []
        self._encoded: list[bytes] = []
        self._count = 0
        self._equations: list[tuple[str, Combination]] = []
        self._together = together or Equations(kernels, generators)
        self._alone = together is None
        self._left: Side | None = None

    @property
    def proving(self) -> bool:
        return self.channel.proving

    @cached_property
    def fixed(self) -> FixedBase:
        """Multiples of the blinder's and the messages' generators, for who commits."""
        return self.kernels.fixed_base(self.kernels.space.concatenate([self.blinder_base, self.message_bases]))

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

    def follow(
        self, kernels: FollowsRounds, label: str, rounds: int, pieces: int, degree: int
    ) -> tuple[Refs, list[int], list[int]]:
        """A verifier's: the points of all rounds of a sumcheck, `pieces` a round, each absorbed before the challenge
        of its round is drawn. Where they are; the challenges; the last claim's weights: see Sponge.follow."""
        data = self.channel.move(label, rounds * pieces * POINT_BYTES, no_bytes)
        self.moved += len(data)
        challenges, weights = self.sponge.follow(kernels, label, data, rounds, pieces, degree)
        return self._pool(data), challenges, weights

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

    def summed_rows(self, label: str, kernels: SumsRows, sums: RowSums) -> tuple[Refs, list[int]]:
        """As `rows`, of rows that the prover's kernels have summed up already: the points and their blinds."""
        blinds = self.channel.blinders(len(sums))
        return self.points(label, len(sums), lambda: kernels.blind_rows(sums, blinds, self.fixed)), blinds

    def blinders(self, count: int) -> FieldArray:
        return self.kernels.from_scalars(self.channel.blinders(count))

    def require_equal(self, guard: str, left: int, right: int) -> None:
        """A public equation, decided at once by whoever judges."""
        if self.channel.judging and (left - right) % MODULUS:
            self.channel.violated(guard)

    def require_group_zero(self, guard: str, combination: Combination) -> None:
        """The combination is the neutral element; decided when the transcript is finished, or later, see `settle`."""
        if self.channel.judging:
            self._equations.append((guard, combination))

    def settle(self) -> None:
        """Decode every point and decide the group equations; or leave that to who gathers several transcripts'."""
        if not self.channel.judging:
            return
        self._left = Side(self.sponge.state, self._encoded, self._equations, self.channel.violated)
        self._together.add(self._left)
        if self._alone:
            self._together.decide()

    def evaluate(self, combination: Combination) -> bytes:
        """The encoded point that a combination is, once what was received is decoded."""
        if self._left is None:
            raise TypeError("nothing is decoded before the transcript is finished")
        return self._together.evaluate(self._left, combination)

    def bases(self, known: Known) -> Points:
        """[n, 12]: the generators themselves."""
        parts = [self.generators.take(purpose, count) for purpose, count in known]
        return parts[0] if len(parts) == 1 else self.kernels.space.concatenate(parts)

    def multiples(self, known: Known, scalars: FieldArray) -> list[tuple[str, FieldArray]]:
        """scalars[i] * generator i of `known`, as part of a combination."""
        out, start = list[tuple[str, FieldArray]](), 0
        for purpose, count in known:
            out.append((purpose, scalars[start : start + count]))
            start += count
        return out

    def encoding(self, ref: int) -> bytes:
        """A received point as it crossed."""
        return b"".join(self._encoded)[ref * POINT_BYTES : (ref + 1) * POINT_BYTES]


def no_points() -> Points:
    """The `make` of a side that makes nothing; never called there."""
    raise TypeError("only the prover makes points")


def no_bytes() -> bytes:
    """Likewise."""
    raise TypeError("only the prover makes messages")
