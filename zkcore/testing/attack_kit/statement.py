"""An honest proof, held against other statements: each differs in one thing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from zkcore.graph.public import Dense
from zkcore.graph.system import System
from zkcore.graph.tensor import PublicTensor
from zkcore.testing.attack_kit import trace
from zkcore.testing.attack_kit.budget import Budget
from zkcore.testing.attack_kit.messages import MODE
from zkcore.testing.attack_kit.outcome import CAUGHT, HOLE, UNBOUND, Outcome
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.attack_kit.trace import replay
from zkcore.testing.toolbox import commit_weights


def replayed(subject: Subject, hiding: bool, budget: Budget) -> Iterator[Outcome]:
    """The challenges must differ from the first on, and the proof be rejected."""
    honest = trace.honest(subject, hiding)
    for what, other in _others(subject, hiding, budget):
        seen = replay(other, honest.proof, hiding)
        family = f"statement, {MODE[hiding]}"
        if not seen.reason:
            yield Outcome(family, what, HOLE, "the proof is accepted")
        elif seen.challenges[:1] == honest.challenges[:1]:
            yield Outcome(family, what, UNBOUND, "the first challenge does not change")
        else:
            yield Outcome(family, what, CAUGHT, seen.reason)


def _others(subject: Subject, hiding: bool, budget: Budget) -> Iterator[tuple[str, Subject]]:
    for name, source in trace.spread(sorted(subject.system.publics.items()), max(2, budget.tensors // 8)):
        yield f"public {name} differs in one entry", replace(subject, system=_with(subject.system, name, source))
    again = commit_weights(subject.system, subject.given, subject.setup(hiding))
    for name in trace.spread(sorted(again), max(2, budget.tensors // 8)):
        if again[name].public != subject.weights(hiding)[name].public:
            kept = {**subject.weights(hiding), name: again[name]}
            yield f"weight {name} under another commitment", subject.with_weights(hiding, kept)
    if subject.model is not None:
        for token in (0, 1):
            if token != subject.model.answer():
                system, given = subject.model.prepare(token)
                yield f"the answer is token {token}", replace(subject, system=system, given=given)


def _with(system: System, name: str, source: PublicTensor) -> System:
    """One entry of a public tensor is another."""
    values = np.array(source.array())
    values.flat[-1] += 1 if values.flat[-1] < source.hi else -1
    other: Mapping[str, PublicTensor] = {**system.publics, name: Dense(values, source.lo - 1, source.hi + 1)}
    return replace(system, publics=other)
