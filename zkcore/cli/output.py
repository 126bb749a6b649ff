"""Where a command's words go: results to stdout, progress and errors to stderr, or all of it as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkcore import memory
from zkcore.errors import ConfigError, NotSettled, ProofRejected, WitnessError, ZkcoreError
from zkcore.report.bars import RichReporter
from zkcore.report.progress import JsonReporter, QuietReporter, Reporter, emit
from zkcore.report.tables import console, printable
from zkcore.report.trace import TraceReporter

if TYPE_CHECKING:
    from rich.table import Table

ACCEPTED, REJECTED, UNUSABLE, BUG, UNSETTLED = 0, 1, 2, 3, 4
HIDES_NOTHING = "NOT ZERO KNOWLEDGE: made in clear mode, this proof hides nothing: it shows weights and activations"


@dataclass
class Output:
    """Set by the global options before a command runs."""

    json: bool = False
    quiet: bool = False
    trace: Path | None = None

    @contextmanager
    def reporting(self) -> Iterator[Reporter]:
        """A reporter that is closed whatever happens, so that errors are printed below its last line."""
        report: Reporter = JsonReporter() if self.json else QuietReporter() if self.quiet else RichReporter()
        if self.trace:
            report = TraceReporter(report, self.trace)
        try:
            yield report
        finally:
            report.close()

    def result(self, event: str, content: dict[str, Any], line: str, *tables: Table) -> None:
        """`line` is the answer in words, `content` the same as data; the tables explain."""
        if self.json:
            emit(event, **content)
            return
        if not self.quiet:
            for table in tables:
                console().print(table)
        self.say(line)

    def say(self, text: str, style: str = "") -> None:
        """A line for people. Quiet or not: this is what was asked for."""
        if not self.json:
            console().print(printable(text), style=style or None, soft_wrap=True)

    def warn_clear(self, content: dict[str, Any]) -> None:
        """For results that say which mode they were made in."""
        if not content.get("zero_knowledge", True):
            self.say(HIDES_NOTHING, style="bold red")

    def failure(self, error: Exception) -> int:
        """Print an error; returns the exit code it calls for."""
        code, lines = explain(error)
        if self.json:
            emit("error", stderr=True, exit=code, kind=type(error).__name__, lines=lines)
        for text in [] if self.json else lines:
            console(stderr=True).print(printable(text), soft_wrap=True)
        return code


def explain(error: Exception) -> tuple[int, list[str]]:
    """An error's exit code, and what to say about it."""
    if isinstance(error, ProofRejected):
        return REJECTED, [f"rejected: {error}"]
    if isinstance(error, NotSettled):
        return UNSETTLED, [f"{error}", "not accepted yet: give --settlement"]
    if isinstance(error, ConfigError):
        return UNUSABLE, list(error.problems)
    if isinstance(error, WitnessError):
        return UNUSABLE, [f"refused to write a proof: {error}"]
    if isinstance(error, ZkcoreError):
        return UNUSABLE, [str(error)]
    if whose := memory.exhausted(error):
        return UNUSABLE, [f"{whose} is exhausted: {memory.OTHER}"]
    if isinstance(error, OSError):
        return UNUSABLE, [f"{error.filename}: {error.strerror}" if error.filename else str(error)]
    return BUG, [f"internal error: {type(error).__name__}: {error}", "Set ZKCORE_TRACEBACK=1 to see where."]
