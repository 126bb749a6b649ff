"""The contract on a GPU: torch CUDA tensors in and out, on the current stream.

Field arrays are uint64 [..., 4], points uint64 [n, 12], integers int8 to int64, all contiguous. Tensors and numpy
arrays of the host are taken too: they are copied to the device, and every byte that crosses is counted in
`counters()["transfer_bytes"]`. What has no device form (encodings, SHA-256, fixed bases) runs on the host.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from typing import Any, TypeAlias

import numpy as np

import zkcore._engine as _engine
from zkcore.field import cuda_eq, cuda_rows
from zkcore.field.cuda_memory import TYPES, CudaMemory, Tensor
from zkcore.field.cuda_passes import CudaPasses
from zkcore.field.cuda_rows import CudaFixedBase
from zkcore.field.cuda_staging import Staging
from zkcore.field.cuda_states import CudaFractionTree, CudaLinearForms, CudaSumcheck
from zkcore.field.cuda_sums import SubsetSums
from zkcore.field.kernels import FixedBase, Fold, Forms, Leaves, Term
from zkcore.field.native import NativeKernels
from zkcore.field.native_field import _pack, _reduced, join_sumchecks
from zkcore.field.room import Tree
from zkcore.field.space import Space

Data: TypeAlias = Any  # a tensor or a numpy array


def missing() -> str | None:
    """Why there is no GPU to compute on, or None."""
    if not hasattr(_engine, "cuda"):
        return "the engine was built without CUDA"
    reason: str | None = _engine.cuda.missing()
    if reason is None:
        import torch

        return None if torch.cuda.is_available() else "torch has no CUDA"
    return reason


class CudaKernels(CudaMemory):
    """Implements Kernels."""

    def __init__(self, device: int | None = None, tree_room: int | None = None) -> None:
        import torch

        from zkcore.field.torch_space import KernelSpace

        super().__init__(torch, device, tree_room)
        self._host = NativeKernels()
        self.fold_rounds = self._host.fold_rounds
        self.side_by_side = partial(join_sumchecks, _engine.cuda.SideBySide)  # implements JoinsSumchecks
        self._moved = 0
        self._staging = Staging(torch, self.device)
        self._sums: SubsetSums | None = None
        self.passes = CudaPasses(self)
        self.space: Space = KernelSpace(self.device, self.passes)

    def to_device(self, data: Data) -> Tensor:
        """As it is if it is there already; else a counted copy."""
        if isinstance(data, np.ndarray):
            if not data.flags.c_contiguous:
                raise ValueError("array is not C-contiguous")
            data = self.torch.from_numpy(data if data.flags.writeable else data.copy())
        tensor: Tensor = data
        if tensor.device != self.device:
            self._moved += tensor.numel() * tensor.element_size()
            tensor = self._staging.to_device(tensor)
        if not tensor.is_contiguous():
            raise ValueError("tensor is not contiguous")
        return tensor

    def to_host(self, data: Data) -> Any:
        """A numpy array; a copy from the device is counted."""
        if isinstance(data, np.ndarray):
            return data
        if data.device.type != "cpu":
            self._moved += data.numel() * data.element_size()
        return data.cpu().numpy()

    def _terms(self, terms: Sequence[tuple[int, Data]], kept: list[Tensor]) -> list[tuple[bytes, tuple[int, int, int]]]:
        """For the engine; what must stay alive is added to `kept`."""
        out = []
        for coefficient, data in terms:
            kept.append(self.to_device(data))
            out.append((_reduced(coefficient), self.column(kept[-1])))
        return out

    # ---- conversions
    def from_ints(self, values: Data) -> Tensor:
        tensor = self.to_device(values)
        column = self.column(tensor)
        if column[1] == TYPES["uint64"]:
            raise TypeError("values: expected integers")
        out = self.empty(*tensor.shape, 4)
        _engine.cuda.from_ints(column, out.data_ptr(), self.stream())
        return out

    def from_scalars(self, values: Sequence[int]) -> Tensor:
        return self.to_device(self._host.from_scalars(values))

    def to_scalars(self, values: Data) -> list[int]:
        return self._host.to_scalars(self.to_host(values))

    def from_wide_bytes(self, data: bytes) -> Tensor:
        return self.to_device(self._host.from_wide_bytes(data))

    # ---- columns
    def eq_table(self, point: Sequence[int], scale: int = 1) -> Tensor:
        out = self.empty(1 << len(point), 4)
        _engine.cuda.eq_table(_pack(point), _reduced(scale), out.data_ptr(), self.stream())
        return out

    def eq_sum(self, points: Sequence[tuple[int, Sequence[int]]], mask: Tensor | None) -> Tensor:
        return cuda_eq.eq_sum(self, points, mask)

    def eq_by_row(self, index: Data, first: int, size: int, mask: Data | None, points: Sequence[Sequence[int]]) -> Data:
        return cuda_eq.eq_by_row(self, index, first, size, mask, points)

    def contract(self, column: Data, outer: int, inner: int, weights: Data) -> Tensor:
        return self._fold(_engine.cuda.contract, column, outer, inner, weights)

    def contract_all(self, arrays: Sequence[tuple[Data, Sequence[Fold]]]) -> Tensor:
        """Implements ContractsAll."""
        kept, packed, room = list[Tensor](), [], 0
        for data, folds in arrays:
            kept.append(self.to_device(data))
            packed.append((self.column(kept[-1]), [(a, k, b, self.column(w)) for a, k, b, w in folds]))
            room += folds[-1][0] * folds[-1][2]
        out = self.empty(room, 4)
        _engine.cuda.contract_all(packed, room, out.data_ptr(), self.stream())
        return out

    def contract_ternary(self, column: Data, outer: int, inner: int, weights: Data) -> Tensor:
        return self._fold(_engine.cuda.contract_ternary, column, outer, inner, weights)

    def _fold(self, verb: Any, column: Data, outer: int, inner: int, weights: Data) -> Tensor:
        tensor, own = self.to_device(column), self.to_device(weights)
        out = self.empty(outer * inner, 4)
        verb(self.column(tensor), outer, inner, self.column(own), out.data_ptr(), self.stream())
        return out

    def dot(self, column: Data, weights: Data) -> int:
        a, b = self.to_device(column), self.to_device(weights)
        return int.from_bytes(_engine.cuda.dot(self.column(a), self.column(b), self.stream()), "little")

    def combine(self, terms: Sequence[tuple[int, Data]], constant: int, length: int) -> Tensor:
        kept: list[Tensor] = []
        packed = self._terms(terms, kept)
        out = self.empty(length, 4)
        _engine.cuda.combine(packed, _reduced(constant), length, out.data_ptr(), self.stream())
        return out

    def multiply(self, a: Data, b: Data) -> Tensor:
        x, y = self.to_device(a), self.to_device(b)
        out = self.empty(self.column(x)[2], 4)
        _engine.cuda.multiply(self.column(x), self.column(y), out.data_ptr(), self.stream())
        return out

    def batch_inverse(self, values: Data) -> Tensor:
        tensor = self.to_device(values)
        out = self.empty(*tensor.shape)
        _engine.cuda.batch_inverse(self.column(tensor), out.data_ptr(), self.stream())
        return out

    def scatter_add(self, index: Data, values: Data, size: int) -> Tensor:
        i, v = self.to_device(index), self.to_device(values)
        out = self.empty(size, 4)
        _engine.cuda.scatter_add(self.column(i), self.column(v), size, out.data_ptr(), self.stream())
        return out

    def linear_forms(self, size: int, forms: Forms) -> CudaLinearForms:
        return CudaLinearForms(self, self._host.linear_forms(size, forms))

    # ---- sumchecks
    def sumcheck(
        self, tables: Sequence[Data], terms: Sequence[Term], degree: int, eq_point: Sequence[int] | None = None
    ) -> CudaSumcheck:
        kept = [self.to_device(t) for t in tables]
        packed = [(_reduced(coefficient), list(factors)) for coefficient, factors in terms]
        point = None if eq_point is None else _pack(eq_point)
        columns = [self.column(t) for t in kept]
        return CudaSumcheck(_engine.cuda.sumcheck(columns, packed, degree, point, self.stream()), kept)

    def fraction_tree(self, runs: Sequence[Leaves], log_size: int) -> CudaFractionTree:
        kept: list[Tensor] = []
        packed = []
        for run in runs:
            kept.append(self.to_device(run.numerator))
            numerator = self.column(kept[-1])
            packed.append((numerator, _reduced(run.constant), self._terms(run.denominator, kept)))
        leaves = sum(numerator[2] for numerator, _, _ in packed)
        plan = self.tree_plan(Tree(leaves, log_size))
        made = _engine.cuda.fraction_tree(packed, log_size, plan.for_engine(), self.stream())
        return CudaFractionTree(made, kept)

    # ---- curve
    def hash_to_curve(self, dst: bytes, prefix: bytes, start: int, count: int) -> Tensor:
        """Hashed on the host, mapped to the curve on the device."""
        out = self.empty(count, 12)
        _engine.cuda.hash_to_curve(dst, prefix, start, count, out.data_ptr(), self.stream())
        self._moved += 96 * count
        return out

    def encode(self, points: Data) -> bytes:
        return self._host.encode(self.to_host(points))

    def decode(self, data: bytes) -> Tensor:
        return self.to_device(self._host.decode(data))

    def _points(self, data: Data) -> Tensor:
        tensor = self.to_device(data)
        if str(tensor.dtype) != "torch.uint64" or tensor.ndim != 2 or tensor.shape[1] != 12:
            raise ValueError("points: expected uint64 [n, 12]")
        return tensor

    def msm(self, points: Data, scalars: Data) -> Tensor:
        p, s = self._points(points), self.to_device(scalars)
        column = self.column(s)
        if column[2] != len(p):
            raise ValueError("points and scalars differ in length")
        out = self.empty(12)
        _engine.cuda.msm(p.data_ptr(), column, out.data_ptr(), self.stream())
        return out

    def commit_rows(self, generators: Data, rows: Data, blinds: Data, blinder: FixedBase) -> Tensor:
        g = self._points(generators)
        return self._commit(_engine.cuda.commit_rows, (g.data_ptr(),), len(g), rows, blinds, blinder)

    def commit_ternary(self, generators: Data, rows: Data, blinds: Data, blinder: FixedBase) -> Tensor:
        """The generators' subset sums are made once, and kept while no others are asked for."""
        g = self._points(generators)
        if self._sums is None or not self._sums.serve(g):
            self._sums = None
            self._sums = SubsetSums(g, self.tree_room, self.stream())
        first = self._sums.points.data_ptr(), self._sums.group
        return self._commit(_engine.cuda.commit_ternary, first, len(g), rows, blinds, blinder)

    def _commit(
        self, verb: Any, bases: tuple[int, ...], most: int, rows: Data, blinds: Data, blinder: FixedBase
    ) -> Tensor:
        if not isinstance(blinder, CudaFixedBase):
            raise TypeError("blinder: expected what this engine's fixed_base returned")
        values, b = self.to_device(rows), self.to_device(blinds)
        n, width = int(values.shape[0]), int(values.shape[1])
        if most < width:
            raise ValueError("generators: fewer than the width of the rows")
        out = self.empty(n, 12)
        args = self.column(values), n, width, self.column(b), blinder.table.data_ptr()
        verb(*bases, *args, out.data_ptr(), self.stream())
        return out

    @property
    def entries_together(self) -> int:
        return cuda_rows.entries_together(self)

    def sum_rows(self, generators: Data, tensors: Sequence[Data]) -> list[Any]:
        return cuda_rows.sum_rows(self, self._points(generators), tensors)

    def blind_rows(self, sums: Any, blinds: Sequence[int], blinder: FixedBase) -> Any:
        return cuda_rows.blind_rows(sums, blinds, blinder)

    def fold_points(self, points: Data, weights: Data) -> Tensor:
        p, w = self._points(points), self.to_scalars(weights)
        if not w or len(p) % len(w):
            raise ValueError("points: the number is no multiple of the number of weights")
        out = self.empty(len(p) // len(w), 12)
        _engine.cuda.fold_points(p.data_ptr(), _pack(w), len(out), out.data_ptr(), self.stream())
        return out

    def fixed_base(self, points: Data) -> CudaFixedBase:
        return CudaFixedBase(self, points)

    def counters(self) -> dict[str, int]:
        return {**self._host.counters(), "transfer_bytes": self._moved}


@cache
def load() -> CudaKernels:
    reason = missing()
    if reason is not None:
        raise RuntimeError(f"no GPU: {reason}")
    return CudaKernels()
