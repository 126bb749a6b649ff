"""Proofs with wrong bytes: all are ProofRejected, and no other exception leaves the verifier."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from py_ecc.bls.point_compression import decompress_G1
from py_ecc.optimized_bls12_381 import FQ, add, b, is_inf, multiply, normalize

from tests.attacks.kit import MODES, Case, Lenient, Naked, Twin, defined, matmul, small, symmetric, two_weights
from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS
from zkcore.transcript.wire import POINT_BYTES, SCALAR_BYTES

Q = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
COFACTOR = 0x396C8C005555E1568C00AAAB0000AAAB
INFINITY = b"\xc0" + bytes(47)
Jacobian = tuple[FQ, FQ, FQ]


@cache
def honest(name: str, hiding: bool, seed: int = 0) -> bytes:
    case = {"symmetric": symmetric, "defined": defined, "small": small, "matmul": matmul}[name]()
    return case.prove(hiding, Twin("", lambda data: data, seed))


def patched(proof: bytes, at: int, data: bytes) -> bytes:
    return proof[:at] + data + proof[at + len(data) :]


def assert_rejected(case: Case, proof: bytes, hiding: bool, note: object = "") -> None:
    assert case.rejection(proof, hiding) != "", note


# --- length, order, splices ---
@MODES
def test_flips(hiding: bool) -> None:
    """One bit of every element, high, low or in between."""
    case, proof, rng = symmetric(), honest("symmetric", hiding), random.Random(1)
    for i, (label, at, size) in enumerate(case.elements(hiding)):
        place = at + [0, size - 1, rng.randrange(size)][i % 3]
        bit = 1 << rng.randrange(8)
        assert_rejected(case, patched(proof, place, bytes([proof[place] ^ bit])), hiding, (label, place))


@MODES
def test_truncated(hiding: bool) -> None:
    """At every message's edge, and beside it."""
    case, proof = defined(), honest("defined", hiding)
    for label, at, _ in case.messages(hiding):
        for cut in (at - 1, at, at + 1):
            if 0 <= cut < len(proof):
                assert case.rejection(proof[:cut], hiding) in ("proof too short", "non-canonical scalar"), (label, cut)
    assert case.rejection(proof[:-1], hiding) == "proof too short"


@MODES
def test_extended(hiding: bool) -> None:
    case, proof = symmetric(), honest("symmetric", hiding)
    for tail in (b"\0", b"\xff", bytes(POINT_BYTES), proof[-SCALAR_BYTES:], proof):
        assert case.rejection(proof + tail, hiding) == "trailing bytes"
    assert_rejected(case, b"\0" + proof, hiding)


@MODES
def test_constant_proofs(hiding: bool) -> None:
    case, size = symmetric(), len(honest("symmetric", hiding))
    noise = random.Random(2).randbytes(size)
    for bad in (b"", bytes(size), b"\xff" * size, b"\xc0" * size, noise):
        assert_rejected(case, bad, hiding, bad[:1])
    nothing = bytearray(size)
    for _, at, unit in case.elements(hiding):
        if unit == POINT_BYTES:
            nothing[at : at + unit] = INFINITY
    assert_rejected(case, bytes(nothing), hiding, "all points infinity, all scalars zero")


@MODES
def test_splices_of_two_proofs_of_one_statement(hiding: bool) -> None:
    case, one, two = defined(), honest("defined", hiding), honest("defined", hiding, 1)
    assert case.rejection(one, hiding) == case.rejection(two, hiding) == ""
    messages = case.messages(hiding)
    for _, at, size in messages[:: 1 + len(messages) // 25]:
        for bad in (one[:at] + two[at:], two[:at] + one[at:], patched(one, at, two[at : at + size])):
            if bad not in (one, two):
                assert_rejected(case, bad, hiding, at)


@MODES
def test_messages_swapped_and_repeated(hiding: bool) -> None:
    case, proof = defined(), honest("defined", hiding)
    messages = case.messages(hiding)
    for (_, a, n), (_, c, m) in zip(messages, messages[1:], strict=False):
        if n == m and proof[a : a + n] != proof[c : c + m]:
            assert_rejected(case, patched(patched(proof, a, proof[c : c + m]), c, proof[a : a + n]), hiding)
            assert_rejected(case, patched(proof, c, proof[a : a + n]), hiding)


@MODES
def test_proofs_of_other_statements(hiding: bool) -> None:
    """The same shape, another public output; and the same system's clear proof in hiding mode, and back."""
    assert_rejected(matmul(1), honest("matmul", hiding), hiding)
    assert_rejected(matmul(), honest("matmul", not hiding), hiding)
    assert_rejected(two_weights(), honest("matmul", hiding), hiding)


# --- encodings ---
def last_of(label: str, case: Case, hiding: bool) -> int:
    return [at for name, at, _ in case.elements(hiding) if name == label][-1]


def compress(point: Jacobian) -> bytes:
    x, y = normalize(point)
    sign = 0x20 if y.n > (Q - 1) // 2 else 0
    data = bytearray(x.n.to_bytes(48, "big"))
    data[0] |= 0x80 | sign
    return bytes(data)


def on_curve(x: int) -> Jacobian | None:
    square = (pow(x, 3, Q) + b.n) % Q
    y = pow(square, (Q + 1) // 4, Q)
    return (FQ(x), FQ(y), FQ(1)) if y * y % Q == square else None


@cache
def torsion(order: int) -> Jacobian:
    """A point of this order outside the prime-order subgroup."""
    for x in range(1, 1000):
        point = on_curve(x)
        if point is not None:
            found = multiply(point, COFACTOR // {3: 3, 11: 121}[order] * MODULUS)
            if not is_inf(found):
                return found
    raise AssertionError("none among the first thousand")


def off_curve() -> bytes:
    x = next(x for x in range(1, 1000) if on_curve(x) is None)
    return bytes([0x80]) + x.to_bytes(47, "big")


def plus(point: Jacobian) -> Callable[[bytes], bytes]:
    return lambda data: compress(add(decompress_G1(int.from_bytes(data[:48], "big")), point)) + data[48:]


def flags(value: int) -> Callable[[bytes], bytes]:
    return lambda data: bytes([data[0] & 0x1F | value]) + data[1:]


POINTS: dict[str, Callable[[bytes], bytes]] = {
    "torsion of order 3": lambda data: plus(torsion(3))(data),
    "torsion of order 11": lambda data: plus(torsion(11))(data),
    "off the curve": lambda data: off_curve() + data[48:],
    "uncompressed": lambda data: flags(0x00)(data),
    "infinity flag on a point": lambda data: flags(0xC0)(data),
    "zeros": lambda data: bytes(48) + data[48:],
    "ones": lambda data: b"\xff" * 48 + data[48:],
    "infinity with a sign": lambda data: b"\xe0" + bytes(47) + data[48:],
    "infinity, uncompressed": lambda data: b"\x40" + bytes(47) + data[48:],
    "infinity with junk": lambda data: INFINITY[:47] + b"\x01" + data[48:],
    "x = p": lambda data: bytes([0x80 | Q >> 376]) + Q.to_bytes(48, "big")[1:] + data[48:],
}
POINT_LABELS = ["commit y", "commit pushforward square 1", "root", "round", "products", "pin", "opening halving"]
POINT_LABELS += ["opening announcement", "mask", "cross", "error", "witness row halving", "witness row announcement"]


@pytest.mark.parametrize("encoding", POINTS)
def test_bad_points(encoding: str) -> None:
    """Written and absorbed by a prover that is honest in all else: the equations may hold, the encoding does not."""
    case = defined()
    for label in POINT_LABELS if encoding.startswith("torsion") else ("commit y", "witness row announcement"):
        channel = Twin(label, POINTS[encoding])
        case.prove(True, channel)
        assert channel.done, label
        assert case.rejection(bytes(channel.proof), True) == "bad point", label


def test_second_encoding_of_a_points_abscissa() -> None:
    """x + p fits the 381 bits for small x only: take a row until it has one."""
    case = defined()
    for seed in range(40):
        channel = Twin("commit y", plus_p, seed)
        case.prove(True, channel)
        if bytes(channel.proof) != case.prove(True, Twin("", lambda data: data, seed)):
            assert case.rejection(bytes(channel.proof), True) == "bad point"
            return
    raise AssertionError("no row had a small abscissa")


def plus_p(data: bytes) -> bytes:
    x = int.from_bytes(data[:48], "big")
    high, x = x >> 381, x & (1 << 381) - 1
    return data if x + Q >> 381 else (high << 381 | x + Q).to_bytes(48, "big") + data[48:]


SCALAR_LABELS = ["mask scale", "matrix values", "error row", "folded value", "opening answer", "witness row answer"]


@pytest.mark.parametrize("label", SCALAR_LABELS)
def test_second_encoding_of_a_scalar(label: str) -> None:
    case = defined()
    channel = Twin(label, plus_r)
    case.prove(True, channel, Lenient)
    assert channel.done
    assert case.rejection(bytes(channel.proof), True) == "non-canonical scalar"


@pytest.mark.parametrize("label", ["root", "round", "children", "evaluations", "opening answer"])
def test_second_encoding_of_a_clear_message(label: str) -> None:
    case = defined()
    channel = Twin(label, plus_r)
    case.prove(False, channel, Lenient)
    assert channel.done
    assert case.rejection(bytes(channel.proof), False) == "non-canonical scalar"


def plus_r(data: bytes) -> bytes:
    return (int.from_bytes(data[:32], "big") + MODULUS).to_bytes(32, "big") + data[32:]


def test_scalars_at_the_edge() -> None:
    case, proof = defined(), honest("defined", True)
    at = last_of("folded value", case, True)
    for value in (0, MODULUS - 1):
        assert case.rejection(patched(proof, at, value.to_bytes(32, "big")), True) == "matrices"
    for value in (MODULUS, MODULUS + 1, 2**256 - 1):
        assert case.rejection(patched(proof, at, value.to_bytes(32, "big")), True) == "non-canonical scalar"


def test_weight_commitments_are_checked_like_a_proof() -> None:
    """The prover adopts them as they are; the verifier decodes them with the proof's points."""
    case = two_weights()
    rows, secret = case.weights["v"]
    for encoding, bad in POINTS.items():
        spoilt = replace(case, weights={**case.weights, "v": (bad(rows), secret)})
        assert spoilt.rejection(spoilt.prove(True), True) == "bad point", encoding


def test_infinity_is_a_point_like_any_other() -> None:
    """Commitments without blinds to zeros: the prover's own loss, and nothing false. Put into another proof, it is."""
    case = defined()
    channel = Naked()
    naked = case.prove(True, channel)
    assert case.rejection(naked, True) == ""
    proof = honest("defined", True)
    for label in ("commit y", "root", "mask", "cross", "witness row announcement", "opening announcement"):
        at = last_of(label, case, True)
        assert_rejected(case, patched(proof, at, INFINITY), True, label)


def test_no_exception_but_one() -> None:
    """Whatever bytes: a verifier raises ProofRejected. (Others would leave `rejection` as they are.)"""
    case, proof, rng = symmetric(), honest("symmetric", True), random.Random(3)
    for _ in range(60):
        bad = bytearray(proof)
        for _ in range(rng.choice([1, 1, 2, 40])):
            bad[rng.randrange(len(bad))] = rng.choice([0, 0x40, 0x7F, 0x80, 0xA0, 0xC0, 0xE0, 0xFF, rng.randrange(256)])
        cut = rng.choice([len(bad), len(bad), rng.randrange(len(bad))])
        if bytes(bad[:cut]) != proof:
            with pytest.raises(ProofRejected):
                case.verify(bytes(bad[:cut]))
