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
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#777777", "#8C564B", "#8A7BD1")
SETTINGS: Any = {"svg.hashsalt": "zkcore", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9}


@dataclass(frozen=True)
class Panel:
    """One bar per row: {row: {part: value}}. A row without parts has failed."""

    title: str
    unit: str
    rows: Mapping[str, Mapping[str, float]]

    @property
    def parts(self) -> list[str]:
        """Those that one can see."""
        largest = max((sum(row.values()) for row in self.rows.values()), default=0)
        seen = (part for row in self.rows.values() for part, value in row.items() if value > largest / 1000)
        return list(dict.fromkeys(seen))


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
        parts = dict.fromkeys(part for p in panels for part in p.parts)  # the same colour in every panel
        colours = {part: COLOURS[i % len(COLOURS)] for i, part in enumerate(parts)}
        for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
            _draw(axes, panel, colours)
        figure.draw_without_rendering()
        figure.set_layout_engine("none")  # it would move things a little with every file that is made
    return figure


def _draw(axes: Axes, panel: Panel, colours: Mapping[str, str]) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    short = EngFormatter(sep="", places=None)
    names = list(panel.rows)
    left = [0.0] * len(names)
    for part in panel.parts:
        widths = [float(panel.rows[n].get(part, 0)) for n in names]
        axes.barh(names, widths, left=left, height=0.6, label=part, color=colours[part])
        left = [a + b for a, b in zip(left, widths, strict=True)]
    for y, total in enumerate(left):
        label = EngFormatter(sep="", places=1)(total) if panel.rows[names[y]] else "failed"
        axes.annotate(f" {label}", (total, y), va="center", fontsize=8)
    axes.set_title(panel.title, loc="left", fontsize=10, fontweight="bold")
    axes.set_xlabel(panel.unit)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(short)
    axes.set_xlim(0, 1.18 * max([*left, 1e-9]))
    axes.invert_yaxis()
    axes.spines[["top", "right"]].set_visible(False)
    if panel.parts:
        axes.legend(fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=3)


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
