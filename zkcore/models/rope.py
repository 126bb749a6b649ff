"""Rotary position tables by integer arithmetic: default, linear and llama3 scaling, as in transformers."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from zkcore.errors import ModelError
from zkcore.ops.tables import FRACTION, PI, PRECISE, fixed, rounded
from zkcore.relation import Integers

_ONE = 1 << FRACTION


# As Python writes a positive number.
DecimalText = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,17}(\.[0-9]{1,17})?(e[+-][0-9]{1,2})?$")]


class RopeSpec(BaseModel):
    """Decimal strings: the verifier computes the tables and uses no floats."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    type: str = "default"
    theta: DecimalText = "10000"
    factor: DecimalText = "1"
    low_freq_factor: DecimalText = "1"
    high_freq_factor: DecimalText = "4"
    original_max_positions: Annotated[int, Field(ge=0, le=1 << 24)] = 0

    @model_validator(mode="after")
    def _sound(self) -> Self:
        """No angle above 1, no division by zero."""
        if Decimal(self.theta) < 1:
            raise ValueError(f"rope_theta {self.theta} is below 1")
        if Decimal(self.factor) < 1:
            raise ValueError(f"the rope factor {self.factor} is below 1")
        if not 0 < Decimal(self.low_freq_factor) < Decimal(self.high_freq_factor):
            raise ValueError(
                f"rope needs 0 < low_freq_factor < high_freq_factor, not {self.low_freq_factor} and "
                f"{self.high_freq_factor}"
            )
        if self.type == "llama3" and self.original_max_positions < 1:
            raise ValueError("original_max_position_embeddings must be at least 1")
        return self


def frequencies(spec: RopeSpec, head_dim: int) -> list[Decimal]:
    """theta^(-2k/d), scaled. [head_dim / 2]"""
    with localcontext(PRECISE):
        log = Decimal(spec.theta).ln()
        plain = [(-log * 2 * k / head_dim).exp() for k in range(head_dim // 2)]
        if spec.type == "default":
            return plain
        if spec.type == "linear":
            return [f / Decimal(spec.factor) for f in plain]
        if spec.type == "llama3":
            return [_llama3(spec, f) for f in plain]
    raise ModelError(f"rope type {spec.type!r} is not supported; known: default, linear, llama3")


def _llama3(spec: RopeSpec, frequency: Decimal) -> Decimal:
    """Low frequencies are divided by the factor, high ones kept, those between interpolated."""
    low, high = Decimal(spec.low_freq_factor), Decimal(spec.high_freq_factor)
    context = Decimal(spec.original_max_positions)
    length = 2 * PI / frequency
    if length < context / high:
        return frequency
    if length > context / low:
        return frequency / Decimal(spec.factor)
    smooth = (context / length - low) / (high - low)
    return (1 - smooth) * frequency / Decimal(spec.factor) + smooth * frequency


@cache
def tables(spec: RopeSpec, head_dim: int, positions: int, bits: int) -> tuple[Integers, Integers]:
    """cos and sin, [positions, head_dim], `bits` fraction bits; both halves of a head carry the same angles."""
    cos = np.zeros((positions, head_dim // 2), dtype=np.int64)
    sin = np.zeros_like(cos)
    for k, frequency in enumerate(frequencies(spec, head_dim)):
        c, s = _ONE, 0
        step = _cos_sin(fixed(frequency))
        cosines, sines = list[int](), list[int]()
        for _ in range(positions):
            cosines.append(c)
            sines.append(s)
            c, s = (c * step[0] - s * step[1]) >> FRACTION, (s * step[0] + c * step[1]) >> FRACTION
        cos[:, k], sin[:, k] = rounded(cosines, bits), rounded(sines, bits)
    return np.concatenate([cos, cos], axis=1), np.concatenate([sin, sin], axis=1)


def _cos_sin(angle: int) -> tuple[int, int]:
    """Taylor series in fixed point; |angle| is at most about 1."""
    parts, term, n = [0, 0], _ONE, 0
    while term:
        parts[n % 2] += term if n % 4 < 2 else -term
        n += 1
        term = (term * angle >> FRACTION) // n
    return parts[0], parts[1]
