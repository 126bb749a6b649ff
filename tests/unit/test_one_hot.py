"""Tensors that are chosen along an axis: the same as by the sums."""

from __future__ import annotations

import numpy as np
import pytest

from zkcore.field import native
from zkcore.graph import arrays
from zkcore.graph.builder import Builder
from zkcore.graph.one_hot import chosen_by
from zkcore.graph.public import OneHot
from zkcore.graph.system import System, freeze
from zkcore.graph.witness import Witness
from zkcore.testing.torch_kernels import TorchKernels

K = native.load()


def system(spec: str, source: OneHot, shape: tuple[int, ...]) -> System:
    """One product of the one-hot tensor and a weight, in the order of the spec, whose extension is public."""
    b = Builder(2)
    pick, w = b.public("pick", source), b.weight("w", shape, -128, 127)
    first = spec.split(",")[0]
    made = b.einsum("made", spec, *((pick, w) if len(first) == len(source.shape) and first[-1] == "I" else (w, pick)))
    letters = spec.split("->")[1]
    b.zero("tie", letters, made[letters])
    return freeze(b)


CASES = [
    ("hIjd,tI->htjd", OneHot((2, 0, 0, 1), (4,), 3, 2), (2, 3, 2, 2), True),
    ("tI,hIjd->jtdh", OneHot((2, 0, 0, 1), (4,), 3, 2), (2, 3, 2, 2), True),
    ("abI,Im->abm", OneHot((1, 0, 4, 1), (2, 2), 5, 2), (5, 3), True),
    ("hI,tI->ht", OneHot((2, -1, 0), (3,), 3, 1), (2, 3), False),  # a row without a one
    ("ht,tI->hI", OneHot((2, 0, 0), (3,), 3, 2), (2, 3), False),  # sums over rows
    ("tI,tI->t", OneHot((2, 0, 0), (3,), 3, 2), (3, 3), False),  # along its diagonal
    ("Ih,tI->Iht", OneHot((2, 0, 0), (3,), 3, 2), (3, 2), False),  # nothing is summed
]


@pytest.mark.parametrize("kernels", [K, TorchKernels(K)], ids=["numpy", "torch"])
@pytest.mark.parametrize("memory", [None, 1 << 30])
@pytest.mark.parametrize(("spec", "source", "shape", "chosen"), CASES)
def test_what_is_chosen_is_the_sum(
    spec: str, source: OneHot, shape: tuple[int, ...], chosen: bool, memory: int | None, kernels: TorchKernels
) -> None:
    s = system(spec, source, shape)
    [relation] = [r for r in s.relations if r.kind == "einsum"]
    assert (chosen_by(relation, s.publics) is not None) == chosen
    w = np.random.default_rng(1).integers(-128, 128, shape)
    witness = Witness(s, kernels, {"w": kernels.space.own(w)}, memory=memory)
    made = kernels.space.host(witness.array("made"))
    expected = arrays.einsum(K, spec, [np.asarray(K.space.own(a)) for a in ordered(relation, source.array(), w)])
    assert np.array_equal(made, expected)
    assert (str(made.dtype) == "int64") == (memory is None)


def ordered(relation: object, pick: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
    names = [name for name, _ in relation.reads()]  # type: ignore[attr-defined]
    return [pick if name == "pick" else w for name in names]
