"""GELU's table: gelu(x) = x Phi(x), Phi the normal distribution function, by integer arithmetic alone.

    Phi(-x) = 1/2 - phi(x) (x + x^3/3 + x^5/(3*5) + x^7/(3*5*7) + ...),   phi(x) = exp(-x^2/2) / sqrt(2 pi)

All terms are positive, so nothing cancels inside the sum. In fixed point with 192 fraction bits a tail is right to
about 2^-96: an entry could only be rounded the other way within 2^-80 of a tie.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from zkcore.relation import Integers

FRACTION = 192
PRECISION = 96  # bits of a tail that count
ONE = 1 << FRACTION
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")


@cache
def gelu(bits: int, fraction_in: int, fraction_out: int) -> Integers:
    """round(2^out gelu(i / 2^in)), half up, for all signed `bits`-bit i."""
    top = 1 << bits - 1
    tails = [ONE // 2, *(lower_tail(i, fraction_in, phi) for i, phi in density(top, fraction_in))]
    drop = FRACTION + fraction_in - fraction_out
    products = [i * tails[-i] for i in range(-top, 0)] + [i * (ONE - tails[i]) for i in range(top)]
    return np.array([(p + (1 << drop - 1)) >> drop for p in products], dtype=np.int64)


def density(count: int, fraction: int) -> Iterator[tuple[int, int]]:
    """(i, phi(i h)) for i = 1 .. count and h = 2^-fraction: with g = exp(-h^2/2), phi(i h) = phi(0) g^(i^2)."""
    with localcontext() as c:
        c.prec = 80
        step = int((-(Decimal(2) ** (-2 * fraction)) / 2).exp() * ONE)
        phi = int(ONE / (2 * PI).sqrt())
    ratio, square = step, step * step >> FRACTION
    for i in range(1, count + 1):
        phi, ratio = phi * ratio >> FRACTION, ratio * square >> FRACTION
        yield i, phi


def lower_tail(i: int, fraction: int, phi: int) -> int:
    """Phi(-x), x = i / 2^fraction; 0 from where it is below 2^-96."""
    if phi >> FRACTION - PRECISION == 0:
        return 0
    term = total = x = i << FRACTION - fraction
    square, odd = x * x >> FRACTION, 1
    while phi * term >> FRACTION + PRECISION:
        odd += 2
        term = (term * square >> FRACTION) // odd
        total += term
    return ONE // 2 - (phi * total >> FRACTION)
