"""Ternary weights on disk: five in a byte, one encoding for each tensor."""

from __future__ import annotations

import numpy as np
import pytest

from zkcore.errors import FormatError
from zkcore.models import trits


@pytest.mark.parametrize("shape", [(), (0,), (1,), (4,), (5,), (6,), (3, 7), (2, 5, 11)])
def test_round_trip(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).integers(-1, 2, shape, dtype=np.int8)
    packed = trits.pack(values)
    assert packed.nbytes * 5 < np.size(values) + 5  # 1.6 bits each
    np.testing.assert_array_equal(trits.unpack(packed, shape, "w"), values)


@pytest.mark.parametrize("wrong", [2, -2, 127])
def test_nothing_else_is_packed(wrong: int) -> None:
    with pytest.raises(ValueError, match="only -1, 0 and 1"):
        trits.pack(np.array([0, wrong, 1], dtype=np.int8))


def test_other_bytes_are_refused() -> None:
    good = trits.pack(np.ones(7, dtype=np.int8))
    for packed, reason in (
        (np.array([good[0], 243], dtype=np.uint8), "243 is no five ternary"),
        (np.array([good[0], good[1] + 9], dtype=np.uint8), "something follows"),
        (good[:1], "cannot hold 7"),
        (np.append(good, good[:1]), "cannot hold 7"),
        (good.astype(np.int8), "cannot hold 7"),
    ):
        with pytest.raises(FormatError, match=reason):
            trits.unpack(packed, (7,), "w")
