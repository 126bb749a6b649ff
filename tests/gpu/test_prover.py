"""Whole proofs on the GPU: the CPU's bytes for the same blinding randomness, accepted by the CPU's verifier."""

from __future__ import annotations

import pytest
import torch

from tests.unit.same_proofs import KINDS as MODELS
from tests.unit.same_proofs import small
from zkcore.field import cuda, devices, native
from zkcore.models import passes
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
