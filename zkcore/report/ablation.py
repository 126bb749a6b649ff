"""An ablation's results: plots, and one page with everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkcore.ablation import STEPS, Arm, Study, summary
from zkcore.report import html, plots
from zkcore.report.estimates import operations
from zkcore.report.plots import Panel

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLES = {"commit": "Commit to the model", "prove": "Prove", "verify": "Verify"}


def figures(arms: Sequence[Arm]) -> dict[str, Figure]:
    """Seconds and counted work by stage, bytes by section. By file name."""
    seconds = [
        Panel(title, "seconds", {a.name: {s.name: s.seconds for s in _stages(a, step)} for a in arms})
        for step, title in TITLES.items()
    ]
    kinds = ("field and small multiplications", "group additions", "hashed bytes")
    work = [
        Panel(f"Prove: {kind}", kind, {a.name: {s.name: operations(s)[i] for s in _stages(a, "prove")} for a in arms})
        for i, kind in enumerate(kinds)
    ]
    files = [
        Panel(f"{name.capitalize()} on disk", "bytes", {a.name: _sections(a, name) for a in arms})
        for name in ("proof", "commitment")
    ]
    return {name: plots.stacked(panels) for name, panels in (("seconds", seconds), ("work", work), ("bytes", files))}


def _stages(arm: Arm, step: str) -> list[Any]:
    return arm.steps[step].stages if step in arm.steps else []


def _sections(arm: Arm, file: str) -> dict[str, float]:
    return {n.removeprefix(f"{file}: "): size for n, size in arm.files.items() if n.startswith(f"{file}: ")}


def page(study: Study, arms: Sequence[Arm], machine: Mapping[str, Any], drawn: Mapping[str, Figure]) -> str:
    head, rows = summary(arms)
    about = [
        f"Model {study.model.name}, up to {study.tokens} new tokens, every configuration in processes of its own.",
        "Counted work compares across machines; seconds and memory do not.",
        html.pairs(machine),
    ]
    body = [html.heading("Prompt"), html.quote(study.prompt), html.heading("Side by side"), html.table(head, rows)]
    body += [html.figure(plots.svg(figure)) for figure in drawn.values()]
    if not drawn:
        body.append("<p>Plots need matplotlib: pip install 'zkcore[report]'.</p>")
    for arm in arms:
        body += _arm(arm)
    return html.page("Ablation", about, body)


def _arm(arm: Arm) -> list[str]:
    out = [html.heading(arm.name)]
    if arm.error:
        out.append(html.table(("outcome",), [(f"failed: {arm.error}",)]))
    if (answer := arm.figure("prove", "text")) is not None:
        out += [html.heading("Answer", 3), html.quote(answer)]
    if "commit" in arm.steps:
        keys = ("parameters", "perplexity_float", "perplexity_integer", "top1_agreement")
        rows = [[arm.figure("commit", k) for k in keys]]
        out.append(html.table([k.replace("_", " ") for k in keys], rows))
    for step in STEPS:
        if step in arm.steps:
            out += [html.heading(TITLES[step], 3), _stage_table(arm, step)]
    if arm.files:
        out += [html.heading("Bytes on disk", 3), html.table(("section", "bytes"), list(arm.files.items()))]
    return [*out, html.details("Configuration", arm.config)]


def _stage_table(arm: Arm, step: str) -> str:
    stages = arm.steps[step].stages
    rows: list[list[object]] = [[s.name, round(s.seconds, 3), s.bytes, *operations(s)] for s in stages]
    return html.table(("stage", "seconds", "bytes", "multiplications", "group additions", "hashed bytes"), rows)


def write(out: Path, study: Study, arms: Sequence[Arm], machine: Mapping[str, Any]) -> list[Path]:
    """Plots where matplotlib is there, and the page."""
    drawn = figures(arms) if plots.available() else {}
    made = []
    for name, figure in drawn.items():
        plots.save(figure, out / name)
        made += [out / f"{name}.png", out / f"{name}.svg"]
    path = out / "report.html"
    path.write_text(page(study, arms, machine, drawn), encoding="utf-8")
    return [*made, path]
