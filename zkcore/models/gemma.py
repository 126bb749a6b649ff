"""Gemma, the first of its name: gains are 1 + w, the embedding is multiplied by sqrt(hidden), the gate is a GELU.

The committed table is the multiplied one; where the head is tied to it, the last gain is divided by as much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from zkcore.models.config_json import Rules, read
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.decoder_family import Decoder
from zkcore.models.llama import LAYOUT

ABSENT = {"hidden_act": "gelu_pytorch_tanh", "tie_word_embeddings": True, "head_dim": 256}


def gemma() -> Decoder:
    layout = replace(LAYOUT, gain_offset=1, scaled_embedding=True)
    return Decoder("gemma", partial(_read, rules=Rules("gemma", absent=ABSENT)), layout)


def _read(config: Mapping[str, Any], rules: Rules) -> DecoderArchitecture:
    """Older files name the activation that counts in a key of its own."""
    own = config.get("hidden_activation")
    return read({**config, "hidden_act": own} if own else config, rules)
