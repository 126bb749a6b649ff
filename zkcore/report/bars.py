"""Progress for people at a terminal: a line per stage on stderr, with what is left of it where that can be told."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.text import Text

from zkcore import memory
from zkcore.report.progress import Clock, QuietReporter, StageTime, Steps
from zkcore.report.tables import printable

ALL = "all"  # the line for stages to come, once it is known what they take


class RichReporter(QuietReporter):
    """Stages that were announced share one more line: how far they are together, and when they will be over."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        super().__init__(clock)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._all: TaskID | None = None
        self._expected: dict[str, float] = {}

    def expect(self, seconds: Mapping[str, float]) -> None:
        self._expected = dict(seconds)

    def note(self, text: str) -> None:
        self._bar().console.print(printable(text), markup=False, highlight=False)

    def close(self) -> None:
        super().close()
        if self._progress:
            if self._all is not None:
                self._progress.update(self._all, visible=False)
            self._progress.stop()
            self._progress = None

    def _bar(self) -> Progress:
        if self._progress is None:
            self._progress = _progress()
            self._progress.start()
        return self._progress

    def _begun(self, name: str, detail: str) -> None:
        bar = self._bar()
        self._task = bar.add_task(_label(name, detail), total=None, expected=self._expected.get(name), steps=None)
        if name in self._expected and self._all is None:
            whole = sum(self._expected.values())
            self._all = bar.add_task(ALL, total=None, expected=whole, steps=None)

    def _detailed(self, name: str, detail: str, steps: Steps) -> None:
        if self._task is not None:
            self._bar().update(self._task, description=_label(name, detail), steps=steps if steps.total else None)

    def _ended(self, done: StageTime) -> None:
        if self._task is not None:
            self._bar().update(self._task, description=_label(done.name, ""), total=1, completed=1)


class _Share(ProgressColumn):
    """How much of a stage is over: by its steps where they are counted, else by what was predicted."""

    def render(self, task: Task) -> ProgressBar | Text:
        share = _share(task)
        return Text("") if share is None or task.finished else ProgressBar(total=1, completed=share, width=20)


class _Left(ProgressColumn):
    """What is left, in minutes and seconds."""

    def render(self, task: Task) -> Text:
        share, elapsed = _share(task), task.elapsed or 0
        if task.finished or not share:
            return Text("")
        left = elapsed * (1 - share) / share if task.fields["steps"] else task.fields["expected"] - elapsed
        return Text(f"{int(max(left, 0)) // 60}:{int(max(left, 0)) % 60:02d} left", style="cyan")


class _Memory(ProgressColumn):
    """The most that was used by the end of a stage, or by now."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[TaskID, int] = {}

    def render(self, task: Task) -> Text:
        if not task.finished or task.id not in self._seen:
            self._seen[task.id] = memory.peak()
        return Text(f"{self._seen[task.id] / 2**20:,.0f} MiB", style="dim")


def _share(task: Task) -> float | None:
    steps: Steps | None = task.fields["steps"]
    if steps:
        return steps.done / steps.total
    expected: float | None = task.fields["expected"]
    return min((task.elapsed or 0) / expected, 0.99) if expected else None


def _progress() -> Progress:
    columns = (SpinnerColumn(finished_text="✓"), TextColumn("{task.description}", markup=False), _Share())
    return Progress(*columns, TimeElapsedColumn(), _Left(), _Memory(), console=Console(stderr=True))


def _label(name: str, detail: str) -> str:
    return printable(f"{name}  {detail}" if detail else name)
