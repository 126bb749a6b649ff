"""LLaMA, and what differs in settings only: SmolLM2 and TinyLlama call themselves LLaMA, Mistral has a window."""

from __future__ import annotations

from functools import partial

from zkcore.models.config_json import Rules, read
from zkcore.models.decoder_family import Decoder
from zkcore.models.layout import Layout, Stored

ATTENTION = tuple(
    Stored(f"self_attn.{name}_proj.{what}", (part,))
    for name in "qkvo"
    for what, part in (("weight", name), ("bias", f"{name}_bias"))
)
MLP = tuple(Stored(f"mlp.{name}_proj.weight", (name,)) for name in ("gate", "up", "down"))
NORMS = (
    Stored("input_layernorm.weight", ("attention_norm",)),
    Stored("post_attention_layernorm.weight", ("mlp_norm",)),
    Stored("self_attn.q_norm.weight", ("q_gain",)),
    Stored("self_attn.k_norm.weight", ("k_gain",)),
)
LAYOUT = Layout("embed_tokens.weight", "norm", (*NORMS, *ATTENTION, *MLP))


def like_llama(rules: Rules, layout: Layout = LAYOUT) -> Decoder:
    return Decoder(rules.family, partial(read, rules=rules), layout)


def llama() -> Decoder:
    return like_llama(Rules("llama"))


def mistral() -> Decoder:
    return like_llama(Rules("mistral", absent={"sliding_window": 4096}, harmless=("sliding_window",)))
