"""Judge a strategy in a few lines: same answers as layer by layer, proofs accepted, cheating between layers rejected.

def test_my_strategy() -> None:
    check_strategy(MyStrategy(StrategyConfig()), hidden="layers.mlp_residual.y")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.strategy.strategy import Strategy
from zkcore.testing.op_suite import Nonconformant
from zkcore.testing.small_models import SmallLlama
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

PROMPT, OTHER = (3, 1, 4, 1, 5, 9), (2, 7, 1, 8, 2, 8)


@dataclass
class Report:
    """Bytes of the proofs, and the guards each lie met."""

    sizes: dict[str, int] = field(default_factory=dict)
    guards: dict[str, set[str]] = field(default_factory=dict)


def check_strategy(strategy: Strategy, hidden: str, model: SmallLlama | None = None) -> Report:
    """`hidden`: the stacked tensor of the layers' outputs, [L, ...]."""
    report, model = Report(), model or SmallLlama(layers=3)
    system, given = model.prepare(strategy, model.answer(PROMPT))
    for name, setup in (("clear", CLEAR), ("hiding", HIDING)):
        weights = commit_weights(system, given, setup)
        proof = prove_system(system, given, setup, weights=weights)
        verify_system(system, proof, setup, weights=weights)
        report.sizes[name] = len(proof)
        if proof_size(system, setup, weights=weights) != len(proof):
            raise Nonconformant("a run without a witness counts other bytes than a proof has")
    for lie, tamper in _lies(strategy, hidden, model).items():
        report.guards[lie] = _rejected(system, given, {hidden: tamper}, lie)
    return report


def _lies(strategy: Strategy, hidden: str, model: SmallLlama) -> Mapping[str, Lie]:
    def change(f: Callable[[Array], Array]) -> Lie:
        def lie(array: Array, witness: Witness) -> Array:
            return np.ascontiguousarray(f(np.array(array)))

        return lie

    def repeated(h: Array) -> Array:
        h[1] = h[0]
        return h

    def swapped(h: Array) -> Array:
        h[[0, 1]] = h[[1, 0]]
        return h

    other, foreign = model.prepare(strategy, model.answer(OTHER))
    states = Witness(other, tools().kernels, foreign).array(hidden)

    def spliced(h: Array) -> Array:
        h[1] = states[1]
        return h

    def nudged(h: Array) -> Array:
        h.flat[-1] += 1
        return h

    named = {"layer skipped": repeated, "layers swapped": swapped, "layer of another prompt": spliced, "nudged": nudged}
    return {name: change(f) for name, f in named.items()}


def _rejected(system: System, given: Mapping[str, Array], tamper: Mapping[str, Lie], lie: str) -> set[str]:
    met: set[str] = set()
    for setup in (CLEAR, HIDING):
        attacker, weights = Attacker(), commit_weights(system, given, setup)
        proof = prove_system(system, given, setup, weights=weights, tamper=dict(tamper), channel=attacker)
        if not attacker.guards or not rejection(system, proof, setup, weights=weights):
            raise Nonconformant(f"{lie}: accepted")
        met |= set(attacker.guards)
    return met
