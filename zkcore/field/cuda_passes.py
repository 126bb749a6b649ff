"""Operations on whole arrays of integers that the GPU does in one pass over its memory, and torch in many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import zkcore._engine as _engine

if TYPE_CHECKING:
    import torch

    from zkcore.field.cuda import CudaKernels
    from zkcore.field.space import Form


class CudaPasses:
    """Implements torch_space.Passes."""

    def __init__(self, kernels: CudaKernels) -> None:
        self._k = kernels

    def to_device(self, data: Any) -> Any:
        return self._k.to_device(data)

    def to_host(self, data: Any) -> Any:
        return self._k.to_host(data)

    def table_rows(self, index: Any, first: int, size: int) -> Any:
        out = self._long(*index.shape)
        _engine.cuda.lookup_rows(self._k.column(index), first, size, out.data_ptr(), self._k.stream())
        return out

    def look_up(self, entries: Any, index: Any, first: int) -> Any:
        out = self._k.torch.empty(index.shape, dtype=entries.dtype, device=self._k.device)
        table = self._k.column(entries)
        _engine.cuda.lookup_values(self._k.column(index), first, table, out.data_ptr(), self._k.stream())
        return out

    def affine(self, form: Form, kind: torch.dtype, doubt: Any) -> Any:
        out = self._k.torch.empty(form.shape, dtype=kind, device=self._k.device)
        terms = []
        for coefficient, a in form.terms:
            strides = [0 if n == 1 else s for n, s in zip(a.shape, a.stride(), strict=True)]
            stored = [whole if n == 1 else n for n, whole in zip(a.shape, form.shape, strict=True)]
            terms.append((coefficient, self._k.column(a), strides, stored))
        made = self._k.column(out), doubt.data_ptr(), self._k.stream()
        _engine.cuda.affine(terms, form.constant, form.real, form.shape, form.digit, *made)
        return out

    def tally(self, index: Any, chosen: Any, first: int, size: int) -> Any:
        out = self._long(size)
        mask = None if chosen is None else self._k.column(chosen)
        _engine.cuda.tally_rows(self._k.column(index), mask, first, size, out.data_ptr(), self._k.stream())
        return out

    def _long(self, *shape: int) -> Any:
        return self._k.torch.empty(shape, dtype=self._k.torch.int64, device=self._k.device)
