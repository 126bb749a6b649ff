"""Signed subset sums of generators on a GPU: what ternary rows are committed with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import zkcore._engine as _engine
from zkcore.field.subset_sums import POINT_BYTES

if TYPE_CHECKING:
    import torch

Tensor: TypeAlias = "torch.Tensor"

SHARE = 4  # of what a fraction tree may keep, subset sums may take the fourth part


class SubsetSums:
    """`points`: of `group` generators each, as many as the memory allows, to the most that the engine takes."""

    def __init__(self, generators: Tensor, tree_room: int | None, stream: int) -> None:
        self._of, self._version = generators, generators._version
        count, room = len(generators), math.inf if tree_room is None else tree_room / SHARE
        sizes = {g: _engine.cuda.subset_sums_count(count, g) for g in (5, 4, 3, 2, 1)}
        self.group = next((g for g, size in sizes.items() if size * POINT_BYTES <= room), 1)
        self.points = generators.new_empty((sizes[self.group], 12))
        _engine.cuda.subset_sums(generators.data_ptr(), count, self.group, self.points.data_ptr(), stream)

    def serve(self, generators: Tensor) -> bool:
        """Are these the same, or the first of them? A tensor that was written to since is another."""
        same = self._of.data_ptr() == generators.data_ptr() and self._of._version == self._version
        return same and len(generators) <= len(self._of)
