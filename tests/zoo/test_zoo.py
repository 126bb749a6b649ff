"""The attack kit must find what is wrong with each animal, and nothing wrong with the healthy ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.zoo import animals
from zkcore.config import StrategyConfig
from zkcore.errors import GraphError
from zkcore.ops.requantise import Requantise
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.testing.attack_kit import subjects
from zkcore.testing.attack_kit.budget import QUICK
from zkcore.testing.attack_kit.kit import attack
from zkcore.testing.attack_kit.outcome import HOLE, LEAK, UNBOUND, UNREAD, Report
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.op_suite import activation

BUDGET = replace(QUICK, elements=16, tensors=12, walks=2, hints=16)
X = np.array([[-48, -16, 0, 16, 48], [-100, 90, 15, 17, -17]])


def argument(animal: type[animals.Lookups]) -> Subject:
    return subjects.of_argument(animal())


def scheme(animal: type[animals.Hyrax]) -> Subject:
    return subjects.of_scheme(animal(2))


def settled(animal: type[animals.Hyrax]) -> Subject:
    return subjects.of_scheme(animal(2), settled=True)


def op(animal: Callable[[], animals._Op]) -> Subject:
    return subjects.of_op(animal(), {"x": activation(X, 8)})


def judged(subject: Subject, hiding: bool = False) -> Report:
    """In clear mode, where guards have names, unless zero knowledge is what is broken."""
    if not hiding:
        subject.scheme.hides = False  # type: ignore[attr-defined]
    return attack(subject, BUDGET)


# animal, what the kit must call it, the attack that shows it, and the reason
ANIMALS = {
    "EmptyLookup": (argument, HOLE, "range", "and is accepted"),
    "EarlyChallenge": (argument, HOLE, "a number outside its range", "no guard is left"),
    "ConstantChallenge": (argument, HOLE, "a number outside its range", "no guard is left"),
    "PrefixOnly": (argument, HOLE, "big", "accepted"),
    "IndexOnly": (argument, HOLE, "a false function value", "no guard is left"),
    "RowsBehindTheLast": (argument, HOLE, "counted behind the last row of m square", "accepted"),
    "NeverOpened": (scheme, HOLE, "a false public sum", "no guard is left"),
    "FirstOnly": (scheme, HOLE, "a false public sum", "no guard is left"),
    "SumOfClaims": (scheme, HOLE, "err against each other", "known before them"),
    "SettlesFirstOnly": (settled, HOLE, "a false public sum", "no guard is left"),
    "SettlesNothing": (settled, HOLE, "a false public sum", "no guard is left"),
    "SettlesAnotherValue": (settled, HOLE, "a false public sum", "no guard is left"),
    "NotAbsorbed": (scheme, UNBOUND, "commit", "does not change"),
    "ExtraPoint": (scheme, UNREAD, "extra", "no check depends on it"),
    "TwoQuotients": (op, HOLE, "op.y", "no relation pins op.y"),
    "SignOfZero": (op, HOLE, "op.sign", "no relation pins op.sign"),
    "FreeHint": (op, HOLE, "op.y", "no relation pins op.y"),
    "HeadsTogether": (op, HOLE, "op.y", "no relation pins op.y"),
    "UncheckedRow": (op, HOLE, "op.y", "no relation pins op.y"),
    "LooseTernary": (op, HOLE, "op.y", "no relation pins op.y"),
}
HIDING = {"WithoutBlinders": "commit a: is anything", "OneBlinder": "no point is in one proof twice"}


@pytest.mark.parametrize("name", ANIMALS)
def test_a_broken_plugin_is_found(name: str) -> None:
    make, verdict, where, why = ANIMALS[name]
    found = [o for o in judged(make(getattr(animals, name))).failures if o.verdict == verdict]  # type: ignore[operator]
    assert [o for o in found if where in o.attack and why in o.by], found


@pytest.mark.parametrize("name", HIDING)
def test_a_plugin_that_hides_nothing_is_found(name: str) -> None:
    found = judged(scheme(getattr(animals, name)), hiding=True).failures
    assert {o.verdict for o in found} == {LEAK}
    assert [o for o in found if HIDING[name] in o.attack], found


@pytest.mark.parametrize(
    "healthy",
    [
        lambda: subjects.of_argument(animals.Lookups()),
        lambda: subjects.of_argument(LogupGkr()),
        lambda: subjects.of_scheme(animals._Rows(2)),
        lambda: subjects.of_scheme(animals._Rows(2), settled=True),
        lambda: subjects.of_op(Requantise(5, 4), {"x": activation(X, 8)}),
    ],
    ids=["lookups", "logup_gkr", "rows", "settled rows", "requantise"],
)
def test_a_healthy_one_passes(healthy: Callable[[], Subject]) -> None:
    report = judged(healthy())
    assert report.failures == []
    assert report.controls == ["clear"]


def test_a_strategy_that_does_not_link_its_layers() -> None:
    subject = subjects.of_strategy(animals.Unlinked(StrategyConfig()), layers=2)
    budget = replace(BUDGET, follow=1)
    found = [o for o in attack(subject, budget, only=["witness, followed"]).failures if o.verdict == HOLE]
    assert [o for o in found if "is as before" in o.attack and "satisfies all relations" in o.by], found


def test_some_never_get_that_far() -> None:
    """The graph builder refuses a range that no lookup proves: zkLLM's hole, a quotient without bounds."""

    class Unranged(Requantise):
        def relations(self, build: Any, inputs: Any, outputs: Any) -> None:
            build.requantise(outputs["y"], "ab", inputs["x"], self.shift, ranged=False)

    with pytest.raises(GraphError, match="no lookup proves"):
        subjects.of_op(Unranged(5, 4), {"x": activation(X, 8)})


def test_every_animal_is_judged() -> None:
    wild = {n for n, a in vars(animals).items() if isinstance(a, type) and a.__module__ == animals.__name__}
    helpers = {"Lookups"} | {n for n in wild if n.startswith("_")}
    assert wild - helpers == set(ANIMALS) | set(HIDING) | {"Unlinked"}
