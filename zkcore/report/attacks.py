"""The attack kit's reports as tables: what was attacked, what caught it, and what an author must look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zkcore.report.tables import counted, rows_table

if TYPE_CHECKING:
    from rich.table import Table

    from zkcore.testing.attack_kit.outcome import Report

MOST = 4  # guards that are named in a row


def tables(reports: Sequence[Report]) -> list[Table]:
    return [*(_subject(r) for r in reports), *_failures(reports), _meaning(reports)]


def _subject(report: Report) -> Table:
    from zkcore.testing.attack_kit.outcome import CAUGHT, FAILURES

    rows = []
    for family in report.families:
        found = report.of(family)
        bad = Counter(o.verdict for o in found if o.verdict in FAILURES)
        guards = Counter(o.by for o in found if o.verdict == CAUGHT).most_common()
        named = ", ".join(f"{g} ({n})" for g, n in guards[:MOST]) + (" ..." if len(guards) > MOST else "")
        caught = sum(o.verdict == CAUGHT for o in found)
        rows.append([family, len(found), caught, ", ".join(f"{n} {v}" for v, n in bad.items()) or "-", named])
    title = f"{report.offer}: {report.subject}, {report.seconds:,.0f} s"
    return rows_table(title, ("attacks", "tried", "caught", "failures", "caught by"), rows)


def _failures(reports: Sequence[Report]) -> list[Table]:
    rows = [[r.offer, o.verdict, o.attack, o.by] for r in reports for o in r.failures]
    return [rows_table("Failures", ("offer", "verdict", "attack", "why"), rows)] if rows else []


def _meaning(reports: Sequence[Report]) -> Table:
    from zkcore.testing.attack_kit.outcome import MEANING

    seen = Counter(o.verdict for r in reports for o in r.outcomes)
    return rows_table("Verdicts", ("", "", "meaning"), [[v, seen[v], MEANING[v]] for v in MEANING if seen[v]])


def short(report: Report) -> str:
    """One subject, as soon as it is done."""
    bad = Counter(o.verdict for o in report.failures)
    said = ", ".join(f"{n} {verdict}" for verdict, n in bad.items()) or "no failure"
    return f"{report.offer}: {report.subject}: {len(report.outcomes)} attacks, {said}, {report.seconds:,.0f} s"


def line(reports: Sequence[Report]) -> str:
    tried = sum(len(r.outcomes) for r in reports)
    bad = sum(len(r.failures) for r in reports)
    verdict = f"{bad} failures" if bad else "no failure: evidence against these attacks, no proof of soundness"
    return f"{tried:,} attacks on {counted(len(reports), 'subject')}: {verdict}"
