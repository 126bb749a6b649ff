"""What a cheater makes follow from a lie, for the built-in ops: committed outputs recomputed from the lying witness.

    follow = followers(system, graph)
    witness = Witness(system, kernels, blank(system, weights), lying(follow, {"layers.0.q.y": plus(1)}))

`followers` does a whole model; `rmsnorm`, `glu`, `attention` and `requantised` one op each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from zkcore.graph import arrays
from zkcore.graph.arrays import Array, Objects
from zkcore.graph.model import ModelGraph, Node, Ref
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.ops.attention import Attention, AttentionSettings
from zkcore.ops.glu import Activate, ActivationSettings, Glu, GluSettings
from zkcore.ops.layernorm import LayerNorm
from zkcore.ops.requantise import Requantise, Residual
from zkcore.ops.rmsnorm import RmsNorm
from zkcore.testing.toolbox import Lie

Lies = Mapping[str, Lie]


def cells(witness: Witness, name: str) -> Objects:
    """A tensor's real cells as Python integers, centred around zero."""
    inner = tuple(slice(0, n) for n in witness.system.tensors[name].shape)
    return arrays.to_objects(witness.kernels, witness.array(name))[inner]


# --- one op: lies by role ---------------------------------------------------------------------------------------------
def requantised(accumulator: str, shift: int, base: str = "") -> Lie:
    """base + round(accumulator / 2^shift), half up."""

    def lie(array: Array, witness: Witness) -> Array:
        half = 1 << shift - 1 if shift else 0
        rounded = (cells(witness, accumulator) + half) >> shift
        return arrays.from_objects(witness.kernels, rounded + cells(witness, base) if base else rounded)

    return lie


def rmsnorm(op: RmsNorm, prefix: str) -> Lies:
    def inverse(array: Array, witness: Witness) -> Array:
        return inverse_root(witness, f"{prefix}n", witness.system.tensors[f"{prefix}y"].shape[-1] << 2 * op.k)

    return {"inverse": inverse, "y": requantised(f"{prefix}acc", op.shift)}


def layernorm(op: LayerNorm, prefix: str) -> Lies:
    def inverse(array: Array, witness: Witness) -> Array:
        return inverse_root(witness, f"{prefix}n", 1 << 2 * op.k)

    return {"inverse": inverse, "y": requantised(f"{prefix}acc", op.shift)}


def inverse_root(witness: Witness, name: str, top: int) -> Array:
    """floor(sqrt(top / n)), and 0 where a lie has made n negative."""
    below = cells(witness, name)
    roots = [math.isqrt(top // n) if n > 0 else 0 for n in below.ravel()]
    return arrays.from_objects(witness.kernels, np.array(roots, dtype=object).reshape(below.shape))


def activation(s: ActivationSettings, prefix: str, x: str) -> Lies:
    """`x`: the tensor it requantises."""
    return {"index": requantised(x, s.acc - s.index)}


def glu(s: GluSettings, prefix: str, gate: str) -> Lies:
    """`gate`: the tensor it requantises."""
    return {
        "gate": requantised(gate, s.gate_acc - s.gate),
        "y": requantised(f"{prefix}acc", s.act + s.up_acc - s.y),
    }


def attention(s: AttentionSettings, prefix: str) -> Lies:
    def rounded(witness: Witness) -> Objects:
        steps: Objects = (cells(witness, f"{prefix}scores") + (1 << s.escale - 1)) >> s.escale
        return steps

    def maximum(array: Array, witness: Witness) -> Array:
        """Of each query's row, over its tiles and the positions it may see."""
        low, rows = -(1 << 60), witness.system.tensors[f"{prefix}mu"].shape
        best = np.where(witness.array("causal") != 0, rounded(witness), low).max(-1)  # [h, pair, i]
        out = np.full(rows, low, dtype=object)
        for pair, tile in enumerate(witness.array("row_of").argmax(-1)):
            out[:, tile] = np.maximum(out[:, tile], best[:, pair])
        return arrays.from_objects(witness.kernels, out)

    def steps(array: Array, witness: Witness) -> Array:
        """t = mu - round(score / 2^escale) at allowed positions."""
        t = cells(witness, f"{prefix}mu_tiles")[..., None] - rounded(witness)
        return arrays.from_objects(witness.kernels, t * np.asarray(witness.array("causal"), dtype=object))

    def reciprocal(array: Array, witness: Witness) -> Array:
        total, top = cells(witness, f"{prefix}total"), 1 << s.reciprocal
        return arrays.from_objects(witness.kernels, top // np.where(total > 0, total, top))

    return {"mu": maximum, "t": steps, "reciprocal": reciprocal, "y": requantised(f"{prefix}acc", s.reciprocal)}


# --- a model: lies by tensor ------------------------------------------------------------------------------------------
def followers(system: System, graph: ModelGraph) -> dict[str, Lie]:
    """Every committed output of an unrolled model, from what comes before it."""
    return dict(_followers(system, graph))


def _followers(system: System, graph: ModelGraph) -> Iterator[tuple[str, Lie]]:
    carry = ""
    for scope, stage in graph.stages():
        for node in stage.nodes:
            inputs = {role: _tensor(system, scope, ref, carry) for role, ref in node.inputs.items()}
            prefix = f"{scope}{node.name}."
            yield from ((prefix + role, lie) for role, lie in _of(node, prefix, inputs).items())
        if stage.nodes:
            carry = _tensor(system, scope, stage.out, carry)


def _tensor(system: System, scope: str, ref: Ref, carry: str) -> str:
    if ref.kind == "carry":
        return carry
    return scope + ref.name if scope + ref.name in system.tensors else ref.name


def _of(node: Node, prefix: str, inputs: Mapping[str, str]) -> Lies:
    op = node.op
    if isinstance(op, Requantise):
        return {"y": requantised(inputs["x"], op.shift)}
    if isinstance(op, Residual):
        return {"y": requantised(inputs["x"], op.shift, inputs["base"])}
    if isinstance(op, RmsNorm):
        return rmsnorm(op, prefix)
    if isinstance(op, LayerNorm):
        return layernorm(op, prefix)
    if isinstance(op, Activate):
        return activation(op.settings, prefix, inputs["x"])
    if isinstance(op, Glu):
        return glu(op.settings, prefix, inputs["gate"])
    if isinstance(op, Attention):
        return attention(op.settings, prefix)
    return {}


def blank(system: System, weights: Mapping[str, Array]) -> dict[str, Array]:
    """Weights, and zeros for whatever followers fill in."""
    zeros = {t.name: np.zeros(t.shape, dtype=np.int64) for t in system.of_kind("committed")}
    return {**{n: a for n, a in zeros.items() if n not in system.digits}, **weights}


def lying(follow: Lies, lies: Lies) -> dict[str, Lie]:
    """The lies, on top of what follows."""
    return {**follow, **{n: _after(follow[n], lie) if n in follow else lie for n, lie in lies.items()}}


def _after(honest: Lie, lie: Lie) -> Lie:
    return lambda array, witness: lie(honest(array, witness), witness)
