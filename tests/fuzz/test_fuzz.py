"""A short run over what reads strange bytes; the long one is tests/fuzz/run.py."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.e2e.limits import bounded
from tests.fuzz import targets
from zkcore.errors import ZkcoreError


@pytest.mark.parametrize("seed", range(4))
def test_changed_files(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(150):
        data = rng.choice(targets.corpus())
        for _ in range(rng.choice([1, 2, 5])):
            data = targets.changed(data, rng)
        with bounded(seconds=5):
            targets.one(data)


def test_the_corpus_reaches_every_target() -> None:
    assert {d[0] % len(targets.TARGETS) for d in targets.corpus()} == set(range(len(targets.TARGETS)))
    for data in targets.corpus():
        targets.one(data)


def test_the_targets_are_alive() -> None:
    """Refusals reach them: what is suppressed is zkcore's own and nothing else."""
    with pytest.raises(ZkcoreError):
        targets.commitment(b"no file")
    with pytest.raises(ZkcoreError):
        targets.configuration(b"{")


@pytest.mark.skipif(find_spec("atheris") is None, reason="no atheris for this machine")
def test_led_by_coverage(tmp_path: Path) -> None:
    """Ten seconds from the corpus on; a finding ends it with another code, and lies in tests/fuzz/findings."""
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--guided", "--seconds", "10"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    inputs, covered = re.search(r"#(\d+)\s+DONE\s+cov: (\d+)", ran.stderr).groups()  # type: ignore[union-attr]
    assert int(inputs) > 300, "each in milliseconds"
    assert int(covered) > 200, "zkcore is instrumented"
