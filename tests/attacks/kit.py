"""Provers that lie, for the attack tests: they re-prove, so that everything after a lie follows from it."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from weakref import WeakKeyDictionary

import numpy as np
import pytest

from zkcore.backward import Driver
from zkcore.commitment.deferred import Pending
from zkcore.commitment.hyrax import Hyrax
from zkcore.commitment.scheme import Commitment
from zkcore.errors import ProofRejected
from zkcore.field import native
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS, Column, FieldArray, Points
from zkcore.field.native_curve import NativeFixedBase
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.public import Dense
from zkcore.graph.system import System, freeze
from zkcore.graph.witness import Tamper, Witness
from zkcore.relation import Table
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.subprotocols.tlookup import TLookup
from zkcore.transcript.channel import Channel, DryChannel, ProverChannel, VerifierChannel
from zkcore.transcript.sponge import Sponge
from zkcore.transcript.transcript import WIDTH, Toolbox, Transcript
from zkcore.transcript.values import Number, Value
from zkcore.transcript.wire import POINT_BYTES, SCALAR_BYTES, Refs, Rows, Wire


class Kernels(native.NativeKernels):
    """Precomputed tables are made once: a transcript is short-lived here."""

    def __init__(self) -> None:
        self._tables: dict[bytes, NativeFixedBase] = {}

    def fixed_base(self, points: Points) -> NativeFixedBase:
        key = points.tobytes()
        if key not in self._tables:
            self._tables[key] = super().fixed_base(points)
        return self._tables[key]


KERNELS = Kernels()
TOOLS = Toolbox(KERNELS, Generators(KERNELS))
LOG_WIDTH = 2  # rows of four entries: small tensors take several
FINISH = ("constraints", "matrices", "error row", "witness row", "opening")  # what a verifier can see in hiding mode

Lie = Callable[["Cheat", list[int]], list[int]]
Lies = Mapping[tuple[str, int], Lie]
PointLies = Mapping[tuple[str, int], Callable[[Points], Points]]
MODES = pytest.mark.parametrize("hiding", [False, True], ids=["clear", "hiding"])


def add(*deltas: int) -> Lie:
    """Add to the first numbers of a message."""
    return lambda t, values: [v + d for v, d in zip(values, [*deltas] + [0] * len(values), strict=False)]


# --- channels ---
class Coins(ProverChannel):
    """A prover with reproducible blinders, which are counted."""

    def __init__(self, seed: int) -> None:
        super().__init__(b"coins")
        self._coins, self.drawn = random.Random(seed), 0

    def blinders(self, count: int) -> list[int]:
        self.drawn += count
        return [self._coins.randrange(MODULUS) for _ in range(count)]


class Naked(ProverChannel):
    """A prover without blinding: whatever finds no leak here is blind itself."""

    def __init__(self) -> None:
        super().__init__(b"")

    def blinders(self, count: int) -> list[int]:
        return [0] * count


class Twin(Coins):
    """An honest prover that writes, and absorbs, other bytes in place of the first message of a label."""

    def __init__(self, label: str, forge: Callable[[bytes], bytes], seed: int = 7) -> None:
        super().__init__(seed)
        self._label, self._forge, self.done = label, forge, False

    def move(self, label: str, size: int, make: Callable[[], bytes]) -> bytes:
        data = make()
        if label == self._label and not self.done:
            data, self.done = self._forge(data), True
        return super().move(label, size, lambda: data)


class Lenient(Wire):
    """Reads its own scalars back whatever their encoding."""

    def scalars(self, label: str, count: int, make: Callable[[], list[int]]) -> list[int]:
        size = count * SCALAR_BYTES
        data = self.move(label, size, lambda: b"".join((v % MODULUS).to_bytes(SCALAR_BYTES, "big") for v in make()))
        return [int.from_bytes(data[i : i + SCALAR_BYTES], "big") % MODULUS for i in range(0, size, SCALAR_BYTES)]


class Attacker(Coins):
    """Goes on after a violated guard, and judges like the verifier: `guards` is all that is wrong, in order."""

    judging = True

    def __init__(self, seed: int = 7) -> None:
        super().__init__(seed)
        self.guards: list[str] = []

    def violated(self, guard: str) -> None:
        self.guards.append(guard)


# --- the lying transcript ---
class CheatWire(Wire):
    """What crosses in finish() and in openings can be lied about, too: keys are "wire LABEL"."""

    cheat: Cheat

    def move(self, label: str, size: int, make: Callable[[], bytes]) -> bytes:
        self.cheat.order.append(f"> {label}")
        return super().move(label, size, make)

    def challenge(self, label: str) -> int:
        self.cheat.drawn[label].append(super().challenge(label))
        self.cheat.event(label)
        return self.cheat.drawn[label][-1]

    def scalars(self, label: str, count: int, make: Callable[[], list[int]]) -> list[int]:
        return super().scalars(label, count, lambda: self.cheat.told(f"wire {label}", make()))

    def points(self, label: str, count: int, make: Callable[[], Points]) -> Refs:
        return super().points(label, count, lambda: self.cheat.moved(label, make()))

    def rows(self, label: str, bases: Points, count: int, make: Callable[[], Column], ternary: bool = False) -> Rows:
        def lying() -> Column:
            honest = np.ascontiguousarray(make())
            if (f"inside {label}", self.cheat.seen[f"inside {label}"]) not in self.cheat.lies:
                self.cheat.seen[f"inside {label}"] += 1
                return honest
            flat = honest.reshape(-1, 4) if honest.dtype == np.uint64 else KERNELS.from_ints(honest).reshape(-1, 4)
            told = self.cheat.told(f"inside {label}", KERNELS.to_scalars(flat))
            return KERNELS.from_scalars(told).reshape(count, -1, 4)

        return super().rows(label, bases, count, lying, ternary)

    def require_equal(self, guard: str, left: int, right: int) -> None:
        self.cheat.residual[guard].append((left - right) % MODULUS)
        super().require_equal(guard, left, right)

    def settle(self) -> None:
        pool = KERNELS.decode(b"".join(self._encoded))
        for guard, c in self._equations:
            points = [pool[refs] for refs, _ in c.received] + [TOOLS.generators.take(p, len(s)) for p, s in c.known]
            scalars = [s for _, s in c.received] + [s for _, s in c.known]
            gap = self.cheat.gap[guard] = KERNELS.msm(np.concatenate(points), np.concatenate(scalars)).reshape(1, 12)
            if gap.any():
                self.channel.violated(guard)


class Cheat(Transcript):
    """The honest prover, but lies[label, n] changes the n-th message of that label. Notes all guards' residuals."""

    def __init__(self, channel: Channel, statement: bytes, *, hiding: bool, lies: Lies = {}) -> None:  # noqa: B006
        super().__init__(channel, TOOLS, statement, hiding=hiding)
        self.lies, self.seen = dict(lies), Counter[str]()
        self.drawn, self.residual = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
        self.errors: dict[tuple[str, int], list[int]] = {}  # what was told less what is true
        self.gap: dict[str, Points] = {}  # left sides of group equations
        self.point_lies: dict[tuple[str, int], Callable[[Points], Points]] = {}
        self.when: dict[str, Callable[[], None]] = {}
        self.messages: list[tuple[str, int]] = []
        self.pinned: list[int] = []
        self.order: list[str] = []  # "> message" and "? challenge"
        wire = CheatWire(TOOLS.kernels, TOOLS.generators, channel, self._sponge, WIDTH)
        wire.cheat = self
        self._wire: Wire = wire

    def told(self, label: str, honest: Sequence[int]) -> list[int]:
        key = (label, self.seen[label])
        self.seen[label] += 1
        lie = self.lies.get(key)
        if lie is None:
            return list(honest)
        told = [v % MODULUS for v in lie(self, list(honest))]
        self.errors[key] = [(a - b) % MODULUS for a, b in zip(told, honest, strict=True)]
        return told

    def moved(self, label: str, honest: Points) -> Points:
        key = (label, self.seen[f"points {label}"])
        self.seen[f"points {label}"] += 1
        return self.point_lies.get(key, lambda points: points)(honest.reshape(-1, 12))

    def event(self, label: str) -> None:
        self.order.append(f"? {label}")
        self.when.get(label, lambda: None)()

    def fill(self, label: str, count: int, make: Callable[[], Sequence[int]]) -> list[int]:
        honest = super().fill(label, count, make)
        self.messages.append((label, count))
        return self.told(label, honest)

    def challenge(self, label: str) -> int:
        self.drawn[label].append(super().challenge(label))
        self.event(label)
        return self.drawn[label][-1]

    def pin(self, value: Number) -> tuple[Refs, int]:
        self.pinned.append(number(value))
        return super().pin(value)

    def multiply(self, a: Number, b: Number) -> Number:
        """The keys of lies about products are ("product", n); they are committed in finish()."""
        product = super().multiply(a, b)
        if isinstance(a, Value) and isinstance(b, Value) and isinstance(product, Value):
            [told] = self.told("product", [number(product)])
            self._ledger.numbers[-1] = product.number = told
        return product

    def require_zero(self, value: Number, guard: str) -> None:
        self.residual[guard].append(number(value))
        super().require_zero(value, guard)

    def require_product(self, factors: Sequence[Number], result: Number, guard: str) -> None:
        left = 1
        for f in factors:
            left = left * number(f) % MODULUS
        hidden = sum(isinstance(f, Value) for f in factors)
        if hidden > 1:  # fewer end in require_zero
            self.residual[guard].append((left - number(result)) % MODULUS)
        super().require_product(factors, result, guard)


class Liar(Witness):
    """Also lies about columns that are committed in mid-protocol, knowing all that was drawn so far."""

    t: Cheat

    def __init__(self, case: Case, lies: Mapping[str, Callable[[Cheat, list[int]], list[int]]]) -> None:
        super().__init__(case.system, KERNELS, case.given)
        self._lies = lies

    def put(self, name: str, array: Array) -> None:
        if name in self._lies:
            values = arrays.to_objects(KERNELS, array).ravel()
            array = scalars(self._lies[name](self.t, [int(v) for v in values]))
        super().put(name, array)


def shifted(base: Points, by: int) -> Callable[[Points], Points]:
    """A lie about points: a multiple of `base` on the first."""

    def lie(points: Points) -> Points:
        first = KERNELS.msm(np.concatenate([points[:1], base]), scalars([1, by])).reshape(1, 12)
        return np.concatenate([first, points[1:]])

    return lie


def number(value: Number) -> int:
    known = value.number if isinstance(value, Value) else value
    return 0 if known is None else known % MODULUS


# --- cases ---
@dataclass
class Case:
    """A system with its witness; weights are committed once, as a model's owner would."""

    system: System
    given: Mapping[str, Array]
    weights: Mapping[str, tuple[bytes, Rows]] = field(default_factory=dict)
    log_width: int = LOG_WIDTH
    argument: LookupArgument = field(default_factory=LogupGkr)
    defer: bool = False

    def committed(self, seed: int = 0, **others: Array) -> Case:
        """The same with fresh commitments to the weights (or to others)."""
        scheme, made = Hyrax(self.log_width), {}
        for tensor in self.system.of_kind("weight"):
            channel = Coins(seed + len(made))
            t = Transcript(channel, TOOLS, b"weights")
            array = np.asarray(others.get(tensor.name, self.given[tensor.name]))
            rows = scheme.commit(t, tensor.name, tensor.shape, lambda a=array: a).rows
            made[tensor.name] = bytes(channel.proof), rows
        return replace(self, weights=made)

    def run(self, t: Transcript, witness: Witness | None) -> Pending | None:
        """What is left open, if the opening is deferred."""
        scheme = Hyrax(self.log_width)
        adopted: dict[str, Commitment] = {}
        for name, (rows, secret) in self.weights.items():
            adopted[name] = scheme.adopt(t, self.system.tensors[name].shape, rows, secret if t.proving else None)
        driver = Driver(scheme, self.argument, adopted, defer=self.defer)
        driver.run(self.system, t, witness)
        return driver.pending

    def statement(self) -> bytes:
        return self.system.describe()

    def prove(self, hiding: bool = True, channel: ProverChannel | None = None, wire: type[Wire] = Wire) -> bytes:
        channel = channel or ProverChannel(b"secret")
        t = Transcript(channel, TOOLS, self.statement(), hiding=hiding)
        t._wire = wire(TOOLS.kernels, TOOLS.generators, channel, t._sponge, WIDTH)
        self.run(t, self.witness())
        return bytes(channel.proof)

    def witness(self, tamper: Tamper | None = None) -> Witness:
        return Witness(self.system, KERNELS, self.given, tamper)

    def forge(
        self,
        lies: Lies = {},  # noqa: B006
        hiding: bool = True,
        channel: Attacker | None = None,
        witness: Witness | None = None,
        point_lies: PointLies = {},  # noqa: B006
    ) -> Forged:
        channel, witness = channel or Attacker(), witness or self.witness()
        t = Cheat(channel, self.statement(), hiding=hiding, lies=lies)
        t.point_lies.update(point_lies)
        if isinstance(witness, Liar):
            witness.t = t
        pending = self.run(t, witness)
        return Forged(t, bytes(channel.proof), channel.guards, pending)

    def verify(self, proof: bytes, hiding: bool = True) -> Pending | None:
        return self.run(Transcript(VerifierChannel(proof), TOOLS, self.statement(), hiding=hiding), None)

    def rejection(self, proof: bytes, hiding: bool = True) -> str:
        """The reason; empty if the proof is accepted. Any other exception is a bug of the verifier."""
        try:
            self.verify(proof, hiding)
        except ProofRejected as e:
            return e.reason
        return ""

    def messages(self, hiding: bool = True) -> list[tuple[str, int, int]]:
        """(label, start, size) of everything that crosses."""
        channel, out, start = DryChannel(), [], 0
        self.run(Transcript(channel, TOOLS, self.statement(), hiding=hiding), None)
        for label, size in channel.messages:
            out.append((label, start, size))
            start += size
        return out

    def elements(self, hiding: bool = True) -> list[tuple[str, int, int]]:
        """(label, start, size) of every point and scalar."""
        out, finishing = [], not hiding
        for label, start, size in self.messages(hiding):
            finishing = finishing or label == "mask scale"
            points = label.endswith((" halving", " announcement")) or label.startswith("commit ") or label == "pin"
            scalar = label.endswith(" answer") or finishing
            unit = POINT_BYTES if points or not scalar else SCALAR_BYTES
            assert size % unit == 0
            out += [(label, start + i, unit) for i in range(0, size, unit)]
        return out


@dataclass
class Forged:
    t: Cheat
    proof: bytes
    guards: list[str]
    pending: Pending | None = None


@dataclass(frozen=True)
class Step:
    """One message is corrected along a direction, so that the n-th use of a guard holds again."""

    guard: str
    at: tuple[str, int]
    direction: tuple[int, ...] = (1,)
    nth: int = 0


def corrected(case: Case, lies: Lies, *steps: Step, hiding: bool = True) -> Lies:
    """Guards are affine in one message: two runs with the same coins and a secant suffice, step by step."""
    for step in steps:
        before = lies.get(step.at, add())

        def lying(k: int, step: Step = step, before: Lie = before) -> Lie:
            return lambda t, values: add(*(k * d for d in step.direction))(t, before(t, values))

        r0, r1 = (case.forge({**lies, step.at: lying(k)}, hiding).t.residual[step.guard][step.nth] for k in (0, 1))
        lies = {**lies, step.at: lying(r0 * pow(r0 - r1, -1, MODULUS) % MODULUS)}
    return lies


def freeze_challenge(monkeypatch: pytest.MonkeyPatch, label: str, *values: int) -> None:
    """Both sides get `values`, in turn, for the challenges of this label; the state moves on as ever."""
    honest, counts = Sponge.challenge, WeakKeyDictionary[Sponge, int]()

    def challenge(self: Sponge, name: str) -> int:
        drawn = honest(self, name)
        if name != label:
            return drawn
        counts[self] = counts.get(self, 0) + 1
        return values[(counts[self] - 1) % len(values)]

    monkeypatch.setattr(Sponge, "challenge", challenge)
    monkeypatch.setattr(VerifierChannel, "ahead", False)  # every challenge is drawn by it


# --- systems ---
SQUARE = Table(
    "square",
    4,
    ((-2, 1), (0, 4)),
    lambda: [np.arange(-2, 2, dtype=np.int64), np.arange(-2, 2, dtype=np.int64) ** 2],
)
X = np.array([[1, -1], [0, 1], [-1, -1]])
W = np.array([[1, -1], [-1, 1]])
WIDE = 1 << 20


def public(builder: Builder, name: str, values: Array) -> str:
    builder.public(name, Dense(np.asarray(values, dtype=np.int64), -WIDE, WIDE))
    return name


@cache
def small() -> Case:
    """A committed matmul, requantised; a lookup-defined value; two claims on the accumulator, two on the value."""
    y = (X @ W + 1) >> 1
    e = y**2
    b = Builder(2)
    x, w = b.public("x", Dense(X, -2, 1)), b.weight("w", (2, 2), -2, 1)
    acc = b.einsum("acc", "im,mo->io", x, w)
    out = b.committed("y", (3, 2), -2, 1)
    b.requantise(out, "io", acc, 1, ranged=False)
    [value] = b.lookup("square", SQUARE, "io", [out["io"]], defines={"e": 1})
    rows, squares = b.einsum("rows", "io->i", value), b.einsum("squares", "io,io->o", value, value)
    total = b.einsum("total", "io->o", acc)
    for name, letter, tensor, truth in (
        ("rows", "i", rows, e.sum(1)),
        ("squares", "o", squares, (e * e).sum(0)),
        ("total", "o", total, (X @ W).sum(0)),
    ):
        public(b, f"the {name}", truth)
        b.zero(f"{name} tie", letter, tensor[letter] - b.tensors[f"the {name}"][letter])
    return Case(freeze(b), {"w": W, "y": y}).committed()


@cache
def matmul(*false: int) -> Case:
    """acc = x w is public. `false`: what is added to its cells."""
    b = Builder(2)
    x, w = b.public("x", Dense(X, -2, 1)), b.weight("w", (2, 2), -2, 1)
    acc = b.einsum("acc", "im,mo->io", x, w)
    public(b, "truth", X @ W + np.array([*false, *[0] * (6 - len(false))]).reshape(3, 2))
    b.zero("tie", "io", acc["io"] - b.tensors["truth"]["io"])
    return Case(freeze(b), {"w": W}).committed()


@cache
def symmetric(false: int = 0) -> Case:
    """acc + its transpose is public: two claims about acc meet in a merge."""
    b = Builder(2)
    x, w = b.public("x", Dense(X[:2], -2, 1)), b.weight("w", (2, 2), -2, 1)
    acc = b.einsum("acc", "im,mo->io", x, w)
    turned = b.einsum("turned", "io->oi", acc)
    public(b, "truth", X[:2] @ W + (X[:2] @ W).T + np.array([[false, 0], [0, 0]]))
    b.zero("tie", "io", acc["io"] + turned["io"] - b.tensors["truth"]["io"])
    return Case(freeze(b), {"w": W}).committed()


@cache
def side_by_side(false: int = 0) -> Case:
    """Rows of v, x w and v v are public: products of 1, 2 and 3 variables, of degree 1, 2 and 3, that wait for none.
    `false`: what is added to a cell of x w."""
    v, w = np.array([[1, -2], [0, 1], [-1, -1], [1, 1]]), np.array([[1, 0], [-1, 1], [0, -2]])
    x = np.array([[1, 0, -1], [0, 1, 1]])
    b = Builder(2)
    own = b.weight("v", (4, 2), -2, 1)
    low = b.einsum("low", "io->i", own)
    middle = b.einsum("middle", "im,mo->io", b.public("x", Dense(x, -2, 1)), b.weight("w", (3, 2), -2, 1))
    high = b.einsum("high", "io,io->io", own, own)
    lie = np.array([[false, 0], [0, 0]])
    for tensor, letters, truth in ((low, "i", v.sum(1)), (middle, "io", x @ w + lie), (high, "io", v * v)):
        public(b, f"the {tensor.name}", truth)
        b.zero(f"{tensor.name} tie", letters, tensor[letters] - b.tensors[f"the {tensor.name}"][letters])
    return Case(freeze(b), {"v": v, "w": w}).committed()


@cache
def two_weights() -> Case:
    """The sum of two committed tensors is public."""
    b = Builder(2)
    v, w = b.weight("v", (3, 2), -2, 1), b.weight("w", (3, 2), -2, 1)
    public(b, "truth", X + X[::-1])
    b.zero("tie", "io", v["io"] + w["io"] - b.tensors["truth"]["io"])
    return Case(freeze(b), {"v": X, "w": X[::-1].copy()}).committed()


@cache
def summed(false: int = 0) -> Case:
    """The same, the sum being a tensor of its own."""
    b = Builder(2)
    v, w = b.weight("v", (3, 2), -2, 1), b.weight("w", (3, 2), -2, 1)
    total = b.linear("total", "io", v["io"] + w["io"] * 2 - 1)
    public(b, "truth", X + 2 * X[::-1] - 1 + np.array([[false, 0], [0, 0], [0, 0]]))
    b.zero("tie", "io", total["io"] - b.tensors["truth"]["io"])
    return Case(freeze(b), {"v": X, "w": X[::-1].copy()}).committed()


@cache
def ranged(value: int = 1) -> Case:
    """Four committed numbers lie in [0, 4); the last is `value`."""
    b = Builder(2)
    y = b.committed("y", (4,), 0, 3)
    b.nonneg("range", "i", y["i"], 2)
    return Case(freeze(b), {"y": np.array([0, 3, 3, value])})


@cache
def two_tables(value: int = 1) -> Case:
    """Four numbers in [0, 4), the last is `value`, and two in [0, 16): by committed inverses."""
    b = Builder(4)
    y, z = b.committed("y", (4,), 0, 3), b.committed("z", (2,), 0, 15)
    b.nonneg("y range", "i", y["i"], 2)
    b.nonneg("z range", "i", z["i"], 4)
    return Case(freeze(b), {"y": np.array([0, 3, 3, value]), "z": np.array([9, 0])}, argument=TLookup())


@cache
def defined(false: int = 0) -> Case:
    """Squares of committed numbers plus their transpose are public: two claims about a lookup-defined value."""
    b, y = Builder(2), np.array([[-2, 1], [0, -1]])
    out = b.committed("y", (2, 2), -2, 1)
    [e] = b.lookup("square", SQUARE, "io", [out["io"]], defines={"e": 1})
    turned = b.einsum("turned", "io->oi", e)
    public(b, "truth", y**2 + (y**2).T + np.array([[false, 0], [0, 0]]))
    b.zero("tie", "io", e["io"] + turned["io"] - b.tensors["truth"]["io"])
    return Case(freeze(b), {"y": y})


@cache
def padded(where: str = "") -> Case:
    """acc sums over three cells, rows over three of acc's columns. `where`: what is beside the real cells of the
    weights changes the sum, and the public rows count it in."""
    v, w = np.zeros((2, 4), dtype=np.int64), np.zeros((4, 4), dtype=np.int64)
    v[:, :3], w[:3, :3] = X.T, [[1, 0, -2], [0, 1, 1], [-1, 1, 0]]
    if where == "summed axis":
        v[0, 3], w[3, 0] = 1, 5
    elif where == "axis summed later":
        w[0, 3] = 5
    b = Builder(2)
    weight = where == "summed axis"
    left = b.weight("v", (2, 3), -2, 1) if weight else b.public("v", Dense(v[:, :3], -2, 1))
    acc = b.einsum("acc", "im,mo->io", left, b.weight("w", (3, 3), -2, 1))
    rows = b.einsum("rows", "io->i", acc)
    public(b, "truth", (v @ w).sum(1))
    b.zero("tie", "i", rows["i"] - b.tensors["truth"]["i"])
    return Case(freeze(b), {"v": v, "w": w} if weight else {"w": w}, log_width=4).committed()


KINDS: dict[str, Callable[[], Case]] = {
    "small": small,
    "matmul": matmul,
    "symmetric": symmetric,
    "two weights": two_weights,
    "ranged": ranged,
    "defined": defined,
    "padded": padded,
    "two tables": two_tables,
}


def scalars(values: Sequence[int]) -> FieldArray:
    return KERNELS.from_scalars([v % MODULUS for v in values])
