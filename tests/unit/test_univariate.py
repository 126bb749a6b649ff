"""Lagrange weights against polynomials written out."""

from __future__ import annotations

import random

import pytest

from zkcore.field.kernels import MODULUS
from zkcore.polynomial.univariate import lagrange, powers


def evaluate(coefficients: list[int], x: int) -> int:
    return sum(c * pow(x, i, MODULUS) for i, c in enumerate(coefficients)) % MODULUS


def points(rng: random.Random, degree: int) -> list[int]:
    return [*range(degree + 2), MODULUS - 1, MODULUS - degree, rng.randrange(MODULUS), rng.randrange(MODULUS)]


@pytest.mark.parametrize("degree", range(8))
def test_weights_interpolate_every_polynomial(degree: int) -> None:
    rng = random.Random(degree)
    for x in points(rng, degree):
        weights = lagrange(degree, x % MODULUS)
        assert len(weights) == degree + 1
        assert all(0 <= w < MODULUS for w in weights)
        for _ in range(3):
            p = [rng.randrange(MODULUS) for _ in range(degree + 1)]
            assert sum(w * evaluate(p, i) for i, w in enumerate(weights)) % MODULUS == evaluate(p, x)


@pytest.mark.parametrize("degree", range(8))
def test_weights_by_their_definition(degree: int) -> None:
    for x in points(random.Random(degree), degree):
        expected = []
        for i in range(degree + 1):
            above = below = 1
            for j in range(degree + 1):
                if j != i:
                    above, below = above * (x - j) % MODULUS, below * (i - j) % MODULUS
            expected.append(above * pow(below, -1, MODULUS) % MODULUS)
        assert lagrange(degree, x % MODULUS) == expected


def test_at_a_node_only_that_value_counts() -> None:
    for degree in range(5):
        for i in range(degree + 1):
            assert lagrange(degree, i) == [int(i == j) for j in range(degree + 1)]


def test_one_more_degree_is_not_interpolated() -> None:
    """x^(d+1) is no polynomial of degree d: a prover cannot smuggle one in."""
    rng = random.Random(5)
    for degree in range(1, 5):
        x = rng.randrange(MODULUS)
        guess = sum(w * pow(i, degree + 1, MODULUS) for i, w in enumerate(lagrange(degree, x))) % MODULUS
        assert guess != pow(x, degree + 1, MODULUS)


def test_powers() -> None:
    for x in (0, 1, 5, MODULUS - 1, 1 << 200):
        assert powers(x, 6) == [pow(x, k, MODULUS) for k in range(6)]
    assert powers(7, 0) == []
