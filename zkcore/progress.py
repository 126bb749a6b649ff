"""How far a long piece of work is: which stage, which layer, how many steps of how many."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

_LAYER = re.compile(r"^layers\.(\d+)\.")


class Progress(Protocol):
    def __call__(self, stage: str, detail: str = "", done: int = 0, total: int = 0, /) -> None:
        """A stage begins, or goes on: `detail` says where it is, such as "layer 3/32"; `done` of `total` steps are
        over (no total: nobody knows)."""
        ...


def silent(stage: str, detail: str = "", done: int = 0, total: int = 0) -> None:
    """No progress reports."""


def within(progress: Progress, stage: str) -> Progress:
    """For work that is one stage of a longer one: its own stages are told as details."""

    def told(inner: str, detail: str = "", done: int = 0, total: int = 0, /) -> None:
        progress(stage, f"{inner}, {detail}" if detail else inner, done, total)

    return told


def layers_in(names: Iterable[str]) -> int:
    """How many layers the names of a model's tensors speak of."""
    return max((int(found[1]) + 1 for n in names if (found := _LAYER.match(n))), default=0)


def layer(name: str, layers: int) -> str:
    """ "layers.2.q.y" of 32 -> "layer 3/32"; what belongs to no layer has no detail."""
    found = _LAYER.match(name)
    return f"layer {int(found[1]) + 1}/{layers}" if found else ""
