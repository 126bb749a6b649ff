"""Phi-3: LLaMA with one tensor for queries, keys and values, and one for both halves of the gated MLP."""

from __future__ import annotations

from zkcore.models.config_json import Rules
from zkcore.models.decoder_family import Decoder
from zkcore.models.layout import Layout, Stored
from zkcore.models.llama import LAYOUT, NORMS, like_llama

LAYER = (
    *NORMS,
    Stored("self_attn.qkv_proj.weight", ("q", "k", "v")),
    Stored("self_attn.o_proj.weight", ("o",)),
    Stored("mlp.gate_up_proj.weight", ("gate", "up")),
    Stored("mlp.down_proj.weight", ("down",)),
)


def phi3() -> Decoder:
    """The length before a stretched context matters to rope types that are refused."""
    harmless = ("sliding_window", "original_max_position_embeddings")
    return like_llama(Rules("phi3", harmless=harmless), Layout(LAYOUT.embed, LAYOUT.norm, LAYER))
