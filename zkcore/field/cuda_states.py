"""The prover's states of sumchecks and fraction trees on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkcore.field.native_field import NativeSumcheck, _pack, _reduced, _unpack

NODE_BYTES = 64  # of a fraction tree


class CudaSumcheck(NativeSumcheck):
    def __init__(self, state: Any, inputs: object) -> None:
        super().__init__(state)
        self._inputs = inputs  # they must outlive the state, which points into them


class CudaFractionTree:
    def __init__(self, tree: Any, inputs: object) -> None:
        self._tree, self._inputs = tree, inputs

    def root(self) -> tuple[int, int]:
        p, q = _unpack(self._tree.root())
        return p, q

    def layer(self, depth: int, point: Sequence[int], batch: int) -> CudaSumcheck:
        return CudaSumcheck(self._tree.layer(depth, _pack(point), _reduced(batch)), self._inputs)


def stored_layers(leaves: int, log_size: int, memory_limit: int | None) -> int:
    """Layers from the root on whose nodes fit into the limit together; the layer above the leaves is the largest. The
    nodes that no run of leaves lies under are not stored."""
    if memory_limit is None:
        return log_size
    depth, left = 0, memory_limit // NODE_BYTES
    while depth < log_size:
        left -= -(-leaves >> log_size - depth - 1)
        if left < 0:
            break
        depth += 1
    return max(1, depth)
