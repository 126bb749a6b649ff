"""What a prover holds of a fraction tree, given so much memory: arithmetic that can be checked without a GPU.

A tree's layer of used parents is a table of as many entries, each a parent's four field elements. Stored layers are
made once, from the root to a depth; a layer below is made again from the leaves, a stretch at a time, for each of its
first rounds, until half of it, a quarter of it, ... may be held (csrc/src/cuda/fraction_tree.cu). The host
makes a few entries at a time and binds a layer in place (csrc/src/cpu/fraction_tree.cpp): it takes somewhat less."""

from __future__ import annotations

from dataclasses import dataclass

from zkcore.errors import OutOfMemory
from zkcore.field.kernels import Limited

GIB = 1 << 30
ENTRY_BYTES = 128
GRAIN = 256  # entries: stretches are multiples
LEAST, MOST = 1 << 12, 1 << 23  # entries of a stretch and of what it takes to make it
SPARE = 32  # this part of a limit is for small things
CHUNKS = 8  # a stretch takes an eighth of the room
BESIDE = 40  # vectors of an opening that there must be room for beside what is held: tables made again, what is folded
ALL = 1 << 62


def planned(limit: int) -> int:
    """Bytes of a limit, but for a little that nobody plans."""
    return limit - limit // SPARE


def left(kernels: object) -> int | None:
    """Bytes of the kernels' limit that may be planned and are not taken. None if they have no limit."""
    if not isinstance(kernels, Limited) or kernels.limit is None:
        return None
    return max(0, planned(kernels.limit) - kernels.taken())


@dataclass(frozen=True)
class TreePlan:
    """`stored`: layers from the root on. `most`: entries of another layer that are held. `chunk`: entries of a stretch
    and what is on the way to it."""

    stored: int
    most: int = ALL
    chunk: int = ALL

    def for_engine(self) -> tuple[int, int, int]:
        return self.stored, self.most, self.chunk


def tree_plan(kernels: Limited, tree: Tree, otherwise: int | None = None) -> TreePlan:
    """For what a limit leaves, or for `otherwise` bytes without one. Raises OutOfMemory if the tree does not fit beside
    what is there already."""
    room = left(kernels)
    plan = tree.plan(otherwise if room is None else room)
    if room is not None and tree.peak(plan) > room:
        raise OutOfMemory(
            f"memory_limit: a tree of {tree.leaves} lookups needs {tree.least() >> 20} MiB beside what is kept, "
            f"and {room >> 20} MiB are left"
        )
    return plan


@dataclass(frozen=True)
class Tree:
    """The shape of one. `leaves` of 2^log_size are used. `stretches`: what is made again takes memory, as on a GPU; the
    host makes a few entries at a time."""

    leaves: int
    log_size: int
    stretches: bool = True

    def used(self, depth: int) -> int:
        """Parents of the nodes of a depth from 1 to log_size, the leaves' own."""
        nodes = -(-self.leaves >> self.log_size - depth)
        return (nodes + 1) // 2

    def left(self, depth: int, rounds: int) -> int:
        """Entries of a layer after so many rounds."""
        return min(1 << depth - 1 - rounds, self.used(depth))

    def plan(self, room: int | None) -> TreePlan:
        """For so many bytes, None for any number. If they do not suffice, the plan that takes least."""
        if room is None:
            return TreePlan(self.log_size)
        entries = room // ENTRY_BYTES
        chunk = min(max(entries // CHUNKS, LEAST), MOST) if self.stretches else 0
        most, stored = max(entries - chunk, 1), 1
        while stored + 1 < self.log_size and self._stored(stored + 1) <= most:
            stored += 1
        return TreePlan(stored, most, chunk)

    def peak(self, plan: TreePlan) -> int:
        """Bytes that the tree takes at most, beside the leaves' columns."""
        stored = max(min(plan.stored, self.log_size - 1), 0)
        held = [self._stored(stored)]
        stretches = [self._stretch(plan, stored, 0)] if 0 < stored < self.log_size - 1 else [0]
        for depth in range(stored + 1, self.log_size + 1):
            rounds = self.rounds(plan, depth)
            leaves = depth == self.log_size
            if leaves and rounds < 2:  # bound as they are read
                held.append(self.left(depth, 1) if depth > 1 else 0)
                continue
            held.append(self.left(depth, rounds) + (0 if rounds or depth < 2 else self.left(depth, 1)))
            stretches += [self._stretch(plan, depth, 2 << r, 2) for r in range(rounds)]
            stretches.append(self._stretch(plan, depth, 1 << rounds, 1))
        return (max(held) + max(stretches)) * ENTRY_BYTES

    def least(self) -> int:
        """Bytes that some plan makes do with, and none with much less."""
        return min(self.peak(self.plan(1 << k)) for k in range(10, 48))

    def _stored(self, stored: int) -> int:
        """Entries at the most: while a layer is proved, it, what it is bound to and the stored ones below are there."""
        below, most = 0, 0
        for depth in range(stored, 0, -1):
            below += self.used(depth)
            most = max(most, below + (self.left(depth, 1) if depth > 1 else 0))
        return most

    def rounds(self, plan: TreePlan, depth: int) -> int:
        """In which a layer is made again, as the engine has it."""
        variables, used = depth - 1, self.used(depth)
        if variables < 2 or (depth < self.log_size and used + self.left(depth, 1) <= plan.most):
            return 0
        rounds = 1
        while rounds + 1 < variables and self.left(depth, rounds) > plan.most:
            rounds += 1
        return rounds

    def _stretch(self, plan: TreePlan, depth: int, ranges: int, ends: int = 0) -> int:
        """Entries of a stretch of a layer, all its ranges and ends, and of what is made on the way."""
        if not self.stretches:
            return 0
        held = ranges + ends + (1 << self.log_size - depth)
        count = max(plan.chunk // held // GRAIN, 1) * GRAIN
        return min(count, self.used(depth)) * held
