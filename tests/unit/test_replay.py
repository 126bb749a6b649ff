"""Rounds of a sumcheck that carry no claim along, a verifier's all at once, do what the definition does
(transcript/replay.py)."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from hashlib import sha512

import numpy as np
import pytest

from zkcore.errors import ProofRejected
from zkcore.field import native
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS
from zkcore.polynomial.point import Point
from zkcore.polynomial.univariate import lagrange
from zkcore.testing.attack_kit.systems import lookups
from zkcore.testing.toolbox import HIDING, Weights, _run, commit_weights, prove_system
from zkcore.transcript.channel import Channel, DryChannel, ProverChannel, VerifierChannel
from zkcore.transcript.rounds import LABEL
from zkcore.transcript.transcript import WIDTH, Toolbox, Transcript
from zkcore.transcript.values import Number, Value
from zkcore.transcript.wire import POINT_BYTES

KERNELS = native.load()
TOOLS = Toolbox(KERNELS, Generators(KERNELS))
Outcome = tuple[Point, list[int], int]


class RoundByRound(VerifierChannel):
    """Read by the definition."""

    ahead = False


class Blinds(ProverChannel):
    """1, 2, 3, ..., in the order in which they are asked for."""

    def blinders(self, count: int) -> list[int]:
        self._drawn += count
        return list(range(self._drawn - count + 1, self._drawn + 1))


class Coins:
    """A prover of some sumcheck: polynomials at random."""

    def __init__(self, degree: int) -> None:
        self._rng, self._degree = random.Random(degree), degree

    def round(self) -> list[int]:
        return [self._rng.randrange(MODULUS) for _ in range(self._degree)]

    def bind(self, challenge: int) -> None:
        """Whatever it is."""

    def finals(self) -> list[int]:
        return []


def protocol(t: Transcript, num_vars: int, degree: int, public: bool) -> tuple[Point, Number]:
    """A message, two sumchecks in a row, a message; the first claim is hidden or public."""
    [first] = t.message("first", 1, lambda: [17])
    prover = Coins(degree) if t.proving else None
    point, claim = t.rounds(5 if public else first, num_vars, degree, prover)
    second, claim = t.rounds(claim * 3 + 1, 2, degree, prover)
    t.message("last", 1, lambda: [1])
    return (*point, *second), claim


def begin(channel: Channel) -> Transcript:
    return Transcript(channel, TOOLS, b"replay")


def form(t: Transcript, claim: Number) -> tuple[list[int], int]:
    """A claim as coefficients of the slots, and of one."""
    assert isinstance(claim, Value)
    slots, of_one = t._ledger.tape.backward(KERNELS, np.array([claim.node]), KERNELS.from_scalars([1]))
    return KERNELS.to_scalars(slots), of_one


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("num_vars", [0, 1, 2, 7])
@pytest.mark.parametrize("degree", [1, 2, 3, 7, WIDTH, WIDTH + 1, 16])
def test_the_same_as_round_by_round(num_vars: int, degree: int, public: bool) -> None:
    channel, same = Blinds(b""), Blinds(b"")
    prover, leading = begin(channel), begin(same)
    prover._leads = False
    point, proved = protocol(prover, num_vars, degree, public)
    assert leading._leads
    again, led = protocol(leading, num_vars, degree, public)
    assert isinstance(proved, Value) and isinstance(led, Value)
    assert again == point and same.proof == channel.proof and led.number == proved.number
    assert form(leading, led) == form(prover, proved)
    assert vars(leading._ledger) | {"tape": None} == vars(prover._ledger) | {"tape": None}
    assert len(leading._ledger.tape.forms.nodes) < len(prover._ledger.tape.forms.nodes) or num_vars == 0
    seen = []
    for reader in (VerifierChannel, RoundByRound):
        t = begin(reader(bytes(channel.proof)))
        at, claim = protocol(t, num_vars, degree, public)
        assert at == point
        assert form(t, claim) == form(prover, proved)
        ledger, sponge = t._ledger, t._sponge
        assert ledger.position == prover._ledger.position and ledger.refs == prover._ledger.refs
        assert len(ledger.blinds) == len(ledger.refs) and len(ledger.numbers) == len(ledger.position)
        t.channel.close()
        seen.append((sponge.state, t.work()["bytes"], t.hashed_bytes, b"".join(t._wire._encoded)))
    assert seen[0] == seen[1]
    assert seen[0][:3] == (prover._sponge.state, prover.work()["bytes"], prover.hashed_bytes)


@pytest.mark.parametrize(
    ("channel", "hiding", "follows"),
    [
        (VerifierChannel(b""), True, True),
        (VerifierChannel(b""), False, False),
        (RoundByRound(b""), True, False),
        (ProverChannel(b""), True, False),
        (DryChannel(), True, False),
    ],
)
def test_only_a_verifier_of_hidden_messages_goes_ahead(channel: Channel, hiding: bool, follows: bool) -> None:
    t = Transcript(channel, TOOLS, b"", hiding=hiding)
    assert (t._follows is not None) == follows
    assert t._leads == (hiding and channel.proving)


# --- the engine's verb ------------------------------------------------------------------------------------------------
FRAMES = (b"before", b"a message's", b"a challenge's, which is longer than a block of the hash" * 3)


def followed(messages: list[bytes], pieces: int, degree: int) -> tuple[bytes, list[int], list[int]]:
    """By hashlib, and by Lagrange weights carried along round by round."""
    state, (before, sent, asked), drawn = bytes(range(64)), FRAMES, list[int]()
    weights = [0] * (degree * (len(messages) // pieces)) + [1]
    for i in range(0, len(messages), pieces):
        for piece in messages[i : i + pieces]:
            state = sha512(before + state + sent + piece).digest()
        state = sha512(before + state + asked).digest()
        drawn.append(int.from_bytes(state, "big") % MODULUS)
        at, one, *rest = lagrange(degree, drawn[-1])
        weights = [w * one % MODULUS for w in weights]
        start = len(drawn[:-1]) * degree
        weights[start : start + degree] = [(at - one) % MODULUS, *rest]
    return state, drawn, weights


@pytest.mark.parametrize("size", [0, 1, 48, 96, 111, 112, 127, 128, 129, 500])
@pytest.mark.parametrize("pieces", [1, 2, 3])
@pytest.mark.parametrize("degree", [1, 2, 3, 16])
def test_follow_rounds(size: int, pieces: int, degree: int) -> None:
    """Around every boundary of the hash's blocks."""
    rng = random.Random(size)
    for rounds in (0, 1, 5):
        messages = [rng.randbytes(size) for _ in range(rounds * pieces)]
        if rounds and not size:
            continue
        found = KERNELS.follow_rounds(bytes(range(64)), FRAMES, b"".join(messages), rounds, pieces, degree)  # type: ignore[attr-defined]
        assert found == followed(messages, pieces, degree)


@pytest.mark.parametrize(
    ("state", "messages", "rounds", "pieces", "degree"),
    [
        (63, 48, 1, 1, 2),
        (65, 48, 1, 1, 2),
        (64, 47, 2, 1, 2),
        (64, 48, 1, 0, 2),
        (64, 48, 0, 1, 2),
        (64, 0, 1, 1, 2),
        (64, 0, 1 << 62, 1, 2),
        (64, 48, 1 << 63, 1 << 63, 2),
        (64, 48, 1, 1, 0),
        (64, 48, 1, 1, 17),
        (64, 48, 1, 1, -1),
    ],
)
def test_what_follow_rounds_refuses(state: int, messages: int, rounds: int, pieces: int, degree: int) -> None:
    with pytest.raises(ValueError):
        KERNELS.follow_rounds(bytes(state), FRAMES, bytes(messages), rounds, pieces, degree)  # type: ignore[attr-defined]


# --- a cheating prover ------------------------------------------------------------------------------------------------
class Noting(RoundByRound):
    """Where the rounds are."""

    def __init__(self, proof: bytes) -> None:
        super().__init__(proof)
        self.rounds: list[int] = []

    def move(self, label: str, size: int, make: Callable[[], bytes]) -> bytes:
        if label == LABEL and size == POINT_BYTES:
            self.rounds.append(self._at)
        return super().move(label, size, make)


SMALL = lookups(virtual_outputs=True)[0]
SYSTEM = SMALL.system


@cache
def weights() -> Weights:
    return commit_weights(SYSTEM, SMALL.given, HIDING)


def run(channel: VerifierChannel) -> None:
    _run(SYSTEM, channel, HIDING, weights(), None, {})


@cache
def honest() -> bytes:
    return prove_system(SYSTEM, SMALL.given, HIDING, weights=weights())


@cache
def rounds() -> list[int]:
    channel = Noting(honest())
    run(channel)
    return channel.rounds


def verdict(reader: type[VerifierChannel], proof: bytes) -> str:
    try:
        run(reader(proof))
    except ProofRejected as e:
        return str(e)
    return "accepted"


def put(at: int, data: bytes) -> bytes:
    return honest()[:at] + data + honest()[at + POINT_BYTES :]


INFINITY = b"\xc0" + bytes(47)
FORGERIES: dict[str, Callable[[int, int], bytes]] = {
    "another point": lambda at, other: put(at, honest()[other : other + POINT_BYTES]),
    "the neutral element": lambda at, other: put(at, INFINITY),
    "the point negated": lambda at, other: put(at, bytes([honest()[at] ^ 0x20]) + honest()[at + 1 : at + POINT_BYTES]),
    "an encoding that is not compressed": lambda at, other: put(at, bytes(POINT_BYTES)),
    "an x beyond the field": lambda at, other: put(at, b"\x9f" + b"\xff" * 47),
    "an x off the curve": lambda at, other: put(at, b"\x80" + bytes(46) + b"\x01"),
    "a point outside the subgroup": lambda at, other: put(at, b"\x80" + bytes(46) + b"\x04"),
    "the neutral element, written otherwise": lambda at, other: put(at, b"\xe0" + bytes(47)),
    "cut before": lambda at, other: honest()[:at],
    "cut within": lambda at, other: honest()[: at + 1],
    "a round more": lambda at, other: honest()[:at] + honest()[at : at + POINT_BYTES] + honest()[at:],
    "a round less": lambda at, other: put(at, b""),
    "two rounds exchanged": lambda at, other: _exchanged(at, other),
}


def _exchanged(at: int, other: int) -> bytes:
    mine, theirs = (honest()[k : k + POINT_BYTES] for k in (at, other))
    return put(at, theirs)[:other] + mine + put(at, theirs)[other + POINT_BYTES :]


def test_the_honest_proof_is_accepted() -> None:
    assert len(rounds()) > 20
    assert {verdict(reader, honest()) for reader in (VerifierChannel, RoundByRound)} == {"accepted"}


@pytest.mark.parametrize("name", FORGERIES)
def test_both_readers_reject_what_is_no_proof(name: str) -> None:
    """And for the same reason."""
    for k, other in ((0, 1), (len(rounds()) // 2, 0), (-1, 0)):
        forged = FORGERIES[name](rounds()[k], rounds()[other])
        assert forged != honest()
        ahead, by_rounds = (verdict(reader, forged) for reader in (VerifierChannel, RoundByRound))
        assert ahead == by_rounds != "accepted"
