"""A command's stages as a Chrome trace: open the file in ui.perfetto.dev or chrome://tracing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zkcore import memory
from zkcore.proof import Written, check_writable, write
from zkcore.report.progress import Clock, Reporter, StageTime

MICRO = 1_000_000


class TraceReporter:
    """Passes everything on to another reporter. Stages are slices, their layers and tokens slices within, and memory is
    a counter. The file is written at `close`, whole or not at all."""

    def __init__(self, inner: Reporter, path: Path, clock: Clock = time.perf_counter) -> None:
        check_writable(path)
        self._inner, self._path, self._clock = inner, path, clock
        self._start = clock()
        self._events: list[dict[str, Any]] = []
        self._open: list[tuple[str, float]] = []  # a stage, and a part of it

    @property
    def stages(self) -> list[StageTime]:
        return self._inner.stages

    def stage(self, name: str, detail: str = "", done: int = 0, total: int = 0) -> None:
        if not self._open or self._open[0][0] != name:
            self._end(0)
            self._begin(name)
        if detail and self._open[1:] != [(detail, self._open[-1][1])]:
            self._end(1)
            self._begin(detail)
        self._inner.stage(name, detail, done, total)

    def expect(self, seconds: Mapping[str, float]) -> None:
        self._inner.expect(seconds)

    def note(self, text: str) -> None:
        self._add("i", text, self._now(), s="p")
        self._inner.note(text)

    def close(self) -> None:
        self._end(0)
        self._inner.close()
        content = {"traceEvents": self._events, "displayTimeUnit": "ms"}
        write(Written(self._path, json.dumps(content).encode()))

    def _begin(self, name: str) -> None:
        self._open.append((name, self._now()))
        self._add("C", "memory", self._now(), args={"peak MiB": memory.peak() >> 20})

    def _end(self, depth: int) -> None:
        """All that is open from this depth on."""
        while len(self._open) > depth:
            name, since = self._open.pop()
            self._add("X", name, since, dur=self._now() - since)

    def _now(self) -> float:
        return (self._clock() - self._start) * MICRO

    def _add(self, phase: str, name: str, at: float, **more: Any) -> None:
        self._events.append({"ph": phase, "name": name, "ts": at, "pid": os.getpid(), "tid": 0, **more})
