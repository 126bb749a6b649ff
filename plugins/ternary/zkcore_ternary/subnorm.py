"""BitNet's norms inside attention and MLP: root-mean-square over all features of a token, those of all heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, committed
from zkcore.ops.linear import POSITION
from zkcore.ops.requantise import FIX
from zkcore.ops.rmsnorm import pin_inverse_root

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.graph.op import Arrays


@dataclass(frozen=True)
class SubNorm:
    """inverse = floor(sqrt(d 4^k / n)), n = sum x^2 + d epsilon over the d features of a position; y = round(x inverse
    gain / 2^shift), a signed `bits`-bit integer. Proved as the core's RMSNorm is.

    `axes`: x's letters, "Ii" for the position, all others the features, which are the gain's axes. `epsilon`: in units
    of x squared, at least 1."""

    axes: str
    k: int
    epsilon: int
    shift: int
    bits: int
    real_epsilon: str = field(default="1e-5", compare=False)
    name: str = "subnorm"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.axes, self.k, self.epsilon, self.shift, self.bits]

    @property
    def _features(self) -> str:
        return self.axes.replace(POSITION, "")

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        shape = inputs["x"].shape
        rows = tuple(shape[self.axes.index(letter)] for letter in POSITION)
        return {"inverse": Output(rows, True, 0, (2 << self.k) - 1), "y": committed(shape, self.bits)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        x, gain = self._rows(inputs["x"]), inputs["gain"].reshape(1, -1)
        n = exact.einsum("pm,pm->p", x, x) + x.shape[1] * self.epsilon
        inverse = exact.floor_sqrt_ratio(x.shape[1] << 2 * self.k, n)
        acc = exact.multiply(exact.multiply(x, inverse[:, None]), gain)
        y = exact.fit(exact.rounded_shift(acc, self.shift), self.bits, "y", FIX)
        return {"inverse": inverse, "y": self._back(y, inputs["x"])}

    def real(self, inputs: Arrays) -> Arrays:
        x = self._rows(inputs["x"])
        y = x * (x.square().mean(1, keepdim=True) + float(self.real_epsilon)).rsqrt()
        return {"y": self._back(y * inputs["gain"].reshape(1, -1), inputs["x"])}

    def _rows(self, x: TorchTensor) -> TorchTensor:
        """[positions, features]"""
        return x.movedim(self.axes.index(POSITION), 0).flatten(1)

    def _back(self, rows: TorchTensor, like: TorchTensor) -> TorchTensor:
        place = self.axes.index(POSITION)
        return rows.reshape(like.movedim(place, 0).shape).movedim(0, place).contiguous()

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        x, inverse, cell, row = inputs["x"], outputs["inverse"], self.axes, POSITION
        d = 1
        for letter, size in zip(cell, x.shape, strict=True):
            d *= 1 if letter in POSITION else size
        squares = build.einsum("squares", f"{cell},{cell}->{row}", x, x)
        n = build.linear("n", row, squares[row] + d * self.epsilon)
        pin_inverse_root(build, row, inverse, n, d << 2 * self.k)
        acc = build.einsum("acc", f"{cell},{row},{self._features}->{cell}", x, inverse, inputs["gain"])
        build.requantise(outputs["y"], cell, acc, self.shift)
