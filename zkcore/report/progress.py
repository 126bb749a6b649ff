"""What a long command says while it runs. Progress goes where results do not: to stderr, or as JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from zkcore import memory

Clock = Callable[[], float]


@dataclass(frozen=True)
class StageTime:
    """A finished stage. `bytes`: what it added to the file, where that is known. `work`: operations, counted."""

    name: str
    seconds: float
    bytes: int = 0
    work: Mapping[str, int] = field(default_factory=dict)


class Reporter(Protocol):
    """A stage ends when the next one begins, or at `close`."""

    @property
    def stages(self) -> list[StageTime]:
        """The finished ones."""
        ...

    def stage(self, name: str, detail: str = "", done: int = 0, total: int = 0) -> None:
        """A stage begins, or goes on: `detail` tells its parts apart, such as "layer 3/32"; `done` of `total` steps are
        over, where that is known."""
        ...

    def expect(self, seconds: Mapping[str, float]) -> None:
        """What stages to come will take, as far as one can tell."""
        ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Steps:
    """How far a stage is; no total: nobody knows."""

    done: int = 0
    total: int = 0


class QuietReporter:
    """Says nothing and keeps the times. The others speak at its edges."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.stages: list[StageTime] = []
        self._clock = clock
        self._running: tuple[str, float] | None = None

    def stage(self, name: str, detail: str = "", done: int = 0, total: int = 0) -> None:
        """Runs of one stage that follow each other count as one."""
        if self._running and self._running[0] == name:
            self._detailed(name, detail, Steps(done, total))
            return
        self._end()
        self._running = (name, self._clock())
        self._begun(name, detail)

    def expect(self, seconds: Mapping[str, float]) -> None:
        """Nobody waits."""

    def note(self, text: str) -> None:
        """Nobody listens."""

    def close(self) -> None:
        self._end()

    def _end(self) -> None:
        if self._running:
            name, start = self._running
            self._running = None
            done = StageTime(name, self._clock() - start)
            self.stages.append(done)
            self._ended(done)

    def _begun(self, name: str, detail: str) -> None:
        """A stage began."""

    def _detailed(self, name: str, detail: str, steps: Steps) -> None:
        """A running stage says how far it is."""

    def _ended(self, done: StageTime) -> None:
        """A stage ended."""


def emit(event: str, *, stderr: bool = False, **content: Any) -> None:
    """Write one JSON line."""
    print(json.dumps({"event": event, **content}, default=str), file=sys.stderr if stderr else sys.stdout, flush=True)


class JsonReporter(QuietReporter):
    """One JSON line per event; of a running stage, when it comes to another layer or token."""

    _last = ""

    def note(self, text: str) -> None:
        emit("note", text=text)

    def _begun(self, name: str, detail: str) -> None:
        emit("begin", stage=name, detail=detail)
        self._last = detail

    def _detailed(self, name: str, detail: str, steps: Steps) -> None:
        if detail and detail != self._last:
            emit("progress", stage=name, detail=detail, **asdict(steps))
            self._last = detail

    def _ended(self, done: StageTime) -> None:
        emit("end", **asdict(done), peak_memory=memory.peak())
