"""Sums of eq tables on a GPU that are made where they are added up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zkcore._engine as _engine
from zkcore.field.native_field import _pack, _reduced

if TYPE_CHECKING:
    from zkcore.field.cuda import CudaKernels
    from zkcore.field.cuda_memory import Tensor


def eq_sum(k: CudaKernels, points: Sequence[tuple[int, Sequence[int]]], mask: Any) -> Tensor:
    out = k.empty(1 << len(points[0][1]), 4)
    packed = [(_reduced(scale), _pack(point)) for scale, point in points]
    chosen = None if mask is None else k.column(mask)
    _engine.cuda.eq_sum(packed, chosen, len(out), out.data_ptr(), k.stream())
    return out


def eq_by_row(k: CudaKernels, index: Any, first: int, size: int, mask: Any, points: Sequence[Sequence[int]]) -> Tensor:
    """A mask may be repeated along axes."""
    cells: Any = k.space.own(index)
    chosen = None
    if mask is not None:
        if mask.shape != cells.shape or mask.device != k.device:
            raise ValueError("mask: an entry for each cell, on the device")
        mask = k.space.cast(mask, "int8")
        chosen = k.column(mask), mask.stride()
    out = k.empty(len(points), size, 4)
    packed, to = [_pack(point) for point in points], (out.data_ptr(), k.stream())
    _engine.cuda.eq_by_row(k.column(cells), first, size, tuple(cells.shape), chosen, packed, *to)
    return out
