"""What attention ops share: the causal mask in tile pairs, the real function, the pinned reciprocal of a row sum."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Specs, Tensor

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.graph.op import Arrays


def score_bits(inputs: Specs) -> int:
    """Bits of the largest score."""
    q, k = inputs["q"], inputs["k"]
    return (q.shape[-1] * max(-q.lo, q.hi) * max(-k.lo, k.hi)).bit_length()


def causal(q: TorchTensor, k: TorchTensor) -> TorchTensor:
    """[n, L]: query i is position L - n + i."""
    from torch import arange

    n, length = q.shape[-2], k.shape[-2]
    return arange(length, device=q.device)[None, :] <= arange(length - n, length, device=q.device)[:, None]


def tile_pairs(cells: TorchTensor, tile: int) -> TorchTensor:
    """[h, P, P] -> [h, pairs, tile, tile], pairs (I, J) with J <= I in row-major order."""
    h, tiles = cells.shape[0], cells.shape[1] // tile
    grid = cells.reshape(h, tiles, tile, tiles, tile).transpose(2, 3)
    out, start = cells.new_empty((h, tiles * (tiles + 1) // 2, tile, tile)), 0
    for i in range(tiles):
        out[:, start : start + i + 1] = grid[:, i, : i + 1]
        start += i + 1
    return out


def real_attention(inputs: Arrays, head_dim: int) -> Arrays:
    """softmax(q k / sqrt(d)) v, and how far each score lies below its row's maximum."""
    q, k, v = inputs["q"], inputs["k"], inputs["v"]
    allowed = causal(q, k)
    scores = (q @ k.transpose(-1, -2) / head_dim**0.5).masked_fill(~allowed, float("-inf"))
    below = (scores.max(-1, keepdim=True).values - scores).masked_fill(~allowed, 0)
    return {"y": scores.softmax(-1) @ v, "t": below}


def pin_reciprocal(build: Builder, row: str, reciprocal: Tensor, total: Tensor, log_top: int) -> None:
    """reciprocal = floor(2^log_top / total), by 0 <= 2^log_top - reciprocal total < total; that total > 0 is shown
    elsewhere. The reciprocal is ranged by its declared interval."""
    bits, top = max(1, (total.hi - 1).bit_length()), 1 << log_top
    build.nonneg("reciprocal.range", row, reciprocal[row], reciprocal.hi.bit_length())
    product = build.einsum("product", f"{row},{row}->{row}", reciprocal, total)
    build.nonneg("reciprocal.low", row, top - product[row], bits)
    build.nonneg("reciprocal.high", row, total[row] - 1 - top + product[row], bits)
