"""A projection of eight-bit inputs by ternary weights is the core's `Contract`; this brings its sums back to scale, by
one factor for each token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, committed
from zkcore.ops.linear import POSITION
from zkcore.ops.requantise import FIX

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.graph.op import Arrays


@dataclass(frozen=True)
class TokenScale:
    """y = factor * x, with factor = round(scale * weight_scale / 2^shift) for each token, a signed `bits`-bit integer.

    `axes`: x's letters, "Ii" for the position. scale is what Absmax makes; weight_scale [1] is a weight: what the sums
    are to be multiplied with, over 127. y is virtual: nothing but a factor per token is committed."""

    axes: str
    shift: int
    bits: int
    name: str = "token_scale"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.axes, self.shift, self.bits]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"factor": committed(inputs["scale"].shape, self.bits), "y": Output(inputs["x"].shape)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        both = exact.multiply(inputs["scale"], inputs["weight_scale"])
        factor = exact.fit(exact.rounded_shift(both, self.shift), self.bits, "factor", FIX)
        return {"factor": factor, "y": exact.multiply(inputs["x"], self._laid(factor, inputs["x"]))}

    def real(self, inputs: Arrays) -> Arrays:
        factor = inputs["scale"] * inputs["weight_scale"]
        return {"factor": factor, "y": inputs["x"] * self._laid(factor, inputs["x"])}

    def _laid(self, factor: TorchTensor, x: TorchTensor) -> TorchTensor:
        """Along the position axis, which is one in forward passes."""
        return factor.reshape([-1 if k == self.axes.index(POSITION) else 1 for k in range(x.ndim)])

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        row, cell = POSITION, self.axes
        both = build.einsum("both", f"{row},z->{row}", inputs["scale"], inputs["weight_scale"])
        build.requantise(outputs["factor"], row, both, self.shift)
        build.einsum("y", f"{cell},{row}->{cell}", inputs["x"], outputs["factor"])
