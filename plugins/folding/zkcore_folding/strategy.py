"""The L layers of a model as one block with a layer axis, bound first: after log L rounds of each sumcheck one folded
layer is left (SumFold; NeutronNova 2024/1606, read as in Jolt and Spartan2: no recursion).

The block is stated once, for one layer, and stacked (zkcore.graph.vmap). Its input is tied to its own committed output:

    input[l] = sum_k [k = l - 1] output[k] + [l = 0] prologue        result = sum_k [k = L - 1] output[k]

so the layers are linked through the committed hidden states, and no layer can be skipped, repeated or swapped. One
sumcheck per op instead of L, one opening per weight kind, one commitment per activation kind.

Lookups share one tree, or, where that would not fit (batching: layer_trees), each tree takes about as many cells as
`tree_layers` layers have. An op's lookups of all layers stay together, so trees are never more than a layer's ops.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from zkcore.config import StrategyConfig
from zkcore.errors import GraphError
from zkcore.field.space import of
from zkcore.graph.arrays import Array, taken
from zkcore.graph.builder import Builder
from zkcore.graph.model import ModelGraph, Weight, place
from zkcore.graph.public import Dense, OneHot
from zkcore.graph.system import System, fill_trees, freeze
from zkcore.graph.tensor import Tensor
from zkcore.graph.vmap import Axis, Stack

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

SCOPE, INPUT = "layers.", "layers.input"


class Folding:
    name = "folding"
    batching = ("one", "layer_trees")

    def __init__(self, config: StrategyConfig) -> None:
        self._layers_a_tree = config.tree_layers if config.batching == "layer_trees" else None

    # --- weights -----------------------------------------------------------------------------------------------------
    def weights(self, graph: ModelGraph) -> Mapping[str, Weight]:
        """One tensor per kind, [L, ...]."""
        stacked = {SCOPE + n: Weight((graph.layers, *w.shape), w.lo, w.hi) for n, w in graph.block.weights.items()}
        return {**graph.prologue.weights, **stacked, **graph.epilogue.weights}

    def arrange(self, graph: ModelGraph, weights: Mapping[str, Array]) -> dict[str, Array]:
        out = {n: weights[n] for n in (*graph.prologue.weights, *graph.epilogue.weights)}
        for name in graph.block.weights:
            parts = [weights[f"layers.{i}.{name}"] for i in range(graph.layers)]
            out[SCOPE + name] = of(parts[0]).stack(parts)
        return out

    # --- the system --------------------------------------------------------------------------------------------------
    def expand(self, graph: ModelGraph, table_bits: int, virtual_outputs: bool = True) -> System:
        builder = Builder(table_bits, virtual_outputs)
        start = _handed_on(place(builder, graph, "", graph.prologue, None))
        template, out = _template(graph, start, table_bits, virtual_outputs)
        axis = Axis("l", graph.layers, SCOPE, {"input": INPUT}, self._trees(template, graph.layers))
        stack = Stack(template, builder, axis)
        stack.declare()
        states = builder.tensors[SCOPE + out.name]
        _link(builder, graph.layers, start, states)
        stack.relate()
        place(builder, graph, "", graph.epilogue, _result(builder, graph.layers, states))
        return freeze(builder)

    def _trees(self, template: Builder, layers: int) -> dict[str, str]:
        if self._layers_a_tree is None:
            return {}
        lookups = [r for r in template.relations if r.kind == "lookup"]
        cells = [prod(template.domain(r.spec, r.exprs)) for r in lookups]
        found = fill_trees([n * layers for n in cells], sum(cells) * self._layers_a_tree)
        return {r.name: f"{SCOPE}{tree}" for r, tree in zip(lookups, found, strict=True)}

    def given(self, system: System, store: Mapping[str, TorchTensor]) -> dict[str, Array]:
        """Per-layer tensors stacked; the rest as it is."""
        out: dict[str, Array] = {}
        layers: dict[str, dict[int, Array]] = {}
        for name, value in store.items():
            array = taken(value)
            if name.startswith(SCOPE):
                layer, local = name.removeprefix(SCOPE).split(".", 1)
                layers.setdefault(SCOPE + local, {})[int(layer)] = array
            elif name in system.tensors:
                out[name] = array.reshape(system.tensors[name].shape)
        for name, parts in layers.items():
            if name in system.tensors:
                ordered = of(parts[0]).stack([parts[i] for i in range(len(parts))])
                out[name] = ordered.reshape(system.tensors[name].shape)
        return out


def _handed_on(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise GraphError("folding: the prologue hands nothing on")
    return tensor


def _template(graph: ModelGraph, start: Tensor, table_bits: int, virtual_outputs: bool) -> tuple[Builder, Tensor]:
    """One layer, reading "input": an interval that holds for what comes before the first layer and after each."""
    lo, hi = start.lo, start.hi
    for _ in range(2):
        template = Builder(table_bits, virtual_outputs)
        source = template.add(Tensor("input", start.shape, "virtual", lo, hi))
        out = _handed_on(place(template, graph, "", graph.block, source))
        if out.kind != "committed":
            raise GraphError("folding: a layer must hand on a committed tensor; the layers are linked through it")
        if lo <= out.lo and out.hi <= hi:
            template.finish()
            return template, out
        lo, hi = min(lo, out.lo), max(hi, out.hi)
    raise GraphError("folding: a layer widens the interval of its input; its output must be requantised")


def _axes(tensor: Tensor) -> str:
    return "abcdefgh"[: len(tensor.shape)]


def _link(builder: Builder, layers: int, start: Tensor, states: Tensor) -> None:
    """input[l] = output[l - 1], and the prologue's for l = 0."""
    builder.scope, axes = SCOPE, _axes(start)
    before = builder.public("layers shifted", OneHot((-1, *range(layers - 1)), (layers,), layers))
    first = builder.public("first layer", Dense(_unit(layers, 0), 0, 1, {(0,): 1}))
    shifted = builder.einsum("shifted", f"lk,k{axes}->l{axes}", before, states)
    opened = builder.einsum("opened", f"l,{axes}->l{axes}", first, start)
    builder.linear("input", "l" + axes, shifted["l" + axes] + opened["l" + axes])


def _result(builder: Builder, layers: int, states: Tensor) -> Tensor:
    axes = _axes(states)[1:]
    last = builder.public("last layer", Dense(_unit(layers, layers - 1), 0, 1, {(0,): 1}))
    builder.scope = SCOPE
    return builder.einsum("result", f"l,l{axes}->{axes}", last, states)


def _unit(size: int, at: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return (np.arange(size) == at).astype(np.int64)
