"""A model as data: a prologue, a block that repeats L times, an epilogue. Strategies decide how the block is proved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zkcore.errors import GraphError
from zkcore.graph.builder import Builder
from zkcore.graph.op import Op
from zkcore.graph.tensor import PublicTensor, Specs, Tensor


@dataclass(frozen=True)
class Ref:
    """kind: node ("name.role"), weight, public, or carry (what the previous stage handed on)."""

    kind: str
    name: str = ""


CARRY = Ref("carry")


@dataclass(frozen=True)
class Node:
    name: str
    op: Op
    inputs: Mapping[str, Ref]


@dataclass(frozen=True)
class Weight:
    shape: tuple[int, ...]
    lo: int
    hi: int

    @property
    def ternary(self) -> bool:
        """Every entry is -1, 0 or 1."""
        return self.lo >= -1 and self.hi <= 1


@dataclass
class Stage:
    """Nodes in order. `out` is handed to the next stage."""

    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, Weight] = field(default_factory=dict)
    out: Ref = CARRY

    def add(self, name: str, op: Op, **inputs: Ref) -> Outputs:
        if any(n.name == name for n in self.nodes):
            raise GraphError(f"{name}: two nodes of this name in one stage")
        self.nodes.append(Node(name, op, inputs))
        return Outputs(name)

    def weight(self, name: str, shape: tuple[int, ...], bits: int) -> Ref:
        """A weight of signed `bits`-bit integers."""
        self.weights[name] = Weight(shape, -(1 << bits - 1), (1 << bits - 1) - 1)
        return Ref("weight", name)

    def ternary(self, name: str, shape: tuple[int, ...]) -> Ref:
        """A weight whose entries are -1, 0 and 1: kept in 1.6 bits each, committed and folded by additions alone."""
        self.weights[name] = Weight(shape, -1, 1)
        return Ref("weight", name)


@dataclass(frozen=True)
class Outputs:
    """What a node makes, by role: `node["y"]`."""

    node: str

    def __getitem__(self, role: str) -> Ref:
        return Ref("node", f"{self.node}.{role}")


@dataclass
class ModelGraph:
    """`logits`: the node output a generator reads. `positions`: length of the position axis, padding included."""

    prologue: Stage
    block: Stage
    layers: int
    epilogue: Stage
    publics: dict[str, PublicTensor]
    logits: Ref
    positions: int

    def public(self, name: str, source: PublicTensor) -> Ref:
        self.publics[name] = source
        return Ref("public", name)

    def stages(self) -> list[tuple[str, Stage]]:
        """(scope, stage) of the unrolled model, in order."""
        blocks = [(f"layers.{i}.", self.block) for i in range(self.layers)]
        return [("", self.prologue), *blocks, ("", self.epilogue)]

    def weights(self) -> dict[str, Weight]:
        return {scope + n: w for scope, stage in self.stages() for n, w in stage.weights.items()}


def place(builder: Builder, graph: ModelGraph, scope: str, stage: Stage, carry: Tensor | None) -> Tensor | None:
    """Add a stage's tensors and relations under a scope; returns what it hands on."""
    for name, w in stage.weights.items():
        builder.weight(scope + name, w.shape, w.lo, w.hi)

    def resolve(ref: Ref) -> Tensor:
        if ref.kind == "carry":
            if carry is None:
                raise GraphError(f"{scope}: nothing was handed on to this stage")
            return carry
        if ref.kind == "public":
            return builder.public(ref.name, graph.publics[ref.name])
        return builder.tensors.get(scope + ref.name) or builder.tensors[ref.name]

    for node in stage.nodes:
        inputs = {role: resolve(ref) for role, ref in node.inputs.items()}
        _place_node(builder, f"{scope}{node.name}.", node.op, inputs)
    return resolve(stage.out) if stage.nodes else carry


def _place_node(builder: Builder, scope: str, op: Op, inputs: Specs) -> None:
    builder.scope = scope
    made = op.outputs(inputs)
    outs = {r: builder.committed(scope + r, o.shape, o.lo, o.hi) for r, o in made.items() if o.committed}
    op.relations(builder, inputs, outs)
    for role, output in made.items():
        tensor = builder.tensors.get(scope + role)
        if tensor is None or tensor.shape != output.shape:
            raise GraphError(f"{scope}{role}: {op.name} promises {output.shape}, its relations make {tensor}")
