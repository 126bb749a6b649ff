"""Greedy decoding, proved: the public token's logit is the largest, ties going to the lowest id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.errors import RangeError
from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs

if TYPE_CHECKING:
    from zkcore.graph.op import Arrays


@dataclass(frozen=True)
class Argmax:
    """For every proved position p and every id v:  0 <= logit[p, token] - logit[p, v] - [v < token] < 2^bits.

    target: one-hot of the public tokens [proved, vocab]; lower: [v < token]. At v = token the difference is 0."""

    bits: int
    name: str = "argmax"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.bits]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {}

    def forward(self, inputs: Arrays) -> Arrays:
        logits = inputs["logits"]
        spread = int((logits.max(-1).values - logits.min(-1).values).max())
        if spread >= 1 << self.bits:
            raise RangeError(f"logits: differences reach {spread}, beyond {self.bits} bits; raise model.logit_bits")
        return {}

    def real(self, inputs: Arrays) -> Arrays:
        return {}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        best = build.einsum("best", "pv,pv->p", inputs["target"], inputs["logits"])
        gap = best["p"] - inputs["logits"]["pv"] - inputs["lower"]["pv"]
        build.nonneg("gap", "pv", gap, self.bits)
