"""The table of mutants fits the sources, and its runner works. All of it is `make mutants`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants import run

RUNNER = Path(run.__file__)


@pytest.mark.parametrize("name", run.MUTANTS)
def test_the_text_is_there(name: str) -> None:
    m = run.MUTANTS[name]
    source = (run.ROOT / m.file).read_text()
    assert [old for old, _ in m.edits if old not in source] == []
    assert all((run.ROOT / tests).exists() for tests in m.tests.split())


@pytest.mark.slow
def test_a_dropped_guard_is_missed() -> None:
    ran = subprocess.run(
        [sys.executable, str(RUNNER), "one peak", "merge drops claims"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 of 2 killed" in ran.stdout


def test_a_survivor_is_an_error(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """One that no test can notice."""
    harmless = run.mutant("version", "0.1", "0.1", run.CLAIM, "")
    monkeypatch.setattr(run, "MUTANTS", {"nothing": harmless})
    assert run.main([]) == 1
    assert "nothing" in capsys.readouterr().out
