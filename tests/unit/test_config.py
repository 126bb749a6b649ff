"""What a configuration leaves to the model's size."""

from __future__ import annotations

import pytest

from zkcore.config import CommitmentConfig


@pytest.mark.parametrize(
    ("weights", "log_width"),
    [(1, 11), (50_000, 11), (917_504, 11), (134_515_008, 16), (6_738_415_616, 20), (13_015_449_600, 20), (1 << 40, 20)],
)
def test_rows_grow_with_the_model(weights: int, log_width: int) -> None:
    assert CommitmentConfig().settled(weights).log_width == log_width


def test_a_width_that_was_chosen_stays() -> None:
    assert CommitmentConfig(log_width=5).settled(1 << 30).log_width == 5
