"""The op seam: an op states shapes, a forward pass and its algebra. Proving and verifying are derived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from zkcore.graph.builder import Builder
from zkcore.graph.tensor import Output, Specs

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    Arrays = Mapping[str, TorchTensor]


class Op(Protocol):
    """No prove, no verify, no transcript. The verifier imports ops, so torch may be imported only inside `forward` and
    `real`. Positions are one axis [.., p, ..] in forward passes and two in specs [.., tiles, tile, ..]: the same
    memory."""

    @property
    def name(self) -> str:
        """Stable; part of the statement."""
        ...

    @property
    def cached(self) -> Mapping[str, int]:
        """Inputs that a KV cache extends in generation: {role: position axis}."""
        ...

    def describe(self) -> list[object]:
        """Every parameter: absorbed with the statement."""
        ...

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        """The tensors it makes, by role. Committed ones carry intervals; a virtual one is defined by the relation of
        its name."""
        ...

    def forward(self, inputs: Arrays) -> Arrays:
        """int64 tensors in, every committed output (and the virtual ones that later ops read) out. Written
        independently of `relations`: the conformance suite compares the two. A value outside its interval raises
        RangeError through `zkcore.ops.exact.fit`."""
        ...

    def real(self, inputs: Arrays) -> Arrays:
        """The real-valued function that `forward` approximates, on float tensors, unscaled: for calibration."""
        ...

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        """State the algebra. `outputs` holds the committed ones; name a virtual one by its role."""
        ...


@runtime_checkable
class TakesKept(Protocol):
    """An op whose forward pass takes some inputs in whatever integer type they are kept, where others get int64: a GPU
    then need not make them wide, nor find out how narrow they are."""

    @property
    def kept(self) -> frozenset[str]:
        """Their roles."""
        ...
