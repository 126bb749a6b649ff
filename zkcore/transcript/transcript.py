"""The committed transcript: zero knowledge is its business and nobody else's (DESIGN section 4).

[v, w] = t.message("label", 2, make)      make() runs on the prover alone; what crosses is a Pedersen commitment
r = t.challenge("label")                  public
t.require_zero(v * 3 - w, "guard")        linear forms are free
t.require_product([v, w], 5 * v, "guard") a product costs one constraint
t.finish()                                one argument for all constraints; nothing may be left to read
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from zkcore.errors import GraphError
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS, FollowsRounds, Kernels, Points, Sumcheck
from zkcore.polynomial.point import Point
from zkcore.transcript import blind, replay
from zkcore.transcript.channel import Channel
from zkcore.transcript.equations import Equations
from zkcore.transcript.rounds import nothing, run_rounds
from zkcore.transcript.sponge import Sponge
from zkcore.transcript.values import Number, Tape, Value, linear, number_of
from zkcore.transcript.wire import MESSAGE, Combination, Error, Refs, Wire

WIDTH = 8  # slots of a message row; longer messages take several rows


@dataclass(frozen=True)
class Toolbox:
    """What both sides compute with. `memory`: bytes of virtual tensors that a prover keeps; None: all. `together`: a
    verifier's, who decides the group equations of several transcripts at once; None: each decides its own."""

    kernels: Kernels
    generators: Generators
    memory: int | None = None
    together: Equations | None = None


class Transcript:
    """Fiat-Shamir for both sides: the same code runs with a witness (prover) and without one (verifier)."""

    def __init__(self, channel: Channel, tools: Toolbox, statement: bytes, *, hiding: bool = True) -> None:
        self.channel, self.kernels, self.hiding = channel, tools.kernels, hiding
        self._sponge = Sponge()
        self._wire = Wire(tools.kernels, tools.generators, channel, self._sponge, WIDTH, tools.together)
        self._ledger = blind.Grid(Tape(), WIDTH)
        self._finished, self._later = False, list[Callable[[], None]]()
        able = tools.kernels if isinstance(tools.kernels, FollowsRounds) else None
        self._follows = able if hiding and channel.ahead else None
        self._leads = hiding and channel.proving
        self._sponge.absorb("mode", b"hiding" if hiding else b"clear")
        self._sponge.absorb("statement", statement)

    @property
    def proving(self) -> bool:
        return self.channel.proving

    @property
    def hashed_bytes(self) -> int:
        return self._sponge.hashed_bytes

    @property
    def constraints(self) -> int:
        """What `finish` proves: one for each product and each zero."""
        return len(self._ledger.tape.products) + len(self._ledger.tape.zeros)

    def work(self) -> dict[str, int]:
        """What it took so far: bytes sent and hashed, and what the engine counted (in this process, whoever asked)."""
        return {"bytes": self._wire.moved, "hashed_bytes": self.hashed_bytes, **self.kernels.counters()}

    def error(self, term: str, bad: int, times: int = 1) -> None:
        """State that each of the `times` challenges that are drawn here lets something false pass with probability
        `bad` / r at most. Summed up in zkcore.soundness."""
        self._wire.error(term, bad, times)

    @property
    def stated_errors(self) -> list[Error]:
        return self._wire.errors

    def challenge(self, label: str) -> int:
        self._open()
        return self._sponge.challenge(label)

    def challenges(self, label: str, count: int) -> tuple[int, ...]:
        return tuple(self.challenge(label) for _ in range(count))

    def message(self, label: str, count: int, make: Callable[[], Sequence[int]] = nothing) -> list[Value]:
        """`count` of the prover's numbers. Both sides absorb their commitment (in clear: the numbers) in this call."""
        self._on_tape()
        if count == 0:
            return []
        numbers = self.fill(label, count, make) if self.proving else None
        if not self.hiding:
            clear = self._wire.scalars(label, count, lambda: numbers or [])
            return self._ledger.tape.take(clear)
        start = len(self._ledger.refs)
        self._rows(label, count, numbers)
        return self._ledger.place(start * WIDTH, [None] * count if numbers is None else numbers)

    def rounds(self, claim: Number, num_vars: int, degree: int, prover: Sumcheck | None) -> tuple[Point, Number]:
        """A sumcheck's: see `run_rounds`. Who has all messages before him, or makes them, carries no claim along."""
        self._on_tape()
        if self._follows and num_vars:
            return replay.follow(self._wire, self._ledger, self._follows, claim, num_vars, degree)
        if self._leads and prover and num_vars:
            draw, folds = self.challenge, self.kernels
            return replay.lead(self._round, draw, self._ledger, folds, claim, num_vars, degree, prover)
        return run_rounds(self.message, self.challenge, claim, num_vars, degree, prover)

    def fill(self, label: str, count: int, make: Callable[[], Sequence[int]]) -> list[int]:
        """The prover's numbers for a message; the attack kit overrides this and nothing else."""
        numbers = [int(v) % MODULUS for v in make()]
        if len(numbers) != count:
            raise ValueError(f"{label}: the verifier expects {count} values, got {len(numbers)}")
        return numbers

    def _round(self, label: str, count: int, make: Callable[[], list[int]]) -> list[int]:
        """The prover's numbers, committed; slots are taken for those of all rounds together."""
        secret = self._secret()  # while a GPU is at work on what `make` waits for
        numbers = self.fill(label, count, make)
        self._rows(label, count, numbers, secret)
        return numbers

    def _rows(self, label: str, count: int, numbers: list[int] | None, secret: int | None = None) -> None:
        """`secret`: the first row's blind, if it is drawn already."""
        for i in range(0, count, WIDTH):
            self._row(label, None if numbers is None else numbers[i : i + WIDTH], secret)
            secret = None

    def _secret(self) -> int:
        return self.channel.blinders(1)[0]

    def _row(self, label: str, numbers: list[int] | None, secret: int | None) -> None:
        """One Pedersen row: blind * H + sum of number * G_i."""
        if numbers is not None and secret is None:
            secret = self._secret()
        self._ledger.blinds.append(secret)

        def make() -> Points:
            return self._wire.fixed.combine([secret or 0, *(numbers or [])]).reshape(1, 12)

        self._ledger.refs.append(self._wire.points(label, 1, make).item())

    def multiply(self, a: Number, b: Number) -> Number:
        """The product; of two hidden values: a new slot, committed in finish(), and one constraint."""
        if not isinstance(a, Value):
            return b * a
        if not isinstance(b, Value):
            return a * b
        self._on_tape()
        number = None if a.number is None or b.number is None else a.number * b.number % MODULUS
        product = self._ledger.auxiliary(number)
        self._ledger.tape.products.append((a.node, b.node, product.node))
        return product

    def require_zero(self, value: Number, guard: str) -> None:
        """The prover settles it on the spot and refuses to go on; the verifier relies on finish()."""
        self._on_tape()
        if not isinstance(value, Value):
            if value % MODULUS:
                self.channel.violated(guard)
            return
        if value.number is not None and value.number % MODULUS:
            self.channel.violated(guard)
        self._ledger.tape.zeros.append(value.node)

    def require_product(self, factors: Sequence[Number], result: Number, guard: str) -> None:
        """prod factors = result; one constraint per product of hidden factors, none for `result`."""
        self._on_tape()
        scale, hidden = 1, []
        for f in factors:
            if isinstance(f, Value):
                hidden.append(f)
            else:
                scale = scale * f % MODULUS
        if len(hidden) < 2:
            left: Number = hidden[0] * scale if hidden else scale
            return self.require_zero(left - result, guard)
        left = hidden[0]
        for f in hidden[1:-1]:
            left = self.multiply(left, f)
        self._require_last(left * scale, hidden[-1], result, guard)

    def _require_last(self, a: Number, b: Value, result: Number, guard: str) -> None:
        tape = self._ledger.tape
        left, right = linear([(1, a)], tape), linear([(1, result)], tape)
        known = left.number is not None and b.number is not None and right.number is not None
        if known and (_number(left) * _number(b) - _number(right)) % MODULUS:
            self.channel.violated(guard)
        tape.products.append((left.node, b.node, right.node))

    def wire(self) -> Wire:
        """For commitment schemes only: raw points, scalars, blinders."""
        self._open()
        return self._wire

    def pin(self, value: Number) -> tuple[Refs, int]:
        """A commitment to `value` alone, value * G_0 + blind * H, with the blind (0 for the verifier): all that a
        commitment scheme has to know about a hidden evaluation."""
        self._on_tape()
        if not self.hiding:
            number = _number(value)
            refs = self._wire.points("pin", 1, lambda: self._wire.fixed.combine([0, number]).reshape(1, 12))
            self._require_pin(refs, number)
            return refs, 0
        [alone] = self.message("pin", 1, lambda: [_number(value)])
        self.require_zero(alone - value, "pin")
        return np.array([self._ledger.refs[-1]], dtype=np.int64), self._ledger.blinds[-1] or 0

    def adopt_value(self, point: bytes, secret: tuple[int, int] | None) -> Value:
        """A number pinned in another transcript: `point` encodes number * G_0 + blind * H and came with the statement.
        `secret`: number and blind, on the prover."""
        self._on_tape()
        refs = self._wire.adopt(point)
        number, blind = secret or (None, None)
        if not self.hiding:
            [clear] = self.message("adopted", 1, lambda: [number or 0])
            self._require_pin(refs, _number(clear))
            return clear
        self._ledger.refs.append(int(refs[0]))
        self._ledger.blinds.append(blind)
        return self._ledger.place((len(self._ledger.refs) - 1) * WIDTH, [number])[0]

    def _require_pin(self, refs: Refs, number: int) -> None:
        """In clear, a pin holds the number that crossed."""
        one, scalar = self.kernels.from_scalars([1]), self.kernels.from_scalars([-number % MODULUS])
        self._wire.require_group_zero("pin", Combination([(refs, one)], [(MESSAGE, scalar)]))

    def finish(self) -> None:
        """Prove all constraints, decide all equations, and seal: what came after would be unproved."""
        self._on_tape()
        dead = (
            self._ledger.tape.unread(self.kernels) if self.hiding else []
        )  # in clear, the opening reads its rounds outside the tape
        if dead:
            raise GraphError(f"{len(dead)} message slots are read by no constraint (first: slot {dead[0]})")
        if self.hiding:
            blind.prove(self._wire, self._ledger)
        self._finished = True
        self.error("equations", 1)  # of their combination
        self._wire.settle()
        self.channel.close()

    def later(self, require: Callable[[], None]) -> None:
        """Requirements about what was said already: `require` sends nothing and draws nothing. A prover does it when
        something else is about to come onto the tape, in front of it, and a GPU may have been given work meanwhile;
        whoever discharges claims that it reads calls `catch_up` before."""
        self._open()
        if self.proving:
            self._later.append(require)
        else:
            require()

    def catch_up(self) -> None:
        """Do what was left for later."""
        waiting, self._later = self._later, []
        before = self._wire.moved
        for require in waiting:
            require()
        if self._wire.moved != before:
            raise TypeError("a message was sent that should have been sent before")

    def _on_tape(self) -> None:
        self._open()
        if self._later:
            self.catch_up()

    def _open(self) -> None:
        if self._finished:
            raise TypeError("the transcript is finished: nothing after it would be proved")


def _number(value: Number) -> int:
    return number_of(value) or 0
