"""Fixed point: every tensor kind has its fraction bits, the same in all layers (so that layers can be folded)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from zkcore.config import Config, ModelConfig
from zkcore.errors import ModelError

MOST = 128  # fraction bits: nothing that is built from a stranger's header may grow without bound
Fraction = Annotated[int, Field(ge=-MOST, le=MOST)]
Bits = Annotated[int, Field(ge=1, le=MOST)]


class Quantisation(BaseModel):
    """Public and part of the statement. `activations`, `weights`: fraction bits by kind."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    bits: ModelConfig
    hidden: Fraction
    activations: dict[str, Fraction]
    weights: dict[str, Fraction]
    norm: Bits  # k of the inverse root
    epsilon: Annotated[int, Field(ge=1, le=1 << MOST)]  # in units of 4^-hidden
    index_bits: Annotated[int, Field(ge=1, le=18)]
    escale: Bits
    reciprocal: Bits


def fraction(bits: int, largest: float, headroom: int = 0) -> int:
    """Fraction bits so that |x| <= largest * 2^headroom is a signed `bits`-bit integer."""
    if largest <= 0:
        return bits - 1
    return bits - 1 - headroom - (math.floor(math.log2(largest * (1 + 2.0 ** (1 - bits)))) + 1)


def choose(
    config: Config, architecture: BaseModel, activations: Mapping[str, float], weights: Mapping[str, float]
) -> Quantisation:
    """From the largest magnitudes seen. `activations` has "hidden", "hidden_rms", "score_spread" (nats), "logits" and
    the kinds that are requantised; `weights` the largest weight of each kind (the embedding lives at the hidden
    scale). `architecture`: a family's, with `head_dim`, `max_positions` and, if its norms have one, `epsilon`."""
    bits, room, shape = config.model, config.calibration.headroom_bits, architecture.model_dump()
    head_dim, max_positions = int(shape["head_dim"]), int(shape["max_positions"])
    epsilon = float(shape.get("epsilon", "1e-5"))
    own = ("hidden", "hidden_rms", "score_spread", "logits")
    hidden = min(
        fraction(bits.hidden_bits, activations["hidden"], room), fraction(bits.hidden_bits, weights["embedding"])
    )
    chosen = {k: fraction(bits.activation_bits, v, room) for k, v in activations.items() if k not in own}
    if "logits" in activations:  # two of them differ by twice the largest at most
        head = fraction(bits.weight_bits, weights["head"]) if "head" in weights else hidden
        chosen["final"] = min(chosen["final"], fraction(bits.logit_bits, activations["logits"], room) - head)
    half = (head_dim.bit_length() - 1) // 2
    spare = max(0, chosen["q"] + chosen["k"] + half - bits.attention.step_bits - bits.table_bits)
    chosen["q"], chosen["k"] = chosen["q"] - (spare + 1) // 2, chosen["k"] - spare // 2
    escale = chosen["q"] + chosen["k"] + half - bits.attention.step_bits
    if escale < 1:
        raise ModelError("scores have too few fraction bits for the exp table; lower model.attention.step_bits")
    return Quantisation(
        bits=bits,
        hidden=hidden,
        activations=chosen,
        weights={k: fraction(bits.weight_bits, v) for k, v in weights.items() if k != "embedding"},
        norm=max(1, math.ceil(math.log2(max(activations["hidden_rms"], 2.0**-hidden))) + hidden + 14),
        epsilon=max(1, round(epsilon * 4.0**hidden)),
        index_bits=_index_bits(bits, activations["score_spread"]),
        escale=escale,
        reciprocal=bits.attention.exp_fraction + max_positions.bit_length() + 12,
    )


def _index_bits(bits: ModelConfig, spread: float) -> int:
    if bits.attention.index_bits != "auto":
        return bits.attention.index_bits
    steps = max(spread, 8.0) * 2**bits.attention.step_bits * 4  # twice what was seen, and a step may be half as wide
    return min(max(8, math.ceil(math.log2(steps))), bits.table_bits)


def to_come(bits: ModelConfig) -> Quantisation:
    """For graphs whose numbers nobody reads: before calibration."""
    zeros: Mapping[str, int] = defaultdict(int)
    return Quantisation.model_construct(
        bits=bits,
        hidden=0,
        activations=zeros,
        weights=zeros,
        norm=1,
        epsilon=1,
        index_bits=8,
        escale=1,
        reciprocal=32,
    )
