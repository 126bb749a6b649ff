"""zkAttn: causal attention with the segmented softmax of zkLLM (Sun, Li, Zhang 2024, section 6), its holes closed.

x = shift - score is split into segments (zkcore.ops.segments); the weight is the product of their table values. What
differs from the paper, and why (protocols.md A.5, A.6):

* The paper's shift approximates ln sum exp, and any shift is accepted whose row sum lies within a tolerance of theta:
  several do, so the output is not determined. Here shift = B_L mu + B_L / 2 with mu the row's maximum of
  ceil((score - B_L / 2) / B_L): all x >= 0, by the segments' lookups, and in each row some x < B_L, by a count of the
  cells whose middle and high segments are all 0. Only one mu fits; a tolerance has nothing left to tolerate.
* Weights then sum to between theta and h theta, so P V is divided by the row's proved sum: one exact reciprocal a row.
* The mask is the public causal one, every lookup and every requantised output is range-checked, RoPE and the split into
  heads are relations of the graph.
* The low segments together are one virtual remainder below B_L: committing them would add nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.errors import RangeError
from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, Tensor, committed
from zkcore.ops.attention import AttentionSettings
from zkcore.ops.requantise import FIX
from zkcore.ops.segments import ErrorBound, Segments, error_bound
from zkcore.ops.softmax import causal, pin_reciprocal, real_attention, score_bits, tile_pairs

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.graph.op import Arrays

ROW, CELL = "hIi", "htij"  # a query position; a score: head, tile pair, query in its tile, key in its tile


@dataclass(frozen=True)
class ZkAttention:
    settings: AttentionSettings
    tile: int
    name: str = "zkattn"
    cached: Mapping[str, int] = field(default_factory=lambda: {"k": -2, "v": -2})

    @property
    def segments(self) -> Segments:
        s = self.settings
        return Segments.of(s.section.zkattn, s.score_fraction, s.head_dim)

    @property
    def reciprocal(self) -> int:
        """log2 of what a row sum is divided into: as much beyond the weights' scale as in plain attention."""
        return self.settings.reciprocal - self.settings.exp_fraction + self.segments.weight_bits

    def error_bound(self, keys: int) -> ErrorBound:
        """Of the weights in rows of up to `keys` positions."""
        return error_bound(self.segments, keys)

    def describe(self) -> list[object]:
        g = self.segments
        numbers = [g.head_dim, g.fraction, list(g.bits), g.low, g.high, list(g.theta), self.reciprocal]
        return [self.name, *numbers, self.settings.bits, self.tile, [g.table(k).digest for k in g.indexed]]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        g, q, pairs = self.segments, inputs["q"], inputs["row_of"].shape[0]
        rows, cells = q.shape[:3], (q.shape[0], pairs, q.shape[2], q.shape[2])
        return {
            "mu": committed(rows, max(2, score_bits(inputs) - g.cut + 2)),
            **{f"x{k}": Output(cells, True, 0, (1 << g.bits[k]) - 1) for k in g.indexed},
            "reciprocal": Output(rows, True, 0, (2 << self.reciprocal - g.weight_bits) - 1),
            "y": committed(q.shape, self.settings.bits),
        }

    # --- forward -----------------------------------------------------------------------------------------------------
    def forward(self, inputs: Arrays) -> Arrays:
        """q [h, n, d], k and v [h, L, d], L >= n: the last n positions ask. Segments are in tile pairs if n = L."""
        from zkcore.ops import exact

        g, (q, k, v) = self.segments, (inputs["q"], inputs["k"], inputs["v"])
        allowed, half = causal(q, k), 1 << g.cut >> 1
        above = -((half - exact.einsum("hid,hjd->hij", q, k)) >> g.cut)  # ceil((score - half) / B_L)
        mu = above.masked_fill(~allowed, -(1 << 62)).max(-1).values
        parts = self._split((mu[..., None] - above).masked_fill(~allowed, 0))
        weights = self._weights(parts).masked_fill(~allowed, 0)
        reciprocal = (1 << self.reciprocal) // weights.sum(-1)
        mix = exact.einsum("hij,hjd->hid", weights, v)
        y = exact.fit(_scaled(mix, reciprocal[..., None], self.reciprocal), self.settings.bits, "y", FIX)
        if q.shape[1] != k.shape[1] or q.shape[1] % self.tile:
            return {"y": y}
        tiled = {f"x{k}": tile_pairs(part, self.tile) for k, part in parts.items()}
        return {"mu": mu, **tiled, "reciprocal": reciprocal, "y": y}

    def _split(self, steps: TorchTensor) -> dict[int, TorchTensor]:
        """The middle and high segments of x, from floor(x / B_L)."""
        g = self.segments
        room = g.offset(len(g.bits)) - g.cut
        if int(steps.max()) >= 1 << room:
            raise RangeError(
                f"a score is {int(steps.max())} steps below its row's maximum, the segments hold {room} bits of them; "
                "raise model.attention.zkattn.segment_bits"
            )
        return {k: (steps >> g.offset(k) - g.cut) & (1 << g.bits[k]) - 1 for k in g.indexed}

    def _weights(self, parts: Mapping[int, TorchTensor]) -> TorchTensor:
        """The product of the segments' table values."""
        from torch import as_tensor

        factors = [as_tensor(self.segments.table(k).columns[1], device=x.device)[x] for k, x in parts.items()]
        product = factors[0]
        for factor in factors[1:]:
            product = product * factor
        return product

    def real(self, inputs: Arrays) -> Arrays:
        return real_attention(inputs, self.settings.head_dim)

    # --- relations ---------------------------------------------------------------------------------------------------
    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        row_of, col_of = inputs["row_of"], inputs["col_of"]
        q = build.einsum("q_tiles", f"{ROW}d,tI->htid", inputs["q"], row_of)
        k = build.einsum("k_tiles", "hIjd,tI->htjd", inputs["k"], col_of)
        v = build.einsum("v_tiles", "hIjd,tI->htjd", inputs["v"], col_of)
        scores = build.einsum("scores", f"htid,htjd->{CELL}", q, k)
        self._shift(build, inputs, outputs, scores)
        weights = self._lookups(build, inputs, outputs)
        total = build.einsum("total", f"{CELL},tI->{ROW}", weights, row_of)
        mix = build.einsum("mix", f"{CELL},htjd,tI->{ROW}d", weights, v, row_of)
        pin_reciprocal(build, ROW, outputs["reciprocal"], total, self.reciprocal)
        acc = build.einsum("acc", f"{ROW}d,{ROW}->{ROW}d", mix, outputs["reciprocal"])
        build.requantise(outputs["y"], ROW + "d", acc, self.reciprocal)

    def _shift(self, build: Builder, inputs: Specs, outputs: Specs, scores: Tensor) -> None:
        """0 <= shift - score - sum over middle and high segments of B_k x_k < B_L, inside the mask."""
        g, mu = self.segments, outputs["mu"]
        build.nonneg("mu.range", ROW, mu[ROW] - mu.lo, (mu.hi - mu.lo).bit_length())
        mu_tiles = build.einsum("mu_tiles", f"{ROW},tI->hti", mu, inputs["row_of"])
        rest = (1 << g.cut) * mu_tiles["hti"] + (1 << g.cut >> 1) - scores[CELL]
        for k in g.indexed:
            rest = rest - (1 << g.offset(k)) * outputs[f"x{k}"][CELL]
        build.nonneg("low", CELL, rest, g.cut, (inputs["causal"], "tij"))

    def _lookups(self, build: Builder, inputs: Specs, outputs: Specs) -> Tensor:
        """The weights; and that in each row some cell's middle and high segments are all 0."""
        g, mask = self.segments, (inputs["causal"], "tij")
        factors, zeros = [], []
        for k in g.indexed:
            names = {f"y{k}": 1, f"zero{k}": 2} if k in g.middle else {f"y{k}": 1}
            made = build.lookup(f"table{k}", g.table(k), CELL, [outputs[f"x{k}"][CELL]], mask=mask, defines=names)
            factors.append(made[0])
            zeros.append(made[-1])
        spec = ",".join([CELL] * len(zeros))
        count = build.einsum("count", f"{spec},tI->{ROW}", *zeros, inputs["row_of"])
        build.nonneg("maximum", ROW, count[ROW] - 1, count.hi.bit_length())
        return build.einsum("weights", f"{spec}->{CELL}", *factors) if len(factors) > 1 else factors[0]


def _scaled(a: TorchTensor, b: TorchTensor, shift: int) -> TorchTensor:
    """floor((a b + 2^(shift - 1)) / 2^shift) although a b may leave 64 bits: a = high 2^s + low, s = shift / 2."""
    from zkcore.ops import exact

    s = shift // 2
    low = (exact.multiply(a & (1 << s) - 1, b) + (1 << shift - 1)) >> s
    return (exact.multiply(a >> s, b) + low) >> shift - s
