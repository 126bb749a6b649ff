"""Which engine is chosen, and what is said about it."""

from __future__ import annotations

import pytest

from zkcore.field import cuda, devices, native

NO_GPU = cuda.missing()


@pytest.mark.skipif(NO_GPU is None, reason="there is a GPU")
def test_without_a_gpu_the_cpu_goes_on_and_says_so_once_asked() -> None:
    chosen = devices.choose("cuda")
    assert chosen.kernels is native.load()
    assert chosen.note.startswith("device: cuda: no GPU to compute on (")
    assert "\n" not in chosen.note
    assert NO_GPU is not None
    assert NO_GPU in chosen.note


def test_the_cpu_is_chosen_without_a_word() -> None:
    chosen = devices.choose("cpu")
    assert (chosen.kernels, chosen.note, chosen.memory) == (native.load(), "", None)


def test_an_engine_without_cuda_needs_no_excuse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("zkcore._engine.cuda", raising=False)
    assert devices.choose("auto").note == ""


def test_a_gpu_build_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zkcore._engine.cuda", object(), raising=False)
    monkeypatch.setattr(cuda, "missing", lambda: "the driver is too old")
    chosen = devices.choose("auto")
    assert chosen.kernels is native.load()
    assert "the driver is too old" in chosen.note


def test_a_limit_leaves_a_share_for_virtual_tensors() -> None:
    assert devices.choose("cpu", 10).memory == devices.GIB
