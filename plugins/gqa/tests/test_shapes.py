"""The published config.json of grouped-query models: read alone, built, counted, and compared with repeated heads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zkcore import config as configuration
from zkcore.commitment.layout import Layout
from zkcore.errors import ModelError
from zkcore.estimation import sources
from zkcore.estimation.run import count
from zkcore.graph.witness import Witness
from zkcore.setup import Setup
from zkcore.testing.toolbox import tools

LLAMA3 = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 128000,
    "eos_token_id": 128001,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "initializer_range": 0.02,
    "intermediate_size": 14336,
    "max_position_embeddings": 8192,
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 500000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.40.0.dev0",
    "use_cache": True,
    "vocab_size": 128256,
}
SCALING = {
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_type": "llama3",
}
LONG = {"mlp_bias": False, "max_position_embeddings": 131072, "rope_scaling": SCALING}
LARGE = {"hidden_size": 8192, "intermediate_size": 28672, "num_attention_heads": 64, "num_hidden_layers": 80}
LLAMA2 = {"vocab_size": 32000, "max_position_embeddings": 4096, "rope_theta": 10000.0, "bos_token_id": 1}
HUGE = {"hidden_size": 16384, "intermediate_size": 53248, "num_attention_heads": 128, "num_hidden_layers": 126}
SMALL = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64}

# name: (config.json, billions of parameters as published, query heads per key head)
MODELS: dict[str, tuple[dict[str, Any], float, int]] = {
    "Llama-2-70B": (LLAMA3 | LARGE | LLAMA2 | {"eos_token_id": 2}, 68.98, 8),
    "Llama-3-8B": (LLAMA3, 8.03, 4),
    "Llama-3-70B": (LLAMA3 | LARGE, 70.55, 8),
    "Llama-3.1-8B": (LLAMA3 | LONG | {"eos_token_id": [128001, 128008, 128009]}, 8.03, 4),
    "Llama-3.1-70B": (LLAMA3 | LARGE | LONG, 70.55, 8),
    "Llama-3.1-405B": (LLAMA3 | HUGE | LONG, 405.85, 16),
    "Llama-3.1-405B, 16 KV heads": (LLAMA3 | HUGE | LONG | {"num_key_value_heads": 16}, 410.08, 8),
    "Llama-3.2-1B": (
        LLAMA3 | LONG | SMALL | {"tie_word_embeddings": True, "rope_scaling": SCALING | {"factor": 32.0}},
        1.236,
        4,
    ),
}
NAMED = pytest.mark.parametrize("name", MODELS)


def config(attention: str = "gqa", **more: object) -> configuration.Config:
    model = {"plugins": ["gqa"] if attention == "gqa" else [], "model": {"attention": {"name": attention}}}
    return configuration.parse({**model, "commitment": {"log_width": 11}, **more}, "test")


def read(directory: Path, name: str, attention: str = "gqa", **changes: object) -> Setup:
    """From a directory in which nothing but config.json is."""
    (directory / "config.json").write_text(json.dumps(MODELS[name][0] | changes))
    return sources.find(str(directory / "config.json"), config(attention), None).setup


def one_layer(setup: Setup) -> Setup:
    return Setup(setup.parts, setup.architecture.model_copy(update={"layers": 1}), setup.quantisation)


@NAMED
def test_a_published_config_is_read_and_its_graph_built(name: str, tmp_path: Path) -> None:
    raw, billions, group = MODELS[name]
    setup = read(tmp_path, name)
    weights = setup.weights()
    gains = (2 * raw["num_hidden_layers"] + 1) * raw["hidden_size"]  # folded into projections: no weights of their own
    own = raw["hidden_size"] if raw["tie_word_embeddings"] else 0
    assert sum(int(np.prod(w.shape)) for w in weights.values()) + gains - own == pytest.approx(billions * 1e9, rel=1e-3)
    heads, keys = raw["num_attention_heads"], raw["num_key_value_heads"]
    head_dim = raw.get("head_dim", raw["hidden_size"] // heads)
    assert weights["layers.0.k"].shape == weights["layers.0.v"].shape == (raw["hidden_size"], keys, head_dim)
    assert heads // keys == group
    assert ("head" in weights) != raw["tie_word_embeddings"]
    assert weights["embed"].shape == (raw["vocab_size"], raw["hidden_size"])
    system = one_layer(setup).system(sources.Source(name, setup, True).sequence(130, 2))
    assert system.tensors["layers.0.k.y"].shape[0] == keys


@NAMED
def test_grouped_heads_are_counted_against_repeated_ones(name: str, tmp_path: Path) -> None:
    """One layer, 256 tokens: committed values, lookups and bytes in rows of 2^11, all counted by the prover's own code.
    In the wide rows that `auto` chooses for such a model, commitments are so few that bytes hardly differ."""
    sequence, counted = None, {}
    for attention in ("gqa", "attention"):
        setup = one_layer(read(tmp_path, name, attention))
        sequence = sources.Source(name, setup, True).sequence(256, 1)
        counted[attention] = count(setup, setup.system(sequence))
    ours, theirs = counted["gqa"], counted["attention"]
    committed = [sum(c.committed.values()) for c in (ours, theirs)]
    for what, mine, other in (
        ("committed values", *committed),
        ("lookups", ours.lookups, theirs.lookups),
        ("bytes", ours.bytes, theirs.bytes),
    ):
        print(f"{name}: {what} {mine:,} against {other:,}, {100 * (1 - mine / other):.1f}% less")
        assert mine < other


def test_llama3_scaling_reaches_the_tables(tmp_path: Path) -> None:
    plain, scaled = (read(tmp_path, n).architecture.model_dump()["rope"] for n in ("Llama-3-8B", "Llama-3.1-8B"))
    assert plain["type"] == "default"
    assert (scaled["type"], scaled["factor"], scaled["original_max_positions"]) == ("llama3", "8.0", 8192)
    assert scaled["theta"] == plain["theta"] == "500000.0"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_key_value_heads": 7}, "7 key-value heads do not divide 32 heads"),
        ({"num_key_value_heads": 64}, "64 key-value heads do not divide 32 heads"),
        ({"num_key_value_heads": 0}, "num_key_value_heads"),
        ({"num_attention_heads": 33, "head_dim": None}, "hidden_size 4096 is no multiple of 33 heads"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 8.0}}, "rope_type 'yarn' is not supported"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "needs low_freq_factor"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_a_config_that_does_not_fit(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(ModelError, match=said.replace("(", r"\(")):
        read(tmp_path, "Llama-3-8B", **changes)


# --- 7 * 2^k and 13 * 2^k ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ffn", [7 << 8, 13 << 8])
def test_weights_are_not_padded_in_memory(ffn: int) -> None:
    """Rows end where the tensor ends; where a row is a part of an axis, they are the array itself."""
    layout = Layout((3, 5, ffn), 8)
    weights = np.arange(15 * ffn, dtype=np.int64).reshape(3, 5, ffn)
    assert np.shares_memory(layout.rows(weights), weights)
    assert layout.rows(weights).shape == (15 * ffn >> 8, 256)


@pytest.mark.parametrize("ffn", [7 << 3, 13 << 3])
def test_a_witness_is_not_padded_in_memory(ffn: int) -> None:
    from zkcore.config import StrategyConfig
    from zkcore.strategy.per_layer import PerLayer
    from zkcore.testing.small_models import SmallLlama
    from zkcore.testing.strategy_suite import PROMPT

    model = SmallLlama(1, 6, 2, attention="gqa", plugins=("gqa",), ffn=ffn)
    system, given = model.prepare(PerLayer(StrategyConfig()), model.answer(PROMPT))
    witness = Witness(system, tools().kernels, given)
    arrays = {t.name: witness.array(t.name) for t in system.tensors.values()}
    wide = [n for n, a in arrays.items() if ffn in system.tensors[n].shape]
    assert {"layers.0.mlp.y", "layers.0.mlp.gate", "layers.0.gate", "layers.0.down"} <= set(wide)
    for name in wide:
        held = arrays[name].shape[: len(system.tensors[name].shape)]
        assert held == system.tensors[name].shape, name
