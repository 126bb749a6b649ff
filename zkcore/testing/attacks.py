"""What a cheater makes follow from a lie, for the built-in ops: committed outputs recomputed from the lying witness."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zkcore.graph import arrays
from zkcore.graph.arrays import Array, Objects
from zkcore.graph.witness import Witness
from zkcore.ops.attention import AttentionSettings
from zkcore.ops.glu import GluSettings
from zkcore.ops.rmsnorm import RmsNorm
from zkcore.testing.toolbox import Lie


def cells(witness: Witness, name: str) -> Objects:
    """A tensor's real cells as Python integers, centred around zero."""
    inner = tuple(slice(0, n) for n in witness.system.tensors[name].shape)
    return arrays.to_objects(witness.kernels, witness.array(name))[inner]


def requantised(accumulator: str, shift: int, base: str = "") -> Lie:
    """base + round(accumulator / 2^shift), half up."""

    def lie(array: Array, witness: Witness) -> Array:
        half = 1 << shift - 1 if shift else 0
        rounded = (cells(witness, accumulator) + half) >> shift
        return arrays.from_objects(witness.kernels, rounded + cells(witness, base) if base else rounded)

    return lie


def rmsnorm(op: RmsNorm, prefix: str) -> Mapping[str, Lie]:
    """By role."""
    return {"y": requantised(f"{prefix}acc", op.shift)}


def glu(s: GluSettings, prefix: str) -> Mapping[str, Lie]:
    return {"y": requantised(f"{prefix}acc", s.act + s.up_acc - s.y)}


def attention(s: AttentionSettings, prefix: str) -> Mapping[str, Lie]:
    def steps(array: Array, witness: Witness) -> Array:
        """t = mu - round(score / 2^escale) at allowed positions."""
        score = (cells(witness, f"{prefix}scores") + (1 << s.escale - 1)) >> s.escale
        t = cells(witness, f"{prefix}mu_tiles")[..., None] - score
        return arrays.from_objects(witness.kernels, t * np.asarray(witness.array("causal"), dtype=object))

    def reciprocal(array: Array, witness: Witness) -> Array:
        total, top = cells(witness, f"{prefix}total"), 1 << s.reciprocal
        return arrays.from_objects(witness.kernels, top // np.where(total > 0, total, top))

    return {"t": steps, "reciprocal": reciprocal, "y": requantised(f"{prefix}acc", s.reciprocal)}
