"""The curve half of the engine against two independent implementations: py_ecc and arkworks."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator, Sequence

import numpy as np
import py_arkworks_bls12381 as ark
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.bls.point_compression import decompress_G1
from py_ecc.optimized_bls12_381 import FQ, is_inf, is_on_curve, multiply, normalize

from zkcore import _engine
from zkcore.field.kernels import MODULUS as R
from zkcore.field.kernels import Column, FieldArray, Points
from zkcore.field.native_curve import NativeCurve

Q = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
COFACTOR = 0x396C8C005555E1568C00AAAB0000AAAB
INFINITY = b"\xc0" + bytes(47)
EDGES = [0, 1, R - 1, 2, R - 2, 2**8, 2**31, 2**32, 2**63, 2**64, R - 2**63, (R - 1) // 2, (R + 1) // 2, 2**254, 2**127]
EDGES += [0xD201000000010000**2, R - 0xD201000000010000**2]  # where the endomorphism's halves wrap
LENGTHS = [1, 2, 11, 12, 13, 31, 32, 33, 237]

engine = NativeCurve()
scalars = st.one_of(st.sampled_from(EDGES), st.integers(0, R - 1))
quick = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# ---- conversions that do not use the engine


def limbs(value: int, count: int) -> list[int]:
    return [value >> (64 * i) & (2**64 - 1) for i in range(count)]


def field_array(values: Sequence[int]) -> FieldArray:
    return np.array([limbs((v % R << 256) % R, 4) for v in values], dtype=np.uint64).reshape(-1, 4)


def point_row(x: int, y: int) -> list[int]:
    return limbs((x << 384) % Q, 6) + limbs((y << 384) % Q, 6)


def to_array(points: Sequence[ark.G1Point]) -> Points:
    rows = []
    for point in points:
        xy = bytes(point.to_xy_bytes_le())
        rows.append(point_row(int.from_bytes(xy[:48], "little"), int.from_bytes(xy[48:], "little")))
    return np.array(rows, dtype=np.uint64).reshape(-1, 12)


def coordinates(point: Points) -> tuple[int, int]:
    unit = pow(2**384, -1, Q)
    x, y = (sum(int(limb) << (64 * i) for i, limb in enumerate(half)) * unit % Q for half in point.reshape(2, 6))
    return x, y


def ark_sum(points: Sequence[ark.G1Point], values: Sequence[int]) -> ark.G1Point:
    if not points:
        return ark.G1Point.identity()
    return ark.G1Point.multiexp_unchecked(list(points), [ark.Scalar(v % R) for v in values])


def same(got: Points, expected: Sequence[ark.G1Point]) -> bool:
    return np.array_equal(got.reshape(-1, 12), to_array(expected))


def encodings(data: bytes) -> list[bytes]:
    return [data[i : i + 48] for i in range(0, len(data), 48)]


def random_points(count: int) -> list[ark.G1Point]:
    rng = random.Random(7)
    g = ark.G1Point()
    return [g * ark.Scalar(rng.randrange(R)) for _ in range(count)]


POINTS = random_points(240)
ARRAY = to_array(POINTS)
AWKWARD = [POINTS[0], -POINTS[0], ark.G1Point.identity(), POINTS[1], POINTS[1] + POINTS[1], -POINTS[1]]
FIXED = engine.fixed_base(ARRAY[:1])
awkward = st.one_of(st.sampled_from(AWKWARD), st.sampled_from(POINTS[:3]))


@pytest.fixture
def default_threads() -> Iterator[None]:
    yield
    _engine.set_threads(0)


# ---- hash to curve

RFC_DST = b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
RFC_VECTORS = [  # RFC 9380, J.9.1
    (
        b"",
        0x052926ADD2207B76CA4FA57A8734416C8DC95E24501772C814278700EED6D1E4E8CF62D9C09DB0FAC349612B759E79A1,
        0x08BA738453BFED09CB546DBB0783DBB3A5F1F566ED67BB6BE0E8C67E2E81A4CC68EE29813BB7994998F3EAE0C9C6A265,
    ),
    (
        b"abc",
        0x03567BC5EF9C690C2AB2ECDF6A96EF1C139CC0B2F284DCA0A9A7943388A49A3AEE664BA5379A7655D3C68900BE2F6903,
        0x0B9C15F3FE6E5CF4211F346271D7B01C8F3B28BE689C8429C85B67AF215533311F0B8DFAAA154FA6B88176C229F2885D,
    ),
    (
        b"abcdef0123456789",
        0x11E0B079DEA29A68F0383EE94FED1B940995272407E3BB916BBF268C263DDD57A6A27200A784CBC248E84F357CE82D98,
        0x03A87AE2CAF14E8EE52E51FA2ED8EEFE80F02457004BA4D486D6AA1F517C0889501DC7413753F9599B099EBCBBD2D709,
    ),
    (
        b"q128_" + b"q" * 128,
        0x15F68EAA693B95CCB85215DC65FA81038D69629F70AEEE0D0F677CF22285E7BF58D7CB86EEFE8F2E9BC3F8CB84FAC488,
        0x1807A1D50C29F430B8CAFC4F8638DFEEADF51211E1602A5F184443076715F91BB90A48BA1E370EDCE6AE1062F5E6DD38,
    ),
    (
        b"a512_" + b"a" * 512,
        0x082AABAE8B7DEDB0E78AEB619AD3BFD9277A2F77BA7FAD20EF6AABDC6C31D19BA5A6D12283553294C1825C4B3CA2DCFE,
        0x05B84AE5A942248EEA39E1D91030458C40153F3B654AB7872D779AD1E942856A20C438E8D99BC8ABFBF74729CE1F7AC8,
    ),
]


@pytest.mark.parametrize(("message", "x", "y"), RFC_VECTORS)
def test_hash_to_curve_rfc_vectors(message: bytes, x: int, y: int) -> None:
    assert coordinates(_engine.hash_message_to_curve(RFC_DST, message)) == (x, y)


EXPANDER_DST = b"QUUX-V01-CS02-with-expander-SHA256-128"


@pytest.mark.parametrize(
    ("message", "dst", "expected"),
    [  # RFC 9380, K.1 and K.2
        (b"", EXPANDER_DST, "68a985b87eb6b46952128911f2a4412bbc302a9d759667f87f7a21d803f07235"),
        (b"abc", EXPANDER_DST, "d8ccab23b5985ccea865c6c97b6e5b8350e794e603b4b97902f53a8a0d605615"),
        (
            b"",
            EXPANDER_DST + b"-long-DST-" + b"1" * 208,
            "e8dc0c8b686b7ef2074086fbdd2f30e3f8bfbd3bdf177f73f04b97ce618a3ed3",
        ),
    ],
)
def test_expand_message_rfc_vectors(message: bytes, dst: bytes, expected: str) -> None:
    assert _engine.expand_message_xmd(message, dst, 32).hex() == expected


@pytest.mark.parametrize("length", [0, 54, 55, 56, 63, 64, 119, 120, 500])
def test_expand_message_every_padding(length: int) -> None:
    """One block of output is SHA-256 twice: checks the engine's SHA-256 at the borders of its blocks."""
    tag = b"tag\x03"
    message = bytes(range(256)) * 2
    message = message[:length]
    seed = hashlib.sha256(bytes(64) + message + b"\x00\x20\x00" + tag).digest()
    expected = hashlib.sha256(seed + b"\x01" + tag).digest()
    assert _engine.expand_message_xmd(message, b"tag", 32) == expected


def test_hash_to_curve_matches_both() -> None:
    start = 2**64 - 6
    got = engine.hash_to_curve(b"zkcore-test", b"prefix", start, 6)
    for i in range(6):
        message = b"prefix" + (start + i).to_bytes(8, "big")
        assert same(got[i], [ark.G1Point.hash_to_curve(message, b"zkcore-test")])
    x, y = normalize(hash_to_G1(message, b"zkcore-test", hashlib.sha256))
    assert coordinates(got[5]) == (int(x), int(y))


def test_hash_to_curve_arguments() -> None:
    assert engine.hash_to_curve(b"d", b"", 0, 0).shape == (0, 12)
    with pytest.raises(ValueError, match="empty"):
        engine.hash_to_curve(b"", b"", 0, 1)
    with pytest.raises(ValueError, match="64 bits"):
        engine.hash_to_curve(b"d", b"", 2**64 - 1, 2)


# ---- encoding


def test_encode_decode_round_trip() -> None:
    points = [*POINTS[:60], *AWKWARD]
    data = engine.encode(to_array(points))
    assert encodings(data) == [bytes(p.to_compressed_bytes()) for p in points]
    assert np.array_equal(engine.decode(data), to_array(points))


def accepted(data: bytes) -> bool:
    try:
        engine.decode(data)
    except ValueError:
        return False
    return True


def oracles_accept(data: bytes) -> bool:
    """Canonical for both, where each alone is too lenient: py_ecc on torsion, arkworks on malformed infinities."""
    try:
        point = decompress_G1(int.from_bytes(data, "big"))
        other = ark.G1Point.from_compressed_bytes(data)
    except (ValueError, AssertionError):
        return False
    return is_inf(multiply(point, R)) and bytes(other.to_compressed_bytes()) == data


def compress(x: int, y: int) -> bytes:
    return ((1 << 383) | ((2 * y > Q) << 381) | x).to_bytes(48, "big")


def curve_point(x: int) -> tuple[FQ, FQ, FQ] | None:
    y = pow(x**3 + 4, (Q + 1) // 4, Q)
    return (FQ(x), FQ(y), FQ(1)) if y * y % Q == (x**3 + 4) % Q else None


def torsion_points() -> list[tuple[FQ, FQ, FQ]]:
    """Points of the curve outside the subgroup: of order 3, of cofactor order, and sums of those with good points."""
    found = [(FQ(0), FQ(2), FQ(1))]
    for x in range(1, 12):
        point = curve_point(x)
        if point is not None:
            found += [point, multiply(point, R), multiply(multiply(point, R), COFACTOR // 3)]
    return [p for p in found if not is_inf(p)]


def test_decode_rejects_what_is_outside_the_subgroup() -> None:
    for point in torsion_points():
        assert is_on_curve(point, FQ(4))
        x, y = (int(c) for c in normalize(point))
        for data in (compress(x, y), compress(x, Q - y)):
            naive = is_inf(multiply(point, R))
            assert accepted(data) == naive == oracles_accept(data)
            if not naive:
                with pytest.raises(ValueError, match="point 0: not in the prime-order subgroup"):
                    engine.decode(data)


GOOD = bytes(POINTS[0].to_compressed_bytes())
X_OF_NO_POINT = next(x for x in range(1, 100) if curve_point(x) is None)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GOOD[:-1], "wrong length"),
        (GOOD + b"\x00", "wrong length"),
        (bytes(48), "compressed"),
        (bytes([GOOD[0] & 0x7F]) + GOOD[1:], "compressed"),
        (b"\x40" + bytes(47), "compressed"),
        (b"\xe0" + bytes(47), "infinity"),
        (b"\xc0" + bytes(46) + b"\x01", "infinity"),
        (b"\xc1" + bytes(47), "infinity"),
        (b"\xd0" + bytes(47), "infinity"),
        (((1 << 383) + Q).to_bytes(48, "big"), "modulus"),
        (((1 << 383) + Q + 1).to_bytes(48, "big"), "modulus"),
        (b"\x9f" + b"\xff" * 47, "modulus"),
        (compress(X_OF_NO_POINT, 1), "not on the curve"),
        (compress(X_OF_NO_POINT, Q - 1), "not on the curve"),
    ],
)
def test_decode_rejects_malformed(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"point [01]: .*{reason}"):
        engine.decode(data)
    if len(data) == 48:
        assert not oracles_accept(data)
        with pytest.raises(ValueError, match=f"point 3: .*{reason}"):
            engine.decode(GOOD + INFINITY + GOOD + data + GOOD + data)


def test_decode_names_the_first_bad_point() -> None:
    data = bytearray(GOOD * 300)
    data[48 * 123] &= 0x7F
    data[48 * 124] &= 0x7F
    data[48 * 299] |= 0x40
    with pytest.raises(ValueError, match="point 123: not in compressed form"):
        engine.decode(bytes(data))


@quick
@given(st.sampled_from(POINTS[:40]), st.lists(st.integers(0, 383), max_size=3))
def test_decode_accepts_what_all_accept(point: ark.G1Point, flips: list[int]) -> None:
    value = int.from_bytes(bytes(point.to_compressed_bytes()), "big")
    for bit in flips:
        value ^= 1 << bit
    data = value.to_bytes(48, "big")
    assert accepted(data) == oracles_accept(data)
    if accepted(data):
        assert engine.encode(engine.decode(data)) == data


def test_many_points_are_checked_together() -> None:
    """From 512 on the subgroup is checked for all at once; whatever is outside is named, though its sum be inside."""
    data = bytearray(engine.encode(ARRAY) * 3)
    before = _engine.curve_counters()["group_adds"]
    assert np.array_equal(engine.decode(bytes(data)), np.concatenate([ARRAY] * 3))
    assert _engine.curve_counters()["group_adds"] - before < 136 * 720
    for point in torsion_points():
        x, y = (int(c) for c in normalize(point))
        if accepted(compress(x, y)):
            continue
        outside = bytes(data)
        for at, root in ((301, y), (512, Q - y)):
            outside = outside[: 48 * at] + compress(x, root) + outside[48 * at + 48 :]
        with pytest.raises(ValueError, match="point 301: not in the prime-order subgroup"):
            engine.decode(outside)
        with pytest.raises(ValueError, match="point 17: not in compressed form"):
            engine.decode(outside[: 48 * 17] + bytes(48) + outside[48 * 18 :])
    assert engine.decode(bytes(data) + INFINITY * 9).shape == (729, 12)


def test_decode_nothing() -> None:
    assert engine.decode(b"").shape == (0, 12)
    assert engine.encode(np.zeros((0, 12), np.uint64)) == b""


# ---- sums


@pytest.mark.parametrize("n", [0, *LENGTHS])
def test_msm_random(n: int) -> None:
    rng = random.Random(n)
    values = [rng.choice(EDGES) if rng.random() < 0.3 else rng.randrange(R) for _ in range(n)]
    assert same(engine.msm(ARRAY[:n], field_array(values)), [ark_sum(POINTS[:n], values)])


@pytest.mark.parametrize("n", [2, 13, 33])
@pytest.mark.parametrize("edge", EDGES)
def test_msm_one_scalar_for_all(n: int, edge: int) -> None:
    assert same(engine.msm(ARRAY[:n], field_array([edge] * n)), [ark_sum(POINTS[:n], [edge] * n)])


@quick
@given(st.lists(st.tuples(awkward, scalars), min_size=1, max_size=40))
def test_msm_awkward_points(pairs: list[tuple[ark.G1Point, int]]) -> None:
    points, values = zip(*pairs, strict=True)
    assert same(engine.msm(to_array(points), field_array(values)), [ark_sum(points, values)])


@pytest.mark.parametrize("n", [2, 12, 64, 200])
def test_msm_equal_points(n: int) -> None:
    """All in one bucket, and a sum that cancels."""
    points = np.repeat(ARRAY[:1], n, axis=0)
    assert same(engine.msm(points, field_array([5] * n)), [POINTS[0] * ark.Scalar(5 * n)])
    assert same(engine.msm(points, field_array([5, -5] * (n // 2))), [ark.G1Point.identity()])


def test_msm_large() -> None:
    n = 3000
    rng = random.Random(1)
    points = engine.hash_to_curve(b"d", b"", 0, n)
    values = [rng.randrange(R) for _ in range(n)]
    oracle = [ark.G1Point.from_compressed_bytes_unchecked(e) for e in encodings(engine.encode(points))]
    assert same(engine.msm(points, field_array(values)), [ark_sum(oracle, values)])


# ---- commitments to rows


def oracle_rows(rows: Sequence[Sequence[int]], blinds: Sequence[int], blinder: ark.G1Point) -> list[ark.G1Point]:
    return [ark_sum([*POINTS[: len(row)], blinder], [*row, b]) for row, b in zip(rows, blinds, strict=True)]


def check_rows(rows: Column, integers: Sequence[Sequence[int]], seed: int = 0) -> None:
    rng = random.Random(seed)
    blinds = [rng.choice([0, 1, R - 1, rng.randrange(R)]) for _ in integers]
    blinder = engine.fixed_base(to_array([POINTS[239], POINTS[238]]))
    got = engine.commit_rows(ARRAY, rows, field_array(blinds), blinder)
    assert same(got, oracle_rows(integers, blinds, POINTS[239]))


@pytest.mark.parametrize("width", [1, 2, 31, 33, 237])
@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_commit_rows_integers(dtype: type[np.signedinteger], width: int) -> None:
    info = np.iinfo(dtype)
    rng = np.random.default_rng(width)
    rows = rng.integers(info.min, info.max, (5, width), dtype=dtype, endpoint=True)
    rows[0] = info.min
    rows[1] = info.max
    rows[2] = 0
    rows[3, ::2] = -1
    check_rows(rows, rows.tolist())


@pytest.mark.parametrize("largest", [0, 1, 2, 3, 7, 8, 127, 128, 129, 255, 256, 257, 2**15, 2**15 + 1, 2**24, 2**31])
@pytest.mark.parametrize("width", [3, 200])
def test_commit_rows_by_extent(largest: int, width: int) -> None:
    """The cut into digits follows the largest entry."""
    rng = np.random.default_rng(largest)
    rows = rng.integers(-largest, largest, (2, width), dtype=np.int64, endpoint=True)
    rows[0, 0], rows[1, 0], rows[0, -1] = largest, -largest, -largest
    check_rows(rows, rows.tolist())


@pytest.mark.parametrize("width", [1, 32, 100])
def test_commit_rows_field(width: int) -> None:
    rng = random.Random(width)
    integers = [[rng.choice([*EDGES, rng.randrange(R)]) for _ in range(width)] for _ in range(4)]
    integers[1] = [0] * width
    check_rows(np.stack([field_array(row) for row in integers]), integers)


def test_commit_rows_small_field_values() -> None:
    integers = [[-3, 5, 0, 127], [1, 2, 3, -128]]
    check_rows(np.stack([field_array(row) for row in integers]), integers)


def test_commit_rows_many_lanes() -> None:
    """More rows than are worked on at once."""
    rng = np.random.default_rng(0)
    rows = rng.integers(-128, 127, (700, 4), dtype=np.int8)
    check_rows(rows, rows.tolist())


@pytest.mark.parametrize("threads", [1, 8])
def test_combining_in_a_team(threads: int) -> None:
    """Whoever helps, and with none that can; again and again, with pauses in which helpers fall asleep."""
    bases, rng = engine.fixed_base(ARRAY[:4]), random.Random(1)
    _engine.set_threads(threads)
    try:
        for turn in range(60):
            values = [rng.choice([0, 1, 128, 129, R - 1, rng.randrange(R)]) for _ in range(turn % 5)]
            np.testing.assert_array_equal(bases.combine(values, in_team=True), bases.combine(values))
            if turn % 20 == 19:
                time.sleep(0.002)
    finally:
        _engine.set_threads(0)


def test_blinding_sums_of_rows() -> None:
    """Sums in XYZZ coordinates: x = X / ZZ, y = Y / ZZZ."""
    sums = np.zeros((3, 24), np.uint64)
    sums[:2, :12] = ARRAY[1:3]
    sums[:2, 12:18] = sums[:2, 18:] = limbs(2**384 % Q, 6)
    blinds = [0, 5, R - 1]
    expected = [POINTS[1], POINTS[2] + POINTS[0] * ark.Scalar(5), POINTS[0] * ark.Scalar(R - 1)]
    data = b"".join(b.to_bytes(32, "little") for b in blinds)
    assert same(_engine.blind_rows(sums, data, FIXED.tables), expected)
    with pytest.raises(ValueError, match="one is needed for every row"):
        _engine.blind_rows(sums[:2], data, FIXED.tables)


@pytest.mark.parametrize("threads", [1, 2, 6])
def test_blinding_in_a_team(threads: int) -> None:
    """Few rows are shared out among the team, many among all threads."""
    rng = random.Random(threads)
    try:
        for count in (0, 1, 2, 7, 8, 9, 40, 127, 128, 150):
            sums = np.zeros((count, 24), np.uint64)
            sums[:, :12] = ARRAY[1]
            sums[:, 12:18] = sums[:, 18:] = limbs(2**384 % Q, 6)
            data = b"".join(rng.choice([0, 5, R - 1, rng.randrange(R)]).to_bytes(32, "little") for _ in range(count))
            _engine.set_threads(1)
            expected = _engine.blind_rows(sums, data, FIXED.tables)
            _engine.set_threads(threads)
            np.testing.assert_array_equal(_engine.blind_rows(sums, data, FIXED.tables, in_team=True), expected)
    finally:
        _engine.set_threads(0)


def test_commit_rows_empty() -> None:
    blinder = engine.fixed_base(ARRAY[:1])
    assert engine.commit_rows(ARRAY, np.zeros((0, 5), np.int8), field_array([]), blinder).shape == (0, 12)
    assert same(
        engine.commit_rows(ARRAY, np.zeros((1, 0), np.int8), field_array([2]), blinder), [POINTS[0] + POINTS[0]]
    )


@quick
@given(st.data())
def test_commit_rows_awkward_generators(data: st.DataObject) -> None:
    width = data.draw(st.integers(1, 20))
    points = data.draw(st.lists(awkward, min_size=width, max_size=width))
    row = data.draw(st.lists(st.integers(-128, 127), min_size=width, max_size=width))
    blinder = engine.fixed_base(to_array([points[0]]))
    got = engine.commit_rows(to_array(points), np.array([row], np.int8), field_array([3]), blinder)
    assert same(got, [ark_sum([*points, points[0]], [*row, 3])])


# ---- folds and fixed bases


@pytest.mark.parametrize(("k", "n"), [(1, 1), (1, 200), (2, 1), (2, 120), (3, 5), (16, 15)])
def test_fold_points(k: int, n: int) -> None:
    rng = random.Random(k * n)
    weights = [rng.choice([*EDGES, rng.randrange(R)]) for _ in range(k)]
    got = engine.fold_points(ARRAY[: k * n], field_array(weights))
    assert same(got, [ark_sum(POINTS[i : k * n : n], weights) for i in range(n)])


@quick
@given(st.lists(scalars, min_size=1, max_size=4), st.integers(1, 4), st.data())
def test_fold_points_awkward(weights: list[int], n: int, data: st.DataObject) -> None:
    k = len(weights)
    points = data.draw(st.lists(awkward, min_size=k * n, max_size=k * n))
    got = engine.fold_points(to_array(points), field_array(weights))
    assert same(got, [ark_sum(points[i::n], weights) for i in range(n)])


@quick
@given(st.lists(scalars, max_size=5))
def test_fixed_base(values: list[int]) -> None:
    bases = [*POINTS[:2], ark.G1Point.identity(), POINTS[0], -POINTS[1]]
    assert same(engine.fixed_base(to_array(bases)).combine(values), [ark_sum(bases[: len(values)], values)])


@quick
@given(st.lists(st.integers(0, 255), min_size=31, max_size=31))
def test_fixed_base_bytes(digits: list[int]) -> None:
    value = int.from_bytes(bytes(digits), "little")
    assert same(engine.fixed_base(ARRAY[:1]).combine([value]), [POINTS[0] * ark.Scalar(value)])


# ---- threads, counters, arguments


def test_threads_change_nothing(default_threads: None) -> None:
    rng = random.Random(3)
    points = engine.hash_to_curve(b"d", b"", 0, 1500)
    values = field_array([rng.randrange(R) for _ in range(1500)])
    rows = np.random.default_rng(0).integers(-3000, 3000, (300, 100), dtype=np.int16)
    blinds = values[:300]

    def everything() -> tuple[list[bytes], int]:
        before = _engine.curve_counters()["group_adds"]
        blinder = engine.fixed_base(points[:1])
        results = [
            engine.hash_to_curve(b"d", b"", 0, 1500),
            engine.decode(engine.encode(points)),
            engine.msm(points, values),
            engine.commit_rows(points, rows, blinds, blinder),
            engine.fold_points(points, values[:3]),
        ]
        return [r.tobytes() for r in results], _engine.curve_counters()["group_adds"] - before

    expected = None
    for threads in (1, 2, 5):
        _engine.set_threads(threads)
        got = everything()
        assert expected is None or got == expected
        expected = got


def test_group_adds_are_counted() -> None:
    before = _engine.curve_counters()["group_adds"]
    engine.commit_rows(ARRAY, np.ones((1, 200), np.int8), field_array([0]), FIXED)
    assert _engine.curve_counters()["group_adds"] - before == 199


@pytest.mark.parametrize("bad", [np.zeros((2, 11), np.uint64), np.zeros(12, np.uint64), ARRAY[::2]])
def test_points_shape(bad: Points) -> None:
    with pytest.raises(ValueError, match="points"):
        engine.encode(bad)


def test_arguments() -> None:
    one, two = field_array([1]), field_array([1, 2])
    rows = np.zeros((2, 3), np.int8)
    with pytest.raises(TypeError, match="uint64"):
        engine.encode(np.zeros((1, 12), np.int64))
    with pytest.raises(ValueError, match="length"):
        engine.msm(ARRAY[:2], one)
    with pytest.raises(ValueError, match="blinds"):
        engine.commit_rows(ARRAY, rows, one, FIXED)
    with pytest.raises(ValueError, match="generators"):
        engine.commit_rows(ARRAY[:2], rows, two, FIXED)
    with pytest.raises(ValueError, match="rows"):
        engine.commit_rows(ARRAY, np.zeros((2, 3, 3), np.uint64), two, FIXED)
    with pytest.raises(TypeError, match="rows"):
        engine.commit_rows(ARRAY, np.zeros((2, 3)), two, FIXED)
    with pytest.raises(ValueError, match="contiguous"):
        engine.commit_rows(ARRAY, np.zeros((3, 2), np.int8).T, two, FIXED)
    with pytest.raises(TypeError, match="blinder"):
        engine.commit_rows(ARRAY, rows, two, ARRAY)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="weights"):
        engine.fold_points(ARRAY[:3], two)
    with pytest.raises(ValueError, match="bases"):
        FIXED.combine([1, 2])
    for scalar in (R, -1, 2**256):
        with pytest.raises(ValueError, match=r"\[0, R\)|below R"):
            FIXED.combine([scalar])
    with pytest.raises(ValueError, match="below R"):
        FIXED.tables.combine(R.to_bytes(32, "little"))
