"""Ternary models: strategies and attention ops agree, weights are folded without a product, and a weight that is not
ternary, an alias and a changed scale are rejected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from zkcore_folding.strategy import Folding
from zkcore_ternary.absmax import Absmax
from zkcore_ternary.graph import PROJECTIONS

from plugins.ternary.tests.small import SmallTernary
from zkcore.config import StrategyConfig
from zkcore.field.kernels import MODULUS
from zkcore.field.native import NativeKernels
from zkcore.graph.arrays import Array, from_objects
from zkcore.graph.builder import Builder
from zkcore.graph.system import System, freeze
from zkcore.strategy.per_layer import PerLayer
from zkcore.strategy.strategy import Strategy
from zkcore.testing.strategy_suite import PROMPT, check_strategy
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Setup,
    commit_weights,
    plus,
    prove_system,
    rejection,
    tools,
    verify_system,
)

STATES = "layers.mlp_residual.y"
MODELS = {"llama": SmallTernary(), "bitnet": SmallTernary(sub_norms=True)}
ALIASES = {
    "2": 2,
    "-2": -2,
    "half": pow(2, -1, MODULUS),
    "r - 2": MODULUS - 2,
    "2^64": 1 << 64,
}


@pytest.mark.parametrize("name", MODELS)
def test_the_suite_for_strategies(name: str) -> None:
    report = check_strategy(Folding(StrategyConfig()), STATES, MODELS[name])
    assert all(report.guards.values())


@pytest.mark.parametrize("sub_norms", [False, True])
def test_all_arms_give_the_same_answer(sub_norms: bool) -> None:
    """Layer by layer or folded, KV heads repeated or grouped."""
    both = ("gqa", "ternary")
    grouped = SmallTernary(heads=4, kv_heads=2, attention="gqa", plugins=both, sub_norms=sub_norms)
    repeated = SmallTernary(heads=4, kv_heads=2, sub_norms=sub_norms)
    answer = grouped.answer(PROMPT, 2)
    assert answer == repeated.answer(PROMPT, 2)
    for model in (grouped, repeated):
        for strategy in (PerLayer(StrategyConfig()), Folding(StrategyConfig())):
            system, given = model.prepare(strategy, answer)
            weights = commit_weights(system, given)
            verify_system(system, prove_system(system, given, weights=weights), weights=weights)


def test_weights_are_folded_by_additions_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every fold of a ternary weight goes to the verb that multiplies nothing; none to the general one."""
    system, given = MODELS["bitnet"].prepare(PerLayer(StrategyConfig()), MODELS["bitnet"].answer(PROMPT))
    ternary = [t for t in system.of_kind("weight") if t.ternary]
    assert len(ternary) == 2 * len(PROJECTIONS)
    folded: dict[str, list[int]] = {"contract": [], "contract_ternary": []}
    for verb, sizes in folded.items():
        monkeypatch.setattr(NativeKernels, verb, _noting(getattr(NativeKernels, verb), sizes))
    before = tools().kernels.counters()
    column, weights = given["layers.0.gate"], tools().kernels.from_scalars([3] * 12)
    tools().kernels.contract_ternary(np.ascontiguousarray(column), 1, 10, weights)
    assert tools().kernels.counters() == before
    folded["contract_ternary"].clear()
    prove_system(system, given, CLEAR, weights=commit_weights(system, given))
    sizes = sorted(int(np.prod(t.shape)) for t in ternary)
    assert sorted(folded["contract_ternary"]) == sizes
    assert not set(folded["contract"]) & set(sizes)  # small public tensors are of eight bits, too


def _noting(verb: Callable[..., Any], sizes: list[int]) -> Callable[..., Any]:
    """Sizes of the int8 columns that a verb gets."""

    def noted(self: NativeKernels, column: Array, *rest: Any) -> Any:
        if column.dtype == np.int8:
            sizes.append(column.size)
        return verb(self, column, *rest)

    return noted


# --- what the owner commits to ----------------------------------------------------------------------------------------
def certificate(strategy: Strategy, model: SmallTernary) -> System:
    """As zkcore.setup.Setup states it: every weight lies in its interval."""
    builder = Builder(8)
    for name, w in strategy.weights(model.graph(model.answer(PROMPT))).items():
        tensor, letters = builder.weight(name, w.shape, w.lo, w.hi), "abcdefgh"[: len(w.shape)]
        builder.within(f"{name}.range", letters, tensor[letters], w.lo, w.hi)
    return freeze(builder)


def with_weight(given: dict[str, Array], name: str, value: int) -> dict[str, Array]:
    cells = given[name].astype(object)
    cells.flat[5] = value
    return {**given, name: from_objects(tools().kernels, cells)}


@pytest.mark.parametrize("strategy", [PerLayer(StrategyConfig()), Folding(StrategyConfig())], ids=lambda s: s.name)
@pytest.mark.parametrize("alias", ALIASES)
def test_a_weight_that_is_not_ternary_is_rejected_once_for_all(strategy: Strategy, alias: str) -> None:
    """The owner commits to it and re-proves. Answers about such a model are consistent, and accepted by themselves: it
    is the certificate in the commitment file that stands in the way."""
    model = MODELS["llama"]
    answer = model.answer(PROMPT)
    system, given = model.prepare(strategy, answer)
    name = next(t.name for t in system.of_kind("weight") if t.ternary)
    proof_of = certificate(strategy, model)
    honest = commit_weights(proof_of, given)
    verify_system(proof_of, prove_system(proof_of, given, weights=honest), weights=honest)
    lying = with_weight(given, name, ALIASES[alias])
    for setup in (CLEAR, HIDING):
        attacker, weights = Attacker(), commit_weights(proof_of, lying, setup)
        proof = prove_system(proof_of, lying, setup, weights=weights, channel=attacker)
        assert "lookups" in attacker.guards
        reason = rejection(proof_of, proof, setup, weights=weights)
        assert reason == ("lookups" if setup is CLEAR else "constraints")


def _caught(system: System, given: dict[str, Array], weights: Any, setup: Setup, **lies: Any) -> list[str]:
    attacker = Attacker()
    proof = prove_system(system, given, setup, weights=weights, channel=attacker, **lies)
    assert rejection(system, proof, setup, weights=weights)
    return attacker.guards


@dataclass(frozen=True)
class Changed(SmallTernary):
    """Ternary and in range, but not what was committed to: a 1 becomes -1 (the field's r - 1), or a scale grows."""

    flipped: bool = True

    def weights(self, seed: int = 3) -> dict[str, Array]:
        out = super().weights(seed)
        if self.flipped:
            at = int(np.flatnonzero(out["layers.1.down"] == 1)[0])
            out["layers.1.down"].flat[at] = -1
        else:
            out["layers.0.q_scale"] = out["layers.0.q_scale"] + 1
        return out


@pytest.mark.parametrize("setup", [CLEAR, HIDING], ids=["clear", "hiding"])
@pytest.mark.parametrize("flipped", [True, False], ids=["r - 1 for 1", "weight scale"])
def test_other_weights_than_the_committed_ones_are_rejected(flipped: bool, setup: Setup) -> None:
    """Everything follows from the other weights, the answer too: only the opening can tell."""
    honest, changed = SmallTernary(), Changed(flipped=flipped)
    system, given = changed.prepare(PerLayer(StrategyConfig()), changed.answer(PROMPT))
    weights = commit_weights(system, {**given, **honest.weights()}, setup)
    attacker = Attacker()
    proof = prove_system(system, given, setup, weights=weights, channel=attacker)
    assert set(attacker.guards) <= {"opening"}
    assert rejection(system, proof, setup, weights=weights) == "opening"


@pytest.mark.parametrize("setup", [CLEAR, HIDING], ids=["clear", "hiding"])
def test_a_changed_scale_is_rejected_in_a_model(setup: Setup) -> None:
    """The scale of one token, larger by one: no input attains it."""
    model = MODELS["bitnet"]
    system, given = model.prepare(PerLayer(StrategyConfig()), model.answer(PROMPT))
    weights = commit_weights(system, given, setup)
    for node in ("attention_in_absmax", "o_absmax", "mlp_in_absmax", "down_absmax"):
        name = f"layers.1.{node}"
        assert f"{name}.attained" in _caught(system, given, weights, setup, tamper={f"{name}.scale": plus(1, 2)})


def test_the_weight_scale_has_no_other_reader() -> None:
    """A scale cancels nowhere: each projection's sums are multiplied by its own factor, and by nothing else."""
    system, _ = MODELS["bitnet"].prepare(PerLayer(StrategyConfig()), MODELS["bitnet"].answer(PROMPT))
    for name in PROJECTIONS:
        readers = [r.name for r in system.relations if f"layers.0.{name}_scale" in {n for n, _ in r.reads()}]
        assert readers == [f"layers.0.{name}_acc.both"]


def test_the_description_names_every_parameter() -> None:
    assert Absmax(8).describe() != Absmax(9).describe() != Absmax(9, "hIid").describe()
