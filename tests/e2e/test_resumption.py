"""`prove --checkpoint`: killed at a stage, the same command goes on; what it keeps is its own, whole, and private."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.e2e.checkpoints import Place
from tests.e2e.files import File, flipped
from tests.e2e.limits import refused
from tests.e2e.stages import Ended, stopped
from zkcore import api, prover, resumption
from zkcore.errors import FormatError, UsageError, WitnessError
from zkcore.report.progress import QuietReporter
from zkcore.resumption import ANSWER, FORWARD
from zkcore.transcript.wire import POINT_BYTES

PROMPT, TOKENS = "The old", 2
KILLED = -signal.SIGKILL


def command(place: Place, stage: str, cwd: Path) -> Ended:
    options = ("--prompt", PROMPT, "--max-new-tokens", str(TOKENS), "--no-estimate")
    return stopped(
        cwd, stage, signal.SIGKILL, "prove", place.commitment, *options, "--out", "a.zkp", "--checkpoint", "kept"
    )


def prove(place: Place, out: Path, kept: Path, **changes: Any) -> list[str]:
    """What it says of resumed stages."""
    said: list[str] = []

    class Listening(QuietReporter):
        def note(self, text: str) -> None:
            said.append(text)

    told = {"prompt": PROMPT, "tokens": TOKENS, **changes}
    prompt, tokens = told.pop("prompt"), told.pop("tokens")
    api.prove(place.commitment, prompt, tokens, out, checkpoint=kept, report=Listening(), **told)
    return said


@pytest.fixture
def broken_off(clear: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is left of a proof that ended behind the forward pass."""
    with monkeypatch.context() as patch:
        patch.setattr(prover, "ProverChannel", _crash)
        with pytest.raises(Crash):
            prove(clear, tmp_path / "a.zkp", tmp_path / "kept")
    return tmp_path / "kept"


class Crash(Exception):
    """As a power cut, but in one process."""


def _crash(secret: bytes) -> None:
    raise Crash


# --- kill -9 at each stage's beginning --------------------------------------------------------------------------------
STAGES = {"generate": [], "forward": [ANSWER], "commit": [ANSWER, FORWARD], "blind": [ANSWER, FORWARD]}


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_proof_goes_on_where_it_was(tiny: Place, tmp_path: Path, stage: str) -> None:
    assert command(tiny, stage, tmp_path).code == KILLED
    found = sorted(p.name for p in tmp_path.rglob("*") if p.is_file())
    assert found == STAGES[stage]
    ended = command(tiny, "", tmp_path)
    assert ended.code == 0, ended.errors
    resumed = [e["text"] for e in ended.events if e["event"] == "note" and "resumed" in e["text"]]
    assert len(resumed) == len(STAGES[stage])
    assert api.verify(tmp_path / "a.zkp", tiny.public, prompt=PROMPT).tokens == TOKENS
    assert [p.name for p in tmp_path.iterdir()] == ["a.zkp"], "nothing is left of the checkpoint"


@pytest.mark.slow
def test_a_killed_answer_for_an_accumulator(tiny: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept, opened = tmp_path / "kept", tmp_path / "open.zka"
    with monkeypatch.context() as patch:
        patch.setattr(prover, "ProverChannel", _crash)
        with pytest.raises(Crash):
            prove(tiny, tmp_path / "a.zkp", kept, accumulate=opened)
    refused(lambda: prove(tiny, tmp_path / "a.zkp", kept), UsageError, "opening: expected complete, found deferred")
    assert len(prove(tiny, tmp_path / "a.zkp", kept, accumulate=opened)) == 2
    api.settle(opened, tiny.public, tmp_path / "s.zks")
    assert api.verify(tmp_path / "a.zkp", tiny.public, settlement=tmp_path / "s.zks").tokens == TOKENS


# --- what is kept, and what is not ------------------------------------------------------------------------------------
def test_files_are_private_and_hold_no_randomness(clear: Place, broken_off: Path) -> None:
    """The answer, and integers of the forward pass: what the statement and the weights determine, and nothing else."""
    assert sorted(p.name for p in broken_off.iterdir()) == [ANSWER, FORWARD]
    assert {p.stat().st_mode & 0o777 for p in broken_off.iterdir()} == {0o600}
    assert broken_off.stat().st_mode & 0o077 == 0
    assert load_file(broken_off / ANSWER).keys() == {"output"}
    before = _told(broken_off / FORWARD)
    assert not any(t.dtype == torch.uint64 or t.is_floating_point() for t in load_file(broken_off / FORWARD).values())
    (broken_off / FORWARD).unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prover, "ProverChannel", _crash)
        with pytest.raises(Crash):
            prove(clear, broken_off.parent / "a.zkp", broken_off)
    assert _told(broken_off / FORWARD) == before, "made anew it has the same digest"


@pytest.mark.slow
def test_a_resumed_proof_draws_everything_afresh(tiny: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off at its very end and resumed: no sixteen bytes of the first proof are anywhere in the second."""
    seen: list[bytearray] = []
    original = prover.ProverChannel

    class Failing(original):  # type: ignore[misc, valid-type]
        def __init__(self, secret: bytes) -> None:
            super().__init__(secret)
            seen.append(self.proof)

        def close(self) -> None:
            raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(prover, "ProverChannel", Failing)
        with pytest.raises(Crash):
            prove(tiny, tmp_path / "a.zkp", tmp_path / "kept")
    assert len(prove(tiny, tmp_path / "a.zkp", tmp_path / "kept")) == 2
    first, second = bytes(seen[0]), File.of((tmp_path / "a.zkp").read_bytes()).body
    assert len(first) == len(second) > 100 * POINT_BYTES
    pieces = {first[i : i + 16] for i in range(len(first) - 15)} - {bytes(16)}
    shared = [i for i in range(0, len(second) - 15) if second[i : i + 16] in pieces]
    assert shared == []
    api.verify(tmp_path / "a.zkp", tiny.public, prompt=PROMPT)


# --- another's, and damaged ones --------------------------------------------------------------------------------------
CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "prompt": ({"prompt": "The new"}, "prompt: expected"),
    "tokens": ({"tokens": 3}, "max_new_tokens: expected 3, found 2"),
    "nonce": ({"nonce": b"fresh"}, f"nonce: expected {b'fresh'.hex()}, found"),
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("only", [ANSWER, FORWARD])
def test_of_another_request(clear: Place, broken_off: Path, name: str, only: str) -> None:
    changes, said = CHANGES[name]
    for path in broken_off.iterdir():
        if path.name != only:
            path.unlink()
    left = (broken_off / only).read_bytes()
    refused(
        lambda: prove(clear, broken_off.parent / "a.zkp", broken_off, **changes),
        UsageError,
        "another proof",
        only,
        said,
    )
    assert (broken_off / only).read_bytes() == left, "it is whoever's it was"
    assert not (broken_off.parent / "a.zkp").exists()


@pytest.mark.slow
def test_of_another_model(other: Place, broken_off: Path) -> None:
    refused(
        lambda: prove(other, broken_off.parent / "a.zkp", broken_off),
        UsageError,
        "another proof",
        "commitment: expected",
    )


def test_of_another_version(clear: Place, broken_off: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resumption, "__version__", "9")
    refused(lambda: prove(clear, broken_off.parent / "a.zkp", broken_off), UsageError, "zkcore: expected 9, found")


def test_the_forward_pass_of_another_answer(clear: Place, broken_off: Path) -> None:
    """The request is the same, but not the whole statement: as after a change of the model's graph."""
    told = _told(broken_off / FORWARD)
    _rewrite(broken_off / FORWARD, request=told["request"].replace('"statement":"', '"statement":"00'))
    refused(
        lambda: prove(clear, broken_off.parent / "a.zkp", broken_off),
        UsageError,
        "another proof",
        "statement: expected",
    )


@pytest.mark.parametrize("name", [ANSWER, FORWARD])
@pytest.mark.parametrize("where", [0, 0.4, 0.9, 1])
def test_damaged(clear: Place, broken_off: Path, name: str, where: float) -> None:
    path = broken_off / name
    data = path.read_bytes()
    path.write_bytes(flipped(data, min(int(where * len(data)), len(data) - 1)))
    refused(lambda: prove(clear, broken_off.parent / "a.zkp", broken_off), UsageError, str(path))


@pytest.mark.parametrize("name", [ANSWER, FORWARD])
def test_cut_short_and_no_checkpoint(clear: Place, broken_off: Path, name: str) -> None:
    path = broken_off / name
    data = path.read_bytes()
    for wrong in (data[: len(data) // 2], b"", b"x" * 100):
        path.write_bytes(wrong)
        refused(lambda: prove(clear, broken_off.parent / "a.zkp", broken_off), FormatError, str(path))
    save_file({"output": torch.zeros(2)}, path)
    refused(lambda: prove(clear, broken_off.parent / "a.zkp", broken_off), FormatError, "no checkpoint of a proof")


def test_renamed_shaped_or_typed_otherwise(clear: Place, broken_off: Path) -> None:
    """The digest is of names, types and shapes, too."""
    path = broken_off / FORWARD
    tensors, told = load_file(path), _told(path)
    name = max(tensors, key=lambda n: tensors[n].numel())
    flat = {**tensors, name: tensors[name].flatten()}
    moved = {**{n: t for n, t in tensors.items() if n != name}, f"{name}x": tensors[name]}
    for wrong in (flat, moved):
        save_file(wrong, path, told)
        refused(lambda: prove(clear, broken_off.parent / "a.zkp", broken_off), FormatError, "damaged")


CELL: list[Callable[[torch.Tensor], None]] = [lambda t: t.view(-1)[:1].add_(1), lambda t: t.zero_()]


@pytest.mark.parametrize("change", CELL, ids=["one", "zero"])
def test_whoever_may_write_there_gains_nothing(
    clear: Place, broken_off: Path, change: Callable[[torch.Tensor], None]
) -> None:
    """With its digest made right, a changed checkpoint is a lie about tensors: the prover refuses."""
    path = broken_off / FORWARD
    tensors = load_file(path)
    name = next(n for n in tensors if n.endswith("q.y"))
    change(tensors[name])
    _rewrite(path, tensors)
    with pytest.raises(WitnessError):
        prove(clear, broken_off.parent / "a.zkp", broken_off)
    assert not (broken_off.parent / "a.zkp").exists()


def test_an_answer_that_is_not_the_models(clear: Place, broken_off: Path) -> None:
    (broken_off / FORWARD).unlink()
    output = load_file(broken_off / ANSWER)["output"]
    _rewrite(broken_off / ANSWER, {"output": (output + 1) % 5})
    with pytest.raises((WitnessError, UsageError)):
        prove(clear, broken_off.parent / "a.zkp", broken_off)
    for wrong in ({"output": output + 100_000}, {"output": output + 0.5}, {"output": output[None]}, {"x": output}):
        _rewrite(broken_off / ANSWER, wrong)
        refused(lambda: prove(clear, broken_off.parent / "a.zkp", broken_off), UsageError)


def _told(path: Path) -> dict[str, str]:
    return resumption.stored(path, only_metadata=True)[1]


def _rewrite(path: Path, tensors: dict[str, torch.Tensor] | None = None, **told: str) -> None:
    """With a digest that is right again."""
    kept = load_file(path) if tensors is None else tensors
    save_file(kept, path, {**_told(path), **told, "sha256": resumption._digest(kept)})


# --- places -----------------------------------------------------------------------------------------------------------
def test_no_room_for_a_checkpoint(clear: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        refused(lambda: prove(clear, tmp_path / "a.zkp", tmp_path / "kept"), UsageError, "No space left")
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []
    (tmp_path / "file").write_text("")
    refused(lambda: prove(clear, tmp_path / "a.zkp", tmp_path / "file" / "kept"), UsageError, "cannot be written")


def test_other_files_in_the_directory_stay(clear: Place, tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    assert prove(clear, tmp_path / "a.zkp", tmp_path) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zkp", "notes"]


@pytest.mark.parametrize("memory_limit", [None, 1])
def test_what_is_resumed_is_what_was_made(clear: Place, broken_off: Path, memory_limit: int | None) -> None:
    """Wide where the witness takes it wide."""
    found = load_file(broken_off / FORWARD)
    seen: dict[str, Any] = {}

    class Watching(resumption.Stages):
        def witness(self, statement: bytes, committed: set[str], make: resumption.Made, wide: bool = True) -> Any:
            seen.update(make())
            return seen

    owner = prover.Owner.load(clear.commitment)
    if memory_limit is not None:
        parts = owner.public.setup.parts
        config = parts.config.model_copy(update={"memory_limit": memory_limit})
        object.__setattr__(parts, "config", config)
    sequence = owner.generate(owner.public.codec.encode(PROMPT), TOKENS)
    prover.prove(owner, sequence, b"", None, stages=Watching())
    for name, tensor in found.items():
        assert np.array_equal(np.asarray(seen[name]), tensor.numpy()), name
