"""What a strategy is: how the repeated block of a model becomes one system of relations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from zkcore.graph.arrays import Array
from zkcore.graph.model import ModelGraph
from zkcore.graph.system import System

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor


class Strategy(Protocol):
    name: str

    def expand(self, graph: ModelGraph, table_bits: int) -> System:
        """The system to prove. Weight tensors keep the names and shapes of `graph.weights()`."""
        ...

    def given(self, system: System, store: Mapping[str, TorchTensor]) -> dict[str, Array]:
        """What a forward pass computed, as the system's tensors."""
        ...
