"""The transcript: what it absorbs and when, how it reads, and what it refuses.

The golden vectors in tests/vectors/golden_transcript.json pin the protocol's bytes: a change of any of them is a change
of the protocol and needs a new PROTOCOL string in the sponge. Write them anew with  ZKCORE_BLESS=1  in the environment.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zkcore.commitment.hyrax import Hyrax
from zkcore.commitment.scheme import Opening
from zkcore.errors import GraphError, ProofRejected, WitnessError
from zkcore.field import native
from zkcore.field.generators import DOMAIN, Generators
from zkcore.field.kernels import MODULUS
from zkcore.transcript.channel import Channel, DryChannel, ProverChannel, VerifierChannel
from zkcore.transcript.sponge import PROTOCOL, Sponge
from zkcore.transcript.transcript import WIDTH, Toolbox, Transcript
from zkcore.transcript.values import Value

KERNELS = native.load()
TOOLS = Toolbox(KERNELS, Generators(KERNELS))
VECTORS = Path(__file__).parent.parent / "vectors" / "golden_transcript.json"
MODES = pytest.mark.parametrize("hiding", [False, True], ids=["clear", "hiding"])


class Fixed(ProverChannel):
    """Blinders 1, 2, 3, ...: reproducible, and of no use but for tests."""

    def __init__(self) -> None:
        super().__init__(b"")
        self.drawn = 0

    def blinders(self, count: int) -> list[int]:
        self.drawn += count
        return list(range(self.drawn - count + 1, self.drawn + 1))


def begin(channel: Channel, hiding: bool = True, statement: bytes = b"statement") -> Transcript:
    return Transcript(channel, TOOLS, statement, hiding=hiding)


def tiny(t: Transcript) -> list[int]:
    """A bit of everything: a commitment, messages longer than a row, a product, an opening. Returns the challenges."""
    scheme, drawn = Hyrax(1), []
    row = scheme.commit(t, "row", (3,), lambda: np.array([3, -1, 4]))
    a, b = t.message("pair", 2, lambda: [3, 4])
    drawn.append(t.challenge("first"))
    long = t.message("long", WIDTH + 1, lambda: list(range(WIDTH + 1)))
    drawn += t.challenges("pair", 2)
    t.require_zero(sum(long[1:], long[0] * 1) - WIDTH * (WIDTH + 1) // 2, "sum")
    t.require_product([a, b], 12, "product")
    t.require_zero(t.multiply(a, b) - 12, "multiplied")
    scheme.open(t, [Opening(row, ((0, 0),), a), Opening(row, ((1, 0),), b)])
    drawn.append(t.challenge("last"))
    t.finish()
    return drawn


def proved(hiding: bool) -> tuple[bytes, list[int]]:
    channel = Fixed()
    drawn = tiny(begin(channel, hiding))
    return bytes(channel.proof), drawn


def messages(hiding: bool) -> list[tuple[str, int]]:
    channel = DryChannel()
    tiny(begin(channel, hiding))
    return channel.messages


# --- golden vectors ---
def golden() -> dict[str, Any]:
    out: dict[str, Any] = {"protocol": PROTOCOL.decode(), "domain": DOMAIN.decode()}
    for hiding in (False, True):
        proof, drawn = proved(hiding)
        parts = [[label, size] for label, size in messages(hiding)]
        out["hiding" if hiding else "clear"] = {
            "challenges": [hex(c) for c in drawn],
            "messages": parts,
            "proof": proof.hex(),
        }
    return out


def test_golden_transcript() -> None:
    """Prover and verifier agree with each other even if both omit something; with a recorded transcript they do not."""
    if os.environ.get("ZKCORE_BLESS"):
        VECTORS.parent.mkdir(exist_ok=True)
        VECTORS.write_text(json.dumps(golden(), indent=1) + "\n")
    assert golden() == json.loads(VECTORS.read_text())


@MODES
def test_golden_proof_is_accepted(hiding: bool) -> None:
    recorded = json.loads(VECTORS.read_text())["hiding" if hiding else "clear"]
    drawn = tiny(begin(VerifierChannel(bytes.fromhex(recorded["proof"])), hiding))
    assert [hex(c) for c in drawn] == recorded["challenges"]


def test_the_sponge_by_hand() -> None:
    """The chain as an independent reader of its definition would compute it."""
    from hashlib import sha512

    def frame(*parts: bytes) -> bytes:
        return b"".join(len(p).to_bytes(8, "big") + p for p in parts)

    sponge = Sponge()
    sponge.absorb("label", b"data")
    state = sha512(frame(b"zkcore/3", b"label", b"data")).digest()
    assert sponge.state == state
    drawn = sponge.challenge("name")
    state = sha512(frame(state, b"challenge", b"name")).digest()
    assert drawn == int.from_bytes(state, "big") % MODULUS
    assert sponge.hashed_bytes == 24 + 8 + 5 + 4 + 24 + 64 + 9 + 4


# --- framing (c7) ---
def test_framing_is_injective() -> None:
    """However the same bytes are cut into labels and items, the states differ."""
    sequences: list[list[tuple[str, bytes]]] = [
        [("a", b"xy"), ("a", b"z")],
        [("a", b"x"), ("a", b"yz")],
        [("a", b"xyz")],
        [("a", b"xyz"), ("a", b"")],
        [("a", b""), ("a", b"xyz")],
        [("a", b"xyz\0")],
        [("a", b"\0xyz")],
        [("ax", b"yz")],
        [("", b"axyz")],
        [("b", b"xyz")],
        [("a", b"xyz"), ("b", b"")],
        [],
        [("", b"")],
        [("", b""), ("", b"")],
        [("challenge", b"a")],
    ]
    states = set()
    for sequence in sequences:
        sponge = Sponge()
        for label, data in sequence:
            sponge.absorb(label, data)
        states.add(sponge.state)
    assert len(states) == len(sequences)


def test_drawing_is_absorbed() -> None:
    sponge = Sponge()
    drawn = [sponge.challenge("same") for _ in range(9)] + [Sponge().challenge("other")]
    assert len(set(drawn)) == 10
    assert Sponge().challenge("same") == drawn[0]


# --- what is bound ---
def test_statement_and_mode_are_bound() -> None:
    """Each byte of the statement, changed alone, changes every challenge; so does the mode."""
    statement = bytes(range(12))
    others = [bytes(b ^ (i == j) for j, b in enumerate(statement)) for i in range(len(statement))]
    others += [statement + b"\0", statement[:-1], b"", statement * 2]
    drawn = []
    for s in (statement, *others):
        for hiding in (True, False):
            drawn.append(begin(DryChannel(), hiding, s).challenges("c", 3))
    assert len({c for three in drawn for c in three}) == 3 * 2 * (len(others) + 1)


class Patched(DryChannel):
    """Reads a proof without judging it, one byte of it changed."""

    def __init__(self, proof: bytes, at: int) -> None:
        super().__init__()
        self._proof = bytearray(proof)
        if at >= 0:
            self._proof[at] ^= 1

    def move(self, label: str, size: int, make: Callable[[], bytes]) -> bytes:
        data = bytes(self._proof[self.size : self.size + size])
        super().move(label, size, make)
        return data


class Tape(Transcript):
    """Notes each challenge, and how much of the proof had been read by then."""

    def __init__(self, channel: Channel, hiding: bool) -> None:
        super().__init__(channel, TOOLS, b"statement", hiding=hiding)
        self.drawn: list[tuple[int, int]] = []
        sponge, honest = self._sponge, self._sponge.challenge

        def challenge(label: str) -> int:
            drawn = honest(label)
            self.drawn.append((getattr(channel, "size", 0), drawn))
            return drawn

        sponge.challenge = challenge  # type: ignore[method-assign]


@MODES
def test_every_byte_changes_every_later_challenge(hiding: bool) -> None:
    """And no earlier one: what is absorbed late could be chosen late."""
    proof, _ = proved(hiding)
    honest = Tape(Patched(proof, -1), hiding)
    tiny(honest)
    start, rng = 0, random.Random(1)
    for label, size in messages(hiding):
        for at in {start, start + size - 1, start + rng.randrange(size)}:
            lenient = Tape(Patched(proof, at), hiding)
            try:
                tiny(lenient)
            except ProofRejected:  # no canonical scalar any more: nothing is drawn from it
                assert [c for _, c in lenient.drawn] == [c for seen, c in honest.drawn if seen <= start]
                continue
            for (seen, mine), (_, theirs) in zip(honest.drawn, lenient.drawn, strict=True):
                assert (mine == theirs) == (seen <= start), (label, at)
        start += size


@MODES
def test_what_is_left_for_later_is_proved_as_if_it_were_not(hiding: bool) -> None:
    """The prover does it before anything else comes onto the tape, or when told to; the verifier at once."""

    def run(t: Transcript, left: bool, then: str = "") -> list[str]:
        done = list[str]()
        scheme, (a, b) = Hyrax(1), t.message("pair", 2, lambda: [3, 9])

        def require() -> None:
            t.require_product([a, a], b, "square")
            done.append("required")

        t.later(require) if left else require()
        row = scheme.commit(t, "row", (3,), lambda: np.array([3, -1, 4]))
        t.challenge("between")
        done.append("between")
        if then == "catch up":
            t.catch_up()
        [c] = t.message("root", 1, lambda: done.append("made") or [3]) if then != "zero" else [a]
        t.require_zero(a - c, "same")
        scheme.open(t, [Opening(row, ((0, 0),), 3)])
        t.finish()
        return done

    proofs = []
    for left, then in [(False, ""), (True, ""), (True, "catch up")]:
        channel = Fixed()
        done = run(begin(channel, hiding), left, then)
        assert done == (["between", "required", "made"] if left else ["required", "between", "made"])
        proofs.append(bytes(channel.proof))
        for again in (False, True):
            assert run(begin(VerifierChannel(proofs[-1]), hiding), again)[:2] == ["required", "between"]
    assert len(set(proofs)) == 1
    assert run(begin(Fixed(), hiding), True, "zero") == ["between", "required"]


@MODES
def test_what_is_left_for_later_must_hold(hiding: bool) -> None:
    t = begin(Fixed(), hiding)
    [a] = t.message("one", 1, lambda: [3])
    t.later(lambda: t.require_zero(a - 4, "four"))
    with pytest.raises(WitnessError, match="four"):
        t.finish()


@MODES
def test_what_is_left_for_later_sends_nothing(hiding: bool) -> None:
    t = begin(Fixed(), hiding)
    [a] = t.message("one", 1, lambda: [3])
    t.later(lambda: t.require_zero(t.message("late", 1, lambda: [3])[0] - a, "late"))
    with pytest.raises(TypeError, match="sent before"):
        t.message("other", 1, lambda: [3])


@MODES
def test_message_order_and_labels_are_bound(hiding: bool) -> None:
    def drawn(*parts: tuple[str, list[int]]) -> int:
        t = begin(Fixed(), hiding)
        for label, numbers in parts:
            t.message(label, len(numbers), lambda n=numbers: n)  # type: ignore[misc]
        return t.challenge("end")

    tapes = [
        drawn(("a", [1]), ("b", [2])),
        drawn(("b", [2]), ("a", [1])),
        drawn(("a", [2]), ("b", [1])),
        drawn(("a", [1, 2])),
        drawn(("a", [1]), ("a", [2])),
        drawn(("a", [1])),
        drawn(),
    ]
    assert len(set(tapes)) == len(tapes)
    assert drawn(("a", []), ("a", [1])) == drawn(("a", [1]))  # no numbers, no message


@MODES
def test_commitments_points_and_scalars_are_bound(hiding: bool) -> None:
    scheme = Hyrax(1)

    def drawn(move: Callable[[Transcript], object]) -> int:
        t = begin(Fixed(), hiding)
        move(t)
        return t.challenge("end")

    channel = Fixed()
    scheme.commit(begin(channel), "w", (2,), lambda: np.array([1, 2]))
    rows = bytes(channel.proof)
    tapes = [
        drawn(lambda t: scheme.commit(t, "x", (2,), lambda: np.array([1, 2]))),
        drawn(lambda t: scheme.commit(t, "x", (2,), lambda: np.array([1, 3]))),
        drawn(lambda t: scheme.commit(t, "y", (2,), lambda: np.array([1, 2]))),
        drawn(lambda t: scheme.adopt(t, (2,), rows, None)),
        drawn(lambda t: t.wire().scalars("x", 1, lambda: [1])),
        drawn(lambda t: t.wire().scalars("x", 1, lambda: [2])),
        drawn(lambda t: t.wire().scalars("y", 1, lambda: [1])),
        drawn(lambda t: None),
    ]
    assert len(set(tapes)) == len(tapes)


@MODES
def test_both_sides_draw_the_same(hiding: bool) -> None:
    proof, drawn = proved(hiding)
    verifier = VerifierChannel(proof)
    assert tiny(begin(verifier, hiding)) == drawn
    assert len(set(drawn)) == len(drawn)


@MODES
def test_a_dry_run_knows_the_proofs_size(hiding: bool) -> None:
    assert sum(size for _, size in messages(hiding)) == len(proved(hiding)[0])


# --- reading ---
@MODES
def test_truncated_and_extended_proofs(hiding: bool) -> None:
    proof, _ = proved(hiding)
    start = 0
    for _, size in messages(hiding):
        for cut in {start, start + 1, start + size - 1}:
            with pytest.raises(ProofRejected, match="^proof too short"):
                tiny(begin(VerifierChannel(proof[:cut]), hiding))
        start += size
    assert start == len(proof)
    for tail in (b"\0", proof):
        with pytest.raises(ProofRejected, match="^trailing bytes"):
            tiny(begin(VerifierChannel(proof + tail), hiding))


@MODES
def test_messages_are_as_long_as_the_verifier_says(hiding: bool) -> None:
    t = begin(Fixed(), hiding)
    for numbers in ([], [1], [1, 2, 3]):
        with pytest.raises(ValueError, match="the verifier expects 2 values"):
            t.message("v", 2, lambda n=numbers: n)  # type: ignore[misc]
    with pytest.raises(ValueError, match="the verifier expects"):
        t.channel.move("v", 3, lambda: b"four")


@pytest.mark.parametrize("count", [1, WIDTH - 1, WIDTH, WIDTH + 1, 3 * WIDTH])
def test_long_messages_take_several_rows(count: int) -> None:
    """All numbers of a message are read back where the constraints look for them."""
    numbers = [pow(3, i) for i in range(count)]

    def protocol(t: Transcript) -> None:
        for i, v in enumerate(t.message("v", count, lambda: numbers)):
            t.require_zero(v - numbers[i], f"number {i}")
        t.finish()

    channel = Fixed()
    protocol(begin(channel))
    protocol(begin(VerifierChannel(bytes(channel.proof))))


# --- sealing and dead messages ---
@MODES
def test_finish_seals(hiding: bool) -> None:
    t = begin(Fixed(), hiding)
    [v] = t.message("v", 1, lambda: [1])
    t.require_zero(v - 1, "one")
    t.finish()
    after: list[Callable[[], object]] = [
        lambda: t.message("v", 1, lambda: [1]),
        lambda: t.challenge("c"),
        lambda: t.require_zero(v, "v"),
        lambda: t.require_zero(0, "zero"),
        lambda: t.require_product([v, v], 1, "v"),
        lambda: t.wire(),
        lambda: t.pin(v),
        lambda: t.multiply(v, v),
        lambda: t.finish(),
    ]
    for call in after:
        with pytest.raises(TypeError, match="finished"):
            call()


def test_a_dead_message_is_an_error() -> None:
    """On both sides: a number that no constraint reads is a protocol's mistake."""

    def protocol(t: Transcript) -> None:
        [v, w] = t.message("v", 2, lambda: [1, 2])
        t.require_zero(v - 1, "one")
        t.finish()

    for channel in (Fixed(), VerifierChannel(bytes(48)), DryChannel()):
        with pytest.raises(GraphError, match="1 message slots are read by no constraint .first: slot 1"):
            protocol(begin(channel))


def test_a_dead_product_is_one_too() -> None:
    t = begin(Fixed())
    [v] = t.message("v", 1, lambda: [1])
    t.require_zero(v - 1, "one")
    t.multiply(v, v)
    t.finish()  # its own constraint reads it


def test_a_transcript_without_constraints_is_empty() -> None:
    channel = Fixed()
    begin(channel).finish()
    assert channel.proof == b""
    begin(VerifierChannel(b"")).finish()
    with pytest.raises(ProofRejected, match="trailing"):
        begin(VerifierChannel(b"\0")).finish()


# --- guards ---
@MODES
def test_the_honest_prover_refuses_what_is_false(hiding: bool) -> None:
    falsehoods: list[Callable[[Transcript, Value, Value], None]] = [
        lambda t, v, w: t.require_zero(v - 4, "guard"),
        lambda t, v, w: t.require_zero(v - w, "guard"),
        lambda t, v, w: t.require_product([v, w], 16, "guard"),
        lambda t, v, w: t.require_product([v, w], v, "guard"),
        lambda t, v, w: t.require_product([2, v, w, w], 76, "guard"),
        lambda t, v, w: t.require_product([2, v], w, "guard"),
        lambda t, v, w: t.require_product([2, 3], v, "guard"),
        lambda t, v, w: t.require_zero(t.multiply(v, w) - 16, "guard"),
        lambda t, v, w: t.require_zero(1, "guard"),
        lambda t, v, w: t.require_product([2, 3], 7, "guard"),
    ]
    for falsehood in falsehoods:
        t = begin(Fixed(), hiding)
        [v, w] = t.message("v", 2, lambda: [3, 5])
        with pytest.raises(WitnessError, match="^guard$"):
            falsehood(t, v, w)


@MODES
def test_what_is_true_is_proved(hiding: bool) -> None:
    def protocol(t: Transcript) -> None:
        [v, w] = t.message("v", 2, lambda: [3, 5])
        t.require_zero(3 * v - 2 * w + 1, "linear")
        t.require_product([v, w], 15, "product")
        t.require_product([v, w], 5 * v, "product of forms")
        t.require_product([2, v, w, w + 1, 3], 540, "long product")
        t.require_product([2, v], w + 1, "short product")
        t.require_product([v - 3, w], 0, "zero product")
        t.require_product([], 1, "empty product")
        t.require_zero(t.multiply(v, w) - t.multiply(3, w) + t.multiply(v, 0), "multiplied")
        t.require_zero(MODULUS, "zero")
        t.finish()

    channel = Fixed()
    protocol(begin(channel, hiding))
    protocol(begin(VerifierChannel(bytes(channel.proof)), hiding))


def test_a_public_falsehood_is_rejected_by_name() -> None:
    for hiding in (True, False):
        with pytest.raises(ProofRejected, match="^guard$"):
            begin(VerifierChannel(b""), hiding).require_zero(1, "guard")


@MODES
@pytest.mark.parametrize("number", [0, 1, MODULUS - 1, 12345])
def test_pin(number: int, hiding: bool) -> None:
    """A commitment to a number alone: number * G_0 + blind * H."""

    def protocol(t: Transcript) -> tuple[int, int]:
        [v] = t.message("v", 1, lambda: [number])
        refs, blind = t.pin(v * 2 + 1)
        if not hiding:
            t.require_zero(v - number, "v")
        t.finish()
        return int(refs[0]), blind

    channel = Fixed()
    t = begin(channel, hiding)
    ref, blind = protocol(t)
    wire = t._wire
    point = wire.kernels.decode(b"".join(wire._encoded))[ref]
    bases = np.concatenate([wire.message_bases[:1], wire.blinder_base])
    expected = KERNELS.msm(bases, KERNELS.from_scalars([(2 * number + 1) % MODULUS, blind]))
    assert np.array_equal(point, expected.reshape(12))
    assert (blind != 0) == hiding
    protocol(begin(VerifierChannel(bytes(channel.proof)), hiding))


def test_roles_of_generators_are_apart() -> None:
    """No generator serves two purposes: what one argument binds, another cannot shift."""
    taken = [TOOLS.generators.take(p, 32) for p in ("message", "tensor", "wide", "unit", "blind")]
    encoded = KERNELS.encode(np.concatenate(taken))
    assert len({encoded[i : i + 48] for i in range(0, len(encoded), 48)}) == 5 * 32


def test_the_first_generators_do_not_depend_on_how_many_are_taken() -> None:
    fresh = Generators(KERNELS)
    few, many = fresh.take("wide", 3).copy(), fresh.take("wide", 300)
    assert np.array_equal(few, many[:3])
    assert np.array_equal(many, fresh.compute("wide", 300))
