"""A model's graph as SVG: ops in ranks, what each makes, and the relations that are proved about it.

The block is drawn once. An op lists its relations by kind (hover: by name), and how often others read what it makes:
each reading is a claim that the proof must discharge."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from zkcore.config import StrategyConfig
from zkcore.graph.model import ModelGraph, Node, Ref, Stage
from zkcore.graph.system import System
from zkcore.graph.tensor import Tensor
from zkcore.report.html import text
from zkcore.strategy.per_layer import PerLayer

WIDTH, GAP, LINE, RISE = 214, 22, 14, 46  # of a box, between boxes, of a line, between ranks
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#1c2733}.name{font-weight:600;font-size:12px}.dim{fill:#5c6b7a}"
    ".box{fill:#f5f7f9;stroke:#9aa7b4}.committed{stroke:#0072B2;stroke-width:1.6}.edge{fill:none;stroke:#9aa7b4}"
    ".stage{fill:none;stroke:#d8dde3;stroke-dasharray:5 4}"
)


@dataclass(frozen=True)
class Box:
    """An op where it is drawn."""

    key: str
    name: str
    lines: tuple[str, ...]
    hint: str
    committed: bool
    x: float = 0
    y: float = 0

    @property
    def height(self) -> int:
        return LINE * (len(self.lines) + 1) + 10


def draw(graph: ModelGraph, table_bits: int, virtual_outputs: bool = True) -> str:
    """One SVG element."""
    once = replace(graph, layers=1)
    system = PerLayer(StrategyConfig()).expand(once, table_bits, virtual_outputs)
    top, parts, sizes, edges = 10.0, list[str](), list[float](), list[str]()
    before = ""
    for title, scope, stage in _stages(once, graph.layers):
        boxes, bottom = _laid_out(list(_boxes(system, scope, stage)), _sources(stage), top + 26)
        width = max((b.x + WIDTH for b in boxes.values()), default=0)
        parts += [_frame(title, top, width, bottom), *(_box(b) for b in boxes.values())]
        edges += _edges(stage, boxes)
        if before:
            parts.append(f'<path class="edge" d="M{WIDTH / 2} {before} V{top}"/>')
        sizes.append(width)
        before, top = f"{bottom + 8}", bottom + RISE
    size = f"{max(sizes) + 20:.0f} {top:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{max(sizes) + 20:.0f}">'
        f"<style>{STYLE}</style>{''.join(edges)}{''.join(parts)}</svg>"
    )


def _stages(graph: ModelGraph, layers: int) -> list[tuple[str, str, Stage]]:
    names = ("prologue", f"block, {layers} times", "epilogue")
    return [(n, scope, stage) for n, (scope, stage) in zip(names, graph.stages(), strict=True)]


def _boxes(system: System, scope: str, stage: Stage) -> Iterator[Box]:
    reads = Counter(n for r in system.relations for n, _ in r.reads())
    for node in stage.nodes:
        own = f"{scope}{node.name}."
        relations = [r for r in system.relations if r.name.startswith(own)]
        made = [t for n, t in system.tensors.items() if n.startswith(own) and "." not in n.removeprefix(own)]
        kept = [t for t in made if t.kind == "committed"]
        outside = sum(reads[t.name] for t in made) - _inside(made, own, system)
        kinds = Counter(r.kind for r in relations)
        weights = [
            f"weight {ref.name} {_shape(system, scope, ref)}" for ref in node.inputs.values() if ref.kind == "weight"
        ]
        said = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "no relation"
        lines = (
            node.op.name,
            *weights,
            *(_output(t, own) for t in kept),
            said,
            f"read by {outside} relations of others",
        )
        yield Box(node.name, node.name, lines, "\n".join(r.name for r in relations), bool(kept))


def _inside(made: list[Tensor], own: str, system: System) -> int:
    names = {t.name for t in made}
    return sum(n in names for r in system.relations if r.name.startswith(own) for n, _ in r.reads())


def _shape(system: System, scope: str, ref: Ref) -> str:
    tensor = system.tensors.get(scope + ref.name) or system.tensors[ref.name]
    return str(list(tensor.shape))


def _output(tensor: Tensor, own: str) -> str:
    bits = max(-tensor.lo, tensor.hi + 1).bit_length() - 1
    sign = "signed " if tensor.lo < 0 else ""
    return f"{tensor.name.removeprefix(own)} {list(tensor.shape)}, {sign}{bits + (tensor.lo < 0)} bits"


def _sources(stage: Stage) -> dict[str, list[str]]:
    """Nodes of the same stage that a node reads."""
    own = {n.name for n in stage.nodes}
    return {n.name: [s for s in _read_by(n) if s in own] for n in stage.nodes}


def _read_by(node: Node) -> list[str]:
    return [ref.name.rsplit(".", 1)[0] for ref in node.inputs.values() if ref.kind == "node"]


def _laid_out(boxes: list[Box], sources: Mapping[str, list[str]], top: float) -> tuple[dict[str, Box], float]:
    """Ranks by the longest way from the start; within a rank, near the middle of what is read."""
    rank: dict[str, int] = {}
    for box in boxes:
        rank[box.key] = 1 + max((rank[s] for s in sources[box.key]), default=-1)
    rows: dict[int, list[Box]] = defaultdict(list)
    for box in boxes:
        rows[rank[box.key]].append(box)
    placed: dict[str, Box] = {}
    for _, row in sorted(rows.items()):
        x = 10.0
        for box in sorted(row, key=lambda b: _middle(placed, sources[b.key])):
            x = max(x, min((placed[s].x for s in sources[box.key]), default=x))
            placed[box.key] = replace(box, x=x, y=top)
            x += WIDTH + GAP
        top += max(b.height for b in row) + RISE / 2
    return placed, top - RISE / 2


def _middle(placed: Mapping[str, Box], sources: list[str]) -> float:
    return sum(placed[s].x for s in sources) / max(1, len(sources))


def _box(b: Box) -> str:
    kind = "box committed" if b.committed else "box"
    lines = [f'<text class="name" x="{b.x + 8}" y="{b.y + LINE + 2}">{text(b.name)}</text>']
    for k, line in enumerate(b.lines, 2):
        shown = line if len(line) <= 36 else line[:35] + "…"
        lines.append(f'<text class="dim" x="{b.x + 8}" y="{b.y + LINE * k + 2}">{text(shown)}</text>')
    rectangle = f'<rect class="{kind}" x="{b.x}" y="{b.y}" width="{WIDTH}" height="{b.height}" rx="5"/>'
    return f"<g><title>{text(b.hint)}</title>{rectangle}{''.join(lines)}</g>"


def _edges(stage: Stage, boxes: Mapping[str, Box]) -> list[str]:
    out = []
    for node in stage.nodes:
        to = boxes[node.name]
        for name in _read_by(node):
            if source := boxes.get(name):
                x, y, u, v = source.x + WIDTH / 2, source.y + source.height, to.x + WIDTH / 2, to.y
                out.append(f'<path class="edge" d="M{x} {y} C{x} {y + RISE / 2} {u} {v - RISE / 2} {u} {v}"/>')
    return out


def _frame(title: str, top: float, width: float, bottom: float) -> str:
    box = f'<rect class="stage" x="2" y="{top}" width="{width + 8}" height="{bottom - top + 8}" rx="8"/>'
    return f'{box}<text class="name" x="10" y="{top + 17}">{text(title)}</text>'
