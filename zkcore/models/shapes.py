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

SHAPES: Mapping[str, Mapping[str, Any]] = {
    "llama-2-7b": _llama(4096, 11008, 32, (32, 32)),
    "llama-2-13b": _llama(5120, 13824, 40, (40, 40)),
    "llama-2-70b": _llama(8192, 28672, 80, (64, 8)),
    "llama-3-8b": _llama(4096, 14336, 32, (32, 8), **_LLAMA_3),
    "llama-3-70b": _llama(8192, 28672, 80, (64, 8), **_LLAMA_3),
    "llama-3-405b": _llama(16384, 53248, 126, (128, 8), **_LLAMA_3_LONG),
}
