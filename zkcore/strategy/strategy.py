"""What a strategy is: how the repeated block of a model becomes one system of relations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from zkcore.field.unmade import Given
from zkcore.graph.arrays import Array
from zkcore.graph.model import ModelGraph, Weight
from zkcore.graph.system import System

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor


class Strategy(Protocol):
    name: str

    def expand(self, graph: ModelGraph, table_bits: int, virtual_outputs: bool = True) -> System:
        """The system to prove. Its weight tensors are those of `weights`. `virtual_outputs`: the lookup argument keeps
        function values virtual."""
        ...

    def weights(self, graph: ModelGraph) -> Mapping[str, Weight]:
        """The weight tensors as they are committed: the system's, the same for every sequence."""
        ...

    def arrange(self, graph: ModelGraph, weights: Mapping[str, Array]) -> Mapping[str, Given]:
        """The unrolled graph's weights as the committed ones: nothing is copied."""
        ...

    def given(self, system: System, store: Mapping[str, TorchTensor]) -> Mapping[str, Given]:
        """What a forward pass computed, as the system's tensors: nothing is copied."""
        ...
