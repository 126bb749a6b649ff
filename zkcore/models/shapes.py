"""Well-known models by name: their public config.json values, for estimates without a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _llama(hidden: int, ffn: int, layers: int, heads: tuple[int, int], **rest: Any) -> dict[str, Any]:
    """`heads`: of queries, and of keys and values."""
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads[0],
        "num_key_value_heads": heads[1],
        "vocab_size": 32000,
        "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        **rest,
    }


_LLAMA_3: dict[str, Any] = {"vocab_size": 128256, "max_position_embeddings": 8192, "rope_theta": 500000.0}
_LLAMA_3_LONG: dict[str, Any] = {
    **_LLAMA_3,
    "max_position_embeddings": 131072,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    },
}

_QWEN: dict[str, Any] = {"max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1000000.0}
_GEMMA: dict[str, Any] = {
    "model_type": "gemma",
    "vocab_size": 256000,
    "max_position_embeddings": 8192,
    "head_dim": 256,
    "rms_norm_eps": 1e-6,
}

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "llama-2-7b": _llama(4096, 11008, 32, (32, 32)),
    "llama-2-13b": _llama(5120, 13824, 40, (40, 40)),
    "llama-2-70b": _llama(8192, 28672, 80, (64, 8)),
    "llama-3-8b": _llama(4096, 14336, 32, (32, 8), **_LLAMA_3),
    "llama-3-70b": _llama(8192, 28672, 80, (64, 8), **_LLAMA_3),
    "llama-3-405b": _llama(16384, 53248, 126, (128, 8), **_LLAMA_3_LONG),
    "smollm2-135m": _llama(
        576, 1536, 30, (9, 3), vocab_size=49152, max_position_embeddings=8192, rope_theta=1e5, tie_word_embeddings=True
    ),
    "tinyllama-1.1b": _llama(2048, 5632, 22, (32, 4), max_position_embeddings=2048),
    "mistral-7b": _llama(
        4096,
        14336,
        32,
        (32, 8),
        model_type="mistral",
        vocab_size=32768,
        max_position_embeddings=32768,
        rope_theta=1e6,
        sliding_window=None,
    ),
    "qwen2.5-0.5b": _llama(
        896, 4864, 24, (14, 2), model_type="qwen2", vocab_size=151936, tie_word_embeddings=True, **_QWEN
    ),
    "qwen2.5-7b": _llama(3584, 18944, 28, (28, 4), model_type="qwen2", vocab_size=152064, **_QWEN),
    "qwen3-0.6b": _llama(
        1024, 3072, 28, (16, 8), model_type="qwen3", vocab_size=151936, tie_word_embeddings=True, head_dim=128, **_QWEN
    ),
    "qwen3-8b": _llama(4096, 12288, 36, (32, 8), model_type="qwen3", vocab_size=151936, head_dim=128, **_QWEN),
    "phi-3-mini": _llama(3072, 8192, 32, (32, 32), model_type="phi3", vocab_size=32064, sliding_window=2047),
    "gemma-2b": _llama(2048, 16384, 18, (8, 1), **_GEMMA),
    "gemma-7b": _llama(3072, 24576, 28, (16, 16), **_GEMMA),
    "gpt2": {
        "model_type": "gpt2",
        "n_embd": 768,
        "n_layer": 12,
        "n_head": 12,
        "n_positions": 1024,
        "vocab_size": 50257,
    },
}
