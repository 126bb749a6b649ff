"""Squared ReLU (So et al. 2021), BitNet's activation, for the core's gated linear unit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zkcore.ops.glu import Activation
from zkcore.relation import Integers

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor


def table(bits: int, fraction_in: int, fraction_out: int) -> Integers:
    """round(2^out max(x, 0)^2), half up, x = i / 2^in, for all signed `bits`-bit i."""
    top, drop = 1 << bits - 1, 2 * fraction_in - fraction_out
    squares = (max(i, 0) ** 2 for i in range(-top, top))
    if drop <= 0:
        return np.array([s << -drop for s in squares], dtype=np.int64)
    return np.array([(s + (1 << drop - 1)) >> drop for s in squares], dtype=np.int64)


def _real(x: TorchTensor) -> TorchTensor:
    return x.clamp(min=0).square()


RELU2 = Activation("relu2", table, _real)
