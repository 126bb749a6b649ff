"""A proof as it is made or read: its messages, columns, challenges and checks in order. A prover may lie at any of
them, and goes on as if nothing had happened; challenges may be foreknown."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS, Points
from zkcore.graph.witness import Tamper, Witness
from zkcore.testing.attack_kit.log import CHALLENGE, CHECK, COLUMN, MESSAGE, Element, Event, Key, Log
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.toolbox import tools
from zkcore.transcript.channel import Channel, ProverChannel, VerifierChannel
from zkcore.transcript.sponge import Sponge
from zkcore.transcript.transcript import WIDTH, Transcript
from zkcore.transcript.values import Number, Value, number_of
from zkcore.transcript.wire import POINT_BYTES, SCALAR_BYTES, Refs, Wire


@dataclass(frozen=True)
class Script:
    """What a prover does other than told. `messages`: what it adds to numbers, by message and slot. `tamper`: lies
    about tensors and columns. `swaps`: bytes that cross in place of commitments, by label. `foreknown`: challenges."""

    messages: Mapping[Key, Mapping[int, int]] = field(default_factory=dict)
    tamper: Tamper = field(default_factory=dict)
    swaps: Mapping[str, bytes] = field(default_factory=dict)
    foreknown: Sequence[int] | None = None
    seed: int = 1


@dataclass
class Trace:
    """`reason`: why the proof is rejected (of a proof being made: the first guard it breaks); empty if it is not."""

    proof: bytes
    log: Log
    reason: str
    blinders: int = 0
    slots: int = 0

    @property
    def events(self) -> list[Event]:
        return self.log.events

    @cached_property
    def elements(self) -> list[Element]:
        return self.log.elements

    @property
    def challenges(self) -> list[int]:
        return [e.value for e in self.events if e.kind == CHALLENGE]

    @property
    def residuals(self) -> dict[Key, int]:
        """Of checks that fail."""
        return {e.key: e.value for e in self.events if e.kind == CHECK and e.value}

    def messages(self) -> list[Event]:
        return [e for e in self.events if e.kind == MESSAGE]

    def crossed(self, label: str) -> bytes:
        """What crossed under a label, all of it."""
        return b"".join(self.proof[e.start : e.start + e.size] for e in self.elements if e.label == label)


class Tape(Sponge):
    """Notes what is drawn. Foreknown challenges are handed out in its place; the state moves on as ever."""

    def __init__(self, log: Log, state: bytes, foreknown: Sequence[int] | None) -> None:
        super().__init__()
        self.state, self.log, self.foreknown = state, log, foreknown

    def challenge(self, label: str) -> int:
        drawn = super().challenge(label)
        if self.foreknown is not None and self.log.drawn < len(self.foreknown):
            drawn = self.foreknown[self.log.drawn]
        self.log.drawn += 1
        self.log.add(CHALLENGE, label, value=drawn)
        return drawn


class LoggedWire(Wire):
    """Also notes what crosses, and what public equations come to. `start`: bytes of the proof before its own."""

    log: Log
    start = 0

    def scalars(self, label: str, count: int, make: Callable[[], list[int]]) -> list[int]:
        self.log.crossing(label, self.start + self.moved, SCALAR_BYTES, count)
        return super().scalars(label, count, make)

    def points(self, label: str, count: int, make: Callable[[], Points]) -> Refs:
        self.log.crossing(label, self.start + self.moved, POINT_BYTES, count)
        return super().points(label, count, make)

    def require_equal(self, guard: str, left: int, right: int) -> None:
        self.log.add(CHECK, guard, value=left - right)
        super().require_equal(guard, left, right)

    def settle(self) -> None:
        asked, heard = [guard for guard, _ in self._equations], getattr(self.channel, "guards", [])
        before = len(heard)
        super().settle()
        broken = set(heard[before:])
        for guard in asked:
            self.log.add(CHECK, guard, value=int(guard in broken))


class Logged(Transcript):
    """Notes everything; its prover adds to messages what the script says."""

    _wire: LoggedWire

    def __init__(
        self, channel: Channel, statement: bytes, hiding: bool, script: Script, log: Log | None = None
    ) -> None:
        super().__init__(channel, tools(), statement, hiding=hiding)
        self.log, self._script, self._following, self.pinned = log or Log(), script, list[Logged](), 0
        tape = Tape(self.log, self._sponge.state, script.foreknown)
        wire = LoggedWire(self.kernels, tools().generators, channel, tape, WIDTH)
        wire.log, self._sponge, self._wire = self.log, tape, wire

    def following(self, statement: bytes) -> Logged:
        """Another transcript over the bytes that come next."""
        made = Logged(self.channel, statement, self.hiding, self._script, self.log)
        made._wire.start = sum(t._wire.moved for t in (self, *self._following))
        self._following.append(made)
        return made

    def message(self, label: str, count: int, make: Callable[[], Sequence[int]] = lambda: []) -> list[Value]:
        if count:
            self._last = self.log.add(MESSAGE, label, count)
        return super().message(label, count, make)

    def _round(self, label: str, count: int, make: Callable[[], list[int]]) -> list[int]:
        """A message, too: a prover's, whose claims are not carried along."""
        self._last = self.log.add(MESSAGE, label, count)
        return super()._round(label, count, make)

    def fill(self, label: str, count: int, make: Callable[[], Sequence[int]]) -> list[int]:
        numbers = super().fill(label, count, make)
        for slot, delta in self._script.messages.get(self._last, {}).items():
            numbers[slot] = (numbers[slot] + delta) % MODULUS
        return numbers

    def pin(self, value: Number) -> tuple[Refs, int]:
        self.pinned = number_of(value) or 0
        return super().pin(value)

    def require_zero(self, value: Number, guard: str) -> None:
        if (number := number_of(value)) is not None:
            self.log.add(CHECK, guard, value=number)
        super().require_zero(value, guard)

    def require_product(self, factors: Sequence[Number], result: Number, guard: str) -> None:
        numbers, right = [number_of(f) for f in factors], number_of(result)
        if sum(isinstance(f, Value) for f in factors) > 1 and right is not None:  # fewer end in require_zero
            left = 1
            for n in numbers:
                left = left * (n or 0) % MODULUS
            self.log.add(CHECK, guard, value=left - right)
        super().require_product(factors, result, guard)

    @property
    def slots(self) -> int:
        return self._ledger.tape.slots + sum(t.slots for t in self._following)


class Watched:
    """A commitment scheme whose commitments are noted."""

    def __init__(self, scheme: Any, log: Log) -> None:
        self._scheme, self._log = scheme, log

    def commit(self, t: Transcript, label: str, shape: tuple[int, ...], make: Callable[[], Any], **more: Any) -> Any:
        self._log.add(COLUMN, label.removeprefix("commit "), int(np.prod(shape)))
        return self._scheme.commit(t, label, shape, make, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scheme, name)


class Forger(ProverChannel):
    """Reproducible coins; goes on after a violated guard, and decides like a verifier."""

    judging = True

    def __init__(self, script: Script) -> None:
        super().__init__(b"forger")
        self.guards: list[str] = []
        self._script, self._count, self._swaps = script, 0, dict(script.swaps)

    @property
    def drawn(self) -> int:
        return self._count

    def blinders(self, count: int) -> list[int]:
        start, self._count = self._count, self._count + count
        seeds = (f"{self._script.seed} {i}".encode() for i in range(start, start + count))
        return [int.from_bytes(hashlib.sha512(seed).digest(), "big") % MODULUS for seed in seeds]

    def violated(self, guard: str) -> None:
        self.guards.append(guard)

    def move(self, label: str, size: int, make: Callable[[], bytes]) -> bytes:
        data = make()
        if label in self._swaps:
            data, self._swaps[label] = self._swaps[label][:size], self._swaps[label][size:]
        return super().move(label, size, lambda: data)


class Noting(VerifierChannel):
    """Reads to the end, and remembers what was wrong."""

    ahead = False  # each message is noted as it is read

    def __init__(self, proof: bytes, transcripts: int) -> None:
        super().__init__(proof)
        self.guards: list[str] = []
        self._left = transcripts

    def violated(self, guard: str) -> None:
        self.guards.append(guard)

    def close(self) -> None:
        """The last transcript must have come to the end."""
        self._left -= 1
        if not self._left:
            super().close()


def forge(subject: Subject, script: Script, hiding: bool = False) -> Trace:
    """A proof by a prover with this script, whatever guards it breaks."""
    channel = Forger(script)
    t = Logged(channel, subject.statement(hiding), hiding, script)
    witness = Witness(subject.system, tools().kernels, subject.given, script.tamper)
    subject.run(t, Watched(subject.setup(hiding).scheme, t.log), witness)
    reason = channel.guards[0] if channel.guards else ""
    return Trace(bytes(channel.proof), t.log, reason, channel.drawn, t.slots)


@lru_cache(maxsize=8)
def honest(subject: Subject, hiding: bool = False, seed: int = 1) -> Trace:
    """A proof without a lie. Most attacks begin with it."""
    return forge(subject, Script(seed=seed), hiding)


def replay(subject: Subject, proof: bytes, hiding: bool = False, foreknown: Sequence[int] | None = None) -> Trace:
    """The verifier's run over a proof. Any exception but ProofRejected is a bug of the verifier."""
    channel = Noting(proof, subject.transcripts)
    t = Logged(channel, subject.statement(hiding), hiding, Script(foreknown=foreknown))
    reason = ""
    try:
        subject.run(t, Watched(subject.setup(hiding).scheme, t.log), None)
    except ProofRejected as e:
        reason = e.reason
    reason = channel.guards[0] if channel.guards else reason
    return Trace(proof, t.log, reason)


def spread(things: Sequence[Any], most: int) -> Iterator[Any]:
    """At most so many, from everywhere."""
    step = max(1, -(-len(things) // most)) if most else len(things) + 1
    yield from (things[min(i + (i // step) % step, len(things) - 1)] for i in range(0, len(things), step))
