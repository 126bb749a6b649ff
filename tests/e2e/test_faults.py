"""Processes that are killed, places that are taken, and load: no half file, no lost commitment, no growing memory."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.checkpoints import Place
from tests.e2e.limits import refused
from tests.e2e.stages import stopped
from zkcore import api
from zkcore import proof as files
from zkcore.errors import UsageError
from zkcore.testing.attack_kit import subjects
from zkcore.testing.attack_kit.trace import Script, forge, replay
from zkcore.testing.toolbox import rejection, verify_system

# --- kill -9 ----------------------------------------------------------------------------------------------------------
WRITING = """
import os, sys
from pathlib import Path
from zkcore import proof as files

calls, last = 0, int(sys.argv[2])

def counted(call):
    def go(*arguments, **options):
        global calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), 9)
        return call(*arguments, **options)
    return go

for name in ("fsync", "link", "replace"):
    setattr(os, name, counted(getattr(os, name)))
files.write(*(files.Written(Path(sys.argv[1]) / name, b"new " * 9999, True) for name in ("one", "two")))
"""


def written(place: Path, last: int) -> int:
    """Two files are written by a process that is killed before its `last` call; returns its exit code."""
    return subprocess.run([sys.executable, "-c", WRITING, str(place), str(last)], check=False).returncode


def test_a_writer_killed_at_any_moment_leaves_no_half_file(tmp_path: Path) -> None:
    codes = []
    for last in range(1, 9):
        place = tmp_path / str(last)
        place.mkdir()
        (place / "one").write_bytes(b"old")
        codes.append(written(place, last))
        for name in ("one", "two"):
            found = (place / name).read_bytes() if (place / name).exists() else b"old"
            assert found in (b"old", b"new " * 9999), (last, name)
        assert written(place, 99) == 0, "and a second try succeeds"
    assert codes[:6] == [-signal.SIGKILL] * 6
    assert codes[-1] == 0, "the last one is not killed: all moments were tried"


def test_where_files_have_no_name_until_they_are_whole(tmp_path: Path) -> None:
    """Killed while it writes, a prover of a large model leaves no gigabytes of secrets behind."""
    try:
        os.close(os.open(tmp_path, os.O_WRONLY | os.O_TMPFILE))
    except OSError as e:
        pytest.skip(f"this file system has no nameless files: {errno.errorcode.get(e.errno or 0)}")
    written(tmp_path, 1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_prover_killed_in_its_work_can_begin_anew(tiny: Place, tmp_path: Path) -> None:
    options = ("--prompt", "The old", "--max-new-tokens", "1", "--out", "a.zkp", "--no-estimate")
    for stage in ("lookups", "blind"):
        assert stopped(tmp_path, stage, signal.SIGKILL, "prove", tiny.commitment, *options).code == -signal.SIGKILL
        assert list(tmp_path.iterdir()) == []
    api.prove(tiny.commitment, "The old", 1, tmp_path / "a.zkp")
    assert api.verify(tmp_path / "a.zkp", tiny.public, prompt="The old").tokens == 1


@pytest.mark.slow
def test_a_commit_killed_in_its_work_can_begin_anew(tiny: Place, tmp_path: Path) -> None:
    options = ("--config", tiny.config, "--out", "c")
    ended = stopped(tmp_path, "range proof", signal.SIGKILL, "commit", tiny.model, *options)
    assert ended.code == -signal.SIGKILL
    assert not (tmp_path / "c").exists()
    api.commit(tiny.model, tiny.config, tmp_path / "c")
    assert (tmp_path / "c" / "public.zkc").exists()


# --- what is there ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("left", ["public.zkc", "private"])
def test_a_commitment_is_not_written_over(tiny: Place, tmp_path: Path, left: str) -> None:
    """Neither half of it, and not by accident."""
    place = tmp_path / "c"
    shutil.copytree(tiny.commitment, place)
    for other in {"public.zkc", "private"} - {left}:
        (shutil.rmtree if (place / other).is_dir() else os.unlink)(place / other)
    before = {p: p.read_bytes() for p in place.rglob("*") if p.is_file()}
    refused(lambda: api.commit(tiny.model, tiny.config, place), UsageError, "there is a commitment already", "--out")
    assert {p: p.read_bytes() for p in place.rglob("*") if p.is_file()} == before


def test_unless_one_says_so(tiny: Place, tmp_path: Path) -> None:
    place = tmp_path / "c"
    shutil.copytree(tiny.commitment, place)
    before = (place / "public.zkc").read_bytes()
    api.commit(tiny.model, tiny.config, place, overwrite=True)
    assert (place / "public.zkc").read_bytes() != before


@pytest.mark.parametrize("call", ["fsync", "link", "replace"])
def test_no_room_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "proof").write_bytes(b"old")
    monkeypatch.setattr(os, call, full)
    try:
        files.write(files.Written(tmp_path / "proof", b"new"))
    except UsageError as e:
        assert "No space left" in str(e)
        assert (tmp_path / "proof").read_bytes() == b"old"
    else:
        assert call == "link", "a system that names files at once makes no link"
    assert [p.name for p in tmp_path.iterdir()] == ["proof"]


# --- load -------------------------------------------------------------------------------------------------------------
def test_a_thousand_verifications_leak_nothing() -> None:
    """Accepted and rejected ones in turn. Memory after the first hundreds is memory after all."""
    subject = subjects.of_argument(subjects.LogupGkr())
    good = forge(subject, Script()).proof
    bad = good[:-1] + bytes([good[-1] ^ 1])
    setup, weights = subject.setup(False), subject.weights(False)
    peak = []
    for turn in range(1000):
        if turn % 2:
            assert rejection(subject.system, bad, setup, weights=weights)
        else:
            verify_system(subject.system, good, setup, weights=weights)
        peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    assert not replay(subject, good).reason
    assert peak[-1] - peak[300] < 4096, "kilobytes"
