"""Ctrl-C at any stage: exit code 130, and nothing that was not there before."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.e2e.checkpoints import Place
from tests.e2e.stages import stopped
from zkcore import proof as files
from zkcore.interrupts import ending, undisturbed


def interrupted(cwd: Path, stage: str, number: int, *argv: str | Path) -> int:
    """The exit code of a command that gets a signal when a stage begins, and says nothing of a result."""
    ended = stopped(cwd, stage, number, *argv)
    assert "Traceback" not in ended.errors
    assert not {"prove", "commit"} & {e["event"] for e in ended.events}
    return ended.code


@pytest.mark.parametrize(
    ("stage", "number", "code"), [("commit", signal.SIGINT, 130), ("open", signal.SIGTERM, 143)], ids=["int", "term"]
)
def test_prove(tiny: Place, tmp_path: Path, stage: str, number: int, code: int) -> None:
    (tmp_path / "a.zkp").write_text("an older proof")
    options = ("--prompt", "The old", "--max-new-tokens", "2", "--out", "a.zkp", "--no-estimate")
    assert interrupted(tmp_path, stage, number, "prove", tiny.commitment, *options) == code
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"a.zkp": "an older proof"}


def test_commit(tiny: Place, tmp_path: Path) -> None:
    options = ("--config", tiny.config, "--out", "commitment")
    assert interrupted(tmp_path, "range proof", signal.SIGINT, "commit", tiny.model, *options) == 130
    assert list(tmp_path.iterdir()) == []


def test_files_that_belong_together_appear_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An interrupt between two renames waits for the second."""
    replace, renamed = os.replace, list[str]()

    def interrupting(old: Path, new: Path) -> None:
        replace(old, new)
        renamed.append(new.name)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", interrupting)
    with pytest.raises(SystemExit) as ended, ending():
        files.write(*(files.Written(tmp_path / name, b"new") for name in "abc"))
    assert ended.value.code == 130
    assert renamed == ["a", "b", "c"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "c"]


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ending(), undisturbed():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
