"""Runs the families over subjects, and notes what they did not reach."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from zkcore.plugins import BUILTIN, installed_plugins
from zkcore.registry import Offer
from zkcore.testing.attack_kit import claims, hiding, messages, statement, subjects, witness
from zkcore.testing.attack_kit.budget import Budget
from zkcore.testing.attack_kit.log import CHECK
from zkcore.testing.attack_kit.outcome import UNCOVERED, Outcome, Report
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.attack_kit.trace import honest, replay

Family = Callable[[], Iterator[Outcome]]
Progress = Callable[[str, str], None]


class NotHonest(Exception):
    """The control: an honest proof is rejected, so nothing can be learnt from attacks."""


def attack(
    subject: Subject, budget: Budget, progress: Progress = lambda subject, family: None, only: Sequence[str] = ()
) -> Report:
    """`only`: these families, if any are named; then nothing is said about what was not reached."""
    report, start = Report(subject.offer, subject.name), time.monotonic()
    for mode in (False, True) if subject.hides else (False,):
        _control(subject, mode)
        report.controls.append(messages.MODE[mode])
    broken: set[str] = set()
    for name, family in _families(subject, budget, broken):
        if not only or name in only:
            progress(f"{subject.offer}: {subject.name}", name)
            report.outcomes += family()
    report.outcomes += [] if only else _guards(subject, report)
    report.seconds = time.monotonic() - start
    return report


def _control(subject: Subject, mode: bool) -> None:
    made = honest(subject, mode)
    if reason := made.reason or replay(subject, made.proof, mode).reason:
        raise NotHonest(f"{subject.offer}, {subject.name}: an honest proof is rejected ({reason})")


def _families(subject: Subject, budget: Budget, broken: set[str]) -> Iterator[tuple[str, Family]]:
    modes = (False, True) if subject.hides else (False,)
    yield "witness", partial(witness.alone, subject, budget, broken)
    yield "witness, unreached", partial(witness.unreached, subject, budget, broken)
    yield "witness, followed", partial(witness.followed, subject, budget)
    for mode in modes:
        yield f"messages, {messages.MODE[mode]}", partial(messages.changed_afterwards, subject, mode, budget)
        yield f"messages, going on, {messages.MODE[mode]}", partial(messages.continued, subject, mode, budget)
        yield f"statement, {messages.MODE[mode]}", partial(statement.replayed, subject, mode, budget)
    yield "claims", partial(claims.walks, subject, budget)
    yield "equivocation", partial(claims.equivocations, subject, budget)
    yield "late commitments", partial(claims.late, subject, budget)
    if subject.hides:
        yield "splices", partial(messages.spliced, subject, True, budget)
        yield "zero knowledge", partial(hiding.shared, subject, budget)


def _guards(subject: Subject, report: Report) -> Iterator[Outcome]:
    """Guards that are the argument's or the scheme's own (no relation's name): each must have spoken. Those that did
    not get lies of their own, in the numbers just before them."""
    relations, truth = {r.name for r in subject.system.relations}, honest(subject)
    asked = dict.fromkeys(e.key[0] for e in truth.events if e.kind == CHECK)
    met = {o.by for o in report.outcomes}
    for guard in [g for g in asked if g not in relations | met]:
        found = next((o for o in claims.towards(subject, truth, guard) if o.by == guard), None)
        yield found or Outcome("guards", guard, UNCOVERED, "no attack was caught by it")


def run(
    only: str | None, budget: Budget, progress: Progress = lambda subject, family: None, jobs: int = 1
) -> Iterator[Report]:
    """Everything that the built-ins and the installed plugins offer; `only`: what one plugin does. Loads the plugins:
    they are code like any other. Reports come as they are done; with several `jobs` (processes), without progress."""
    plugins = (only,) if only else tuple(p.name for p in installed_plugins())
    loaded = tuple(p for p in plugins if p != BUILTIN)
    found = subjects.offers(loaded, only)
    if jobs == 1:
        for offer in found:
            yield from _offered(offer, loaded, budget, progress)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the processes: they do not fight over cores
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:
        names = [(o.kind, o.name) for o in found]
        for reports in pool.map(partial(_elsewhere, plugins=loaded, budget=budget), names):
            yield from reports


def _elsewhere(name: tuple[str, str], plugins: tuple[str, ...], budget: Budget) -> list[Report]:
    """In a process of its own: an offer may be nothing that can be sent there."""
    offer = next(o for o in subjects.offers(plugins, None) if (o.kind, o.name) == name)
    return list(_offered(offer, plugins, budget, lambda subject, family: None))


def _offered(offer: Offer, plugins: tuple[str, ...], budget: Budget, progress: Progress) -> Iterator[Report]:
    for found in subjects.of(offer, plugins):
        if isinstance(found, subjects.Missing):
            yield Report(found.offer, "none", [Outcome("subject", found.offer, UNCOVERED, found.why)])
        else:
            yield attack(found, budget, progress)
