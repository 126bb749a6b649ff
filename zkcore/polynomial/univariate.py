"""Univariate polynomials given by their values at 0, 1, ..., d."""

from __future__ import annotations

from functools import cache
from math import factorial

from zkcore.field.kernels import MODULUS


@cache
def _barycentric(degree: int) -> tuple[int, ...]:
    """1 / prod_{j != i} (i - j) for i = 0..degree."""
    return tuple(
        pow((-1) ** (degree - i) * factorial(i) * factorial(degree - i), -1, MODULUS) for i in range(degree + 1)
    )


def lagrange(degree: int, x: int) -> list[int]:
    """The weights of the values at 0..degree in the value at x, without an inversion. Degrees are small: reducing the
    factors would take longer than it saves."""
    above = [1] * (degree + 1)
    for i in range(degree, 0, -1):
        above[i - 1] = above[i] * (x - i)
    out, below = list[int](), 1
    for i, w in enumerate(_barycentric(degree)):
        out.append(w * below * above[i] % MODULUS)
        below *= x - i
    return out


def powers(x: int, count: int) -> list[int]:
    """1, x, x^2, ..."""
    out, power = list[int](), 1
    for _ in range(count):
        out.append(power)
        power = power * x % MODULUS
    return out
