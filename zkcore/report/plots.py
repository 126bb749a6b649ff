"""Stacked bars with matplotlib, for comparisons of configurations. As files, or as SVG text for a page."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkcore.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colours, told apart by colour-blind readers too; then darker ones.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999", "#005A8C", "#B37B00")
SETTINGS: Any = {"svg.hashsalt": "zkcore", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}


@dataclass(frozen=True)
class Panel:
    """One bar per row: {row: {part: value}}."""

    title: str
    unit: str
    rows: Mapping[str, Mapping[str, float]]

    @property
    def parts(self) -> list[str]:
        return list(dict.fromkeys(part for row in self.rows.values() for part in row))


def available() -> bool:
    return find_spec("matplotlib") is not None


def stacked(panels: Sequence[Panel]) -> Figure:
    """Panels side by side."""
    if not available():
        raise UsageError("plots need matplotlib: pip install 'zkcore[report]'")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(SETTINGS):
        bars = max((len(p.rows) for p in panels), default=1)
        figure = Figure(figsize=(4.6 * len(panels), 1.6 + 0.45 * bars), layout="constrained")
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel)
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    names = list(panel.rows)
    left = [0.0] * len(names)
    for i, part in enumerate(panel.parts):
        widths = [float(panel.rows[n].get(part, 0)) for n in names]
        axes.barh(names, widths, left=left, height=0.6, label=part, color=COLOURS[i % len(COLOURS)])
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for y, total in enumerate(left):
        axes.annotate(f" {total:,.3g}" if total < 1000 else f" {total:,.0f}", (total, y), va="center", fontsize=8)
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(panel.unit)
    axes.set_xlim(0, 1.18 * max([*left, 1e-9]))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    if panel.parts:
        axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=3)


def save(figure: Figure, path: Path) -> None:
    """As PNG and as SVG, whatever the path's ending."""
    from matplotlib import rc_context

    with rc_context(SETTINGS):
        figure.savefig(path.with_suffix(".png"), dpi=150)
    path.with_suffix(".svg").write_text(svg(figure), encoding="utf-8")


def svg(figure: Figure) -> str:
    """The element alone, to put into a page. The same figure yields the same text."""
    from matplotlib import rc_context

    nothing: dict[str, Any] = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    out = io.StringIO()
    with rc_context(SETTINGS):
        figure.savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    return text[text.index("<svg") :]
