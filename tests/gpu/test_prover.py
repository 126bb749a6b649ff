"""Whole proofs on the GPU: the CPU's bytes for the same blinding randomness, accepted by the CPU's verifier."""

from __future__ import annotations

import pytest
import torch

from tests.unit.same_proofs import KINDS as MODELS
from tests.unit.same_proofs import small
from tests.unit.test_guesses import prepared
from zkcore.commitment import columns
from zkcore.field import cuda, cuda_staging, devices, native
from zkcore.field.room import TreePlan
from zkcore.graph.guesses import Guesses
from zkcore.models import passes
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.testing import same_bytes
from zkcore.testing.small_models import SmallLlama

REASON = cuda.missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=REASON or "")]


@pytest.mark.parametrize("kind", MODELS)
def test_the_same_bytes_as_on_the_cpu(kind: str) -> None:
    model, strategy, argument = small(kind)
    system, given = model.prepare(strategy, model.answer((3, 1, 4, 1, 5)), argument.virtual_outputs)
    on_gpu = same_bytes.prove(devices.choose("cuda").kernels, system, given, argument)
    assert on_gpu == same_bytes.prove(native.load(), system, given, argument)
    same_bytes.verify(native.load(), system, on_gpu, argument)


@pytest.mark.parametrize("narrow", [False, True])
def test_the_same_bytes_with_types_that_are_guessed(narrow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the second layer from the first; or all too narrow, and made again."""
    system, given = prepared(2)
    if narrow:
        monkeypatch.setattr(Guesses, "_guess", lambda self, extent, within: "int8")
    on_gpu = same_bytes.prove(devices.choose("cuda").kernels, system, given, LogupGkr(), memory=1 << 30)
    assert on_gpu == same_bytes.prove(native.load(), system, given, LogupGkr())


@pytest.mark.parametrize(("kind", "vectors"), [("trees", True), ("folding", False)])
def test_the_same_bytes_within_a_limit(kind: str, vectors: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of a tree but its first layer is stored, and what is opened is made again in three rounds."""
    kernels, again = devices.choose("cuda", 1).kernels, list[columns.Plan]()
    made_again = columns._MadeAgain
    monkeypatch.setattr(kernels, "tree_plan", lambda tree: TreePlan(1, 4, 1))
    monkeypatch.setattr(columns, "plan", lambda points, variables, room: columns.Plan(3, vectors))
    monkeypatch.setattr(columns, "_MadeAgain", lambda k, own: again.append(own.plan) or made_again(k, own))
    model, strategy, argument = small(kind)
    system, given = model.prepare(strategy, model.answer((3, 1, 4, 1, 5)), argument.virtual_outputs)
    try:
        on_gpu = same_bytes.prove(kernels, system, given, argument)
    finally:
        devices.choose("cuda")
    assert on_gpu == same_bytes.prove(native.load(), system, given, argument)
    assert again


def test_a_limit_bounds_what_is_allocated() -> None:
    kernels = cuda.load()
    try:
        kernels.plan_with(1 << 30)
        with pytest.raises(torch.OutOfMemoryError):
            kernels.empty(1 << 25, 4)
        kernels.empty(1 << 24, 4)
    finally:
        kernels.plan_with(None)
    kernels.empty(1 << 25, 4)


@pytest.mark.parametrize(
    "cells", [cuda_staging.WORTHWHILE // 2 - 1, cuda_staging.BUFFER, 3 * cuda_staging.BUFFER // 2 + 5]
)
def test_large_tensors_arrive_whole(cells: int) -> None:
    """Through two buffers, of int16: below what is worthwhile, two pieces, and four."""
    kernels = cuda.load()
    values = torch.arange(cells, dtype=torch.int32).to(torch.int16)
    before = kernels.counters()["transfer_bytes"]
    moved = kernels.to_device(values)
    assert torch.equal(moved.cpu(), values)
    assert torch.equal(kernels.to_device(values.numpy()).cpu(), values)
    assert kernels.counters()["transfer_bytes"] == before + 4 * cells


@pytest.mark.parametrize("attention", ["attention", "zkattn"])
def test_the_same_forward_pass_as_on_the_cpu(attention: str) -> None:
    model = SmallLlama(attention=attention)
    graph = model.graph(model.answer((3, 1, 4, 1, 5)))
    weights = {n: torch.from_numpy(w) for n, w in model.weights().items()}
    expected = passes.witness(graph, weights)
    made = passes.witness(graph, weights, device=torch.device("cuda"))
    assert made.keys() == expected.keys()
    for name, value in made.items():
        assert value.device.type == "cuda"
        assert torch.equal(value.cpu(), expected[name]), name
