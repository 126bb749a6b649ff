"""Activations of an MLP, by table: alone, or as a gated linear unit: y = round(act(gate) * up), the up projection taken
as it is, not requantised."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs, committed
from zkcore.ops import tables
from zkcore.ops.requantise import FIX
from zkcore.relation import Integers, Table

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.graph.op import Arrays


@dataclass(frozen=True)
class Activation:
    """A real function of the gate. `table(bits, fraction_in, fraction_out)` lists round(2^out * f(i / 2^in)) for all
    signed `bits`-bit i, by integer arithmetic alone: the verifier computes it too. `real`: on float tensors."""

    name: str
    table: Callable[[int, int, int], Integers]
    real: Callable[[TorchTensor], TorchTensor] = field(compare=False)


@dataclass(frozen=True)
class GluSettings:
    """Fractions are numbers of fraction bits. gate_acc and up_acc: of the inputs."""

    bits: int
    gate_acc: int
    up_acc: int
    gate: int
    act: int
    y: int


@dataclass(frozen=True)
class Glu:
    """gate = round(gate_acc / 2^s) indexes the activation's table, which ranges it; act stays virtual (logup*)."""

    activation: Activation
    settings: GluSettings
    cached: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"glu_{self.activation.name}"

    def describe(self) -> list[object]:
        s = self.settings
        return [self.name, s.bits, s.gate_acc, s.up_acc, s.gate, s.act, s.y, self.table().digest]

    def table(self) -> Table:
        return function_table(self.activation, self.settings.bits, self.settings.gate, self.settings.act)

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        shape, bits = inputs["gate"].shape, self.settings.bits
        return {"gate": committed(shape, bits), "y": committed(shape, bits)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        s = self.settings
        gate = exact.rounded_shift(inputs["gate"], s.gate_acc - s.gate)
        exact.fit(gate, s.bits, "gate", FIX)
        acc = exact.multiply(exact.entries(self.table(), gate), inputs["up"])
        y = exact.fit(exact.rounded_shift(acc, s.act + s.up_acc - s.y), s.bits, "y", FIX)
        return {"gate": gate, "y": y}

    def real(self, inputs: Arrays) -> Arrays:
        act = self.activation.real(inputs["gate"])
        return {"gate": inputs["gate"], "act": act, "y": act * inputs["up"]}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        s, gate, letters = self.settings, outputs["gate"], "Iif"
        build.requantise(gate, letters, inputs["gate"], s.gate_acc - s.gate, ranged=False)
        [act] = build.lookup("table", self.table(), letters, [gate[letters]], defines={"act": 1})
        acc = build.einsum("acc", f"{letters},{letters}->{letters}", act, inputs["up"])
        build.requantise(outputs["y"], letters, acc, s.act + s.up_acc - s.y)


@dataclass(frozen=True)
class ActivationSettings:
    """Fractions are numbers of fraction bits. acc: of the input. index: of what the table is looked up at."""

    bits: int
    acc: int
    index: int
    y: int


@dataclass(frozen=True)
class Activate:
    """index = round(x / 2^s) indexes the activation's table, which ranges it; y is the entry, and stays virtual."""

    activation: Activation
    settings: ActivationSettings
    cached: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"activation_{self.activation.name}"

    def describe(self) -> list[object]:
        s = self.settings
        return [self.name, s.bits, s.acc, s.index, s.y, self.table().digest]

    def table(self) -> Table:
        return function_table(self.activation, self.settings.bits, self.settings.index, self.settings.y)

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        shape = inputs["x"].shape
        return {"index": committed(shape, self.settings.bits), "y": Output(shape)}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        s = self.settings
        index = exact.fit(exact.rounded_shift(inputs["x"], s.acc - s.index), s.bits, "index", FIX)
        return {"index": index, "y": exact.entries(self.table(), index)}

    def real(self, inputs: Arrays) -> Arrays:
        return {"index": inputs["x"], "y": self.activation.real(inputs["x"])}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        s, index, letters = self.settings, outputs["index"], "Iif"
        build.requantise(index, letters, inputs["x"], s.acc - s.index, ranged=False)
        build.lookup("table", self.table(), letters, [index[letters]], defines={"y": 1})


@cache
def function_table(activation: Activation, bits: int, fraction_in: int, fraction_out: int) -> Table:
    """Columns i, f(i), for all signed `bits`-bit i."""
    values = activation.table(bits, fraction_in, fraction_out)
    top = 1 << bits - 1
    name = f"{activation.name} {bits} {fraction_in} {fraction_out}"
    ranges = ((-top, top - 1), (int(values.min()), int(values.max())))
    return Table(name, 2 * top, ranges, lambda: [_indices(bits), values])


def _indices(bits: int) -> Integers:
    import numpy as np

    return np.arange(-(1 << bits - 1), 1 << bits - 1, dtype=np.int64)


def _silu_real(x: TorchTensor) -> TorchTensor:
    from torch.nn.functional import silu

    return silu(x)


def _gelu_tanh_real(x: TorchTensor) -> TorchTensor:
    from torch.nn.functional import gelu

    return gelu(x, approximate="tanh")


SILU = Activation("silu", tables.silu, _silu_real)
GELU_TANH = Activation("gelu_tanh", tables.gelu_tanh, _gelu_tanh_real)
