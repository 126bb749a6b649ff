"""Operations on whole arrays of integers that the GPU does in one pass over its memory, and torch in many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import zkcore._engine as _engine

if TYPE_CHECKING:
    import torch

    from zkcore.field.cuda import CudaKernels
    from zkcore.field.space import Form


class CudaPasses:
    """Implements torch_space.Passes and byte_products.Passes."""

    def __init__(self, kernels: CudaKernels) -> None:
        self._k = kernels

    def to_device(self, data: Any) -> Any:
        return self._k.to_device(data)

    def to_host(self, data: Any) -> Any:
        return self._k.to_host(data)

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

    def split_bytes(self, matrix: Any, across: bool, digits: int) -> tuple[Any, Any]:
        steps, rows = matrix.shape if across else matrix.shape[::-1]
        out, sums = self._empty("int8", digits, rows, steps), self._long(rows)
        column, stream = self._k.column(matrix), self._k.stream()
        _engine.cuda.split_bytes(column, rows, steps, across, digits, out.data_ptr(), sums.data_ptr(), stream)
        return out, sums

    def join_products(self, products: Any, inner: int, terms: Sequence[tuple[Any, int]], constant: int) -> Any:
        n, rows, m, columns = products.shape
        out = self._long(columns // inner, rows, inner)
        shape, (of_rows, of_columns) = (rows, columns, inner, n, m), [(sums.data_ptr(), by) for sums, by in terms]
        given = products.data_ptr(), shape, of_rows, of_columns, constant
        _engine.cuda.join_products(*given, out.data_ptr(), self._k.stream())
        return out

    def _long(self, *shape: int) -> Any:
        return self._empty("int64", *shape)

    def _empty(self, kind: str, *shape: int) -> Any:
        return self._k.torch.empty(shape, dtype=getattr(self._k.torch, kind), device=self._k.device)
