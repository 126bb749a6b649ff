"""The prover's states of sumchecks and fraction trees on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zkcore.field.native_field import NativeSumcheck, _pack, _reduced, _unpack


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
