"""Memory that does not suffice, at each entry point: a typed error, exit code 2, and what to change."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.e2e.checkpoints import CONFIG, Place
from tests.e2e.limits import refused
from zkcore import accumulator, api, committer, memory, prover, settlement, verifier
from zkcore.cli.output import BUG, UNUSABLE, explain
from zkcore.errors import OutOfMemory, ProofRejected, RangeError
from zkcore.field import native
from zkcore.models import passes

HUGE = 55  # log2 of bytes that no machine has
MAPPED = Path("/proc/self/maps")


def _raise(error: Exception) -> Any:
    raise error


# As they come: the first three for real, a GPU's as torch and the engine raise them.
FAILURES: dict[str, tuple[Callable[[], Any], str]] = {
    "numpy": (lambda: np.ones(1 << HUGE, dtype=np.uint8), "memory is exhausted"),
    "torch": (lambda: torch.empty(1 << HUGE, dtype=torch.uint8), "memory is exhausted"),
    "engine": (lambda: native.load().eq_table([1] * 40), "memory is exhausted"),
    "engine on a GPU": (lambda: _raise(MemoryError("std::bad_alloc")), "memory is exhausted"),
    "torch on a GPU": (
        lambda: _raise(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")),
        "the GPU's memory is exhausted",
    ),
    "the driver": (lambda: _raise(RuntimeError("CUDA error: out of memory")), "the GPU's memory is exhausted"),
    "the system": (lambda: _raise(OSError(errno.ENOMEM, "Cannot allocate memory")), "memory is exhausted"),
}


def failing(name: str) -> Callable[..., Any]:
    return lambda *args, **options: FAILURES[name][0]()


@pytest.mark.parametrize("name", FAILURES)
def test_however_it_is_said(clear: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A proof of a sequence that is too long; nothing is left behind."""
    monkeypatch.setattr(passes, "witness", failing(name))
    told = FAILURES[name][1], "fewer tokens", "memory_limit", "strategy.tree_layers"
    refused(lambda: api.prove(clear.commitment, "The old", 1, tmp_path / "a.zkp"), OutOfMemory, *told)
    assert list(tmp_path.iterdir()) == []


ENTRIES: dict[str, tuple[Any, str, Callable[[Place, Path], Any], str]] = {
    "commit": (
        committer,
        "quantised",
        lambda place, out: api.commit(place.model, place.config, out / "c"),
        "give a smaller `memory_limit`",
    ),
    "generate": (passes, "generate", lambda place, out: api.prove(place.commitment, "a", 1, out / "a"), "fewer tokens"),
    "backward": (prover, "Witness", lambda place, out: api.prove(place.commitment, "a", 1, out / "a"), "commit again"),
    "load": (prover.Owner, "load", lambda place, out: api.prove(place.commitment, "a", 1, out / "a"), "fewer tokens"),
    "verify": (verifier, "verify", lambda place, out: api.verify(place.proof, place.public), "commitment.log_width"),
    "settlement": (
        settlement,
        "judge",
        lambda place, out: api.verify_together([place.proof], place.public, place.proof),
        "commitment.log_width",
    ),
    "settle": (
        accumulator,
        "settle",
        lambda place, out: api.settle(out / "open.zka", place.public, out / "s"),
        "fewer answers",
    ),
    "estimate": (
        committer,
        "calibrated",
        lambda place, out: api.estimate(place.model, place.config, 8),
        "estimate fewer tokens",
    ),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_at_each_entry(clear: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    where, what, call, advice = ENTRIES[name]
    monkeypatch.setattr(where, what, failing("torch on a GPU"))
    refused(lambda: call(clear, tmp_path), OutOfMemory, "the GPU's memory is exhausted", advice)
    assert list(tmp_path.iterdir()) == []


def test_the_command(clear: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 2, and two clear sentences."""
    from zkcore.cli import main

    monkeypatch.setattr(passes, "generate", failing("torch on a GPU"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["prove", str(clear.commitment), "--prompt", "a", "--max-new-tokens", "1", "--out", "a.zkp"])
    assert ended.value.code == UNUSABLE


def test_commands_without_an_entry_of_their_own() -> None:
    code, [line] = explain(MemoryError())
    assert code == UNUSABLE
    assert "memory is exhausted" in line
    code, [line, _] = explain(RuntimeError("shapes do not match"))
    assert code == BUG


@pytest.mark.parametrize(
    "error", [ProofRejected("out of memory"), RangeError("out of memory"), ValueError("out of memory"), KeyError("x")]
)
def test_other_errors_are_what_they_were(error: Exception) -> None:
    assert memory.exhausted(error) is None
    with pytest.raises(type(error)), memory.enough(memory.PROVE):
        raise error


def test_a_server_goes_on(clear: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("persistqueue")
    from zkcore.serve import worker
    from zkcore.serve.answers import Answers

    owner, answers = prover.Owner.load(clear.commitment), Answers(tmp_path, 4, 4)
    sequence = owner.generate(owner.public.codec.encode("The old"), 1)
    first, second = (answers.add(sequence, "The old", "", b"") for _ in range(2))
    with monkeypatch.context() as patch:
        patch.setattr(worker, "prove", failing("torch on a GPU"))
        assert worker.Worker(owner, answers, None).step(1)
    assert worker.Worker(owner, answers, None).step(1)
    found, state = answers.find(first.id) or (first, "")
    assert (state, found.error.split(":")[0]) == ("failed", "OutOfMemory")
    assert "memory_limit" in found.error
    assert answers.find(second.id) is not None
    assert (answers.find(second.id) or (None, ""))[1] == "done"


def test_a_config_that_limits_memory_is_accepted(tmp_path: Path) -> None:
    """What the advice names exists."""
    from zkcore.config import load

    text = CONFIG + "memory_limit: 4\ndevice: cpu\nstrategy: {batching: layer_trees, tree_layers: 2}\n"
    (tmp_path / "c.yaml").write_text(text)
    assert load(tmp_path / "c.yaml").memory_limit == 4
    for key in ("memory_limit", "strategy.batching: layer_trees", "strategy.tree_layers"):
        assert key in memory.PROVE
    assert "memory_limit" in memory.COMMIT


def test_a_limit_on_a_cpu_is_kept_or_refused(clear: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the model's commitment, and by a proof, before either has begun; what is proved within it is accepted."""
    config, out = tmp_path / "limited.yaml", tmp_path / "c"
    config.write_text(CONFIG + "device: cpu\nmemory_limit: 1\n")
    told = "memory_limit: 1 GiB do not suffice for this, 2 would", "beside 1.0 that are taken", "fewer tokens"
    with monkeypatch.context() as patch:
        patch.setattr(memory, "resident", lambda: 1 << 30)
        patch.setattr(committer, "_rows", lambda *args: _raise(AssertionError("committing has begun")))
        refused(lambda: api.commit(clear.model, config, out), OutOfMemory, *told)
    assert not out.exists()
    monkeypatch.setattr(memory, "resident", lambda: 1 << 28)
    api.commit(clear.model, config, out)
    api.prove(out, "The old", 1, tmp_path / "a.zkp")
    api.verify(tmp_path / "a.zkp", out / "public.zkc")
    monkeypatch.setattr(memory, "resident", lambda: 1 << 30)
    monkeypatch.setattr(passes, "witness", lambda *args: _raise(AssertionError("proving has begun")))
    refused(lambda: api.prove(out, "The old", 1, tmp_path / "b.zkp"), OutOfMemory, *told)
    assert not (tmp_path / "b.zkp").exists()


@pytest.mark.skipif(not MAPPED.exists(), reason="there is no /proc here")
def test_weights_are_pages_of_their_file(clear: Place) -> None:
    """A model needs not fit into the host's memory: what is read comes from the disk, and may go again."""
    owner = prover.Owner.load(clear.commitment)
    held = [line.split()[0].split("-") for line in MAPPED.read_text().splitlines() if "weights.safetensors" in line]
    ranges = [(int(start, 16), int(end, 16)) for start, end in held]
    assert ranges
    for name, weight in owner.weights.items():
        inside = owner.secrets[name].inside if name in owner.secrets else None
        for address in (weight.data_ptr(), *([inside.ctypes.data] if isinstance(inside, np.ndarray) else [])):
            assert any(start <= address < end for start, end in ranges), name
