"""Stages with the work that was counted in them."""

from __future__ import annotations

from collections.abc import Mapping

from zkcore.field import native
from zkcore.report.progress import Reporter, StageTime


class Counted:
    """A reporter's stages, and what the engine did in them."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter, self._work = reporter, dict[str, dict[str, int]]()
        self._running: tuple[str, dict[str, int]] | None = None

    def stage(self, name: str, detail: str = "", done: int = 0, total: int = 0) -> None:
        if not self._running or self._running[0] != name:
            self.close()
            self._running = name, native.load().counters()
        self._reporter.stage(name, detail, done, total)

    def close(self) -> dict[str, dict[str, int]]:
        if self._running:
            name, start = self._running
            self._work[name] = {k: n - start[k] for k, n in native.load().counters().items()}
            self._running = None
        return self._work


def worked(stages: list[StageTime], work: Mapping[str, Mapping[str, int]]) -> list[StageTime]:
    """With the bytes and the operations that the driver counted."""
    known = [(s, dict(work.get(s.name, {}))) for s in stages]
    return [StageTime(s.name, s.seconds, w.pop("bytes", 0), w) for s, w in known]
