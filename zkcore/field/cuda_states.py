"""The prover's states of sumchecks and fraction trees on a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zkcore.field.kernels import LinearForms
from zkcore.field.native_field import NativeSumcheck, _pack, _reduced, _unpack

if TYPE_CHECKING:
    from zkcore.field.cuda import CudaKernels


class CudaLinearForms:
    """On the host: each form waits for those before it."""

    def __init__(self, kernels: CudaKernels, host: LinearForms) -> None:
        self._kernels, self._host = kernels, host

    def run(self, numbers: Any) -> Any:
        return self._kernels.to_device(self._host.run(self._kernels.to_host(numbers)))

    def transposed(self, numbers: Any) -> Any:
        return self._kernels.to_device(self._host.transposed(self._kernels.to_host(numbers)))

    def reached(self, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._host.reached(nodes)


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
