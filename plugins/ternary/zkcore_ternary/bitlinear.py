"""A projection by ternary weights: integers are summed, and one factor for each token brings the sums back to scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, committed
from zkcore.ops.linear import POSITION, Contract
from zkcore.ops.requantise import FIX

if TYPE_CHECKING:
    from zkcore.graph.op import Arrays


@dataclass(frozen=True)
class BitLinear:
    """y = factor * sum x w, with factor = round(scale * weight_scale / 2^shift), a signed `bits`-bit integer.

    `spec`: of the sum, e.g. "Iim,mhd->hIid". x and scale are what Absmax makes; w has entries -1, 0 and 1, proved once
    for the model; weight_scale [1] is a weight too: what the sums are to be multiplied with, over 127. y is virtual:
    nothing but a factor per token is committed."""

    spec: str
    shift: int
    bits: int
    name: str = "bitlinear"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.spec, self.shift, self.bits]

    @property
    def _sum(self) -> Contract:
        return Contract(self.spec)

    @property
    def _out(self) -> str:
        return self.spec.split("->")[1]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"factor": committed(inputs["scale"].shape, self.bits), **self._sum.outputs(inputs)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        both = exact.multiply(inputs["scale"], inputs["weight_scale"])
        factor = exact.fit(exact.rounded_shift(both, self.shift), self.bits, "factor", FIX)
        total = self._sum.forward(inputs)["y"]
        return {"factor": factor, "y": exact.multiply(total, factor.reshape(self._broadcast(total.ndim)))}

    def real(self, inputs: Arrays) -> Arrays:
        factor, total = inputs["scale"] * inputs["weight_scale"], self._sum.real(inputs)["y"]
        return {"factor": factor, "y": total * factor.reshape(self._broadcast(total.ndim))}

    def _broadcast(self, axes: int) -> list[int]:
        """Positions are one axis in forward passes."""
        place = self._out.index(POSITION)
        return [-1 if k == place else 1 for k in range(axes)]

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        row, out = POSITION, self._out
        both = build.einsum("both", f"{row},z->{row}", inputs["scale"], inputs["weight_scale"])
        build.requantise(outputs["factor"], row, both, self.shift)
        total = build.einsum("total", self.spec, inputs["x"], inputs["w"])
        build.einsum("y", f"{out},{row}->{out}", total, outputs["factor"])
