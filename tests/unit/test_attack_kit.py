"""The kit's own parts. That it finds what is broken is the zoo's business (tests/zoo)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zkcore.cli.commands import app
from zkcore.cli.output import Output
from zkcore.commitment.plain import Plain
from zkcore.graph.witness import Witness
from zkcore.registry import Offer
from zkcore.report import attacks
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.testing.attack_kit import claims, kit, messages, subjects, systems, trace
from zkcore.testing.attack_kit.log import CHALLENGE, CHECK
from zkcore.testing.attack_kit.outcome import CAUGHT, FAILURES, HOLE, MEANING, UNCOVERED, Outcome, Report
from zkcore.testing.attack_kit.trace import Script, forge, replay
from zkcore.testing.direct import depending_on, unsatisfied
from zkcore.testing.toolbox import plus, tools

LEAST = kit.Budget(**dict.fromkeys(kit.Budget.__dataclass_fields__, 1))


@pytest.mark.parametrize("virtual", [True, False])
def test_only_what_depends_on_a_lie_need_be_looked_at(virtual: bool) -> None:
    truth = systems.lookups(virtual)[0]
    for tensor in truth.system.tensors.values():
        if tensor.kind == "public":
            continue
        witness = Witness(truth.system, tools().kernels, truth.given, {tensor.name: plus(1)})
        whole = unsatisfied(truth.system, witness)
        assert whole == unsatisfied(truth.system, witness, depending_on(truth.system, tensor.name))
        assert whole


@pytest.mark.parametrize("virtual", [True, False])
def test_falsehoods_break_one_thing(virtual: bool) -> None:
    """Beside it, all holds: nothing else is in the way of a proof of them."""
    for case in systems.lookups(virtual)[1:]:
        witness = Witness(case.system, tools().kernels, case.given, case.tamper)
        assert len(unsatisfied(case.system, witness)) == 1, case.what


@pytest.mark.parametrize("hiding", [False, True])
def test_a_trace_is_the_proof(hiding: bool) -> None:
    """Both sides' events agree, and elements tile the proof."""
    subject = subjects.of_argument(LogupGkr())
    made = forge(subject, Script(), hiding)
    read = replay(subject, made.proof, hiding)
    assert made.reason == read.reason == ""
    assert made.challenges == read.challenges
    assert b"".join(made.proof[e.start : e.start + e.size] for e in read.elements) == made.proof
    assert not made.residuals
    assert forge(subject, Script(), hiding).proof == made.proof, "the coins are the same"
    assert (forge(subject, Script(seed=2), hiding).proof != made.proof) == hiding


def test_foreknown_challenges_are_what_both_sides_get() -> None:
    subject = subjects.of_argument(LogupGkr())
    honest = forge(subject, Script())
    told = forge(subject, Script({("root", 0): {0: 1}}, foreknown=honest.challenges))
    assert told.challenges == honest.challenges
    assert forge(subject, Script({("root", 0): {0: 1}})).challenges != honest.challenges
    known = replay(subject, told.proof, foreknown=honest.challenges)
    assert known.challenges == honest.challenges
    assert set(known.residuals) == set(told.residuals) != set()


def test_a_walk_repairs_what_it_can() -> None:
    """A false public sum is carried through tie and sum, and ends at the opening."""
    truth, false = systems.commitments()
    subject = subjects.of_scheme(subjects.Hyrax(2))
    assert subject.system.describe() == truth.system.describe()
    outcome = claims._walk(subject.falsely(false), Script(), false.what, 10)
    assert (outcome.verdict, outcome.by) == (CAUGHT, "opening")
    assert "past 2 guards" in outcome.attack


def test_an_event_log_names_every_guard() -> None:
    events = forge(subjects.of_argument(LogupGkr()), Script()).events
    guards = {e.key[0] for e in events if e.kind == CHECK}
    assert {"lookups", "lookups denominator", "lookups layer", "lookups leaves", "square values", "opening"} <= guards
    assert sum(e.kind == CHALLENGE for e in events) > 20


def test_changed_elements_are_valid_ones() -> None:
    subject = subjects.of_argument(LogupGkr())
    made = forge(subject, Script(), True)
    for element in list(trace.spread(made.elements, 10)):
        other = messages.changed(made.proof, element)
        assert other != made.proof
        assert replay(subject, other, True).reason not in ("bad point", "non-canonical scalar", "")


def test_what_cannot_be_attacked_is_uncovered(monkeypatch: pytest.MonkeyPatch) -> None:
    """An offer of a kind that the kit does not know is a failure, not a silence."""
    strange = Offer("oracle op", "delphi", "apollo", lambda: None)
    monkeypatch.setattr(subjects, "offers", lambda plugins, only: (strange,))
    monkeypatch.setattr(kit, "installed_plugins", lambda: ())
    [report] = kit.run(None, LEAST)
    assert [o.verdict for o in report.failures] == [UNCOVERED]
    assert "knows no oracle op" in report.failures[0].by


@pytest.mark.parametrize("jobs", [1, 2])
def test_reports_come_one_by_one(monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    """Here, or from processes that look the offers up again: the same ones in the same order. A scheme that can put
    openings off is attacked a second time, with settlements."""
    small = [o for o in subjects.offers((), None) if o.kind == "commitment scheme"]
    monkeypatch.setattr(subjects, "offers", lambda plugins, only: tuple(small))
    monkeypatch.setattr(kit, "installed_plugins", lambda: ())
    found = list(kit.run(None, LEAST, jobs=jobs))
    assert [r.subject for r in found] == ["small commitments", "a settlement of two answers"]
    assert [r.controls for r in found] == [["clear", "hiding"]] * 2
    assert all(len(r.outcomes) > 10 and "hyrax" in attacks.short(r) for r in found)


@pytest.mark.parametrize("hiding", [False, True])
def test_a_settlement_is_a_subject(hiding: bool) -> None:
    """Three transcripts in one proof; what is false of the first answer is refused by the last equation."""
    subject = subjects.of_scheme(subjects.Hyrax(2), settled=True)
    made = trace.honest(subject, hiding)
    read = replay(subject, made.proof, hiding)
    assert made.reason == read.reason == ""
    assert made.challenges == read.challenges
    assert b"".join(made.proof[e.start : e.start + e.size] for e in read.elements) == made.proof
    assert [e.label for e in read.elements if e.label.startswith("commit ")].count("commit a") == 2 * 3
    assert replay(subject, made.proof + b"x", hiding).reason == "trailing bytes"
    assert replay(subject, made.proof[:-1], hiding).reason != ""
    assert not subjects.defers(Plain())


@pytest.mark.parametrize(("found", "code"), [(CAUGHT, 0), (HOLE, 1)])
def test_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, found: str, code: int) -> None:
    """Exit code 1 exactly if something is wrong; the report has every attack."""
    report = Report(
        "op x (from y)", "a model", [Outcome("witness", "y +1", found, "y.rest"), Outcome("b", "c", CAUGHT)]
    )
    monkeypatch.setattr(kit, "run", lambda *args: [report])
    ran = CliRunner().invoke(app, ["attack", "--report", str(tmp_path / "r.json")], obj=Output())
    assert ran.exit_code == code, ran.output
    [content] = json.loads((tmp_path / "r.json").read_text())
    assert [o["attack"] for o in content["outcomes"]] == ["y +1", "c"]
    assert len(content["failures"]) == code
    assert "no failure" in ran.output if code == 0 else "1 failures" in ran.output


def test_every_verdict_is_explained() -> None:
    assert set(FAILURES) < set(MEANING)
    shown = attacks.tables([Report("o", "s", [Outcome("f", "a", v, "why") for v in MEANING])])
    assert len(shown) == 3


def test_a_plugin_that_is_not_there() -> None:
    ran = CliRunner().invoke(app, ["attack", "--plugin", "nobody"], obj=Output())
    assert "nobody" in str(ran.exception)
