"""The ternary verbs on the GPU against the same verbs on the CPU, bit for bit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from zkcore import _engine
from zkcore.field import cuda
from zkcore.field.kernels import MODULUS
from zkcore.field.native import NativeKernels

REASON = cuda.missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

HOST = NativeKernels()
SHAPES = [(1, 1, 1), (1, 4099, 1), (3, 33, 5), (2, 7, 257), (65, 12, 1), (1, 1100, 640), (1, 70_001, 3), (2, 0, 3)]
SHAPES += [(80, 640, 1), (3, 40, 72)]  # of those that tensor cores take


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


@pytest.mark.parametrize(("rows", "zeros"), [(4200, 0.0), (4200, 0.4), (7000, 0.97)])
def test_lists_of_many_rows_are_added_in_batches(rows: int, zeros: float) -> None:
    """Large enough for several rounds of halves; sparse rows have short lists of different lengths."""
    device, width = cuda.load(), 4096
    points = HOST.hash_to_curve(b"zkcore-tests", b"ternary", 0, 256)
    bases = np.ascontiguousarray(np.tile(points, (width // 256, 1)))  # equal generators: doublings and cancellations
    draw = np.random.default_rng(rows)
    values = np.where(draw.random((rows, width)) < zeros, 0, trits(rows * width).reshape(rows, width)).astype(np.int8)
    values[7], values[rows - 1, :-1] = 0, 0
    blinds = HOST.from_scalars(list(range(rows)))
    found = device.commit_ternary(bases, values, blinds, device.fixed_base(points[:1]))
    expected = HOST.commit_ternary(bases, values, blinds, HOST.fixed_base(points[:1]))
    np.testing.assert_array_equal(device.to_host(found), expected)


@pytest.mark.parametrize("limit", [None, 1 << 20, 1 << 18, 1 << 10])
def test_subset_sums_are_of_the_generators_that_are_given(limit: int | None) -> None:
    """Kept from call to call, but not for other generators, nor for the same memory with others in it."""
    device, width = cuda.CudaKernels(tree_room=limit), 500
    points = HOST.hash_to_curve(b"zkcore-tests", b"ternary", 0, 1001)
    values, blinds = trits(20 * width).reshape(20, width), HOST.from_scalars(list(range(20)))
    blinder, host_blinder = device.fixed_base(points[:1]), HOST.fixed_base(points[:1])
    held = device.to_device(points[1:501].copy())

    def check(own: NDArray[np.uint64], columns: int) -> None:
        some = np.ascontiguousarray(values[:, :columns])
        found = device.commit_ternary(held[:columns], some, blinds, blinder)
        np.testing.assert_array_equal(device.to_host(found), HOST.commit_rows(own, some, blinds, host_blinder))

    check(points[1:501], width)
    check(points[1:501], 63)
    held.copy_(device.to_device(points[501:1001].copy()))
    check(points[501:1001], width)


@pytest.mark.parametrize("shape", [(1, 256, 640), (128, 640, 1), (3, 33, 5)], ids=str)
def test_a_fold_multiplies_nothing(shape: tuple[int, int, int]) -> None:
    outer, k, inner = shape
    device, values = cuda.load(), trits(outer * k * inner)
    weights = HOST.from_scalars(list(range(k)))
    before = device.counters()
    device.contract_ternary(values, outer, inner, weights)
    after = device.counters()
    assert [after[n] - before[n] for n in ("field_mults", "small_mults")] == [0, 0]
    device.contract(values, outer, inner, weights)
    assert device.counters()["small_mults"] - after["small_mults"] == values.size


def test_a_commitment_doubles_nothing() -> None:
    """A weight takes a fifth of an addition once a key's subset sums are there; rows of integers take doublings."""
    device, rows, width = cuda.load(), 64, 4096
    points = HOST.hash_to_curve(b"zkcore-tests", b"ternary", 0, width + 1)
    values, blinds = trits(rows * width).reshape(rows, width), HOST.from_scalars(list(range(rows)))
    bases, blinder = device.to_device(points[1:]), device.fixed_base(points[:1])

    def counted(work: Callable[[], object]) -> tuple[float, int]:
        before = device.counters()["group_adds"], _engine.group_doublings()
        work()
        return (device.counters()["group_adds"] - before[0]) / values.size, _engine.group_doublings() - before[1]

    first = counted(lambda: device.commit_ternary(bases, values, blinds, blinder))
    again = counted(lambda: device.commit_ternary(bases, values, blinds, blinder))
    assert (first[1], again[1]) == (0, 0)
    assert 0.19 < again[0] < 0.3 < first[0] < 0.7
    adds, doublings = counted(lambda: device.commit_rows(bases, values.astype(np.int16) * 300, blinds, blinder))
    assert adds > 0.6 and doublings > 0


@pytest.mark.parametrize("wrong", [2, -2, 127, -128])
def test_other_entries_are_refused(wrong: int) -> None:
    device, values = cuda.load(), trits(10_000)
    values[7777] = wrong
    with pytest.raises(ValueError, match="not -1, 0 or 1"):
        device.contract_ternary(values, 100, 1, HOST.from_scalars([1] * 100))
    with pytest.raises(ValueError, match="not -1, 0 or 1"):
        device.contract_ternary(values[1:], 9_999, 1, HOST.from_scalars([1]))
