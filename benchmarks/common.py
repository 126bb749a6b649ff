"""What the benchmarks share: where they are, and how their results are kept."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
from pathlib import Path
from typing import Any

from zkcore.report.machine import describe

ROOT = Path(__file__).resolve().parents[1]


def save(path: Path, content: dict[str, Any]) -> None:
    """With the machine, the date and the commit that was measured."""
    about: dict[str, Any] = {"machine": describe(), "date": datetime.date.today().isoformat(), "commit": commit()}
    about["load_average"] = round(os.getloadavg()[0], 1)  # others on the machine make everything slower
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**about, **content}, indent=1) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def commit() -> str:
    """With a plus sign if files have changed since."""

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", "zkcore", "csrc") else "")
