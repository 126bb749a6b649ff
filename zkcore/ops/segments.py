"""The segments of a shifted score, their tables, and how far their product is from exp (zkLLM, section 6).

    x = sum_k B_k x_k,   0 <= x_k < b_k,   B_k = prod_{i < k} b_i,   exp(-x unit) ~ prod_k table_k[x_k] / theta_k

The `low` least significant segments count as exp = 1, the `high` most significant ones as 0 unless they are 0, those
between have tables round(theta_k exp(-B_k x_k unit)). `unit` is one score step in nats: 2^-fraction / sqrt(head_dim).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from zkcore.config import ZkAttentionConfig
from zkcore.ops.tables import exp_table
from zkcore.relation import Integers, Table


@dataclass(frozen=True)
class Segments:
    """`bits`: log2 of the bases, least significant first. `theta`: fraction bits of the middle tables. `fraction`:
    fraction bits of a score before its division by sqrt(head_dim)."""

    bits: tuple[int, ...]
    low: int
    high: int
    theta: tuple[int, ...]
    fraction: int
    head_dim: int

    @staticmethod
    def of(config: ZkAttentionConfig, fraction: int, head_dim: int) -> Segments:
        """A first segment of "auto" bits holds what is below 2^-step_bits nats."""
        first, *rest = config.segment_bits
        below = fraction + (head_dim.bit_length() - 1) // 2 - config.step_bits
        sizes = (max(0, below) if first == "auto" else first, *(b for b in rest if b != "auto"))
        return Segments(sizes, config.low, config.high, config.theta_bits, fraction, head_dim)

    @property
    def middle(self) -> range:
        return range(self.low, len(self.bits) - self.high)

    @property
    def indexed(self) -> range:
        """Those with a table: middle and high."""
        return range(self.low, len(self.bits))

    @property
    def cut(self) -> int:
        """log2 B_L: what lies below is only range-checked."""
        return self.offset(self.low)

    @property
    def weight_bits(self) -> int:
        """log2 of theta, the product of the middle tables' scales."""
        return sum(self.theta)

    def offset(self, k: int) -> int:
        """log2 B_k."""
        return sum(self.bits[:k])

    def table(self, k: int) -> Table:
        """Columns x_k, the factor (scaled by theta_k), [x_k = 0]; for a high segment the last two are one."""
        if k in self.middle:
            theta = self.theta[k - self.low]
            return exp_table(self.bits[k], theta, self.offset(k) - self.fraction, self.head_dim)
        return zero_table(self.bits[k])

    def nats(self, log_steps: float) -> float:
        """2^log_steps score steps."""
        return float(2 ** (log_steps - self.fraction) / math.sqrt(self.head_dim))


@cache
def zero_table(bits: int) -> Table:
    """Columns x, [x = 0]."""
    size = 1 << bits

    def make() -> list[Integers]:
        index = np.arange(size, dtype=np.int64)
        return [index, (index == 0).astype(np.int64)]

    return Table(f"zero {bits}", size, ((0, size - 1), (0, 1)), make)


@dataclass(frozen=True)
class ErrorBound:
    """Of a row of attention weights, in the L1 norm. `published`: the paper's formula (without its tolerance on the row
    sum: there is none here). `built`: for this op, every table's own rounding included; at most 2 by nature."""

    published: float
    built: float


def error_bound(segments: Segments, keys: int) -> ErrorBound:
    """Over rows of `keys` scores; for reports, never for proofs."""
    return ErrorBound(_published(segments, keys), min(2.0, 2 * _built(segments, keys)))


def _published(s: Segments, keys: int) -> float:
    """C e^(unit / 2) + (h - 1) e^-b,  C = e^(unit B_L) + e^b / (2 theta) - 1: weights above e^-b are off by the factor
    C, those below count as 0. b is where both terms are alike, or where the high segments begin if that is before."""
    theta = 2.0**s.weight_bits
    b = (math.log(2 * keys) + math.log(theta)) / 2
    if s.high:
        b = min(b, s.nats(s.offset(len(s.bits) - s.high)))
    factor = math.exp(s.nats(s.cut)) + math.exp(b) / (2 * theta) - 1
    return factor * math.exp(s.nats(0) / 2) + (keys - 1) * math.exp(-b)


def _built(s: Segments, keys: int) -> float:
    """sum |w' - w| / sum w over a row whose largest weight is 1, up to half a step of B_L. Normalising may double it.

    A table whose entries stay above 1/2 is off by a factor, at most 1 + 1 / (2 theta_k min_k); another one by at most
    1 / (2 theta_k) in absolute terms, as is what the high segments cut."""
    half = math.exp(s.nats(s.cut) / 2)
    factor, absolute = half, 0.0
    for k, theta in zip(s.middle, s.theta, strict=True):
        least = math.exp(-min(700.0, s.nats(s.offset(k)) * ((1 << s.bits[k]) - 1)))
        if least > 0.5:
            factor *= 1 + 2.0**-theta / (2 * least)
        else:
            absolute += 2.0**-theta / 2
    if s.high:
        absolute += math.exp(-min(700.0, s.nats(s.offset(len(s.bits) - s.high))))
    return factor - 1 + (keys - 1) * absolute * factor * half
