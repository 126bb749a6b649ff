"""What is left of the catalogue's black-box attacks (tests/attacks/CATALOGUE.md): names, downgrades, changes in
between, and the installation's own test."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.checkpoints import Place
from tests.e2e.files import File
from tests.e2e.limits import refused
from zkcore import api, public, verifier
from zkcore.errors import FormatError, ProofRejected, ZkcoreError
from zkcore.testing import self_test
from zkcore.transcript import transcript

ROOT = Path(__file__).parents[2]


def zkcore(cwd: Path, *argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    command = [sys.executable, "-m", "zkcore", *argv]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)


# --- a14: names are names ---------------------------------------------------------------------------------------------
NAMES = [
    "; touch sentinel",
    "$(touch sentinel)",
    "`touch sentinel`",
    "| touch sentinel",
    "a\nb",
    "%s%n",
    "[bold]x",
]


def test_names_are_names(tiny: Place, tmp_path: Path) -> None:
    """No shell sees them, no markup is made of them, and what is written has exactly that name."""
    for name in NAMES:
        shutil.copy(tiny.proof, tmp_path / name)
        api.inspect(tmp_path / name)
        copy = tmp_path / f"{name} too"
        api.inspect(tiny.public)
        shutil.copy(tiny.public, copy)
        api.verify(tmp_path / name, copy, nonce=tiny.nonce) if name is NAMES[0] else public.load(copy)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([*NAMES, *(f"{n} too" for n in NAMES)])
    ran = zkcore(tmp_path, "inspect", NAMES[1])
    assert ran.returncode == 0
    assert NAMES[1] in ran.stdout
    assert zkcore(tmp_path, "inspect", "--", "-gone; touch sentinel").returncode == 2
    assert not (tmp_path / "sentinel").exists()


# --- a17: less than was agreed ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("plugins",), []),
        (("plugins", 0, 1), "0.0.1"),
        (("config", "version"), 0),
        (("config", "zero_knowledge"), False),
        (("config", "model", "table_bits"), 8),
        (("config", "lookup"), "none"),
        (("config", "commitment", "name"), "plain"),
    ],
)
def test_less_than_was_agreed(tiny: Place, path: tuple[str | int, ...], value: object) -> None:
    """A commitment file that asks for an older, an emptier or a weaker verification is another one."""
    data = File.of(tiny.public.read_bytes()).edited(path, value)
    expected = verifier.Expected(nonce=tiny.nonce)

    def verify() -> None:
        verifier.verify(public.parse(data), tiny.proof.read_bytes(), expected, api.cache_dir())

    refused(verify, (FormatError, ZkcoreError), seconds=20)


@pytest.mark.parametrize("opening", ["none", "", None, "COMPLETE", ["complete"]])
def test_an_opening_nobody_knows(tiny: Place, opening: object) -> None:
    data = File.of(tiny.proof.read_bytes()).edited(("opening",), opening)
    commitment = public.load(tiny.public)
    with pytest.raises(ProofRejected):
        verifier.verify(commitment, data, verifier.Expected(nonce=tiny.nonce), api.cache_dir())


def test_a_complete_proof_that_claims_to_be_settled_elsewhere(tiny: Place) -> None:
    """Its opening is cut off, and the header says that this is as it should be."""
    file = File.of(tiny.proof.read_bytes())
    data = file.edited(("opening",), "deferred")
    commitment = public.load(tiny.public)
    with pytest.raises(ZkcoreError):
        verifier.verify(commitment, data, verifier.Expected(nonce=tiny.nonce), api.cache_dir())


# --- a18: changes in between ------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_a_model_that_changes_after_it_was_committed_to(tiny: Place, tmp_path: Path) -> None:
    """Proofs are made from what was committed to; the checkpoint is not read again."""
    place = tmp_path / "place"
    shutil.copytree(tiny.commitment, place / "commitment")
    before = {p: p.stat().st_mtime_ns for p in tiny.model.iterdir()}
    made = api.prove(place / "commitment", tiny.prompt, 3, tmp_path / "a.zkp", nonce=tiny.nonce)
    assert made.text == tiny.text
    assert {p: p.stat().st_mtime_ns for p in tiny.model.iterdir()} == before
    assert api.verify(tmp_path / "a.zkp", tiny.public, prompt=tiny.prompt, nonce=tiny.nonce).text == tiny.text


def test_a_proof_file_that_changes_while_it_is_read(
    tiny: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read once: what was checked is what is reported."""
    path, reads = tmp_path / "a.zkp", list[Path]()
    shutil.copy(tiny.proof, path)
    honest = Path.read_bytes

    def read_bytes(self: Path) -> bytes:
        data = honest(self)
        if self == path:
            reads.append(self)
            path.write_bytes(b"something else")
        return data

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert api.verify(path, tiny.public, nonce=tiny.nonce).text == tiny.text
    assert reads == [path]


# --- a16: the installation's own test ---------------------------------------------------------------------------------
def test_the_self_test(tmp_path: Path) -> None:
    """Also where the prover's packages are missing."""
    block = tmp_path / "sitecustomize.py"
    block.write_text("import sys\nfor n in ('torch', 'transformers', 'safetensors'):\n    sys.modules[n] = None\n")
    ran = zkcore(tmp_path, "--json", "self-test", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout.splitlines()[-1])
    assert said["tried"] > 100
    assert said["accepted"] == []


def test_the_self_test_finds_a_verifier_that_accepts_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its control: one guard is dropped."""
    honest = transcript.Transcript.require_zero

    def lenient(self: transcript.Transcript, value: object, guard: str) -> None:
        if not guard.endswith(" tie"):
            honest(self, value, guard)  # type: ignore[arg-type]

    monkeypatch.setattr(transcript.Transcript, "require_zero", lenient)
    accepted = next(bad.what for bad in self_test.run() if not bad.rejected)
    assert accepted.endswith(": a false public sum")
