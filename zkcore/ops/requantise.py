"""Rescaling to few bits: the only place where precision is given up, and it is proved to the unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, committed

if TYPE_CHECKING:
    from zkcore.graph.op import Arrays

FIX = "calibrate on text like this prompt, or raise calibration.headroom_bits"


@dataclass(frozen=True)
class Requantise:
    """y = round(x / 2^shift), half up, a signed `bits`-bit integer. One committed value and two lookups an element."""

    shift: int
    bits: int
    name: str = "requantise"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.shift, self.bits]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": committed(inputs["x"].shape, self.bits)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        return {"y": exact.fit(exact.rounded_shift(inputs["x"], self.shift), self.bits, "y", FIX)}

    def real(self, inputs: Arrays) -> Arrays:
        return {"y": inputs["x"]}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        letters = "abcdefgh"[: len(inputs["x"].shape)]
        build.requantise(outputs["y"], letters, inputs["x"], self.shift)


@dataclass(frozen=True)
class Residual:
    """y = base + round(x / 2^shift): the residual stream at its fixed scale. The rounded update stays virtual."""

    shift: int
    bits: int
    name: str = "residual"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.shift, self.bits]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": committed(inputs["base"].shape, self.bits)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        update = exact.rounded_shift(inputs["x"], self.shift)
        return {"y": exact.fit(inputs["base"] + update, self.bits, "y", FIX)}

    def real(self, inputs: Arrays) -> Arrays:
        return {"y": inputs["base"] + inputs["x"]}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        letters = "abcdefgh"[: len(inputs["x"].shape)]
        build.requantise(outputs["y"], letters, inputs["x"], self.shift, base=inputs["base"])
