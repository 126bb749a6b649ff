"""Decoder-only transformers: what their families have in common, and in which respects they differ."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from zkcore.config import Listed
from zkcore.errors import ModelError
from zkcore.models.family import Architecture
from zkcore.models.rope import DecimalText, RopeSpec

Biased = Literal["q", "k", "v", "o", "gate", "up", "down", "head"]


class DecoderArchitecture(Architecture):
    """Bounds keep what is built from a stranger's header small; head_dim^2 is the largest table of them all.

    rope: None if positions are learned, and added to the embedding. norm: "rms", or "layer" with mean and bias. gated:
    the MLP is act(gate) * up, else act(up). qk_norm: queries and keys are normalised head by head before they are
    rotated. biases: the projections that have one, those included that stem from the bias of the norm before them."""

    hidden: Annotated[int, Field(ge=1, le=1 << 20)]
    heads: Annotated[int, Field(ge=1, le=1 << 12)]
    kv_heads: Annotated[int, Field(ge=1, le=1 << 12)]
    head_dim: Annotated[int, Field(ge=2, le=1 << 10)]
    ffn: Annotated[int, Field(ge=1, le=1 << 22)]
    activation: str
    epsilon: DecimalText
    tied: bool
    rope: RopeSpec | None
    norm: Literal["rms", "layer"] = "rms"
    gated: bool = True
    qk_norm: bool = False
    biases: Annotated[tuple[Biased, ...], Listed] = ()


def checked(a: DecoderArchitecture) -> DecoderArchitecture:
    problems = []
    if a.heads % a.kv_heads:
        problems.append(f"{a.kv_heads} key-value heads do not divide {a.heads} heads")
    if a.rope and a.head_dim % 2:
        problems.append(f"head_dim {a.head_dim} is odd: rotary positions need pairs")
    if problems:
        raise ModelError(said(problems))
    return a


def said(problems: list[str]) -> str:
    return "\n".join(f"config.json: {p}" for p in problems)
