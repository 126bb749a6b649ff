"""Layer normalisation (Ba, Kiros, Hinton 2016) with a proved integer inverse root. Its bias belongs to the next op."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.public import Ones
from zkcore.graph.tensor import Output, Specs, committed
from zkcore.ops.requantise import FIX
from zkcore.ops.rmsnorm import pin_inverse_root, row_letters, scale_rows

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.graph.op import Arrays


@dataclass(frozen=True)
class LayerNorm:
    """c = d x - sum x, d times the distance from the mean, and exact; n = d sum x^2 - (sum x)^2 + d^2 eps;

        inverse = floor(sqrt(4^k / n));  y = round(c * inverse [* gain] / 2^shift).

    n is d^2 times variance plus epsilon, and at least d^2 eps by the inequality of Cauchy and Schwarz, whatever x is:
    the inverse is below 2^k / d, and exactly one integer fits. `epsilon`: in units of x squared, at least 1. Rows of
    x: [tiles, tile, d] or [rows, d]."""

    k: int
    epsilon: int
    shift: int
    bits: int
    real_epsilon: str = field(default="1e-5", compare=False)
    name: str = "layernorm"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.k, self.epsilon, self.shift, self.bits]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        shape = inputs["x"].shape
        bits = self.k - shape[-1].bit_length() + 2  # 2^k / d is below 2^(k - log2 d)
        return {"inverse": Output(shape[:-1], True, 0, (1 << max(1, bits)) - 1), "y": committed(shape, self.bits)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        x, d = inputs["x"], inputs["x"].shape[-1]
        total = x.sum(-1)
        n = exact.sum_of_squares(x, d) - total * total + d * d * self.epsilon  # (sum x)^2 <= d sum x^2
        inverse = exact.floor_sqrt_ratio(1 << 2 * self.k, n)
        scaled = exact.scaled_rows(d * x - total[..., None], inverse, inputs.get("gain"))
        return {"inverse": inverse, "y": exact.fit(exact.rounded_shift(scaled, self.shift), self.bits, "y", FIX)}

    def real(self, inputs: Arrays) -> Arrays:
        from torch.nn.functional import layer_norm

        y: TorchTensor = layer_norm(inputs["x"], inputs["x"].shape[-1:], eps=float(self.real_epsilon))
        return {"y": y * inputs["gain"] if "gain" in inputs else y}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        x = inputs["x"]
        row, d = row_letters(x), x.shape[-1]
        squares = build.einsum("squares", f"{row}m,{row}m->{row}", x, x)
        total = build.einsum("total", f"{row}m->{row}", x)
        square = build.einsum("square", f"{row},{row}->{row}", total, total)
        n = build.linear("n", row, d * squares[row] - square[row] + d * d * self.epsilon)
        pin_inverse_root(build, row, outputs["inverse"], n, 1 << 2 * self.k)
        ones = build.public(f"ones {(d,)}", Ones((d,)))
        repeated = build.einsum("repeated", f"{row},m->{row}m", total, ones)
        centred = build.linear("centred", row + "m", d * x[row + "m"] - repeated[row + "m"])
        scale_rows(build, inputs, outputs, centred, self.shift)
