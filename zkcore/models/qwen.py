"""Qwen2 and 2.5: LLaMA with biases on queries, keys and values. Qwen3: without them, but with normalised queries and
keys. Their windows are used only where `use_sliding_window` says so."""

from __future__ import annotations

from zkcore.models.config_json import Rules
from zkcore.models.decoder_family import Decoder
from zkcore.models.llama import like_llama

WINDOW = {"use_sliding_window": False}


def qwen2() -> Decoder:
    return like_llama(Rules("qwen2", biases=("q", "k", "v"), absent=WINDOW, harmless=("sliding_window",)))


def qwen3() -> Decoder:
    absent = {**WINDOW, "head_dim": 128}
    return like_llama(Rules("qwen3", qk_norm=True, absent=absent, harmless=("sliding_window",)))
