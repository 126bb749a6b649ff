"""Points, eq and the extensions of indicators, against sums over the whole hypercube."""

from __future__ import annotations

import random
from itertools import product
from math import prod

import numpy as np
import pytest

from zkcore.field.kernels import MODULUS
from zkcore.polynomial.point import (
    box,
    counting,
    eq,
    eq_at_indices,
    index_point,
    join,
    less_than,
    num_vars,
    padded,
    paired_box,
    paired_less_than,
    split,
    total_vars,
)

SIZES = [(n, size) for n in range(5) for size in range((1 << n) + 3)]


def random_point(rng: random.Random, n: int) -> tuple[int, ...]:
    return tuple(rng.choice([0, 1, MODULUS - 1, rng.randrange(MODULUS)]) for _ in range(n))


def weights(point: tuple[int, ...]) -> list[int]:
    """eq(point, x) for x = 0, 1, ..., by its definition."""
    n = len(point)
    return [prod(r if x >> (n - 1 - i) & 1 else 1 - r for i, r in enumerate(point)) % MODULUS for x in range(1 << n)]


@pytest.mark.parametrize("n", range(5))
def test_eq(n: int) -> None:
    rng = random.Random(n)
    for _ in range(5):
        x, y = random_point(rng, n), random_point(rng, n)
        assert eq(x, y) == eq(y, x) == sum(a * b for a, b in zip(weights(x), weights(y), strict=True)) % MODULUS
        assert [eq(x, index_point(i, n)) for i in range(1 << n)] == weights(x)


def test_eq_at_indices() -> None:
    point = random_point(random.Random(2), 6)
    at = eq_at_indices(point)
    for k in range(7):
        assert [at(i, k) for i in range(1 << k)] == [eq(index_point(i, k), point[:k]) for i in range(1 << k)]


def test_eq_refuses_points_of_two_lengths() -> None:
    with pytest.raises(ValueError, match="zip"):
        eq((1, 2), (1,))


def test_the_first_coordinate_is_the_most_significant_bit() -> None:
    assert index_point(6, 4) == (0, 1, 1, 0)
    assert [index_point(i, 2) for i in range(4)] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert index_point(0, 0) == ()


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_less_than(n: int, size: int) -> None:
    rng = random.Random(100 * n + size)
    for point in [random_point(rng, n), random_point(rng, n), *(index_point(i, n) for i in range(1 << n))]:
        assert less_than(point, size) == sum(weights(point)[:size]) % MODULUS


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_counting(n: int, size: int) -> None:
    rng = random.Random(size)
    for _ in range(4):
        point = random_point(rng, n)
        assert counting(point, size) == sum(z * w for z, w in enumerate(weights(point)[:size])) % MODULUS


@pytest.mark.parametrize(("n", "size"), SIZES)
def test_paired_less_than(n: int, size: int) -> None:
    rng = random.Random(100 * n + size)
    for _ in range(3):
        x, y = random_point(rng, n), random_point(rng, n)
        expected = sum(a * b for a, b in zip(weights(x)[:size], weights(y)[:size], strict=True)) % MODULUS
        assert paired_less_than(x, y, size) == expected


@pytest.mark.parametrize("shape", [(), (1,), (3,), (4,), (2, 3), (5, 1, 3), (3, 2, 4)])
def test_boxes(shape: tuple[int, ...]) -> None:
    rng = random.Random(len(shape))
    x, y = ([random_point(rng, num_vars(n)) for n in shape] for _ in range(2))
    cells = list(product(*map(range, shape)))
    at_x, at_y = ([prod(weights(p)[i] for p, i in zip(z, cell, strict=True)) for cell in cells] for z in (x, y))
    assert box(x, shape) == sum(at_x) % MODULUS
    assert paired_box(x, y, shape) == sum(a * b for a, b in zip(at_x, at_y, strict=True)) % MODULUS


def test_boxes_refuse_a_missing_axis() -> None:
    for call in (lambda: box([(1,)], (2, 2)), lambda: paired_box([(1,)], [(1,)], (2, 2))):
        with pytest.raises(ValueError, match="zip"):
            call()


@pytest.mark.parametrize("size", range(1, 20))
def test_num_vars(size: int) -> None:
    assert 1 << num_vars(size) >= size > (1 << num_vars(size)) // 2
    assert padded((size, 1)) == (1 << num_vars(size), 1)


def test_split_and_join() -> None:
    rng = random.Random(0)
    for shape in [(), (1,), (5,), (1, 4, 1, 3), (2, 2, 2)]:
        point = random_point(rng, total_vars(shape))
        parts = split(point, shape)
        assert join(parts) == point
        assert [len(p) for p in parts] == [num_vars(n) for n in shape]
    for wrong in (0, 2, 4):
        with pytest.raises(ValueError, match="coordinates"):
            split((0,) * wrong, (5,))


def test_a_flat_index_is_row_major() -> None:
    """The point of a cell is the join of its axes' points, each axis padded."""
    shape = (3, 5, 2)
    flat = np.arange(prod(padded(shape))).reshape(padded(shape))
    for cell in product(*map(range, shape)):
        parts = [index_point(i, num_vars(n)) for i, n in zip(cell, shape, strict=True)]
        assert join(parts) == index_point(int(flat[cell]), total_vars(shape))
