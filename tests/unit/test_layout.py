"""How tensors lie in commitment rows, against a padded array cut up by hand."""

from __future__ import annotations

import random
from itertools import product
from math import prod

import numpy as np
import pytest

from zkcore.commitment.layout import Layout, count_rows
from zkcore.field.kernels import MODULUS
from zkcore.polynomial.point import eq, index_point, num_vars, padded, total_vars

SHAPES = [(1,), (3,), (8,), (5, 6), (1, 3), (3, 5, 4), (2, 1, 7), (9, 2), (2, 9), (3, 3, 3, 3), (1, 1)]
shapes = pytest.mark.parametrize("shape", SHAPES)
widths = pytest.mark.parametrize("log_width", [0, 1, 2, 3, 5, 9])


@shapes
@widths
def test_rows_without_a_real_cell_are_left_out_and_no_others(shape: tuple[int, ...], log_width: int) -> None:
    layout = Layout(shape, log_width)
    real = np.zeros(padded(shape), dtype=np.int64)
    real[tuple(slice(0, n) for n in shape)] = 1
    filled = real.reshape(-1, 1 << layout.columns).any(axis=1)
    assert layout.row_ids.tolist() == np.nonzero(filled)[0].tolist()
    assert count_rows([shape, shape], log_width) == 2 * len(layout.row_ids)


@shapes
@widths
def test_rows_hold_the_tensor(shape: tuple[int, ...], log_width: int) -> None:
    layout, cells = Layout(shape, log_width), np.arange(1, prod(shape) + 1).reshape(shape)
    rows = layout.rows(cells)
    whole = np.zeros((1 << total_vars(shape) - layout.columns, 1 << layout.columns), dtype=np.int64)
    whole[layout.row_ids] = rows
    laid = whole.reshape(padded(shape))
    assert np.array_equal(laid[tuple(slice(0, n) for n in shape)], cells)
    assert laid.sum() == cells.sum()


@shapes
@widths
def test_a_claim_is_a_row_fold_and_a_column_fold(shape: tuple[int, ...], log_width: int) -> None:
    """eq(row point, row) eq(column point, column in the scheme's full width) is the cell's weight at the place."""
    rng, layout = random.Random(str((shape, log_width))), Layout(shape, log_width)
    place = tuple(tuple(rng.randrange(MODULUS) for _ in range(num_vars(n))) for n in shape)
    rows, columns = layout.split(place)
    assert len(columns) == log_width
    assert len(rows) == total_vars(shape) - layout.columns
    number = layout.rows(np.arange(1, prod(shape) + 1).reshape(shape))
    where = {int(v): (int(i), j) for i, row in zip(layout.row_ids, number, strict=True) for j, v in enumerate(row) if v}
    for k, cell in enumerate(product(*map(range, shape)), 1):
        i, j = where[k]
        found = eq(rows, index_point(i, len(rows))) * eq(columns, index_point(j, log_width)) % MODULUS
        expected = prod(eq(p, index_point(x, len(p))) for p, x in zip(place, cell, strict=True)) % MODULUS
        assert found == expected
