"""What a proof shows: nothing that could not be made up. Each test has a control in which it finds a leak."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from tests.attacks.kit import (
    KERNELS,
    KINDS,
    TOOLS,
    Case,
    Coins,
    Naked,
    matmul,
    ranged,
    scalars,
    small,
    symmetric,
    two_weights,
)
from zkcore.commitment.deferred import settle
from zkcore.commitment.hyrax import Hyrax
from zkcore.commitment.scheme import Opening
from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS, Points
from zkcore.transcript import blind, inner_product
from zkcore.transcript.channel import DryChannel, ProverChannel, VerifierChannel
from zkcore.transcript.sponge import Sponge
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.wire import POINT_BYTES, Rows, Wire

CASES = KINDS | {"left open": lambda: replace(two_weights(), defer=True)}
ZERO = bytes(32)
cases = pytest.mark.parametrize("name", CASES)


def elements(case: Case, proof: bytes) -> list[bytes]:
    return [proof[at : at + size] for _, at, size in case.elements()]


# --- two proofs of one statement (d1) ---
def shape(case: Case) -> blind.Grid:
    """As the verifier counts it."""
    t = Transcript(DryChannel(), TOOLS, b"")
    case.run(t, None)
    return t._ledger


def declared(case: Case, proof: bytes) -> set[bytes]:
    """What two proofs may share. Zeros: a satisfied system's outer sumcheck starts with s(0) = 0, for s(1) is; an error
    row has no entry where there is no constraint; and without products A z and B z vanish. Where the witness fills half
    of its table, s(2) = s(0) in the inner sumcheck: shared within a proof, never between proofs."""
    parts, tape = elements(case, proof), shape(case).tape
    m = len(tape.products) + len(tape.zeros)
    if tape.products:
        assert parts.count(ZERO) == 1 + max(0, blind._error_width(m) - m)
    return {ZERO}


@cases
def test_two_proofs_share_nothing(name: str) -> None:
    case = CASES[name]()
    proofs = [case.prove() for _ in range(2)]
    one, two = (elements(case, p) for p in proofs)
    assert set(one) & set(two) == declared(case, proofs[0]) == declared(case, proofs[1])
    assert one.count(ZERO) == two.count(ZERO)
    labels = [label for label, _, _ in case.elements()]
    for i, v in enumerate(one):
        if v != ZERO and v in one[:i]:
            assert v == one[i - 1], "no element occurs twice in one proof"
            assert labels[i - 1 : i + 1] == ["round", "round"]
            assert len(v) == 32


@cases
def test_without_blinding_they_share_everything(name: str) -> None:
    """The control: the test above sees a leak where there is one."""
    case = CASES[name]()
    assert case.prove(channel=Naked()) == case.prove(channel=Naked())


# --- the exact number of blinders ---
@cases
def test_one_blinder_for_each_revealed_element(name: str) -> None:
    """One for each point; one for each slot of the folded witness, its mask; one for the mask's scale; and a second
    nonce for each final proof of knowledge. An equality: each lost or shared blinder shows."""
    case, channel = CASES[name](), Coins(1)
    case.prove(channel=channel)
    points = sum(size == POINT_BYTES for _, _, size in case.elements())
    finals = sum(label.endswith("announcement") for label, _, _ in case.messages())
    assert finals == (1 if case.defer else 2)
    assert channel.drawn == points + shape(case).tape.slots + 1 + finals


def test_no_blinder_is_drawn_in_vain() -> None:
    """Each changes what is written: shift one blinder, and the proof differs."""

    class Shifted(Coins):
        def __init__(self, which: int) -> None:
            super().__init__(3)
            self.which = which

        def blinders(self, count: int) -> list[int]:
            start, out = self.drawn, super().blinders(count)
            if start <= self.which < start + count:
                out[self.which - start] += 1
            return out

    case, honest = matmul(), Shifted(-1)
    reference = case.prove(channel=honest)
    seen = {reference}
    for i in range(honest.drawn):
        proof = case.prove(channel=Shifted(i))
        assert proof not in seen, f"blinder {i}"
        seen.add(proof)


# --- where blinders come from (d2) ---
@pytest.fixture
def constant_urandom(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    asked: list[int] = []

    def urandom(count: int) -> bytes:
        asked.append(count)
        return bytes(count)

    monkeypatch.setattr(os, "urandom", urandom)
    return asked


def test_randomness_comes_from_the_operating_system(constant_urandom: list[int]) -> None:
    ProverChannel(b"secret").blinders(5)
    assert sum(constant_urandom) >= 5 * 64


def test_a_broken_generator_is_hedged(constant_urandom: list[int]) -> None:
    """All blinders of a proof differ; those of two owners do; and those of one owner after different messages."""
    one, same, two, later = (ProverChannel(s) for s in (b"secret", b"secret", b"other", b"secret"))
    later.move("message", 1, lambda: b"x")
    drawn = [c.blinders(1) + c.blinders(1) + c.blinders(2) for c in (one, same, two, later)]
    assert drawn[0] == drawn[1]
    assert len({v for d in (drawn[0], *drawn[2:]) for v in d}) == 12
    one.move("message", 1, lambda: b"x")
    same.move("message", 1, lambda: b"y")
    assert one.blinders(1) != same.blinders(1)


def test_with_a_broken_generator_proofs_of_different_statements_differ(constant_urandom: list[int]) -> None:
    """Same owner, same weights, other public output: no commitment of one occurs in the other."""
    for one, two in ((symmetric(), matmul()), (ranged(1), ranged(2))):
        first, second = elements(one, one.prove()), elements(two, two.prove())
        assert set(first) & set(second) <= {ZERO}


def test_blinders_are_uniform_scalars() -> None:
    drawn = ProverChannel(b"").blinders(2000)
    assert all(0 <= v < MODULUS for v in drawn)
    assert len(set(drawn)) == 2000
    assert max(drawn) > MODULUS * 99 // 100
    assert abs(sum(v & 1 for v in drawn) - 1000) < 200


def test_whoever_reads_draws_nothing() -> None:
    for channel in (VerifierChannel(b""), DryChannel()):
        with pytest.raises(TypeError):
            channel.blinders(1)


# --- guesses (d6) ---
def test_commitments_do_not_confirm_a_guess() -> None:
    """A commitment to few possible values is found by trying them all, if it has no blind."""
    case = ranged()
    guesses = [KERNELS.encode(row_of(v)) for v in range(4)]
    at, size = next((at, size) for label, at, size in case.elements() if label == "commit y")
    blinded, naked = case.prove(), case.prove(channel=Naked())
    assert blinded[at : at + size] not in guesses
    assert naked[at : at + size] == guesses[1]


def row_of(last: int) -> Points:
    """A row of `ranged`'s numbers, without a blind."""
    return KERNELS.msm(TOOLS.generators.take("tensor", 4), scalars([0, 3, 3, last])).reshape(1, 12)


# --- distributions (d4) ---
def two_numbers(t: Transcript, a: int, b: int) -> None:
    """Two committed numbers of sum 7 and product 12: 3 and 4, or 4 and 3."""
    scheme = Hyrax(1)
    row = scheme.commit(t, "row", (2,), lambda: np.array([a, b]))
    v, w = t.message("numbers", 2, lambda: [a, b])
    t.require_zero(v + w - 7, "sum")
    t.require_product([v, w], 12, "product")
    scheme.open(t, [Opening(row, ((0,),), v), Opening(row, ((1,),), w)])
    t.finish()


def histogram(witness: tuple[int, int], channels: Iterator[ProverChannel], count: int) -> list[Counter[int]]:
    """For each element of the proof: how often the last four bits take each value."""
    out, places = list[Counter[int]](), two_numbers_elements()
    for _ in range(count):
        channel, ends = next(channels), []
        two_numbers(Transcript(channel, TOOLS, b""), *witness)
        for start, size in places:
            ends.append(channel.proof[start + size - 1] & 15)
        out = out or [Counter() for _ in ends]
        for counter, end in zip(out, ends, strict=True):
            counter[end] += 1
    return out


def two_numbers_elements() -> list[tuple[int, int]]:
    channel, start, out, finishing = DryChannel(), 0, [], False
    two_numbers(Transcript(channel, TOOLS, b""), 3, 4)
    for label, size in channel.messages:
        finishing = finishing or label == "mask scale"
        points = label.endswith((" halving", " announcement")) or not (finishing or label.endswith(" answer"))
        unit = 48 if points else 32
        out += [(start + i, unit) for i in range(0, size, unit)]
        start += size
    return out


def chi_squared(one: Counter[int], two: Counter[int]) -> float:
    """Two-sample statistic over 16 buckets, 15 degrees of freedom."""
    return sum((one[i] - two[i]) ** 2 / (one[i] + two[i]) for i in range(16) if one[i] + two[i])


def test_no_position_tells_two_witnesses_apart() -> None:
    """Reproducible: the coins are seeded. One position of the same distribution exceeds 70 with probability 4e-9."""
    coins: Iterator[ProverChannel] = (Coins(seed) for seed in range(1000))
    one, two = (histogram(witness, coins, 64) for witness in ((3, 4), (4, 3)))
    worst = max(chi_squared(a, b) for a, b in zip(one, two, strict=True))
    assert len(one) > 40
    assert worst < 70


def test_unblinded_positions_do() -> None:
    naked: Iterator[ProverChannel] = (Naked() for _ in range(1000))
    one, two = (histogram(witness, naked, 40) for witness in ((3, 4), (4, 3)))
    apart = [chi_squared(a, b) > 70 for a, b in zip(one, two, strict=True)]
    assert sum(apart) > len(apart) // 4


# --- the simulator (d8): an accepting proof without a witness, by whoever may program the oracle ---
@dataclass
class Oracle:
    """Answers decided on beforehand, by the sponge's state."""

    answers: dict[bytes, int] = field(default_factory=dict)

    def challenge(self, sponge: Sponge, label: str) -> int:
        sponge.absorb("challenge", label.encode())
        return self.answers.get(sponge.state, int.from_bytes(sponge.state, "big") % MODULUS)

    def program(self, sponge: Sponge, label: str, value: int) -> None:
        """The next challenge of this label will be `value`."""
        probe = Sponge()
        probe.state = sponge.state
        probe.absorb("challenge", label.encode())
        self.answers[probe.state] = value


class Random(DryChannel):
    """Writes random points where a prover writes commitments. It has no witness."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self.rng, self.proof, self.making = rng, bytearray(), False

    @property
    def proving(self) -> bool:  # type: ignore[override]
        """Only inside the simulated argument, where what to send is known."""
        return self.making

    def move(self, label: str, size: int, make: Callable[[], bytes]) -> bytes:
        data = make() if self.making else self.points(size // POINT_BYTES)
        assert len(data) == size
        self.proof += data
        return data

    def points(self, count: int) -> bytes:
        base = TOOLS.generators.take("blind", 1)
        made = [KERNELS.msm(base, scalars([self.scalar()])).reshape(12) for _ in range(count)]
        return KERNELS.encode(np.stack(made))

    def scalar(self) -> int:
        return self.rng.randrange(1, MODULUS)

    def violated(self, guard: str) -> None:
        raise AssertionError(guard)


class Simulator:
    """Replaces the blind argument and the inner products of one transcript."""

    def __init__(self, oracle: Oracle, channel: Random) -> None:
        self.oracle, self.channel = oracle, channel

    def inner_product(self, wire: Wire, label: str, instance: inner_product.Instance) -> None:
        """Random crosses; then the answer, and last the announcement that it answers."""
        channel, was = self.channel, self.channel.making
        channel.making = True
        c, crosses, challenges = wire.challenge(f"{label} scale"), [], []
        for _ in range(instance.rounds):
            crosses.append(wire.points(f"{label} halving", 2, lambda: KERNELS.decode(channel.points(2))))
            x = wire.challenge(f"{label} halving")
            challenges.append((x, pow(x, -1, MODULUS)))
        e, z, z_blind = (channel.scalar() for _ in range(3))
        pool = KERNELS.decode(b"".join(wire._encoded))
        equation = inner_product._equation(wire, instance, (c, e, z, z_blind), np.array([0]), crosses, challenges)
        [*received, last] = equation.received  # the announcement leads the last group, with factor -1
        received.append((last[0][1:], last[1][1:]))
        points = [pool[refs] for refs, _ in received] + [TOOLS.generators.take(p, len(s)) for p, s in equation.known]
        factors = [s for _, s in received] + [s for _, s in equation.known]
        announced = KERNELS.msm(np.concatenate(points), np.concatenate(factors)).reshape(1, 12)
        wire.points(f"{label} announcement", 1, lambda: announced)
        self.oracle.program(wire.sponge, f"{label} answer", e)
        assert wire.challenge(f"{label} answer") == e
        wire.scalars(f"{label} answer", 2, lambda: [z, z_blind])
        channel.making = was

    def fold(self, wire: Wire, grid: blind.Grid) -> blind._Folded:
        """A uniform folded witness first; then the instance it would have been folded from."""
        channel, tape = self.channel, grid.tape
        u, r = channel.scalar(), channel.scalar()
        z = scalars([channel.scalar() for _ in range(tape.slots)])
        a, b, c = map(KERNELS.to_scalars, blind._matrices(KERNELS, tape, z, u))
        error = [(x * y - u * w) % MODULUS for x, y, w in zip(a, b, c, strict=True)]
        width = blind._error_width(len(error))
        rows = -(-len(error) // width)
        bases = wire.generators.take("wide", max(width, tape.slots))
        mask = Rows(wire.points("mask", 1, lambda: KERNELS.decode(channel.points(1))))
        cross_points = KERNELS.decode(channel.points(rows))
        cross = Rows(wire.points("cross", rows, lambda: cross_points))
        over = pow(r * r, -1, MODULUS)
        inside = scalars([v * over for v in [*error, *[0] * (rows * width - len(error))]]).reshape(rows, width, 4)
        blinds = scalars([channel.scalar() for _ in range(rows)])
        committed = KERNELS.commit_rows(bases[:width], inside, blinds, wire.fixed)

        def error_points() -> Points:
            """(Com(E') - r T) / r^2."""
            minus = scalars([1, -pow(r, -1, MODULUS)])
            pairs = zip(committed, cross_points, strict=True)
            return np.stack([KERNELS.msm(np.stack(pair), minus).reshape(12) for pair in pairs])

        errors = Rows(wire.points("error", rows, error_points), inside, blinds)
        cross.inside, cross.blinds = np.zeros((rows, width, 4), dtype=np.uint64), np.zeros((rows, 4), dtype=np.uint64)
        wire.scalars("mask scale", 1, lambda: [(u - 1) * pow(r, -1, MODULUS)])
        self.oracle.program(wire.sponge, "fold", r)
        assert wire.challenge("fold") == r
        out = blind._Folded(u, r, mask, [(r, cross), (r * r % MODULUS, errors)])
        nothing = scalars([0] * tape.slots)
        out.secret = blind.Secret(nothing, nothing, z, scalars(error))
        mask.blinds = scalars([0])
        return out

    def argument(self, wire: Wire, grid: blind.Grid) -> None:
        blind._commit_products(wire, grid)  # random points as well
        self.channel.making = True
        honest_prove(wire, grid)


honest_prove, honest_products = blind.prove, blind._commit_products


def simulate(run: Callable[[Transcript], object], statement: bytes, oracle: Oracle, patch: pytest.MonkeyPatch) -> bytes:
    channel = Random(random.Random(5))
    simulator = Simulator(oracle, channel)
    patch.setattr(inner_product, "prove", simulator.inner_product)
    patch.setattr(blind, "_fold", simulator.fold)
    patch.setattr(blind, "prove", simulator.argument)
    done: list[bool] = []

    def products(wire: Wire, grid: blind.Grid) -> None:
        if not done:
            honest_products(wire, grid)
        done.append(True)

    patch.setattr(blind, "_commit_products", products)
    run(Transcript(channel, TOOLS, statement))
    return bytes(channel.proof)


def made_up(run: Callable[[Transcript], object], statement: bytes, oracle: Oracle) -> bytes:
    with pytest.MonkeyPatch.context() as inner:
        return simulate(run, statement, oracle, inner)


@pytest.mark.parametrize("name", ["matmul", "a false output", "small", "defined", "a value outside its table"])
def test_a_proof_can_be_made_up(name: str) -> None:
    """The simulator knows no witness, and there may be none: what a proof shows, it can show for anything."""
    case = {"a false output": matmul(3, 1), "a value outside its table": ranged(7)}.get(name) or CASES[name]()
    oracle = Oracle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sponge, "challenge", lambda sponge, label: oracle.challenge(sponge, label))
        proof = made_up(lambda t: case.run(t, None), case.statement(), oracle)
        case.verify(proof)  # with the programmed oracle
    with pytest.raises(ProofRejected):
        case.verify(proof)  # without its help it is worth nothing
    assert len(proof) == sum(size for _, _, size in case.messages())


def test_answers_and_their_settlement_can_be_made_up() -> None:
    """Nobody needs a witness for what both show together, a false answer's instance among them."""
    cases, oracle = [replace(matmul(3, 1), defer=True), replace(small(), defer=True)], Oracle()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sponge, "challenge", lambda sponge, label: oracle.challenge(sponge, label))
        proofs = [made_up(lambda t, c=c: c.run(t, None), c.statement(), oracle) for c in cases]  # type: ignore[misc]
        left = [c.verify(p) for c, p in zip(cases, proofs, strict=True)]
        instances = [pending.instance() for pending in left if pending]
        assert len(instances) == 2
        settlement = made_up(lambda t: settle(t, Hyrax(2), instances), b"all", oracle)
        settle(Transcript(VerifierChannel(settlement), TOOLS, b"all"), Hyrax(2), instances)
    with pytest.raises(ProofRejected):
        settle(Transcript(VerifierChannel(settlement), TOOLS, b"all"), Hyrax(2), instances)


def test_a_settlement_draws_blinders_of_its_own() -> None:
    """As many as it reveals elements, as in any transcript: none is taken from the answers it settles."""
    case = replace(two_weights(), defer=True)
    channel = Coins(1)
    pending = case.run(Transcript(channel, TOOLS, case.statement()), case.witness())
    assert pending is not None and pending.secret is not None
    own, dry = Coins(2), DryChannel()
    t = Transcript(own, TOOLS, b"all")
    settle(t, Hyrax(2), [pending.instance()], [pending.secret])
    settle(Transcript(dry, TOOLS, b"all"), Hyrax(2), [pending.instance()])
    assert dry.size == len(own.proof)
    opening = [size // POINT_BYTES for label, size in dry.messages if label == "round" and size == POINT_BYTES]
    points = sum(n // POINT_BYTES for label, n in dry.messages if label.endswith((" halving", " announcement")))
    points += sum(n // POINT_BYTES for label, n in dry.messages if label in ("pin", "mask", "cross", "error"))
    finals = sum(label.endswith("announcement") for label, _ in dry.messages)
    assert own.drawn == points + sum(opening) + t._ledger.tape.slots + 1 + finals
