"""About how much memory of a GPU it takes at least to prove a system, whatever is made again: a limit that cannot be
kept is an error at once. What an operation takes on the way was measured (benchmarks/results/e2e_h200.md); other models
may differ, and where they do, a stage that finds too little says so."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from zkcore.errors import OutOfMemory
from zkcore.field.kernels import Kernels, Limited
from zkcore.field.room import Tree
from zkcore.graph.system import System
from zkcore.graph.tensor import Tensor
from zkcore.polynomial.boxes import boxes
from zkcore.polynomial.point import num_vars
from zkcore.relation import Relation

FORWARD = 40  # bytes for a cell of the largest tensor of a forward pass
COLUMN = 24  # bytes for a cell of a lookup, while its columns are made
FIELD, SELECTOR, INTEGER = 32, 1, 2  # bytes of a leaf's columns
PASSING = 4  # derived tensors that are there together
GIB = 1 << 30


def given_room(system: System, kernels: Kernels, memory: int | None) -> int | None:
    """Bytes of a limit for what lies on the host and may stay there, weights above all; None without a limit. `memory`:
    for derived tensors. Raises OutOfMemory if the limit cannot be kept."""
    room = kernels.room() if isinstance(kernels, Limited) else None
    if room is None or memory is None:
        return None
    needed = least(system)
    more = needed + max(memory, passing(system)) - room
    if more > 0:
        raise OutOfMemory(
            f"memory_limit: at least {-(-more // GIB)} GiB more are needed: {needed / GIB:.1f} GiB for what is proved, "
            f"{max(memory, passing(system)) / GIB:.1f} for derived tensors, and {room / GIB:.1f} are left. What helps: "
            "fewer tokens, or to commit again with a greater `memory_limit` or a smaller `strategy.tree_layers`"
        )
    return -more


def least(system: System) -> int:
    """Bytes, but for weights and derived tensors that are kept."""
    lookups = [r for r in system.relations if r.kind == "lookup"]
    checked, defining = [r for r in lookups if not r.outs], [r for r in lookups if r.outs]
    working = [FORWARD * max((_cells(t) for t in system.tensors.values() if t.kind != "weight"), default=0)]
    for relations, numerator in ((checked, SELECTOR), (defining, FIELD)):
        for group in dict.fromkeys(r.group for r in relations):
            working.append(_tree(system, [r for r in relations if r.group == group], numerator))
    return sum(_cells(t) * _width(t) for t in system.of_kind("committed")) + max(working)


def passing(system: System) -> int:
    """Bytes of derived tensors that are there together, however few are kept."""
    return PASSING * max((_cells(t) * INTEGER for t in system.of_kind("virtual")), default=0)


def _tree(system: System, relations: Sequence[Relation], numerator: int) -> int:
    """Bytes of the leaves' columns, what it takes to make them, and the least of a tree."""
    leaves, columns, largest = 0, 0, 0
    for r in relations:
        cells = sum(1 << box.num_vars for box in boxes(system.domain(r)))
        used = 1 if r.outs else len(r.exprs)
        leaves, columns = leaves + cells, columns + cells * (numerator + used * INTEGER)
        largest = max(largest, prod(system.domain(r)))
    leaves += sum(t.size for t in dict.fromkeys(r.table for r in relations) if t is not None)
    return columns + max(COLUMN * largest, Tree(leaves, num_vars(leaves)).least())


def _cells(tensor: Tensor) -> int:
    return prod(tensor.shape)


def _width(tensor: Tensor) -> int:
    bits = max(tensor.hi, -tensor.lo - 1).bit_length() + 1
    return next((b // 8 for b in (8, 16, 32) if bits <= b), 8)
