"""Layer by layer, as zkLLM's demonstration does: the block is unrolled. Folding is measured against this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zkcore.config import StrategyConfig
from zkcore.graph.arrays import Array, taken
from zkcore.graph.builder import Builder
from zkcore.graph.model import ModelGraph, Weight, place
from zkcore.graph.system import System, freeze

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor


class PerLayer:
    name = "per_layer"

    def __init__(self, config: StrategyConfig) -> None:
        self._config = config

    def expand(self, graph: ModelGraph, table_bits: int, virtual_outputs: bool = True) -> System:
        builder, carry = Builder(table_bits, virtual_outputs), None
        for scope, stage in graph.stages():
            builder.group, builder.opening = self._config.group(scope), self._config.opening(scope)
            carry = place(builder, graph, scope, stage, carry)
        return freeze(builder)

    def weights(self, graph: ModelGraph) -> Mapping[str, Weight]:
        return graph.weights()

    def arrange(self, graph: ModelGraph, weights: Mapping[str, Array]) -> dict[str, Array]:
        return dict(weights)

    def given(self, system: System, store: Mapping[str, TorchTensor]) -> dict[str, Array]:
        return {n: taken(v).reshape(system.tensors[n].shape) for n, v in store.items() if n in system.tensors}
