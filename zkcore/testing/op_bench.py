"""What an op is judged on: its inputs, the system they make, and what the op computes from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.model import CARRY, ModelGraph, Ref, Stage, place
from zkcore.graph.op import Op
from zkcore.graph.public import Dense
from zkcore.graph.system import System, freeze
from zkcore.graph.tensor import PublicTensor, Tensor, signed
from zkcore.graph.witness import Tamper, Witness
from zkcore.relation import Integers
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Lie,
    Setup,
    tools,
)

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

LETTERS = "abcdefgh"
SCOPE = "op."
NOTHING: Mapping[str, Lie] = {}


class Nonconformant(AssertionError):
    """The op (or the core) breaks a rule of the suite."""


# --- what goes in -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Input:
    """`positions`: the tile axis, where there is one; it and the next are one axis in forward passes."""

    kind: str
    array: Integers
    bits: int = 0
    positions: int | None = None
    source: PublicTensor | None = None

    def flat(self) -> Integers:
        if self.positions is None:
            return self.array
        shape, k = self.array.shape, self.positions
        return self.array.reshape(*shape[:k], shape[k] * shape[k + 1], *shape[k + 2 :])


def activation(array: Integers, bits: int, positions: int | None = None) -> Input:
    """Signed `bits`-bit integers that an earlier op made."""
    return Input("committed", _fitting(array, bits), bits, positions)


def weight(array: Integers, bits: int) -> Input:
    return Input("weight", _fitting(array, bits), bits)


def _fitting(array: Integers, bits: int) -> Integers:
    lo, hi = signed(bits)
    if array.size == 0 or not lo <= array.min() <= array.max() <= hi:
        raise Nonconformant(f"a sample input is empty, or leaves {bits} bits")
    return np.ascontiguousarray(array, dtype=np.int64)


def public(source: PublicTensor, positions: int | None = None) -> Input:
    return Input("public", source.array(), positions=positions, source=source)


def sample(shape: tuple[int, ...], bits: int, seed: int = 0) -> Integers:
    """Signed `bits`-bit integers, both ends among them where there is room."""
    lo, hi = signed(bits)
    out = np.random.default_rng(seed).integers(lo, hi + 1, size=shape, dtype=np.int64)
    out.flat[: min(2, out.size)] = [lo, hi][: out.size]
    return out


@dataclass(frozen=True)
class Bench:
    """`made`: what the op's forward pass returned."""

    op: Op
    inputs: Mapping[str, Input]
    table_bits: int
    made: Mapping[str, Integers]
    argument: LookupArgument = CLEAR.argument

    def setup(self, hiding: bool = False) -> Setup:
        return replace(HIDING if hiding else CLEAR, argument=self.argument)

    def builder(self) -> Builder:
        """The op on its inputs, nothing reading its outputs yet."""
        build = Builder(self.table_bits, self.argument.virtual_outputs)
        for role, i in self.inputs.items():
            _declare(build, role, i)
        stage = Stage(out=Ref("node", next(iter(self.inputs))))
        stage.add(SCOPE[:-1], self.op, **{role: Ref("node", role) for role in self.inputs})
        place(build, ModelGraph(stage, Stage(), 0, Stage(), {}, CARRY, 0), "", stage, None)
        build.scope = ""
        return build

    def system(self, claims: Mapping[str, Integers], uses: int = 1) -> System:
        """`claims`: what the statement says of tensors. Each is read `uses` times, at points of its own."""
        build = self.builder()
        for name, values in claims.items():
            letters = LETTERS[: values.ndim]
            said = build.public(f"claimed {name}", Dense(values, int(values.min()), int(values.max())))
            for k in range(uses):
                build.zero(f"use {k} {name}", letters, build.tensors[name][letters] - said[letters])
        return freeze(build)

    def outputs(self) -> dict[str, Tensor]:
        """Tensors by role."""
        build = self.builder()
        specs = {role: build.tensors[role] for role in self.inputs}
        return {role: build.tensors[SCOPE + role] for role in self.op.outputs(specs)}

    def given(self) -> dict[str, Array]:
        """Inputs and committed outputs by tensor."""
        found: dict[str, Array] = {r: i.array for r, i in self.inputs.items() if i.kind != "public"}
        for role, tensor in self.outputs().items():
            if tensor.kind == "committed":
                found[tensor.name] = self.made_as(role, tensor)
        return found

    def made_as(self, role: str, tensor: Tensor) -> Integers:
        if role not in self.made:
            raise Nonconformant(f"forward does not make the committed output {role}")
        if self.made[role].size != int(np.prod(tensor.shape)):
            raise Nonconformant(f"{role}: forward makes {self.made[role].shape}, outputs() promises {tensor.shape}")
        return self.made[role].reshape(tensor.shape)

    def witness(self, given: Mapping[str, Array], tamper: Tamper | None = None) -> Witness:
        build = self.builder()
        loose = System(build.tensors, tuple(build.relations), build.publics, build.digits)
        return Witness(loose, tools().kernels, given, tamper)

    def claims(self, witness: Witness, kinds: tuple[str, ...] = ("virtual",)) -> dict[str, Integers]:
        """What a prover with this witness says of the op's outputs: what comes after a lie follows from it."""
        wanted = [t for t in self.outputs().values() if t.kind in kinds and t.support is None]
        return {t.name: real_cells(witness.array(t.name), t.shape) for t in wanted}


def _declare(build: Builder, role: str, i: Input) -> None:
    shape, (lo, hi) = i.array.shape, signed(i.bits or 1)
    if i.source is not None:
        build.public(role, i.source)
    elif i.kind == "weight":
        build.weight(role, shape, lo, hi)
    else:
        letters = LETTERS[: len(shape)]
        tensor = build.committed(role, shape, lo, hi)
        build.nonneg(f"{role}.range", letters, tensor[letters] - lo, i.bits)


def real_cells(array: Array, shape: tuple[int, ...]) -> Integers:
    """The real cells of an array that may be padded."""
    if arrays.is_field(array):
        raise Nonconformant("an output beyond 64 bits: the suite cannot claim it")
    return np.ascontiguousarray(array[tuple(slice(0, n) for n in shape)], dtype=np.int64)


def run_op(op: Op, inputs: Mapping[str, Integers]) -> dict[str, Integers]:
    """The forward pass."""
    from torch import as_tensor

    made: Mapping[str, TorchTensor] = op.forward({r: as_tensor(np.ascontiguousarray(a)) for r, a in inputs.items()})
    return {role: np.asarray(value.numpy(), dtype=np.int64) for role, value in made.items()}


# --- forward against relations ----------------------------------------------------------------------------------------


def inside(witness: Witness, tensor: Tensor) -> Array:
    """Where a tensor's interval is proved, and its cells are read."""
    if tensor.support is None:
        return np.ones(tensor.shape, dtype=bool)
    mask, axes = tensor.support
    letters = LETTERS[: len(tensor.shape)]
    laid = arrays.spread(witness.array(mask), "".join(letters[k] for k in axes), letters)
    return np.broadcast_to(laid != 0, tensor.shape)
