"""The ternary verbs: the general verbs' results, bit for bit, without a multiplication or a doubling."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import py_arkworks_bls12381 as ark
import pytest
from numpy.typing import NDArray

from zkcore import _engine
from zkcore.field import native
from zkcore.field.kernels import MODULUS, Points
from zkcore.field.reference import ReferenceField

KERNELS, REFERENCE = native.load(), ReferenceField()
POINTS = KERNELS.hash_to_curve(b"zkcore-tests", b"ternary", 0, 4200)
FIXED = KERNELS.fixed_base(POINTS[:1])
EDGES = [0, 1, MODULUS - 1, (MODULUS - 1) // 2, 1 << 254]
SHAPES = [
    *[(1, k, 1) for k in (0, 1, 2, 4, 5, 6, 19, 321, 1300)],
    *[(3, 7, 1), (700, 11, 1), (1, 9, 513), (2, 16, 255), (1, 321, 33), (3, 0, 2), (0, 4, 2), (2, 2, 0)],
]


def trits(count: int, seed: int = 1) -> NDArray[np.int8]:
    return np.random.default_rng(seed).integers(-1, 2, count, dtype=np.int8)


def weights(count: int) -> list[int]:
    """Edge cases among ordinary scalars."""
    return [EDGES[i // 2 % 5] if i % 2 else pow(5, i + 1, MODULUS) for i in range(count)]


@pytest.fixture
def default_threads() -> Iterator[None]:
    yield
    _engine.set_threads(0)


# ---- folds


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_folds_are_those_of_the_reference(shape: tuple[int, int, int]) -> None:
    outer, k, inner = shape
    column, w = trits(outer * k * inner), REFERENCE.from_scalars(weights(k))
    found = KERNELS.contract_ternary(column, outer, inner, w)
    np.testing.assert_array_equal(found, REFERENCE.contract_ternary(column, outer, inner, w))
    np.testing.assert_array_equal(found, KERNELS.contract(column, outer, inner, w))


@pytest.mark.parametrize("value", [-1, 1])
def test_sums_of_extremes_stay_reduced(value: int) -> None:
    """As many of the largest weights as a task takes between reductions, and more."""
    column, w = np.full(2000 * 9, value, dtype=np.int8), KERNELS.from_scalars([MODULUS - 1] * 2000)
    for outer, inner in ((9, 1), (1, 9)):
        found = KERNELS.to_scalars(KERNELS.contract_ternary(column, outer, inner, w))
        assert found == [-value * 2000 % MODULUS] * 9


def test_a_fold_multiplies_nothing() -> None:
    column, w = trits(1 << 16), KERNELS.from_scalars(weights(256))
    before = KERNELS.counters()
    KERNELS.contract_ternary(column, 1, 256, w)
    assert KERNELS.counters() == before
    KERNELS.contract(column, 1, 256, w)
    assert KERNELS.counters()["small_mults"] - before["small_mults"] == 1 << 16


# ---- commitments


def arkworks(points: Points, row: NDArray[np.int8], blind: int) -> bytes:
    encoded = KERNELS.encode(points)
    terms = [ark.G1Point.from_compressed_bytes(encoded[48 * j : 48 * j + 48]) for j in range(len(row) + 1)]
    scalars = [ark.Scalar(blind), *(ark.Scalar(int(v) % MODULUS) for v in row)]
    return bytes(ark.G1Point.multiexp_unchecked(terms, scalars).to_compressed_bytes())


@pytest.mark.parametrize("rows", [0, 1, 2, 5, 40, 300])
@pytest.mark.parametrize("width", [0, 1, 3, 5, 26, 64])
def test_commitments_are_those_of_the_general_verb(rows: int, width: int) -> None:
    values, blinds = trits(rows * width).reshape(rows, width), KERNELS.from_scalars(weights(rows))
    found = KERNELS.commit_ternary(POINTS[1:], values, blinds, FIXED)
    np.testing.assert_array_equal(found, KERNELS.commit_rows(POINTS[1:], values, blinds, FIXED))


@pytest.mark.parametrize("rows", [2, 60])
def test_rows_wider_than_a_strip_of_tables(rows: int) -> None:
    values, blinds = trits(rows * 4190).reshape(rows, 4190), KERNELS.from_scalars(weights(rows))
    found = KERNELS.commit_ternary(POINTS[1:], values, blinds, FIXED)
    np.testing.assert_array_equal(found, KERNELS.commit_rows(POINTS[1:], values, blinds, FIXED))


def test_commitments_are_arkworks() -> None:
    values, w = trits(4 * 31).reshape(4, 31), weights(4)
    found = KERNELS.encode(KERNELS.commit_ternary(POINTS[1:], values, KERNELS.from_scalars(w), FIXED))
    for i in range(4):
        assert found[48 * i : 48 * i + 48] == arkworks(POINTS, values[i], w[i])


def test_equal_and_opposite_generators() -> None:
    """Tables whose sums vanish or double: no generator of ours does that, but the verb is complete."""
    encoded = bytearray(KERNELS.encode(POINTS[:1]))
    encoded[0] ^= 0x20  # the sign of y
    same = np.concatenate([POINTS[:1], POINTS[:1], KERNELS.decode(bytes(encoded)), POINTS[1:3]])
    values, blinds = trits(90 * 5).reshape(90, 5), KERNELS.from_scalars(weights(90))
    found = KERNELS.commit_ternary(same, values, blinds, FIXED)
    np.testing.assert_array_equal(found, KERNELS.commit_rows(same, values, blinds, FIXED))


@pytest.mark.parametrize(("rows", "most"), [(8, 0.6), (100, 0.4), (400, 0.26)])
def test_a_commitment_doubles_nothing(rows: int, most: float) -> None:
    """Additions a weight: fewer, the more rows share the sums. Blinds are full-size scalars, and counted apart."""
    width, k = 2040, native.NativeKernels()
    values, blinds = trits(rows * width).reshape(rows, width), KERNELS.from_scalars([0] * rows)
    adds, doublings = KERNELS.counters()["group_adds"], _engine.group_doublings()
    k.commit_ternary(POINTS[1 : width + 1], values, blinds, FIXED)
    assert _engine.group_doublings() == doublings
    assert (KERNELS.counters()["group_adds"] - adds) / (rows * width) < most
    KERNELS.commit_rows(POINTS[1:], values.astype(np.int16) * 300, blinds, FIXED)
    assert _engine.group_doublings() > doublings


def test_subset_sums_are_kept_and_serve_their_own_generators_only() -> None:
    """Rows of one tensor after the other take ever larger sums; other generators, or the same array with other points
    in it, have sums of their own."""
    k, width = native.NativeKernels(), 333
    generators = POINTS[1 : width + 1].copy()

    def adds(rows: int, seed: int) -> float:
        values, blinds = trits(rows * width, seed).reshape(rows, width), KERNELS.from_scalars(weights(rows))
        before = KERNELS.counters()["group_adds"]
        found, counted = k.commit_ternary(generators, values, blinds, FIXED), KERNELS.counters()["group_adds"]
        np.testing.assert_array_equal(found, KERNELS.commit_rows(generators, values, blinds, FIXED))
        return (counted - before) / (rows * width)

    first = adds(20, 1)
    for seed in range(2, 40):
        last = adds(20, seed)
    assert last < 0.33 < 0.5 < first
    generators[7] = POINTS[400]
    assert adds(20, 50) > 0.5
    assert adds(1, 51) < 0.55


# ---- refusals and threads


@pytest.mark.parametrize("wrong", [2, -2, 3, 127, -128])
def test_other_entries_are_refused(wrong: int) -> None:
    values = trits(1 << 18)
    values[200_001] = wrong
    w = KERNELS.from_scalars([1] * 256)
    with pytest.raises(ValueError, match="not -1, 0 or 1"):
        KERNELS.contract_ternary(values, 1, 1024, w)
    with pytest.raises(ValueError, match="not -1, 0 or 1"):
        KERNELS.commit_ternary(POINTS[1:], values.reshape(256, 1024), w, FIXED)
    with pytest.raises(ValueError, match="not -1, 0 or 1"):
        REFERENCE.contract_ternary(values[199_990:200_010], 1, 4, REFERENCE.from_scalars([1] * 5))


def test_other_types_and_sizes_are_refused() -> None:
    w = KERNELS.from_scalars([1, 2])
    with pytest.raises(TypeError, match="int8"):
        KERNELS.contract_ternary(trits(4).astype(np.int16), 1, 2, w)
    with pytest.raises(ValueError, match="entries are not outer"):
        KERNELS.contract_ternary(trits(5), 1, 2, w)
    with pytest.raises(TypeError, match="int8"):
        KERNELS.commit_ternary(POINTS, trits(4).astype(np.int32).reshape(2, 2), w, FIXED)
    with pytest.raises(ValueError, match="fewer than the width"):
        KERNELS.commit_ternary(POINTS[:1], trits(4).reshape(2, 2), w, FIXED)
    with pytest.raises(ValueError, match="one is needed"):
        KERNELS.commit_ternary(POINTS, trits(6).reshape(3, 2), w, FIXED)


@pytest.mark.usefixtures("default_threads")
def test_any_number_of_threads() -> None:
    values, w = trits(64 * 640), KERNELS.from_scalars(weights(64))
    results = []
    for count in (1, 2, 5):
        _engine.set_threads(count)
        folded = KERNELS.contract_ternary(values, 1, 640, w)
        rows = KERNELS.commit_ternary(POINTS[1:], values.reshape(64, 640), w, FIXED)
        results.append((folded.tobytes(), rows.tobytes()))
    assert len(set(results)) == 1
