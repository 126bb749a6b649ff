"""The L layers of a model as one block with a layer axis, bound first: after log L rounds of each sumcheck one folded
layer is left (SumFold; NeutronNova 2024/1606, read as in Jolt and Spartan2: no recursion).

The block is stated once, for one layer, and stacked (zkcore.graph.vmap). Its input is tied to its own committed output:

    input[l] = sum_k [k = l - 1] output[k] + [l = 0] prologue        result = sum_k [k = L - 1] output[k]

so the layers are linked through the committed hidden states, and no layer can be skipped, repeated or swapped. One
sumcheck per op instead of L, one opening per weight kind, one commitment per activation kind.

A model whose stacked layers would not fit is folded in runs of `folded_layers` layers: each run is such a block, tied
to the result of the one before it. Bytes grow with the number of runs.

Lookups share one tree, or, where that would not fit (batching: layer_trees), each tree takes about as many cells as
`tree_layers` layers have. An op's lookups of a run stay together: at most as many trees as a layer has lookups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from zkcore.config import StrategyConfig
from zkcore.errors import GraphError
from zkcore.field.unmade import Given, Stacked
from zkcore.graph.arrays import Array, taken
from zkcore.graph.builder import Builder
from zkcore.graph.model import ModelGraph, Weight, place
from zkcore.graph.public import Dense, OneHot
from zkcore.graph.system import System, fill_trees, freeze
from zkcore.graph.tensor import Tensor
from zkcore.graph.vmap import Axis, Stack

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

SCOPE = "layers."


@dataclass(frozen=True)
class Run:
    """Layers that are folded together, and what their tensors' names begin with."""

    first: int
    size: int
    scope: str

    @property
    def layers(self) -> range:
        return range(self.first, self.first + self.size)


class Folding:
    name = "folding"
    batching = ("one", "layer_trees")
    runs = True
    stacks = True

    def __init__(self, config: StrategyConfig) -> None:
        self._layers_a_tree = config.tree_layers if config.batching == "layer_trees" else None
        self._most = config.folded_layers

    def _runs(self, layers: int) -> list[Run]:
        if self._most == "all" or self._most >= layers:
            return [Run(0, layers, SCOPE)]
        most = self._most
        return [Run(i, min(most, layers - i), f"{SCOPE}{i}.") for i in range(0, layers, most)]

    # --- weights -----------------------------------------------------------------------------------------------------
    def weights(self, graph: ModelGraph) -> Mapping[str, Weight]:
        """One tensor per kind and run, [layers of the run, ...]."""
        stacked = {
            run.scope + n: Weight((run.size, *w.shape), w.lo, w.hi)
            for run in self._runs(graph.layers)
            for n, w in graph.block.weights.items()
        }
        return {**graph.prologue.weights, **stacked, **graph.epilogue.weights}

    def arrange(self, graph: ModelGraph, weights: Mapping[str, Array]) -> dict[str, Given]:
        out: dict[str, Given] = {n: weights[n] for n in (*graph.prologue.weights, *graph.epilogue.weights)}
        for run in self._runs(graph.layers):
            for name, spec in graph.block.weights.items():
                parts = tuple(weights[f"{SCOPE}{i}.{name}"] for i in run.layers)
                out[run.scope + name] = Stacked(parts, (run.size, *spec.shape))
        return out

    # --- the system --------------------------------------------------------------------------------------------------
    def expand(self, graph: ModelGraph, table_bits: int, virtual_outputs: bool = True) -> System:
        builder = Builder(table_bits, virtual_outputs)
        state = _handed_on(place(builder, graph, "", graph.prologue, None))
        for run in self._runs(graph.layers):
            state = self._fold(builder, graph, run, state)
        place(builder, graph, "", graph.epilogue, state)
        return freeze(builder)

    def _fold(self, builder: Builder, graph: ModelGraph, run: Run, start: Tensor) -> Tensor:
        """Adds a run of layers; returns what it hands on."""
        template, out = _template(graph, start, builder)
        axis = Axis("l", run.size, run.scope, {"input": f"{run.scope}input"}, self._trees(template, run))
        stack = Stack(template, builder, axis)
        stack.declare()
        states = builder.tensors[run.scope + out.name]
        _link(builder, run, start, states)
        stack.relate()
        return _result(builder, run, states)

    def _trees(self, template: Builder, run: Run) -> dict[str, str]:
        if self._layers_a_tree is None:
            return {}
        lookups = [r for r in template.relations if r.kind == "lookup"]
        cells = [prod(template.domain(r.spec, r.exprs)) for r in lookups]
        found = fill_trees([n * run.size for n in cells], sum(cells) * self._layers_a_tree)
        return {r.name: f"{run.scope}{tree}" for r, tree in zip(lookups, found, strict=True)}

    def given(self, system: System, store: Mapping[str, TorchTensor]) -> dict[str, Given]:
        """Per-layer tensors, to be stacked when they are read; the rest as it is."""
        out: dict[str, Given] = {}
        layers: dict[str, dict[int, Array]] = {}
        for name, value in store.items():
            array = taken(value)
            if name.startswith(SCOPE):
                layer, local = name.removeprefix(SCOPE).split(".", 1)
                layers.setdefault(local, {})[int(layer)] = array
            elif name in system.tensors:
                out[name] = array.reshape(system.tensors[name].shape)
        for local, parts in layers.items():
            for run in self._runs(len(parts)):
                if (stacked := system.tensors.get(run.scope + local)) is not None:
                    out[stacked.name] = Stacked(tuple(parts[i] for i in run.layers), stacked.shape)
        return out


def _handed_on(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise GraphError("folding: the prologue hands nothing on")
    return tensor


def _template(graph: ModelGraph, start: Tensor, target: Builder) -> tuple[Builder, Tensor]:
    """One layer, reading "input": an interval that holds for what comes before the first layer and after each."""
    lo, hi = start.lo, start.hi
    for _ in range(2):
        template = Builder(target.table_bits, target.virtual_outputs)
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


def _link(builder: Builder, run: Run, start: Tensor, states: Tensor) -> None:
    """input[l] = output[l - 1], and what came before the run for l = 0."""
    builder.scope, axes, n = run.scope, _axes(start), run.size
    before = builder.public(f"{n} layers shifted", OneHot((-1, *range(n - 1)), (n,), n))
    first = builder.public(f"first of {n} layers", Dense(_unit(n, 0), 0, 1, {(0,): 1}))
    shifted = builder.einsum("shifted", f"lk,k{axes}->l{axes}", before, states)
    opened = builder.einsum("opened", f"l,{axes}->l{axes}", first, start)
    builder.linear("input", "l" + axes, shifted["l" + axes] + opened["l" + axes])


def _result(builder: Builder, run: Run, states: Tensor) -> Tensor:
    axes = _axes(states)[1:]
    last = builder.public(f"last of {run.size} layers", Dense(_unit(run.size, run.size - 1), 0, 1, {(0,): 1}))
    builder.scope = run.scope
    return builder.einsum("result", f"l,l{axes}->{axes}", last, states)


def _unit(size: int, at: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return (np.arange(size) == at).astype(np.int64)
