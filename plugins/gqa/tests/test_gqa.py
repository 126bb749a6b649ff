"""Grouped-query attention as one relation: the same tokens as with repeated KV heads, for less."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from zkcore_folding.strategy import Folding

from zkcore.config import StrategyConfig
from zkcore.graph.arrays import Array
from zkcore.graph.witness import Witness
from zkcore.strategy.per_layer import PerLayer
from zkcore.testing.attacks import blank, followers, lying
from zkcore.testing.small_models import SmallLlama
from zkcore.testing.strategy_suite import PROMPT, check_strategy
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Lie,
    commit_weights,
    proof_size,
    prove_system,
    rejection,
    tools,
    verify_system,
)

RATIOS = {"64/8": (16, 2), "32/8": (8, 2), "128/8": (32, 2), "MQA": (6, 1), "6/2": (6, 2), "MHA": (3, 3)}


def arms(heads: int, kv_heads: int) -> tuple[SmallLlama, SmallLlama]:
    grouped = SmallLlama(2, heads, kv_heads, attention="gqa", plugins=("gqa",))
    return grouped, SmallLlama(2, heads, kv_heads)


@pytest.mark.parametrize("ratio", RATIOS)
def test_the_same_tokens_for_less(ratio: str) -> None:
    grouped, repeated = arms(*RATIOS[ratio])
    answer = grouped.answer(PROMPT, 2)
    assert answer == repeated.answer(PROMPT, 2)
    counts = []
    for model in (grouped, repeated):
        system, given = model.prepare(PerLayer(StrategyConfig()), answer)
        weights = commit_weights(system, given, CLEAR)
        before = tools().kernels.counters()
        proof = prove_system(system, given, CLEAR, weights=weights)
        work = {k: n - before[k] for k, n in tools().kernels.counters().items()}
        verify_system(system, proof, CLEAR, weights=weights)
        bytes_ = proof_size(system, HIDING, weights=commit_weights(system, given, HIDING))
        counts.append({"values": system.committed_values(), "lookups": system.lookups(), "bytes": bytes_, **work})
    for what in ("values", "lookups", "bytes", "field_mults"):
        ours, theirs = (c[what] for c in counts)
        print(f"{ratio}: {what} {ours:,} against {theirs:,} with repeated heads, {100 * (1 - ours / theirs):.1f}% less")
        assert ours < theirs or grouped.heads == grouped.kv_heads


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


def mapped(heads: Callable[[int, int, int, int], int]) -> Lie:
    """Scores with another map from query head (kv head, place in its group) to key head."""

    def lie(array: Array, witness: Witness) -> Array:
        q, k = (witness.array(f"layers.0.attention.{n}_tiles") for n in ("q", "k"))
        kv, group = q.shape[0], q.shape[1]
        keys = np.stack([np.stack([k[heads(h, g, kv, group)] for g in range(group)]) for h in range(kv)])
        return np.einsum("hgtid,hgtjd->hgtij", q, keys)

    return lie


MAPS: dict[str, Callable[[int, int, int, int], int]] = {
    "interleaved": lambda h, g, kv, group: (h * group + g) % kv,
    "the next head": lambda h, g, kv, group: (h + 1) % kv,
    "one query head's neighbour": lambda h, g, kv, group: (h + (g == group - 1)) % kv,
    "one key head for all": lambda h, g, kv, group: 0,
}


@pytest.mark.parametrize("name", MAPS)
def test_a_wrong_group_map_is_rejected(name: str) -> None:
    """Everything after the scores follows from the wrong ones: the scores' own relation is what breaks, and no other of
    the attention's."""
    grouped, _ = arms(6, 2)
    answer = grouped.answer(PROMPT)
    system, given = grouped.prepare(PerLayer(StrategyConfig()), answer)
    weights = {t.name: given[t.name] for t in system.of_kind("weight")}
    follow = lying(followers(system, grouped.graph(answer)), {"layers.0.attention.scores": mapped(MAPS[name])})
    for setup in (CLEAR, HIDING):
        attacker, kept = Attacker(), commit_weights(system, weights, setup)
        proof = prove_system(system, blank(system, weights), setup, weights=kept, tamper=follow, channel=attacker)
        assert rejection(system, proof, setup, weights=kept)
        if setup is CLEAR:
            assert "layers.0.attention.scores" in attacker.guards
            broken = {g for g in attacker.guards if g.startswith("layers.")}
            assert broken == {"layers.0.attention.scores"}, broken


def test_folded_and_grouped() -> None:
    grouped, _ = arms(6, 2)
    check_strategy(Folding(StrategyConfig()), "layers.mlp_residual.y", grouped)
