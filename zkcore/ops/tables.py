"""Function tables by integer arithmetic alone: both sides compute them, and the verifier uses no floats.

Fixed point with 192 fraction bits; a power sequence loses less than one unit in 2^190 per step, so an entry could only
be rounded the other way within 2^-160 of a tie.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext
from functools import cache

import numpy as np

from zkcore.relation import Integers, Table

FRACTION = 192
_ONE = 1 << FRACTION
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


def rounded(value: int, bits: int) -> int:
    """A fixed-point number to `bits` fraction bits, half up."""
    drop = FRACTION - bits
    return (value + (1 << drop - 1)) >> drop


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
        values = np.array([rounded(v, fraction) for v in sequence], dtype=np.int64)
        index = np.arange(size, dtype=np.int64)
        return [index, values, (index == 0).astype(np.int64)]

    name = f"exp {index_bits} {fraction} {log2_scale} {head_dim}"
    return Table(name, size, ((0, size - 1), (0, 1 << fraction), (0, 1)), make)


@cache
def silu(bits: int, fraction_in: int, fraction_out: int) -> Integers:
    """round(2^out x / (1 + exp(-x))), x = i / 2^in, for all signed `bits`-bit i."""
    top = 1 << bits - 1
    decay = powers(_decay(Decimal(2) ** -fraction_in), top + 1)
    values = []
    for i in range(-top, top):
        e = decay[abs(i)]
        sigmoid_numerator = e if i < 0 else _ONE
        values.append(rounded((i * sigmoid_numerator << FRACTION - fraction_in) // (_ONE + e), fraction_out))
    return np.array(values, dtype=np.int64)
