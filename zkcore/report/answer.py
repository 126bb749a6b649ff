"""A proof as one page: what it says, whether it holds, and what it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zkcore.report import html
from zkcore.report.plots import COLOURS
from zkcore.report.progress import StageTime

HIDES_NOTHING = "Made in clear mode: this proof hides nothing, it shows weights and activations."
LIMITS = (
    "Proved: the integer model behind this commitment gives this output on this prompt. Not proved: that it is the "
    "float model, where its weights come from, or that it is good."
)


@dataclass(frozen=True)
class Page:
    """`sections`: further tables, {title: pairs, or rows of one shape}. `accuracy`: of the integer model against the
    float model, as the owner reports it; nothing about it is proved. `graph`: an SVG. `elsewhere`: a stage whose bytes
    are not the proof's but the commitment's."""

    file: str
    verdict: str
    accepted: bool
    prompt: str
    text: str
    statement: Mapping[str, object]
    stages: Sequence[StageTime]
    header_bytes: int
    zero_knowledge: bool
    accuracy: Mapping[str, object] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)
    graph: str = ""
    elsewhere: str = ""


def render(p: Page) -> str:
    body = [html.verdict(p.verdict, p.accepted), html.heading("Prompt"), html.quote(p.prompt)]
    body += [html.heading("Answer"), html.quote(p.text), f"<p>{html.text(LIMITS)}</p>"]
    if not p.zero_knowledge:
        body.append(f'<p class="failed">{html.text(HIDES_NOTHING)}</p>')
    body += [html.heading("Statement"), html.table(("", ""), list(p.statement.items()))]
    if p.stages:
        rows = [(s.name, round(s.seconds, 3), s.bytes) for s in p.stages]
        body += [html.heading("Verification"), html.figure(timeline(p.stages))]
        body += [html.table(("stage", "seconds", "bytes"), [*rows, ("header", "", p.header_bytes)])]
        own = {s.name: s.bytes for s in p.stages if s.name != p.elsewhere}
        body.append(html.figure(shares({**own, "header": p.header_bytes})))
    if p.accuracy:
        body += [
            html.heading("Accuracy of the integer model"),
            "<p>As its owner measured it; not part of the proof.</p>",
        ]
        body.append(html.table(("", ""), list(p.accuracy.items())))
    for title, value in p.sections.items():
        body += [html.heading(title), _table(value)]
    if p.graph:
        body += [html.heading("Graph"), html.figure(p.graph)]
    return html.page("zkcore proof", [p.file], body)


def _table(value: Any) -> str:
    if isinstance(value, Mapping):
        return html.table(("", ""), list(value.items()))
    rows = [row if isinstance(row, Mapping) else {"": row} for row in value]
    head = list(dict.fromkeys(k for row in rows for k in row))
    return html.table(head, [[row.get(k, "") for k in head] for row in rows])


def timeline(stages: Sequence[StageTime]) -> str:
    """Stages one after the other, as long as they took."""
    return _bar({s.name: s.seconds for s in stages}, "s")


def shares(sizes: Mapping[str, int]) -> str:
    return _bar({name: float(size) for name, size in sizes.items()}, "bytes")


def _bar(parts: Mapping[str, float], unit: str) -> str:
    """One bar of 900 units, and a legend."""
    whole, x, drawn = sum(parts.values()) or 1.0, 0.0, []
    for k, (name, value) in enumerate(p for p in parts.items() if p[1] > 0):
        width, colour = 900 * value / whole, COLOURS[k % len(COLOURS)]
        label = f"{name}: {value:,.0f} {unit}" if unit == "bytes" else f"{name}: {value:,.3g} {unit}"
        hint = f"<title>{html.text(label)}</title>"
        drawn.append(f'<rect x="{x:.2f}" y="4" width="{width:.2f}" height="26" fill="{colour}">{hint}</rect>')
        left, line = 220 * (k % 4), 52 + 18 * (k // 4)
        drawn.append(f'<rect x="{left}" y="{line - 9}" width="10" height="10" fill="{colour}"/>')
        drawn.append(f'<text x="{left + 15}" y="{line}" font-size="12">{html.text(label)}</text>')
        x += width
    height = 62 + 18 * ((len(parts) - 1) // 4)
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {height}" role="img">{"".join(drawn)}</svg>'
