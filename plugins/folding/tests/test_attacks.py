"""Provers that fold another model's layers, or another run's. All follows from the lie: one guard stands alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pytest
from zkcore_folding.strategy import Folding

from zkcore.config import StrategyConfig
from zkcore.field.unmade import whole
from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.models.family import Sequence
from zkcore.testing.small_models import SmallLlama
from zkcore.testing.strategy_suite import OTHER, PROMPT
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Lie,
    commit_weights,
    prove_system,
    rejection,
    tools,
)

Weights = dict[str, Array]
FOLDING = Folding(StrategyConfig())
RUNS = Folding(StrategyConfig(folded_layers=2))  # the first two layers, and the third
LAYERS = 3


@dataclass(frozen=True)
class Another(SmallLlama):
    """The small model with other weights."""

    change: Callable[[Weights], Weights] = dict

    def weights(self, seed: int = 3) -> Weights:
        return self.change(super().weights(seed))


def layer(i: int, weights: Weights) -> Weights:
    start = f"layers.{i}."
    return {n.removeprefix(start): w for n, w in weights.items() if n.startswith(start)}


def in_order(*order: int | None) -> Callable[[Weights], Weights]:
    """Layer i is made of the weights of order[i]; None: it does nothing."""

    def change(weights: Weights) -> Weights:
        out = dict(weights)
        for i, j in enumerate(order):
            for name, w in layer(i if j is None else j, weights).items():
                out[f"layers.{i}.{name}"] = w * 0 if j is None else w
        return out

    return change


def guards(
    system: System, given: Mapping[str, Array], weights: Mapping[str, Array], tamper: Mapping[str, Lie] | None = None
) -> set[str]:
    """What breaks; rejected with and without zero knowledge. `weights`: those that the model's owner committed to."""
    met: set[str] = set()
    for setup in (CLEAR, HIDING):
        attacker, committed = Attacker(), commit_weights(system, weights, setup)
        proof = prove_system(system, given, setup, weights=committed, tamper=tamper, channel=attacker)
        assert rejection(system, proof, setup, weights=committed)
        met |= set(attacker.guards)
    return met


ORDERS: dict[str, tuple[int | None, ...]] = {
    "a layer skipped": (0, None, 2),
    "the last layer skipped": (0, 1, None),
    "a layer folded twice": (0, 0, 2),
    "one layer folded three times": (1, 1, 1),
    "the order swapped": (1, 0, 2),
    "the order turned": (1, 2, 0),
}


@pytest.mark.parametrize("folding", [FOLDING, RUNS], ids=["all", "runs"])
@pytest.mark.parametrize("name", ORDERS)
def test_the_layers_of_another_model(name: str, folding: Folding) -> None:
    """Another model's whole inference: every relation holds, only the model's commitment says otherwise."""
    model, liar = SmallLlama(LAYERS), Another(LAYERS, change=in_order(*ORDERS[name]))
    system, given = liar.prepare(folding, liar.answer(PROMPT))
    arranged = folding.arrange(model.graph(Sequence((0, 0), 1)), model.weights())
    honest = {name: whole(weight) for name, weight in arranged.items()}
    assert guards(system, given, honest) == {"opening"}


def test_the_control_is_accepted() -> None:
    model = Another(LAYERS, change=in_order(0, 1, 2))
    system, given = model.prepare(FOLDING, model.answer(PROMPT))
    committed = commit_weights(system, given, CLEAR)
    assert rejection(system, prove_system(system, given, CLEAR, weights=committed), weights=committed) == ""


def claimed(model: SmallLlama, folding: Folding, answer: Sequence) -> System:
    """What states that this is the answer to the prompt, whatever it is the answer to."""
    graph = model.graph(Sequence((*PROMPT, *answer.generated), len(PROMPT)))
    return folding.expand(graph, model.quantisation.bits.table_bits)


def shallower(layers: int) -> Another:
    """The first layers alone."""
    return Another(layers, change=lambda weights: {n: SmallLlama(LAYERS).weights()[n] for n in weights})


@pytest.mark.parametrize("first", [1, 2])
def test_layers_of_another_prompt(first: int) -> None:
    """From one layer on everything is another prompt's, its answer too: only the link between the layers breaks."""
    model = SmallLlama(LAYERS)
    theirs, ours = model.answer(OTHER), model.answer(PROMPT)
    (_, mine), (other, foreign) = (model.prepare(FOLDING, s) for s in (ours, theirs))
    system = claimed(model, FOLDING, theirs)
    given = {n: _spliced(n, mine, foreign, first) for n in mine}
    inputs = Witness(other, tools().kernels, foreign).array("layers.input")
    assert guards(system, given, given, {"layers.input": _from(first, inputs)}) == {"layers.input"}


def test_a_run_of_another_prompt() -> None:
    """The second run and the answer are another prompt's: only the link between the runs breaks."""
    model = SmallLlama(LAYERS)
    theirs = model.answer(OTHER)
    _, mine = model.prepare(RUNS, model.answer(PROMPT))
    other, foreign = model.prepare(RUNS, theirs)
    system = claimed(model, RUNS, theirs)
    given = {n: a if n.startswith(("layers.0.", "embed")) else foreign[n] for n, a in mine.items()}
    inputs = Witness(other, tools().kernels, foreign).array("layers.2.input")
    lie: Lie = lambda array, witness: inputs  # noqa: E731
    assert guards(system, given, given, {"layers.2.input": lie}) == {"layers.2.input"}


def test_a_run_skipped() -> None:
    """What reads the result of the last run is given the first one's: what says which result it is breaks."""
    model, shallow = SmallLlama(LAYERS), shallower(2)
    answer = shallow.answer(PROMPT)
    _, mine = model.prepare(RUNS, model.answer(PROMPT))
    _, early = shallow.prepare(FOLDING, answer)
    system = claimed(model, RUNS, answer)
    given = {n: a if n.startswith(("layers.", "embed")) else early[n] for n, a in mine.items()}
    first: Lie = lambda array, witness: np.array(witness.array("layers.0.mlp_residual.y")[1])  # noqa: E731
    assert guards(system, given, mine, {"layers.2.result": first}) == {"layers.2.result"}


def _spliced(name: str, mine: Mapping[str, Array], foreign: Mapping[str, Array], first: int) -> Array:
    if name.startswith("layers."):
        return np.concatenate([mine[name][:first], foreign[name][first:]])
    return mine[name] if name.startswith("embed") else foreign[name]


def _from(first: int, values: Array) -> Lie:
    def lie(array: Array, witness: Witness) -> Array:
        return np.concatenate([np.asarray(array)[:first], values[first:LAYERS]])

    return lie


@pytest.mark.parametrize("before", [0, 1])
def test_the_result_of_an_earlier_layer(before: int) -> None:
    """The answer is computed from another layer's states: what reads the last one breaks, and nothing else."""
    model, shallow = SmallLlama(LAYERS), shallower(before + 1)
    answer = shallow.answer(PROMPT)
    _, mine = model.prepare(FOLDING, model.answer(PROMPT))
    _, early = shallow.prepare(FOLDING, answer)
    system = claimed(model, FOLDING, answer)
    given = {n: a if n.startswith(("layers.", "embed")) else early[n] for n, a in mine.items()}
    taken: Lie = lambda array, witness: np.array(witness.array("layers.mlp_residual.y")[before])  # noqa: E731
    assert guards(system, given, mine, {"layers.result": taken}) == {"layers.result"}
