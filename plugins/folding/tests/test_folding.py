"""Folding: the same answers, nearly the same bytes whatever the depth, and no way to cheat between layers."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import pytest
import torch
from zkcore_folding.strategy import Folding

from zkcore.commitment.hyrax import Hyrax
from zkcore.config import StrategyConfig
from zkcore.errors import GraphError
from zkcore.field.kernels import Kernels
from zkcore.field.unmade import Given, Stacked, whole
from zkcore.graph import witness
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.system import System
from zkcore.graph.vmap import Axis, Stack
from zkcore.graph.witness import Tamper
from zkcore.models import passes
from zkcore.prover import committed
from zkcore.strategy.per_layer import PerLayer
from zkcore.strategy.strategy import Strategy
from zkcore.testing import toolbox
from zkcore.testing.small_models import SmallLlama
from zkcore.testing.strategy_suite import PROMPT, check_strategy
from zkcore.testing.toolbox import Setup, commit_weights, proof_size, prove_system, tools, verify_system

WIDE = Setup(hiding=True, scheme=Hyrax(11))
STATES = "layers.mlp_residual.y"


def size(strategy: Strategy, layers: int) -> int:
    model = SmallLlama(layers=layers)
    system, given = model.prepare(strategy, model.answer(PROMPT))
    return proof_size(system, WIDE, weights=commit_weights(system, given, WIDE))


TREES = StrategyConfig(name="folding", batching="layer_trees", tree_layers=1)
RUNS = StrategyConfig(name="folding", folded_layers=2)


def test_one_layer() -> None:
    model = SmallLlama(layers=1)
    system, _ = model.prepare(Folding(StrategyConfig()), model.answer(PROMPT))
    assert system.tensors[STATES].shape[0] == 1


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("config", [StrategyConfig(), TREES], ids=["one tree", "trees"])
def test_the_suite_for_strategies(layers: int, config: StrategyConfig) -> None:
    report = check_strategy(Folding(config), STATES, SmallLlama(layers=layers))
    assert all(report.guards.values())


@pytest.mark.parametrize("config", [RUNS, TREES.model_copy(update={"folded_layers": 2})], ids=["one tree", "trees"])
@pytest.mark.parametrize("states", ["layers.0.mlp_residual.y", "layers.2.mlp_residual.y"])
def test_the_suite_for_runs_of_layers(states: str, config: StrategyConfig) -> None:
    report = check_strategy(Folding(config), states, SmallLlama(layers=4))
    assert all(report.guards.values())


@pytest.mark.parametrize(
    ("layers", "shapes"), [(2, {"layers.q": 2}), (5, {"layers.0.q": 2, "layers.2.q": 2, "layers.4.q": 1})]
)
def test_runs_of_layers(layers: int, shapes: dict[str, int]) -> None:
    """The last may be shorter; a single one is everything there is."""
    model, folding = SmallLlama(layers=layers), Folding(RUNS)
    graph = model.graph(model.answer(PROMPT))
    weights = folding.weights(graph)
    assert {n: w.shape[0] for n, w in weights.items() if n.endswith(".q")} == shapes
    arranged = folding.arrange(graph, model.weights())
    assert {n: arranged[n].shape for n in weights} == {n: w.shape for n, w in weights.items()}


@pytest.mark.parametrize("config", [StrategyConfig(), RUNS], ids=["all", "runs"])
def test_a_prover_short_of_memory_keeps_what_is_committed(config: StrategyConfig) -> None:
    """Of every layer, and nothing else: on a GPU the rest of the forward pass is derived again."""
    model, folding = SmallLlama(layers=5), Folding(config)
    answer = model.answer(PROMPT)
    graph, (system, given) = model.graph(answer), model.prepare(folding, answer)
    weights = {n: torch.from_numpy(w) for n, w in model.weights().items()}
    kept = folding.given(system, passes.witness(graph, weights, keep=committed(system)))
    wanted = {t.name for t in system.of_kind("committed")} & given.keys()
    assert kept.keys() == wanted and len(wanted) < len(given)
    assert all(np.array_equal(whole(kept[n]), given[n]) for n in wanted)


def test_layers_are_not_copied_to_be_stacked() -> None:
    model, folding = SmallLlama(layers=3), Folding(StrategyConfig())
    answer, weights = model.answer(PROMPT), model.weights()
    graph = model.graph(answer)
    system = folding.expand(graph, model.quantisation.bits.table_bits)
    store = passes.witness(graph, {n: torch.from_numpy(w) for n, w in weights.items()})
    for held, layers, local in (
        (folding.arrange(graph, weights)["layers.q"], weights, "q"),
        (folding.given(system, store)["layers.q.y"], {n: t.numpy() for n, t in store.items()}, "q.y"),
    ):
        assert isinstance(held, Stacked)
        assert all(np.shares_memory(part, layers[f"layers.{i}.{local}"]) for i, part in enumerate(held.parts))


def test_runs_are_longer_than_all_at_once_and_shorter_than_layer_by_layer() -> None:
    one, runs, apart = (size(s, 8) for s in (Folding(StrategyConfig()), Folding(RUNS), PerLayer(StrategyConfig())))
    assert one < runs < apart


def test_a_tree_takes_as_many_cells_as_some_layers_have() -> None:
    """Or one op's lookups of all layers. What comes before and after the layers has a tree of its own."""

    def cells(layers: int, config: StrategyConfig) -> dict[str, list[int]]:
        model, out = SmallLlama(layers=layers), dict[str, list[int]]()
        system, _ = model.prepare(Folding(config), model.answer(PROMPT))
        for r in system.relations:
            if r.kind == "lookup":
                out.setdefault(r.group, []).append(prod(system.domain(r)))
        return out

    assert list(cells(4, StrategyConfig())) == [""]
    of_one = sum(sum(own) for group, own in cells(1, TREES).items() if group)
    kinds = len(cells(1, TREES)["layers.0"])
    for layers in (2, 4, 64):
        found = cells(layers, TREES)
        trees = [own for group, own in found.items() if group]
        assert "" in found
        assert all(sum(own) <= of_one or len(own) == 1 for own in trees)
        assert sum(map(sum, trees)) == layers * of_one
        assert min(layers, 2) <= len(trees) <= kinds
    two = cells(4, TREES.model_copy(update={"tree_layers": 2}))
    assert 1 < len(two) < len(cells(4, TREES))


def test_proofs_are_nearly_flat_in_depth() -> None:
    folded = [size(Folding(StrategyConfig()), n) for n in (2, 8)]
    unrolled = [size(PerLayer(StrategyConfig()), n) for n in (2, 8)]
    assert folded[1] - folded[0] < (unrolled[1] - unrolled[0]) / 6
    assert folded[1] < 1.4 * folded[0] < unrolled[0] * 1.4


def test_it_proves_within_a_memory_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is derived is kept for a while, and derived again: all layers' virtual tensors are never there together."""
    limit, held, made = 4000, list[int](), list[str]()

    class Limited(witness.Witness):
        def __init__(self, system: System, kernels: Kernels, given: Mapping[str, Given], tamper: Tamper | None) -> None:
            super().__init__(system, kernels, given, tamper, limit)

        def _keep(self, name: str, array: Array, memory: int) -> None:
            super()._keep(name, array, memory)
            made.append(name)
            held.append(sum(self._passing.values()))
            assert held[-1] <= limit or len(self._passing) <= witness.AT_ONCE

    model = SmallLlama(layers=4)
    system, given = model.prepare(Folding(StrategyConfig()), model.answer(PROMPT))
    free = witness.Witness(system, tools().kernels, given, None, 1 << 40)
    virtual = [free.array(t.name) for t in system.of_kind("virtual")]
    monkeypatch.setattr(witness, "SMALL", 0)
    monkeypatch.setattr(toolbox, "Witness", Limited)
    weights = commit_weights(system, given)
    verify_system(system, prove_system(system, given, weights=weights), weights=weights)
    assert sum(a.nbytes for a in virtual) > 5 * limit
    assert max(held) < sum(a.nbytes for a in virtual) / 2
    assert len(made) > len({*made})


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
