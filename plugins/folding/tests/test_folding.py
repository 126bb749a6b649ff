"""Folding: the same answers, nearly the same bytes whatever the depth, and no way to cheat between layers."""

from __future__ import annotations

import pytest
from zkcore_folding.strategy import Folding

from zkcore.commitment.hyrax import Hyrax
from zkcore.config import StrategyConfig
from zkcore.errors import GraphError
from zkcore.graph.builder import Builder
from zkcore.graph.vmap import Axis, Stack
from zkcore.strategy.per_layer import PerLayer
from zkcore.strategy.strategy import Strategy
from zkcore.testing.small_models import SmallLlama
from zkcore.testing.strategy_suite import PROMPT, check_strategy
from zkcore.testing.toolbox import Setup, commit_weights, proof_size

WIDE = Setup(hiding=True, scheme=Hyrax(11))
STATES = "layers.mlp_residual.y"


def size(strategy: Strategy, layers: int) -> int:
    model = SmallLlama(layers=layers)
    system, given = model.prepare(strategy, model.answer(PROMPT))
    return proof_size(system, WIDE, weights=commit_weights(system, given, WIDE))


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_suite_for_strategies(layers: int) -> None:
    if layers == 1:
        model = SmallLlama(layers=1)
        system, _ = model.prepare(Folding(StrategyConfig()), model.answer(PROMPT))
        assert system.tensors[STATES].shape[0] == 1
        return
    report = check_strategy(Folding(StrategyConfig()), STATES, SmallLlama(layers=layers))
    assert all(report.guards.values())


def test_proofs_are_nearly_flat_in_depth() -> None:
    folded = [size(Folding(StrategyConfig()), n) for n in (2, 8)]
    unrolled = [size(PerLayer(StrategyConfig()), n) for n in (2, 8)]
    assert folded[1] - folded[0] < (unrolled[1] - unrolled[0]) / 8
    assert folded[1] < 1.4 * folded[0] < unrolled[0] * 1.4


def test_one_commitment_per_weight_kind() -> None:
    model = SmallLlama(layers=3)
    weights = Folding(StrategyConfig()).weights(model.graph(model.answer(PROMPT)))
    assert weights["layers.q"].shape == (3, 12, 4, 4)
    assert set(weights) == {"embed", "head", *(f"layers.{k}" for k in ("q", "k", "v", "o", "gate", "up", "down"))}


def test_a_taken_axis_letter_is_refused() -> None:
    template, target = Builder(8), Builder(8)
    x = template.committed("x", (3,), 0, 7)
    template.nonneg("x.range", "l", x["l"], 3)
    with pytest.raises(GraphError, match="axis letter"):
        Stack(template, target, Axis("l", 2, "layers.", {}))
