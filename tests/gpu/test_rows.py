"""What many tensors' commitments and lookups take on the GPU, against the CPU, bit for bit."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.unit.test_guesses import check
from zkcore.field import cuda
from zkcore.field.kernels import MODULUS
from zkcore.field.native import NativeKernels
from zkcore.field.space import NUMPY
from zkcore.polynomial import multilinear

REASON = cuda.missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

HOST = NativeKernels()
TYPES = ["int8", "int16", "int32", "int64"]


@pytest.fixture(scope="module")
def device() -> Iterator[cuda.CudaKernels]:
    yield cuda.load()


@pytest.mark.parametrize("count", [0, 1, 5, 131, 1000])
def test_hash_to_curve(device: cuda.CudaKernels, count: int) -> None:
    args = b"zkcore tests", b"gpu/", 7, count
    np.testing.assert_array_equal(device.to_host(device.hash_to_curve(*args)), HOST.hash_to_curve(*args))


def test_rows_of_many_tensors_are_those_of_each(device: cuda.CudaKernels) -> None:
    """Of several types, widths and magnitudes; an empty one, one of zeros, and extremes of the types."""
    draw, plan = np.random.default_rng(3), random.Random(3)
    bases = HOST.hash_to_curve(b"zkcore tests", b"gpu/", 0, 300)
    tensors: list[Any] = [np.zeros((2, 300), np.int16), np.zeros((0, 8), np.int8)]
    for kind in TYPES:
        info = np.iinfo(kind)
        for rows, width in ((1, 1), (3, 256), (2, 300), (40, 16)):
            values = draw.integers(info.min, info.max, (rows, width), dtype=kind, endpoint=True)
            tensors += [values, (values >> (info.bits // 2)).astype(kind)]
        tensors.append(np.full((1, 9), info.min, dtype=kind))
    ours, theirs = device.fixed_base(bases[:1]), HOST.fixed_base(bases[:1])
    for sums, rows in zip(device.sum_rows(bases, [device.to_device(t) for t in tensors]), tensors, strict=True):
        assert len(sums) == len(rows)
        blinds = [plan.choice([0, 1, MODULUS - 1, plan.randrange(MODULUS)]) for _ in rows]
        expected = HOST.commit_rows(bases, rows, HOST.from_scalars(blinds), theirs)
        np.testing.assert_array_equal(device.blind_rows(sums, blinds, ours), expected)


def test_rows_wider_than_the_generators_are_refused(device: cuda.CudaKernels) -> None:
    bases = HOST.hash_to_curve(b"zkcore tests", b"gpu/", 0, 3)
    with pytest.raises(ValueError, match="number of generators"):
        device.sum_rows(bases, [device.to_device(np.ones((2, 4), np.int8))])


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("size", [1, 130, 1 << 15, 1 << 16, 100_000, 1 << 20, (1 << 23) + 5])
@pytest.mark.parametrize("masked", [False, True])
def test_tallies_of_table_rows(device: cuda.CudaKernels, kind: str, size: int, masked: bool) -> None:
    """Indices on both sides of the table, and the extremes of their type; many of one row."""
    draw, info = np.random.default_rng(5), np.iinfo(kind)
    first = -(size // 3)
    index = np.concatenate(
        [
            np.clip(draw.integers(first - 3, first + size + 3, 300_001), info.min, info.max),
            np.full(70_001, max(first, info.min)),
            np.array([info.min, info.max, first - 1, first + size]).clip(info.min, info.max),
        ]
    ).astype(kind)
    chosen = draw.integers(0, 2, len(index)).astype(np.int8) if masked else None
    here = device.space
    held, mask = here.own(index), None if chosen is None else here.own(chosen)
    np.testing.assert_array_equal(
        here.host(here.tally(held, mask, first, size)), NUMPY.tally(index, chosen, first, size)
    )


@pytest.mark.parametrize("kind", TYPES)
def test_a_form_in_one_pass(device: cuda.CudaKernels, kind: str) -> None:
    check(device.space, kind)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("entries", TYPES)
def test_table_values(device: cuda.CudaKernels, kind: str, entries: str) -> None:
    draw, info = np.random.default_rng(6), np.iinfo(entries)
    table = draw.integers(info.min, info.max, 77, dtype=entries, endpoint=True)
    index = draw.integers(-60, 60, (13, 1, 1001)).astype(kind)
    here = device.space
    made = here.look_up(here.own(table), here.own(index), -38)
    np.testing.assert_array_equal(here.host(made), NUMPY.look_up(table, index, -38))


def test_an_empty_lookup_counts_nothing(device: cuda.CudaKernels) -> None:
    here = device.space
    made = here.host(here.tally(here.own(np.zeros((0, 4), np.int16)), None, 0, 9))
    assert made.tolist() == [0] * 9


@pytest.mark.parametrize("variables", [0, 1, 8, 9, 10, 13, 15])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize(("alike", "common"), [(1, 0), (2, 2), (2, 4), (3, 5), (4, 3), (2, 15)])
def test_sums_of_eq_tables(device: cuda.CudaKernels, variables: int, count: int, alike: int, common: int) -> None:
    """Some of the points begin with the same coordinates."""
    rng, size = random.Random(variables), 1 << variables
    points = [(rng.randrange(MODULUS), tuple(rng.randrange(MODULUS) for _ in range(variables))) for _ in range(count)]
    for k in range(1, min(alike, count)):
        points[k] = points[k][0], points[0][1][:common] + points[k][1][common:]
    chosen = np.random.default_rng(1).integers(0, 2, size).astype(np.int8)
    for mask in (None, chosen):
        held = None if mask is None else device.to_device(mask)
        made = device.to_host(device.eq_sum(points, held))
        np.testing.assert_array_equal(made, multilinear.eq_sum(HOST, points, mask))


DOMAINS = [
    (),
    (1,),
    (5, 3),
    (1, 300, 1, 7),
    (1 << 16,),
    (70_001,),
    (3, 5, 64, 64),
    (5, 13, 90),
    (2, 131_100),
    (4, 33, 64, 64),
]


@pytest.mark.parametrize("shape", DOMAINS)
@pytest.mark.parametrize("size", [1, 5, 16_384, 20_000, 70_000])
@pytest.mark.parametrize("masked", [False, True])
def test_sums_of_eq_by_table_row(device: cuda.CudaKernels, shape: tuple[int, ...], size: int, masked: bool) -> None:
    """Domains of less than a block's chunk and of many, axes with padding and without; rows that are crowded, that no
    cell refers to, and indices on both sides of the table; a mask repeated along the first axis; one to three points,
    the first of them a cell."""
    draw, rng = np.random.default_rng(len(shape) + size), random.Random(size)
    kind, first = (np.int16, -3) if size < 20_000 else (np.int32, 11)
    index = draw.integers(first, first + size, shape)
    crowd = draw.random(shape)
    index = np.where(crowd < 0.3, first + size // 2, np.where(crowd > 0.99, first + size, index))
    index = np.where(crowd > 0.995, first - 1, index).astype(kind)
    mask = np.asarray(draw.integers(0, 2, shape[1:]), np.int8) if masked and shape else None
    flat = np.zeros([1 << (n - 1).bit_length() for n in shape], np.int64)
    chosen = np.zeros(flat.shape, np.int8)
    flat[tuple(map(slice, shape))] = NUMPY.table_rows(index, first, size)
    chosen[tuple(map(slice, shape))] = 1 if mask is None else mask
    variables = flat.size.bit_length() - 1
    points = [[rng.randrange(2) for _ in range(variables)]]
    points += [[rng.randrange(MODULUS) for _ in range(variables)] for _ in range(size % 3)]
    held = None if mask is None else device.to_device(mask).expand(shape)
    made = device.to_host(device.eq_by_row(device.to_device(index), first, size, held, points))
    for point, found in zip(points, made, strict=True):
        weights = HOST.multiply(HOST.eq_table(point), chosen.reshape(-1))
        np.testing.assert_array_equal(found, HOST.scatter_add(flat.reshape(-1), weights, size))


@pytest.mark.parametrize("kind", TYPES)
def test_all_cells_of_one_row(device: cuda.CudaKernels, kind: str) -> None:
    """Their eq values add up to 1; an empty domain has none."""
    low, point = int(np.iinfo(kind).min), [random.Random(1).randrange(MODULUS) for _ in range(18)]
    index = device.to_device(np.full((4, 1 << 16), low + 2, dtype=kind))
    made = device.to_scalars(device.eq_by_row(index, low, 3, None, [point, point]))
    assert made == [0, 0, 1] * 2
    assert device.to_scalars(device.eq_by_row(index[:, :0], 0, 2, None, [[1, 1]])) == [0, 0]


def test_places_that_do_not_fit_are_refused(device: cuda.CudaKernels) -> None:
    index, mask = device.to_device(np.zeros((3, 5), np.int8)), device.to_device(np.ones((3, 1), np.int8))
    with pytest.raises(ValueError, match="number of coordinates"):
        device.eq_by_row(index, 0, 2, None, [[1] * 4])
    with pytest.raises(ValueError, match="no point"):
        device.eq_by_row(index, 0, 2, None, [])
    with pytest.raises(ValueError, match="an entry for each cell"):
        device.eq_by_row(index, 0, 2, mask, [[1] * 5])
