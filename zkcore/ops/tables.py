"""Function tables by integer arithmetic alone: both sides compute them, and the verifier uses no floats.

Fixed point with 192 fraction bits; a power sequence loses less than one unit in 2^190 per step, so an entry could only
be rounded the other way within 2^-160 of a tie.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import cache

import numpy as np

from zkcore.relation import Integers, Table

FRACTION = 192
_ONE = 1 << FRACTION
PI = Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534211706798")
PRECISE = Context(prec=140, rounding=ROUND_HALF_EVEN)  # nothing is taken over from the caller's context


def fixed(value: Decimal) -> int:
    """value * 2^192, rounded down."""
    with localcontext(PRECISE):
        return int((value * _ONE).to_integral_value(rounding="ROUND_FLOOR"))


def powers(base: int, count: int) -> list[int]:
    """1, base, base^2, ... in fixed point."""
    out = [_ONE]
    for _ in range(count - 1):
        out.append(out[-1] * base >> FRACTION)
    return out


def rounded(values: Iterable[int], bits: int) -> list[int]:
    """Fixed-point numbers to `bits` fraction bits, half up."""
    drop = FRACTION - bits
    half = 1 << drop - 1
    return [(v + half) >> drop for v in values]


def _decay(step: Decimal) -> int:
    with localcontext(PRECISE):
        return fixed((-step).exp())


def score_step(log2_scale: int, head_dim: int) -> Decimal:
    """Nats per step of the exp table: 2^log2_scale / sqrt(head_dim)."""
    with localcontext(PRECISE):
        return Decimal(2) ** log2_scale / Decimal(head_dim).sqrt()


@cache
def exp_table(index_bits: int, fraction: int, log2_scale: int, head_dim: int) -> Table:
    """Columns t, round(2^fraction exp(-t step)), [t = 0]. Far entries are 0: the table clips as well."""
    size = 1 << index_bits

    def make() -> list[Integers]:
        sequence = powers(_decay(score_step(log2_scale, head_dim)), size)
        values = np.array(rounded(sequence, fraction), dtype=np.int64)
        index = np.arange(size, dtype=np.int64)
        return [index, values, (index == 0).astype(np.int64)]

    name = f"exp {index_bits} {fraction} {log2_scale} {head_dim}"
    return Table(name, size, ((0, size - 1), (0, 1 << fraction), (0, 1)), make)


def units(value: str, fraction: int) -> int:
    """A positive number in units of 2^-fraction, at least one."""
    with localcontext(PRECISE):
        return max(1, int((Decimal(value) * Decimal(2) ** fraction).to_integral_value()))


@cache
def silu(bits: int, fraction_in: int, fraction_out: int) -> Integers:
    """round(2^out x / (1 + exp(-x))), x = i / 2^in, for all signed `bits`-bit i."""
    decay = powers(_decay(Decimal(2) ** -fraction_in), (1 << bits - 1) + 1)
    return _gated(decay, fraction_in, fraction_out)


@cache
def gelu_tanh(bits: int, fraction_in: int, fraction_out: int) -> Integers:
    """GELU by its tanh formula (Hendrycks, Gimpel 2016), which equals x / (1 + exp(-2 sqrt(2/pi) (x + 0.044715 x^3))),
    rounded as `silu` is.

    The exponent is a cubic in i: each factor's ratio to the next is the next factor's, down to a constant. All are
    below 1, so that after n steps no more than n^3 units of 2^-192 are lost."""
    with localcontext(PRECISE):
        h, scale = Decimal(2) ** -fraction_in, 2 * (2 / PI).sqrt()
        linear, cubic = scale * h, scale * Decimal("0.044715") * h**3
    first, second, third = (_decay(x) for x in (linear + cubic, 6 * cubic, 6 * cubic))
    decay = [_ONE]
    for _ in range(1 << bits - 1):
        decay.append(decay[-1] * first >> FRACTION)
        first, second = first * second >> FRACTION, second * third >> FRACTION
    return _gated(decay, fraction_in, fraction_out)


def _gated(decay: list[int], fraction_in: int, fraction_out: int) -> Integers:
    """round(2^out x / (1 + decay(x))) for x = i / 2^in: decay[|i|] is that of |i|, and its inverse that of -|i|."""
    values, top = [], len(decay) - 1
    for i in range(-top, top):
        e = decay[abs(i)]
        sigmoid_numerator = e if i < 0 else _ONE
        values.append((i * sigmoid_numerator << FRACTION - fraction_in) // (_ONE + e))
    return np.array(rounded(values, fraction_out), dtype=np.int64)
