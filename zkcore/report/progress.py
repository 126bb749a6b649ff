"""What a long command says while it runs. Progress goes where results do not: to stderr, or as JSON lines."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

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

    def stage(self, name: str, detail: str = "") -> None:
        """A stage begins; `detail` tells runs of one stage apart, such as "layer 3/32"."""
        ...

    def note(self, text: str) -> None: ...

    def close(self) -> None: ...


class QuietReporter:
    """Says nothing and keeps the times. The others speak at its edges."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.stages: list[StageTime] = []
        self._clock = clock
        self._running: tuple[str, float] | None = None

    def stage(self, name: str, detail: str = "") -> None:
        """Runs of one stage that follow each other count as one."""
        if self._running and self._running[0] == name:
            self._detailed(name, detail)
            return
        self._end()
        self._running = (name, self._clock())
        self._begun(name, detail)

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

    def _detailed(self, name: str, detail: str) -> None:
        """A running stage says how far it is."""

    def _ended(self, done: StageTime) -> None:
        """A stage ended."""


def emit(event: str, *, stderr: bool = False, **content: Any) -> None:
    """Write one JSON line."""
    print(json.dumps({"event": event, **content}, default=str), file=sys.stderr if stderr else sys.stdout, flush=True)


class JsonReporter(QuietReporter):
    """One JSON line per event."""

    def note(self, text: str) -> None:
        emit("note", text=text)

    def _begun(self, name: str, detail: str) -> None:
        emit("begin", stage=name, detail=detail)

    def _detailed(self, name: str, detail: str) -> None:
        self._begun(name, detail)

    def _ended(self, done: StageTime) -> None:
        emit("end", **asdict(done), peak_memory=peak_memory())


class RichReporter(QuietReporter):
    """A line per stage on stderr: its name, the time it takes, the most memory used so far."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        super().__init__(clock)
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def note(self, text: str) -> None:
        self._bar().console.print(_plain(text), markup=False, highlight=False)

    def close(self) -> None:
        super().close()
        if self._progress:
            self._progress.stop()
            self._progress = None

    def _bar(self) -> Progress:
        if self._progress is None:
            self._progress = _progress()
            self._progress.start()
        return self._progress

    def _begun(self, name: str, detail: str) -> None:
        self._task = self._bar().add_task(_label(name, detail), total=None, memory="")

    def _detailed(self, name: str, detail: str) -> None:
        if self._task is not None:
            self._bar().update(self._task, description=_label(name, detail))

    def _ended(self, done: StageTime) -> None:
        if self._task is not None:
            memory = f"{peak_memory() / 2**20:,.0f} MiB"
            self._bar().update(self._task, description=_label(done.name, ""), total=1, completed=1, memory=memory)


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[memory]}", style="dim"), console=Console(stderr=True))


def _label(name: str, detail: str) -> str:
    return _plain(f"{name}  {detail}" if detail else name)


def _plain(text: str) -> str:
    from zkcore.report.tables import printable

    return printable(text)


def peak_memory() -> int:
    """Bytes, of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
