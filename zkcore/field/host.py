"""The CPU engine of a prover that may take a part of the memory only: what can do with less asks how much is left."""

from __future__ import annotations

from functools import cache

import zkcore._engine as _engine
from zkcore import memory
from zkcore.field.kernels import Column, FieldArray, FixedBase, Limited, Points
from zkcore.field.native import NativeKernels
from zkcore.field.room import Tree, TreePlan, left, tree_plan
from zkcore.field.subset_sums import MOST_TRITS, sums_bytes

SUMS_SHARE = 4  # this part of what is left may be such sums
BUCKETS_SHARE = 16  # of a limit: buckets, while nothing is derived


class HostKernels(NativeKernels):
    """Implements Limited. `limit`: bytes of this process's resident memory, all that it holds besides included."""

    def __init__(self, limit: int) -> None:
        self.limit: int | None = limit
        _engine.keep_nothing_freed()
        _engine.set_bucket_room(bucket_room(limit))

    def taken(self) -> int:
        return memory.resident()

    def tree_plan(self, tree: Tree) -> TreePlan:
        return tree_plan(self, tree)

    def commit_ternary(self, generators: Points, rows: Column, blinds: FieldArray, blinder: FixedBase) -> Points:
        """By subset sums that stay, if there is room for the largest."""
        if sums_fit(self, len(generators)):
            return super().commit_ternary(generators, rows, blinds, blinder)
        return self.commit_rows(generators, rows, blinds, blinder)


def sums_fit(kernels: Limited, generators: int) -> bool:
    """May subset sums of so many generators be kept?"""
    room = left(kernels)
    return room is None or sums_bytes(generators, MOST_TRITS) * SUMS_SHARE <= room


def bucket_room(limit: int) -> int:
    """Bytes that the buckets of rows summed together take, but for those of one row."""
    return limit // BUCKETS_SHARE


@cache
def load(limit: int) -> HostKernels:
    return HostKernels(limit)
