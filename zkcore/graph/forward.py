"""Running a model graph on integers (or, for calibration, on floats): what a witness and a generator are made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.errors import RangeError
from zkcore.graph.model import ModelGraph, Node, Ref
from zkcore.graph.op import TakesKept

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

Store = dict[str, "TorchTensor"]
Method = Callable[[Node, Mapping[str, "TorchTensor"]], Mapping[str, "TorchTensor"]]


def integers(node: Node, inputs: Mapping[str, TorchTensor]) -> Mapping[str, TorchTensor]:
    return node.op.forward(inputs)


def reals(node: Node, inputs: Mapping[str, TorchTensor]) -> Mapping[str, TorchTensor]:
    return node.op.real(inputs)


@dataclass
class Run:
    """One forward pass. `publics`: position axes flattened to one. `cache`: K and V of earlier positions, extended in
    place. `keep`: which tensors stay in `store` (a generator keeps none of the layers'); `finish`: in which form.
    `entered`: told of each stage of the graph, with the number of those before it."""

    graph: ModelGraph
    weights: Mapping[str, TorchTensor]
    publics: Mapping[str, TorchTensor]
    method: Method = integers
    cache: Store | None = None
    keep: Callable[[str], bool] = lambda name: True
    finish: Callable[[Store], Store] = lambda values: values
    store: Store = field(default_factory=dict)
    entered: Callable[[int, str], None] = lambda count, scope: None

    def until(self, last: Ref) -> TorchTensor:
        """Run up to the node that makes `last`, in the epilogue."""
        return self._run(last)

    def all(self) -> Store:
        self._run(None)
        return self.store

    def _run(self, last: Ref | None) -> TorchTensor:
        carry: TorchTensor | None = None
        for count, (scope, stage) in enumerate(self.graph.stages()):
            self.entered(count, scope)
            local: Store = {}
            for node in stage.nodes:
                self._node(scope, node, local, carry)
                if last and scope == "" and last.name in local:
                    return local[last.name]
            carry = self._resolve(stage.out, scope, local, carry)
            self.store.update(self.finish({scope + n: v for n, v in local.items() if self.keep(scope + n)}))
        if carry is None:
            raise TypeError("an empty graph")
        return carry

    def _node(self, scope: str, node: Node, local: Store, carry: TorchTensor | None) -> None:
        kept = node.op.kept if isinstance(node.op, TakesKept) else frozenset()
        inputs = {}
        for role, ref in node.inputs.items():
            value = self._resolve(ref, scope, local, carry)
            inputs[role] = value if role in kept or ref.kind == "public" else _wide(value)
        if self.cache is not None:
            for role, axis in node.op.cached.items():
                inputs[role] = self._extend(f"{scope}{node.name}.{role}", inputs[role], axis)
        try:
            made = self.method(node, inputs)
        except RangeError as e:
            raise RangeError(f"{scope}{node.name}: {e}") from None
        local.update({f"{node.name}.{role}": value for role, value in made.items()})

    def _extend(self, name: str, value: TorchTensor, axis: int) -> TorchTensor:
        import torch

        cache = self.cache if self.cache is not None else {}
        if name in cache:
            value = torch.cat([cache[name], value], dim=axis)
        cache[name] = value
        return value

    def _resolve(self, ref: Ref, scope: str, local: Store, carry: TorchTensor | None) -> TorchTensor:
        if ref.kind == "carry":
            if carry is None:
                raise TypeError("nothing was handed on to this stage")
            return carry
        if ref.kind == "public":
            return self.publics[ref.name]
        if ref.kind == "weight":
            return self.weights[scope + ref.name if scope + ref.name in self.weights else ref.name]
        if ref.name in local:
            return local[ref.name]
        return self.store[ref.name]


def _wide(tensor: TorchTensor) -> TorchTensor:
    """As ops take it: real, or 64-bit integers, however it is kept."""
    return tensor if tensor.is_floating_point() else tensor.long()
