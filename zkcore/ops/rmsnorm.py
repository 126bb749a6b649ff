"""Root-mean-square normalisation (Zhang, Sennrich 2019) with a proved integer inverse root."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, Tensor, committed
from zkcore.ops.requantise import FIX

if TYPE_CHECKING:
    from zkcore.graph.op import Arrays


@dataclass(frozen=True)
class RmsNorm:
    """inverse = floor(sqrt(d 4^k / n)), n = sum x^2 + d eps; y = round(x * inverse [* gain] / 2^shift).

    The inverse is pinned by  inverse^2 n <= d 4^k < (inverse + 1)^2 n  and inverse >= 0: exactly one integer fits.
    `epsilon`: in units of x squared, at least 1 (so n > 0). Rows of x: [tiles, tile, d] or [rows, d]."""

    k: int
    epsilon: int
    shift: int
    bits: int
    real_epsilon: str = field(default="1e-5", compare=False)
    name: str = "rmsnorm"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.k, self.epsilon, self.shift, self.bits]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        shape = inputs["x"].shape
        return {"inverse": Output(shape[:-1], True, 0, (2 << self.k) - 1), "y": committed(shape, self.bits)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        x, d = inputs["x"], inputs["x"].shape[-1]
        n = exact.sum_of_squares(x, 1) + d * self.epsilon
        inverse = exact.floor_sqrt_ratio(d << 2 * self.k, n)
        scaled = exact.scaled_rows(x, inverse, inputs.get("gain"))
        return {"inverse": inverse, "y": exact.fit(exact.rounded_shift(scaled, self.shift), self.bits, "y", FIX)}

    def real(self, inputs: Arrays) -> Arrays:
        x = inputs["x"]
        y = x * (x.square().mean(-1, keepdim=True) + float(self.real_epsilon)).rsqrt()
        return {"y": y * inputs["gain"] if "gain" in inputs else y}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        x, inverse = inputs["x"], outputs["inverse"]
        row, d = row_letters(x), x.shape[-1]
        squares = build.einsum("squares", f"{row}m,{row}m->{row}", x, x)
        n = build.linear("n", row, squares[row] + d * self.epsilon)
        pin_inverse_root(build, row, inverse, n, d << 2 * self.k)
        scale_rows(build, inputs, outputs, x, self.shift)


def row_letters(x: Tensor) -> str:
    """All axes but the last: rows alone, or [heads (and groups of them), tiles, tile]."""
    return "p" if len(x.shape) == 2 else {3: "", 4: "h", 5: "hg"}[len(x.shape)] + "Ii"


def pin_inverse_root(build: Builder, row: str, inverse: Tensor, n: Tensor, top: int) -> None:
    """inverse = floor(sqrt(top / n)), by  inverse^2 n <= top < (inverse + 1)^2 n  and inverse >= 0. That n > 0 is the
    caller's business. The inverse is ranged by its declared interval."""
    build.nonneg("inverse.range", row, inverse[row], inverse.hi.bit_length())
    once = build.einsum("once", f"{row},{row}->{row}", inverse, n)
    twice = build.einsum("twice", f"{row},{row}->{row}", inverse, once)
    room = (2 * math.isqrt(top * n.hi) + n.hi).bit_length()  # (2 inverse + 1) n stays below 2^room for the true one
    build.nonneg("inverse.low", row, top - twice[row], room)
    build.nonneg("inverse.high", row, twice[row] + 2 * once[row] + n[row] - top - 1, room)


def scale_rows(build: Builder, inputs: Specs, outputs: Specs, x: Tensor, shift: int) -> None:
    """y = round(x * inverse [* gain] / 2^shift)."""
    row, inverse = row_letters(x), outputs["inverse"]
    if "gain" in inputs:
        acc = build.einsum("acc", f"{row}m,{row},m->{row}m", x, inverse, inputs["gain"])
    else:
        acc = build.einsum("acc", f"{row}m,{row}->{row}m", x, inverse)
    build.requantise(outputs["y"], row + "m", acc, shift)
