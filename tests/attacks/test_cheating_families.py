"""Provers that lie about what other families than LLaMA add: everything after the lie follows from it, and exactly the
guard it breaks stops the proof; without that guard it is accepted."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from tests.attacks.test_cheating_prover import (
    LLAMA,
    NUMBERS,
    PROMPT,
    Arrays,
    Case,
    check_rejected_exactly_by,
    in_place_of,
    random_weights,
)
from zkcore.config import StrategyConfig
from zkcore.graph.arrays import Array
from zkcore.graph.model import ModelGraph
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.family import Sequence
from zkcore.models.llama import llama
from zkcore.plugins import build_registry
from zkcore.strategy.per_layer import PerLayer
from zkcore.testing import attacks
from zkcore.testing.attacks import Lies
from zkcore.testing.toolbox import plus, tools

GPT2 = LLAMA.model_copy(
    update={
        "kv_heads": 4,
        "tied": True,
        "rope": None,
        "norm": "layer",
        "gated": False,
        "activation": "gelu_new",
        "biases": ("q", "k", "v", "o", "up", "down", "head"),
    }
)
QWEN3 = LLAMA.model_copy(update={"qk_norm": True})
SCALES = {
    "gpt2": NUMBERS.model_copy(
        update={"activations": {k: v for k, v in NUMBERS.activations.items() if k != "mid"}, "norm": 18}
    ),
    "qwen3": NUMBERS.model_copy(
        update={
            "activations": {**NUMBERS.activations, "q_raw": 5, "k_raw": 5, "q_norm": 5, "k_norm": 5},
            "weights": {**NUMBERS.weights, "q_gain": 5, "k_gain": 5},
        }
    ),
}
SHAPES: dict[str, DecoderArchitecture] = {"gpt2": GPT2, "qwen3": QWEN3}


@cache
def build(family: str, token: int) -> tuple[ModelGraph, System]:
    numbers = SCALES[family]
    graph = llama().graph(SHAPES[family], numbers, build_registry(()), Sequence((*PROMPT, token), len(PROMPT)))
    return graph, PerLayer(StrategyConfig()).expand(graph, numbers.bits.table_bits)


@cache
def weights(family: str) -> Arrays:
    made = random_weights(build(family, 0)[0])
    rng = np.random.default_rng(4)
    for name in made:
        if name.endswith("_bias"):
            made[name] = rng.integers(-500, 500, made[name].shape)
        if name.endswith("_gain"):
            made[name] = rng.integers(24, 40, made[name].shape)
        if name == "positions":
            made[name] = rng.integers(-60, 60, made[name].shape)
    return made


def case(family: str, lies: Lies) -> Case:
    """The statement follows the lie."""
    graph, system = build(family, 0)
    tamper = attacks.lying(attacks.followers(system, graph), lies)
    witness = Witness(system, tools().kernels, attacks.blank(system, weights(family)), tamper)
    answer = int(np.asarray(witness.array(graph.logits.name))[0].argmax())
    graph, system = build(family, answer)
    return Case(system, attacks.blank(system, weights(family)), attacks.lying(attacks.followers(system, graph), lies))


def places_shifted(array: Array, witness: Witness) -> Array:
    """Every token where its neighbour stands."""
    return np.roll(array, 1, axis=1)


def mean_forgotten(array: Array, witness: Witness) -> Array:
    return GPT2.hidden * witness.array("layers.0.attention_residual.y")


def other_heads_bias(array: Array, witness: Witness) -> Array:
    return np.roll(array, 1, axis=0)


LIES: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "inverse root one too large": (
        "gpt2",
        {"layers.0.attention_in.inverse": plus(1)},
        {"layers.0.attention_in.inverse.low.0"},
    ),
    "inverse root one too small": (
        "gpt2",
        {"layers.1.mlp_in.inverse": plus(-1)},
        {"layers.1.mlp_in.inverse.high.0"},
    ),
    "no mean": ("gpt2", {"layers.0.mlp_in.centred": mean_forgotten}, {"layers.0.mlp_in.centred"}),
    "another mean": ("gpt2", {"final.repeated": plus(1)}, {"final.repeated"}),
    "another variance": ("gpt2", {"layers.0.attention_in.n": plus(7)}, {"layers.0.attention_in.n"}),
    "another sum": ("gpt2", {"layers.0.attention_in.total": plus(1)}, {"layers.0.attention_in.total"}),
    "no bias": ("gpt2", {"layers.1.q_biased.y": in_place_of("layers.1.q_acc.y")}, {"layers.1.q_biased.y"}),
    "another head's bias": ("gpt2", {"layers.0.v_biased.repeated": other_heads_bias}, {"layers.0.v_biased.repeated"}),
    "no bias of the logits": ("gpt2", {"head_biased.y": in_place_of("head_acc.y")}, {"head_biased.y"}),
    "another index": ("gpt2", {"layers.0.mlp.index": plus(1)}, {"layers.0.mlp.index.rest.0"}),
    "another function value": ("gpt2", {"layers.1.mlp.y": plus(1)}, {"layers.1.mlp.table"}),
    "shifted positions": ("gpt2", {"position.y": places_shifted}, {"position.y"}),
    "no positions": ("gpt2", {"positioned.y": in_place_of("embedding.y")}, {"positioned.y"}),
    "another query's norm": ("qwen3", {"layers.0.q_norm.inverse": plus(1)}, {"layers.0.q_norm.inverse.low.0"}),
    "another key, normalised": ("qwen3", {"layers.1.k_norm.y": plus(1)}, {"layers.1.k_norm.y.rest.0"}),
    "another key": ("qwen3", {"layers.0.k_raw.y": plus(-1)}, {"layers.0.k_raw.y.rest.0"}),
    "no gain": (
        "qwen3",
        {
            "layers.0.q_norm.acc": lambda a, w: (
                32 * w.array("layers.0.q_raw.y") * w.array("layers.0.q_norm.inverse")[..., None]
            )
        },
        {"layers.0.q_norm.acc"},
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_lie_is_stopped_by_its_guard_alone(name: str) -> None:
    family, lies, guards = LIES[name]
    check_rejected_exactly_by(case(family, lies), guards)


@pytest.mark.parametrize("family", SHAPES)
def test_without_a_lie_nothing_stops_it(family: str) -> None:
    from zkcore.testing.toolbox import CLEAR, HIDING

    for setup in (CLEAR, HIDING):
        assert case(family, {}).outcome(setup) == (set(), "")
