"""Boxes: what they cover, and that they are where their points say."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest

from zkcore.field import native
from zkcore.field.kernels import MODULUS
from zkcore.graph import arrays
from zkcore.polynomial import boxes, multilinear
from zkcore.polynomial.point import num_vars, padded

SHAPES = [(1,), (5,), (8,), (3, 5), (40, 6), (1, 7, 13), (2, 9, 33), (11, 1, 21)]


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "WORTHWHILE", 1)


@pytest.mark.parametrize("cells", [1, 2, 3, 5, 7, 8, 9, 40, 100, 528, 5120, 13824, 32000, 65537])
def test_pieces_follow_each_other_and_waste_little(cells: int) -> None:
    cut = boxes.pieces(cells)
    assert cut[0][0] == 0
    for (a, n), (b, _) in zip(cut, cut[1:], strict=False):
        assert a + n == b
    start, size = cut[-1]
    assert start < cells <= start + size <= 1 << num_vars(cells)
    assert (start + size - cells) * boxes.TOLERATED <= cells
    assert all(a % n == 0 and n & (n - 1) == 0 for a, n in cut)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_real_cell_lies_in_one_box(shape: tuple[int, ...]) -> None:
    seen = np.zeros(padded(shape), dtype=int)
    for box in boxes.boxes(shape):
        seen[tuple(slice(a, b) for a, b in zip(box.start, box.end, strict=True))] += 1
        inside = np.zeros(padded(shape), dtype=int)
        inside[box.slices] = 1
        assert inside.sum() > 0
        assert box.full == (inside.sum() == np.prod(box.size))
    assert seen.max() == 1
    assert (seen[tuple(slice(0, n) for n in shape)] == 1).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_points_of_a_box(shape: tuple[int, ...]) -> None:
    """The box's own extension at its point is the tensor's at the place; eq over the box is eq restricted to it."""
    rng, k = random.Random(sum(shape)), native.load()
    tensor = np.random.default_rng(3).integers(-9, 9, shape)
    laid = arrays.pad_to(tensor, padded(shape))
    claim = tuple(tuple(rng.randrange(MODULUS) for _ in range(num_vars(n))) for n in shape)
    everywhere = k.to_scalars(multilinear.eq_over(k, claim))
    cells = list(product(*(range(n) for n in padded(shape))))
    weight = dict(zip(cells, everywhere, strict=True))
    for box in boxes.boxes(shape):
        point = tuple(rng.randrange(MODULUS) for _ in range(box.num_vars))
        within = laid[tuple(slice(a, b) for a, b in zip(box.start, box.end, strict=True))].reshape(-1)
        value = k.dot(np.ascontiguousarray(within), k.eq_table(point))
        assert value == multilinear.evaluate(k, tensor, box.place(point))
        own, factor = box.restrict(claim)
        inside = product(*(range(a, b) for a, b in zip(box.start, box.end, strict=True)))
        assert k.to_scalars(k.eq_table(own, factor)) == [weight[c] for c in inside]


def test_small_domains_stay_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "WORTHWHILE", 1 << 16)
    assert boxes.boxes((40, 500)) == (boxes.whole((40, 500)),)
    assert len(boxes.boxes((40, 5120))) == 4
