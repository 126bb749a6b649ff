"""The ternary verbs on the GPU against the same verbs on the CPU, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from zkcore.field import cuda
from zkcore.field.kernels import MODULUS
from zkcore.field.native import NativeKernels

REASON = cuda.missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

HOST = NativeKernels()
SHAPES = [(1, 1, 1), (1, 4099, 1), (3, 33, 5), (2, 7, 257), (65, 12, 1), (1, 1100, 640), (1, 70_001, 3), (2, 0, 3)]


def trits(count: int) -> NDArray[np.int8]:
    return np.random.default_rng(count).integers(-1, 2, count, dtype=np.int8)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_contract(shape: tuple[int, int, int]) -> None:
    outer, k, inner = shape
    values, device = trits(outer * k * inner), cuda.load()
    weights = HOST.from_scalars([pow(7, i + 1, MODULUS) for i in range(k)])
    found = device.to_host(device.contract_ternary(values, outer, inner, weights))
    np.testing.assert_array_equal(found, HOST.contract_ternary(values, outer, inner, weights))


@pytest.mark.parametrize("rows", [1, 3, 17, 130, 1000])
@pytest.mark.parametrize("width", [1, 4, 5, 63, 700])
def test_commit(rows: int, width: int) -> None:
    device = cuda.load()
    points = HOST.hash_to_curve(b"zkcore-tests", b"ternary", 0, 701)
    blinds = HOST.from_scalars(list(range(rows)))
    values = trits(rows * width).reshape(rows, width)
    found = device.commit_ternary(points[1:], values, blinds, device.fixed_base(points[:1]))
    expected = HOST.commit_ternary(points[1:], values, blinds, HOST.fixed_base(points[:1]))
    np.testing.assert_array_equal(device.to_host(found), expected)


def test_a_strip_is_not_the_end() -> None:
    """More columns than tables are held for at a time."""
    device, points = cuda.load(), HOST.hash_to_curve(b"zkcore-tests", b"ternary", 0, 1 << 10)
    wide = np.ascontiguousarray(np.tile(points, (61, 1)))
    values, blinds = trits(3 * len(wide)).reshape(3, -1), HOST.from_scalars([1, 2, 3])
    found = device.commit_ternary(wide, values, blinds, device.fixed_base(points[:1]))
    expected = HOST.commit_rows(wide, values, blinds, HOST.fixed_base(points[:1]))
    np.testing.assert_array_equal(device.to_host(found), expected)


@pytest.mark.parametrize("wrong", [2, -2, 127, -128])
def test_other_entries_are_refused(wrong: int) -> None:
    device, values = cuda.load(), trits(10_000)
    values[7777] = wrong
    with pytest.raises(ValueError, match="not -1, 0 or 1"):
        device.contract_ternary(values, 100, 1, HOST.from_scalars([1] * 100))
