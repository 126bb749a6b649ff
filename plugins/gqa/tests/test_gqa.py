"""Grouped-query attention as one relation: the same tokens as with repeated KV heads, for less."""

from __future__ import annotations

import numpy as np
import pytest
from zkcore_folding.strategy import Folding

from zkcore.config import StrategyConfig
from zkcore.graph.arrays import Array
from zkcore.graph.witness import Witness
from zkcore.strategy.per_layer import PerLayer
from zkcore.testing.small_models import SmallLlama
from zkcore.testing.strategy_suite import PROMPT, check_strategy
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Lie,
    commit_weights,
    prove_system,
    rejection,
    verify_system,
)

RATIOS = {"64/8": (16, 2), "32/8": (8, 2), "128/8": (16, 1), "MQA": (6, 1), "6/2": (6, 2), "MHA": (3, 3)}


def arms(heads: int, kv_heads: int) -> tuple[SmallLlama, SmallLlama]:
    grouped = SmallLlama(2, heads, kv_heads, attention="gqa", plugins=("gqa",))
    return grouped, SmallLlama(2, heads, kv_heads)


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_same_tokens_for_less(ratio: str) -> None:
    grouped, repeated = arms(*RATIOS[ratio])
    answer = grouped.answer(PROMPT, 2)
    assert answer == repeated.answer(PROMPT, 2)
    (system, given), (other, _) = (m.prepare(PerLayer(StrategyConfig()), answer) for m in (grouped, repeated))
    weights = commit_weights(system, given, CLEAR)
    verify_system(system, prove_system(system, given, CLEAR, weights=weights), CLEAR, weights=weights)
    if grouped.heads != grouped.kv_heads:
        assert system.committed_values() < other.committed_values()
        assert system.lookups() < other.lookups()


def test_one_claim_on_k_serves_the_whole_group() -> None:
    grouped, _ = arms(6, 2)
    system, _ = grouped.prepare(PerLayer(StrategyConfig()), grouped.answer(PROMPT))
    assert system.tensors["layers.0.k.y"].shape[0] == 2
    readers = [r.name for r in system.relations if "layers.0.attention.k_tiles" in r.outs]
    assert readers == ["layers.0.attention.k_tiles"]


def swapped_heads(name: str) -> dict[str, Lie]:
    def lie(array: Array, witness: Witness) -> Array:
        return np.ascontiguousarray(array[::-1])

    return {name: lie}


@pytest.mark.parametrize("tensor", ["attention.k_tiles", "attention.v_tiles", "attention.scores", "attention.mix"])
def test_swapped_heads_and_wrong_groups_are_rejected(tensor: str) -> None:
    """Another KV head's keys, values, scores or mixture: the group map is the relation's own wiring."""
    grouped, _ = arms(6, 2)
    system, given = grouped.prepare(PerLayer(StrategyConfig()), grouped.answer(PROMPT))
    for setup in (CLEAR, HIDING):
        attacker, weights = Attacker(), commit_weights(system, given, setup)
        tamper = swapped_heads(f"layers.0.{tensor}")
        proof = prove_system(system, given, setup, weights=weights, tamper=tamper, channel=attacker)
        assert attacker.guards and rejection(system, proof, setup, weights=weights)
        if setup is CLEAR:
            assert f"layers.0.{tensor}" in attacker.guards


def test_folded_and_grouped() -> None:
    grouped, _ = arms(6, 2)
    check_strategy(Folding(StrategyConfig()), "layers.mlp_residual.y", grouped)
