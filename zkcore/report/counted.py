"""Stages with the work that was counted in them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from zkcore.field import native
from zkcore.field.kernels import Kernels
from zkcore.report.progress import Reporter, StageTime


class Counted:
    """Stages with their times and what the engine did in them; a reporter hears of them, too. `part`: put before the
    names that the reporter hears. `finish`: waits until `kernels` have done what they were asked to."""

    def __init__(
        self,
        reporter: Reporter,
        kernels: Kernels | None = None,
        part: str = "",
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        self.stages: list[StageTime] = []
        self._reporter, self._kernels, self._part, self._finish = reporter, kernels or native.load(), part, finish
        self._running: tuple[str, float, dict[str, int]] | None = None

    def stage(self, name: str, detail: str = "", done: int = 0, total: int = 0) -> None:
        if not self._running or self._running[0] != name:
            self._end()
            self._running = name, time.perf_counter(), self._kernels.counters()
        self._reporter.stage(self._part + name, detail, done, total)

    def close(self) -> list[StageTime]:
        self._end()
        return self.stages

    def _end(self) -> None:
        if self._running is None:
            return
        self._finish()
        name, start, before = self._running
        self._running = None
        work = {k: n - before[k] for k, n in self._kernels.counters().items()}
        self.stages.append(StageTime(name, time.perf_counter() - start, 0, work))


def worked(stages: list[StageTime], work: Mapping[str, Mapping[str, int]]) -> list[StageTime]:
    """With the bytes and the operations that the driver counted."""
    known = [(s, dict(work.get(s.name, {}))) for s in stages]
    return [StageTime(s.name, s.seconds, w.pop("bytes", 0), w) for s, w in known]
