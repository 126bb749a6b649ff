"""About how much memory it takes at least to prove a system, whatever is made again: a limit that cannot be kept is an
error at once. What an operation takes on the way was measured, on a GPU (benchmarks/results/e2e_h200.md) and on a
CPU (benchmarks/results/memory_cpu.md); other models may differ, and where they do, a stage that finds too little says
so."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from math import prod

from zkcore.errors import OutOfMemory
from zkcore.field import room
from zkcore.field.kernels import Kernels, Limited
from zkcore.field.room import GIB, Tree
from zkcore.field.subset_sums import POINT_BYTES
from zkcore.graph.system import System
from zkcore.graph.tensor import Tensor
from zkcore.polynomial.boxes import boxes
from zkcore.polynomial.point import num_vars, total_vars
from zkcore.relation import Relation

FORWARD = 40  # bytes for a cell of the largest tensor of a forward pass
WEIGHT = 16  # bytes for a cell of the largest weight that a forward pass multiplies by: as floats, and laid out anew
COLUMN = 24  # bytes for a cell of a lookup, while its columns are made
FIELD, SELECTOR, INTEGER = 32, 1, 2  # bytes of a leaf's columns
JOINT = 48  # bytes for an entry of a joint sumcheck's tables, and what they are bound to
WEIGHTS, FACTOR = 96, 8  # bytes for an entry of one step's domain: eq tables while they are added; a factor's integers
PASSING = 4  # derived tensors that are there together
ENTRY = 32  # bytes of a vector's entry


def given_room(system: System, kernels: Kernels, memory: int | None, width: int = 0) -> int | None:
    """Bytes of a limit for what lies on the host and may stay there, weights above all; None without a limit. `memory`:
    for derived tensors. `width`: of a commitment's rows. Raises OutOfMemory if the limit cannot be kept."""
    if not isinstance(kernels, Limited) or kernels.limit is None or memory is None:
        return None
    limit, taken = kernels.limit, kernels.taken()
    needed, derived = least(system, width), passing(system)
    every = sum(_cells(t) * _width(t) for t in system.of_kind("virtual"))

    def rest(whole: int) -> int:
        return room.planned(whole) - taken - needed - max(min(memory * whole // limit, every), derived)

    if (over := rest(limit)) >= 0:
        return over
    enough = next(gib for gib in count(limit // GIB + 1) if rest(gib * GIB) >= 0)
    raise OutOfMemory(
        f"memory_limit: {limit // GIB} GiB do not suffice for this, {enough} would: about {needed / GIB:.1f} for what "
        f"is proved and {derived / GIB:.1f} or more for what is derived, beside {taken / GIB:.1f} that are taken. "
        "What helps: fewer tokens; or commit again with a greater `memory_limit` or a smaller `strategy.tree_layers`"
    )


def least(system: System, width: int = 0) -> int:
    """Bytes, but for weights and derived tensors that are kept."""
    lookups = [r for r in system.relations if r.kind == "lookup"]
    checked, defining = [r for r in lookups if not r.outs], [r for r in lookups if r.outs]
    working = [room.BESIDE * ENTRY * width]
    if any(r.kind in ("einsum", "linear") for r in system.relations):
        working.append(FORWARD * max((_cells(t) for t in system.tensors.values() if t.kind != "weight"), default=0))
        working.append(WEIGHT * max((_cells(t) for t in system.of_kind("weight")), default=0))
        working.append(JOINT * system.joint_entries())
        working.append(max(_step(system, r) for r in system.relations))
    own, shared = {r.group: r.group for r in checked}, system.definition_trees(list(reversed(defining)))
    for relations, numerator, trees in ((checked, SELECTOR, own), (defining, FIELD, shared)):
        for tree in dict.fromkeys(trees.values()):
            working.append(_tree(system, [r for r in relations if trees[r.group] == tree], numerator))
    return sum(_cells(t) * _width(t) for t in system.of_kind("committed")) + POINT_BYTES * width + max(working)


def _step(system: System, relation: Relation) -> int:
    """Bytes of a relation's own sumcheck, or of the one that makes the claims on its output one: a sumcheck over many
    relations has at least one of these, however large."""
    if relation.kind == "linear":
        return WEIGHTS + FACTOR << total_vars(system.tensors[relation.outs[0]].shape)
    if relation.kind != "einsum":
        return 0
    factors = relation.factors()[0]
    common = [k for x, k in system.sizes(relation).items() if sum(x in f for f in factors) > 1]
    return WEIGHTS + FACTOR * len(factors) << total_vars(common)


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
