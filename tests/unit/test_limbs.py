"""How wide a range check's limbs are, and the systems that follow."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
import pytest

from zkcore.errors import GraphError
from zkcore.graph.builder import Builder
from zkcore.graph.limbs import WIDEST, limb_bits, widest
from zkcore.relation import Table, range_table


@pytest.mark.parametrize(
    ("bits", "cells", "expected"),
    [
        (23, 2048 * 13824, 23),  # one lookup instead of two
        (39, 2048 * 5120, 20),  # 20 + 19 instead of 16 + 16 + 7
        (28, 2048 * 5120, 16),  # 16 + 12: a third limb is no better
        (20, 1 << 21, 20),
        (20, (1 << 21) - 1, 16),
        (40, 1, 16),
        (7, 1 << 30, 16),
        (0, 0, 16),
    ],
)
def test_limbs_are_few_and_then_short(bits: int, cells: int, expected: int) -> None:
    assert limb_bits(bits, cells, 16) == expected


@pytest.mark.parametrize("cells", [0, 1, 1 << 17, 10_485_760, 86_507_520, 1 << 40])
@pytest.mark.parametrize("bits", range(1, 64))
def test_a_wider_table_never_costs_more_than_it_saves(bits: int, cells: int) -> None:
    """Of what is committed and looked up, rows of tables of its own included."""
    width = limb_bits(bits, cells, 16)
    assert width <= max(widest(cells, 16), 16) <= max(WIDEST, 16)

    def cost(width: int) -> int:
        return sum(cells + ((1 << min(width, bits - a)) if width > 16 else 0) for a in range(0, bits, width))

    assert cost(width) <= cost(16)


@pytest.mark.parametrize("shape", [(1 << 9,), (1 << 9, 1 << 5)])
def test_a_range_is_checked_by_one_lookup_where_cells_are_many(shape: tuple[int, ...]) -> None:
    build, letters = Builder(8), "ab"[: len(shape)]
    y = build.committed("y", shape, 0, (1 << 12) - 1)
    build.nonneg("y.range", letters, y[letters], 12)
    tables = [r.table.name for r in build.relations if r.table]
    assert tables == (["range12"] if prod(shape) >= 1 << 14 else ["range4", "range8"])
    build.finish()


def test_numbers_that_are_no_power_of_two_of_many_cells() -> None:
    for cells, lookups in ((1 << 9, 4), (1 << 14, 1)):
        build = Builder(8)
        y = build.committed("y", (cells,), -5, 994)
        build.within("y.range", "a", y["a"], -5, 994)
        assert len(build.relations) == lookups


def test_what_a_table_says_of_itself_is_checked() -> None:
    with pytest.raises(GraphError, match="cannot be indexed"):
        Table("t", 4, ((0, 4),))
    with pytest.raises(GraphError, match="cannot be indexed"):
        Table("t", 4, ((0, 3), (0, 9)))  # who makes its values?
    for values in ([0, 1, 4, 10], [-1, 1, 4, 9], [0, 1, 4], [0, 1, 4, 9, 9]):
        columns = [np.arange(4), np.array(values)]
        wrong = Table("t", 4, ((0, 3), (0, 9)), partial(list, columns))
        with pytest.raises(GraphError, match="column 1 is not 4 numbers from 0 to 9"):
            _ = wrong.digest


def test_a_long_table_of_integers_is_not_made_to_be_named() -> None:
    table = range_table(WIDEST)
    assert len(table.digest) == 64
    assert table.digest != range_table(WIDEST - 1).digest
    assert "columns" not in vars(table)
