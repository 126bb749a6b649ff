"""A command that is stopped when one of its stages begins."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ended:
    """`events`: all it said before and after, as JSON lines; `errors`: what it said besides."""

    code: int
    events: list[dict[str, Any]]
    errors: str


def stopped(cwd: Path, stage: str, number: int, *argv: str | Path) -> Ended:
    """`python -m zkcore --json ARGV`, which gets a signal when a stage begins; no stage of the name: it comes to its
    end."""
    command = [sys.executable, "-m", "zkcore", "--json", *(str(a) for a in argv)]
    events: list[dict[str, Any]] = []
    with subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stdout
        for line in running.stdout:
            events.append(json.loads(line))
            if events[-1]["event"] == "begin" and events[-1]["stage"] == stage:
                running.send_signal(number)
                break
        rest, errors = running.communicate(timeout=120)
    return Ended(running.returncode, [*events, *(json.loads(line) for line in rest.splitlines())], errors)
