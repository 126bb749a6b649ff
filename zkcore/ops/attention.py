"""Causal attention with an exact softmax: exact row maximum, normalisation after P.V by a proved exact reciprocal.

u = round(score / 2^escale); mu is the row's maximum of u over allowed positions; t = mu - u indexes exp. That t >= 0
at every allowed position is the exp lookup itself; that some t = 0 is a count over a second column of the same table at
the same index, so it costs neither a commitment nor a lookup per score. Hence mu is the maximum, exactly and uniquely.
reciprocal = floor(2^K / total) is pinned by 0 <= 2^K - reciprocal * total < total.

Only tile pairs on or below the diagonal exist; the public mask is not all ones on the diagonal ones only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.config import AttentionConfig
from zkcore.errors import RangeError
from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, Tensor, committed
from zkcore.ops.requantise import FIX
from zkcore.ops.softmax import causal, pin_reciprocal, real_attention, score_bits, tile_pairs
from zkcore.ops.tables import exp_table
from zkcore.relation import Table

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.graph.op import Arrays

ROW, CELL = "Ii", "tij"  # a query position; a score: tile pair, query in its tile, key in its tile. Heads come first


@dataclass(frozen=True)
class AttentionSettings:
    """score_fraction: fraction bits of q plus those of k. escale: score bits below one exp step. index_bits: log2 of
    the exp table. exp_fraction: fraction bits of exp. reciprocal: K. bits: of the output, at v's scale. section:
    the configuration's, for attention ops that have settings of their own there."""

    head_dim: int
    score_fraction: int
    escale: int
    index_bits: int
    exp_fraction: int
    reciprocal: int
    bits: int
    section: AttentionConfig = AttentionConfig()


@dataclass(frozen=True)
class Attention:
    """`grouped`: q is [kv heads, group, tiles, tile, d] and K, V have no group axis (grouped-query attention as one
    relation: a claim on K serves the whole group). Else q, k and v are [heads, tiles, tile, d]."""

    settings: AttentionSettings
    tile: int
    grouped: bool = False
    cached: Mapping[str, int] = field(default_factory=lambda: {"k": -2, "v": -2})

    @property
    def name(self) -> str:
        return "gqa" if self.grouped else "attention"

    @property
    def heads(self) -> str:
        """Letters of the query heads; those of K and V are "h"."""
        return "hg" if self.grouped else "h"

    def describe(self) -> list[object]:
        s = self.settings
        numbers = [s.head_dim, s.score_fraction, s.escale, s.index_bits, s.exp_fraction, s.reciprocal, s.bits]
        return [self.name, *numbers, self.tile, self.table().digest]

    def table(self) -> Table:
        s = self.settings
        return exp_table(s.index_bits, s.exp_fraction, s.escale - s.score_fraction, s.head_dim)

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        s, q, pairs = self.settings, inputs["q"], inputs["row_of"].shape[0]
        rows, tile = q.shape[:-1], q.shape[-2]
        bits = score_bits(inputs) - s.escale + 2
        return {
            "mu": committed(rows, bits),
            "t": Output((*q.shape[:-3], pairs, tile, tile), True, 0, (1 << s.index_bits) - 1),
            "reciprocal": Output(rows, True, 0, (2 << s.reciprocal - s.exp_fraction) - 1),
            "y": committed(q.shape, s.bits),
        }

    # --- forward -----------------------------------------------------------------------------------------------------
    def forward(self, inputs: Arrays) -> Arrays:
        """q [.., n, d], k and v [h, L, d], L >= n: the last n positions ask. t is in tile pairs if n = L."""
        from zkcore.ops import exact

        s, (q, k, v) = self.settings, self._flat(inputs)
        u = exact.rounded_shift(exact.einsum("hid,hjd->hij", q, k), s.escale)
        allowed = causal(q, k)
        mu = u.masked_fill(~allowed, -(1 << 62)).max(-1).values
        t = (mu[..., None] - u).masked_fill(~allowed, 0)
        if int(t.max()) >= 1 << s.index_bits:
            steps = int(t.max())
            raise RangeError(f"a score is {steps} steps below its row's maximum; raise model.attention.index_bits")
        e = exact.entries(self.table(), t).masked_fill(~allowed, 0)
        total = e.sum(-1)
        reciprocal = (1 << s.reciprocal) // total
        acc = exact.multiply(exact.einsum("hij,hjd->hid", e, v), reciprocal[..., None])
        y = exact.fit(exact.rounded_shift(acc, s.reciprocal), s.bits, "y", FIX)
        own = inputs["q"].shape
        if q.shape[1] != k.shape[1] or q.shape[1] % self.tile:
            return {"y": y.reshape(own)}
        heads = own[:-2]
        made = {"mu": mu, "t": tile_pairs(t, self.tile), "reciprocal": reciprocal, "y": y}
        return {name: value.reshape(*heads, *value.shape[1:]) for name, value in made.items()}

    def real(self, inputs: Arrays) -> Arrays:
        q, k, v = self._flat(inputs)
        made = real_attention({"q": q, "k": k, "v": v}, self.settings.head_dim)
        return {"y": made["y"].reshape(inputs["q"].shape), "t": made["t"]}

    def _flat(self, inputs: Arrays) -> tuple[TorchTensor, TorchTensor, TorchTensor]:
        """q, k, v with one head axis; in a group, K and V are read once per query head."""
        q, k, v = inputs["q"], inputs["k"], inputs["v"]
        if not self.grouped:
            return q, k, v
        group = q.shape[1]
        return q.flatten(0, 1), k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)

    # --- relations ---------------------------------------------------------------------------------------------------
    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        row_of, col_of, row, cell = inputs["row_of"], inputs["col_of"], self.heads + ROW, self.heads + CELL
        q = build.einsum("q_tiles", f"{row}d,tI->{self.heads}tid", inputs["q"], row_of)
        k = build.einsum("k_tiles", "hIjd,tI->htjd", inputs["k"], col_of)
        v = build.einsum("v_tiles", "hIjd,tI->htjd", inputs["v"], col_of)
        scores = build.einsum("scores", f"{self.heads}tid,htjd->{cell}", q, k)
        e, total = self._softmax(build, inputs, outputs, scores)
        mix = build.einsum("mix", f"{cell},htjd,tI->{row}d", e, v, row_of)
        pin_reciprocal(build, row, outputs["reciprocal"], total, self.settings.reciprocal)
        acc = build.einsum("acc", f"{row}d,{row}->{row}d", mix, outputs["reciprocal"])
        build.requantise(outputs["y"], row + "d", acc, self.settings.reciprocal)

    def _softmax(self, build: Builder, inputs: Specs, outputs: Specs, scores: Tensor) -> tuple[Tensor, Tensor]:
        s, (mu, t), row, cell = self.settings, (outputs["mu"], outputs["t"]), self.heads + ROW, self.heads + CELL
        row_of, mask, query = inputs["row_of"], (inputs["causal"], CELL), f"{self.heads}ti"
        build.nonneg("mu.range", row, mu[row] - mu.lo, (mu.hi - mu.lo).bit_length())
        mu_tiles = build.einsum("mu_tiles", f"{row},tI->{query}", mu, row_of)
        rest = scores[cell] + (1 << s.escale - 1) + (1 << s.escale) * (t[cell] - mu_tiles[query])
        build.nonneg("t.rest", cell, rest, s.escale, mask)
        e, zero = build.lookup("exp", self.table(), cell, [t[cell]], mask=mask, defines={"e": 1, "zero": 2})
        count = build.einsum("count", f"{cell},tI->{row}", zero, row_of)
        build.nonneg("maximum", row, count[row] - 1, (count.hi).bit_length())
        return e, build.einsum("total", f"{cell},tI->{row}", e, row_of)
