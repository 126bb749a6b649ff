"""Row commitments on a GPU: the rows of many tensors are summed up in few passes (a pass of few rows leaves most of the
GPU idle) and blinded on the host."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zkcore._engine as _engine
from zkcore.field.kernels import FixedBase
from zkcore.field.native_curve import NativeFixedBase
from zkcore.field.native_field import _pack

if TYPE_CHECKING:
    from zkcore.field.cuda import CudaKernels

SUM_WORDS = 24  # a point in XYZZ coordinates
BYTES_AN_ENTRY = 256  # of the device's memory, for an entry of the rows that are summed up together


class CudaFixedBase:
    """Combines on the host; the first base's multiples lie on the device, for the blinds of commitments."""

    def __init__(self, kernels: CudaKernels, points: Any) -> None:
        self.host = NativeFixedBase(kernels.to_host(points))
        self.table = kernels.to_device(self.host.tables.table())

    def combine(self, scalars: Sequence[int]) -> Any:
        """On the host: what follows is its encoding, there too. Nothing else goes on meanwhile: several cores."""
        return self.host.combine(scalars, in_team=True)


def entries_together(k: CudaKernels) -> int:
    return (k.limit or k.memory()) // BYTES_AN_ENTRY


def sum_rows(k: CudaKernels, generators: Any, tensors: Sequence[Any]) -> list[Any]:
    """Tensors of one type, width and magnitude are laid together. [n, 24] each, on the host."""
    if any(t.ndim != 2 or not 0 < t.shape[1] <= len(generators) for t in tensors):
        raise ValueError("tensors: expected [n, w] with 0 < w <= the number of generators")

    held = [k.to_device(t) for t in tensors]
    groups: dict[tuple[str, int, int], list[int]] = {}
    for i, (tensor, bits) in enumerate(zip(held, _bits(held), strict=True)):
        groups.setdefault((str(tensor.dtype), int(tensor.shape[1]), bits), []).append(i)
    out: list[Any] = [None] * len(held)
    for (_, width, bits), members in groups.items():
        rows = [held[i] for i in members]
        sums = k.to_host(_sum(k, generators, rows[0] if len(rows) == 1 else k.torch.cat(rows), width, bits))
        start = 0
        for i in members:
            out[i] = sums[start : start + len(held[i])]
            start += len(held[i])
    return out


def blind_rows(sums: Any, blinds: Sequence[int], blinder: FixedBase) -> Any:
    """On the host, as `CudaFixedBase.combine`."""
    if not isinstance(blinder, CudaFixedBase):
        raise TypeError("blinder: expected what this engine's fixed_base returned")
    return _engine.blind_rows(sums, _pack(blinds), blinder.host.tables, in_team=True)


def _sum(k: CudaKernels, generators: Any, rows: Any, width: int, bits: int) -> Any:
    n = int(rows.shape[0])
    out = k.empty(n, SUM_WORDS)
    _engine.cuda.sum_rows(generators.data_ptr(), k.column(rows), n, width, bits, out.data_ptr(), k.stream())
    return out


def _bits(tensors: Sequence[Any]) -> list[int]:
    """b for each, least such that no magnitude exceeds 2^(b - 1)."""
    from zkcore.field.torch_space import extents

    return [max(1, (max(-lo, hi, 1) - 1).bit_length() + 1) for lo, hi in extents(tensors)]
