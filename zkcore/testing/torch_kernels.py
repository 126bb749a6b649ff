"""The CPU engine behind the contract of a device: arrays are torch tensors that numpy cannot read.

Whatever in the prover silently assumes numpy fails here, in an ordinary test, and not first on a machine with a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import torch

from zkcore.field.kernels import FixedBase, Forms, FractionTree, Leaves, LinearForms, Sumcheck, Term
from zkcore.field.native import NativeKernels
from zkcore.field.torch_space import TorchSpace


class Held(torch.Tensor):
    """A tensor "of a device": neither numpy nor another tensor of the host may take part without being moved."""

    def _refuse(self, *args: object, **options: object) -> NoReturn:
        raise TypeError("numpy reads an array of a device; move it with Space.host")

    __array__ = numpy = _refuse


class HeldSpace(TorchSpace):
    """Implements Space."""

    def own(self, array: Any) -> Any:
        return array if isinstance(array, Held) else super().own(array).as_subclass(Held)

    def zeros(self, shape: Sequence[int], kind: str) -> Any:
        return super().zeros(shape, kind).as_subclass(Held)


@dataclass(frozen=True)
class _Run:
    numerator: Any
    constant: int
    denominator: list[tuple[int, Any]]


@dataclass(frozen=True)
class _Sums:
    generators: Any
    rows: Any

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True)
class _Forms:
    kernels: TorchKernels
    host: LinearForms

    def run(self, numbers: Any) -> Any:
        return self.kernels._out(self.host.run(self.kernels._in(numbers)))

    def transposed(self, numbers: Any) -> Any:
        return self.kernels._out(self.host.transposed(self.kernels._in(numbers)))

    def reached(self, nodes: Any) -> Any:
        return self.host.reached(nodes)


class TorchKernels:
    """Implements Kernels, and Limited: nothing that is taken counts."""

    def __init__(self, host: NativeKernels | None = None, limit: int | None = None) -> None:
        self.space = HeldSpace(torch.device("cpu"))
        self._host, self.limit = host or NativeKernels(), limit

    def taken(self) -> int:
        return 0

    def _in(self, array: Any) -> Any:
        if not isinstance(array, Held):
            raise TypeError(f"an array of the host, {type(array).__name__}, where the device's are expected")
        if not array.is_contiguous():
            raise ValueError("tensor is not contiguous")
        return self.space.host(array)

    def _out(self, array: Any) -> Any:
        return self.space.own(array)

    def counters(self) -> dict[str, int]:
        return self._host.counters()

    # ---- field
    def from_ints(self, values: Any) -> Any:
        return self._out(self._host.from_ints(self._in(values)))

    def from_scalars(self, values: Sequence[int]) -> Any:
        return self._out(self._host.from_scalars(values))

    def to_scalars(self, values: Any) -> list[int]:
        return self._host.to_scalars(self._in(values))

    def from_wide_bytes(self, data: bytes) -> Any:
        return self._out(self._host.from_wide_bytes(data))

    def eq_table(self, point: Sequence[int], scale: int = 1) -> Any:
        return self._out(self._host.eq_table(point, scale))

    def contract(self, column: Any, outer: int, inner: int, weights: Any) -> Any:
        return self._out(self._host.contract(self._in(column), outer, inner, self._in(weights)))

    def contract_ternary(self, column: Any, outer: int, inner: int, weights: Any) -> Any:
        return self._out(self._host.contract_ternary(self._in(column), outer, inner, self._in(weights)))

    def dot(self, column: Any, weights: Any) -> int:
        return self._host.dot(self._in(column), self._in(weights))

    def combine(self, terms: Sequence[tuple[int, Any]], constant: int, length: int) -> Any:
        return self._out(self._host.combine([(c, self._in(a)) for c, a in terms], constant, length))

    def multiply(self, a: Any, b: Any) -> Any:
        return self._out(self._host.multiply(self._in(a), self._in(b)))

    def fold_rounds(self, challenges: Sequence[int], degree: int) -> list[int]:
        return self._host.fold_rounds(challenges, degree)

    def batch_inverse(self, values: Any) -> Any:
        return self._out(self._host.batch_inverse(self._in(values)))

    def scatter_add(self, index: Any, values: Any, size: int) -> Any:
        return self._out(self._host.scatter_add(self._in(index), self._in(values), size))

    def linear_forms(self, size: int, forms: Forms) -> LinearForms:
        return _Forms(self, self._host.linear_forms(size, forms))

    def sumcheck(
        self, tables: Sequence[Any], terms: Sequence[Term], degree: int, eq_point: Sequence[int] | None = None
    ) -> Sumcheck:
        return self._host.sumcheck([self._in(t) for t in tables], terms, degree, eq_point)

    def fraction_tree(self, runs: Sequence[Leaves], log_size: int) -> FractionTree:
        held = [_Run(self._in(r.numerator), r.constant, [(c, self._in(a)) for c, a in r.denominator]) for r in runs]
        return self._host.fraction_tree(held, log_size)

    # ---- curve
    def hash_to_curve(self, dst: bytes, prefix: bytes, start: int, count: int) -> Any:
        return self._out(self._host.hash_to_curve(dst, prefix, start, count))

    def encode(self, points: Any) -> bytes:
        return self._host.encode(points if isinstance(points, np.ndarray) else self._in(points))

    def decode(self, data: bytes) -> Any:
        return self._out(self._host.decode(data))

    def msm(self, points: Any, scalars: Any) -> Any:
        return self._out(self._host.msm(self._in(points), self._in(scalars)))

    def commit_rows(self, generators: Any, rows: Any, blinds: Any, blinder: FixedBase) -> Any:
        return self._out(self._host.commit_rows(self._in(generators), self._in(rows), self._in(blinds), blinder))

    def commit_ternary(self, generators: Any, rows: Any, blinds: Any, blinder: FixedBase) -> Any:
        return self._out(self._host.commit_ternary(self._in(generators), self._in(rows), self._in(blinds), blinder))

    entries_together = 1 << 10  # of small models' tensors several, and never all

    def sum_rows(self, generators: Any, tensors: Sequence[Any]) -> list[_Sums]:
        return [_Sums(self._in(generators), self._in(t)) for t in tensors]

    def blind_rows(self, sums: _Sums, blinds: Sequence[int], blinder: FixedBase) -> Any:
        return self._host.commit_rows(sums.generators, sums.rows, self._host.from_scalars(blinds), blinder)

    def fold_points(self, points: Any, weights: Any) -> Any:
        return self._out(self._host.fold_points(self._in(points), self._in(weights)))

    def fixed_base(self, points: Any) -> FixedBase:
        """Combines on the host, like the GPU's."""
        return self._host.fixed_base(self._in(points))
