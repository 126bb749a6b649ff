"""Closed forms of public tensors against their cells, and what a verifier keeps of large ones."""

from __future__ import annotations

import random
import tracemalloc

import numpy as np
import pytest
import torch

from zkcore.field import native
from zkcore.field.kernels import MODULUS
from zkcore.graph.public import Below, CausalTiles, OneHot, Ones
from zkcore.graph.tensor import PublicTensor
from zkcore.models import passes
from zkcore.polynomial import multilinear
from zkcore.polynomial.eq_values import axis_values
from zkcore.polynomial.point import Point, num_vars

KERNELS = native.load()
TENSORS: list[PublicTensor] = [
    OneHot((2, 0, -1, 2, 4), (5,), 5, columns=2),  # all columns at once, an empty row
    OneHot((900, -1), (2,), 1000),  # the used columns alone
    OneHot((0, 1, 0, 0, 1, 1), (2, 3), 2, columns=3),
    OneHot((0, 0, 0), (3,), 1, columns=3),
    CausalTiles(3, 5),
    CausalTiles(1, 4),
    Below((3, 0, 7), 7),
    Ones((3, 5, 1)),
]


def place(rng: random.Random, shape: tuple[int, ...]) -> tuple[Point, ...]:
    return tuple(tuple(rng.randrange(MODULUS) for _ in range(num_vars(n))) for n in shape)


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda t: f"{type(t).__name__} {t.shape}")
def test_closed_forms(tensor: PublicTensor) -> None:
    rng = random.Random(3)
    for _ in range(3):
        at = place(rng, tensor.shape)
        assert tensor.evaluate(at) == multilinear.evaluate(KERNELS, np.ascontiguousarray(tensor.array()), at)


@pytest.mark.parametrize("size", [1, 2, 3, 8, 11, 16])
def test_values_of_an_axis(size: int) -> None:
    point = place(random.Random(size), (size,))[0]
    assert axis_values(size, point) == KERNELS.to_scalars(KERNELS.eq_table(point))[:size]


def test_little_is_kept_of_a_long_sequence() -> None:
    """Whoever writes down 64,000 tokens has half a million tile pairs evaluated at points without end."""
    rng, tensor = random.Random(1), CausalTiles(250, 2)
    tensor.evaluate(place(rng, tensor.shape))
    tracemalloc.start()
    for _ in range(20):
        tensor.evaluate(place(rng, tensor.shape))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held < 6 * 80 * tensor.shape[0]  # 80 bytes a number: four tables, and one in the making


def test_a_one_hot_tensor_as_a_forward_pass_reads_it() -> None:
    """Made where it is read, rows without a one among them."""
    source = OneHot((2, -1, 0, 4, 4, 1), (3, 2), 5, 2)
    made = passes._one_hot(source, passes.HOST)
    assert made.dtype == torch.int64
    np.testing.assert_array_equal(made.numpy(), source.array())
