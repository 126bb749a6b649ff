"""Activations of BitNet b1.58: eight bits, scaled by each token's largest magnitude (Ma et al. 2024, section 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.errors import GraphError, RangeError
from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, committed
from zkcore.ops.linear import POSITION
from zkcore.ops.requantise import FIX

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.graph.op import Arrays

LEVELS = 127


@dataclass(frozen=True)
class Absmax:
    """y = round(127 x / scale), half up, with scale = max(1, |x_1|, ..., |x_d|) for each position.

    x: signed `bits`-bit integers. `axes`: its letters, "Ii" for the position, all others the d features. Both values
    are unique: scale >= x and scale >= -x for every x, so it is no less than the maximum; and it is one of them, since

        scale = sum_j peak_j x_j + floor,    sum_j peak_j^2 + floor = 1

    with integers peak_j and floor in {0, 1} leaves one peak_j of +-1, or floor = 1. (Where several x_j are largest, any
    of them may be the peak: nothing else reads it.) Then y is the quotient of a division with remainder:

        0 <= 254 x + scale - 2 scale y < 2 scale,    y in [-128, 127]

    y has an interval of its own because the remainder alone has a solution y for every remainder, mod r. One committed
    value and six lookups an element; peaks are nearly all 0, which costs nothing to commit."""

    bits: int
    axes: str = f"{POSITION}m"
    name: str = "absmax"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.bits, self.axes]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        x, top = inputs["x"], 1 << self.bits - 1
        if x.lo < -top or x.hi >= top:
            raise GraphError(f"absmax: {x.name} does not fit {self.bits} bits")
        rows = tuple(x.shape[self.axes.index(letter)] for letter in POSITION)
        return {
            "peak": committed(x.shape, 2),
            "floor": Output(rows, True, 0, 1),
            "scale": Output(rows, True, 1, top),
            "y": committed(x.shape, 8),
        }

    # --- forward -----------------------------------------------------------------------------------------------------
    def forward(self, inputs: Arrays) -> Arrays:
        import torch

        x = self._rows(inputs["x"])
        largest, at = x.abs().max(1)
        if x.numel() and int(largest.max()) >= 1 << self.bits - 1:
            raise RangeError(f"a magnitude of {int(largest.max())} does not fit {self.bits} bits; {FIX}")
        scale = largest.clamp(min=1)
        y = torch.div(2 * LEVELS * x + scale[:, None], 2 * scale[:, None], rounding_mode="floor")
        peak = torch.zeros_like(x).scatter_(1, at[:, None], x.gather(1, at[:, None]).sign())
        shaped = {"peak": self._back(peak, inputs["x"]), "y": self._back(y, inputs["x"])}
        return {**shaped, "floor": (largest == 0).long(), "scale": scale}

    def real(self, inputs: Arrays) -> Arrays:
        """Rounded too: what follows is meant to read eight bits."""
        x = self._rows(inputs["x"])
        scale = x.abs().max(1).values.clamp(min=1e-5)
        return {"scale": scale, "y": self._back((LEVELS * x / scale[:, None]).round(), inputs["x"])}

    @property
    def _place(self) -> int:
        """Of the position axis in forward passes."""
        return self.axes.index(POSITION)

    def _rows(self, x: TorchTensor) -> TorchTensor:
        """[positions, features]"""
        return x.movedim(self._place, 0).flatten(1)

    def _back(self, rows: TorchTensor, like: TorchTensor) -> TorchTensor:
        moved = like.movedim(self._place, 0).shape
        return rows.reshape(moved).movedim(0, self._place).contiguous()

    # --- relations ---------------------------------------------------------------------------------------------------
    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        x, y, cell, row = inputs["x"], outputs["y"], self.axes, POSITION
        peak, floor, scale = outputs["peak"], outputs["floor"], outputs["scale"]
        build.nonneg("peak.range", cell, peak[cell] + 2, 2)
        build.nonneg("floor.range", row, floor[row], 1)
        build.nonneg("scale.range", row, scale[row] - 1, self.bits - 1)
        squares = build.einsum("squares", f"{cell},{cell}->{row}", peak, peak)
        build.zero("one", row, squares[row] + floor[row] - 1)
        value = build.einsum("value", f"{cell},{cell}->{row}", peak, x)
        build.zero("attained", row, value[row] + floor[row] - scale[row])
        build.nonneg("below", cell, scale[row] - x[cell], self.bits)
        build.nonneg("above", cell, scale[row] + x[cell], self.bits)
        build.nonneg("y.range", cell, y[cell] + 128, 8)
        product = build.einsum("product", f"{cell},{row}->{cell}", y, scale)
        rest = 2 * LEVELS * x[cell] + scale[row] - 2 * product[cell]
        build.nonneg("rest", cell, rest, self.bits)
        build.nonneg("rest.room", cell, 2 * scale[row] - 1 - rest, self.bits)
