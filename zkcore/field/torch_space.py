"""The space of torch tensors: a GPU's memory, or the host's in tests. Field arrays are uint64, moved as int64."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from zkcore.field import byte_products
from zkcore.field.space import EXACT_FLOAT, EXACT_INT, Form, magnitude, sum_bound, widest

_KINDS = {k: getattr(torch, k) for k in ("int8", "int16", "int32", "int64", "uint64")}

AT_MOST = 8  # terms of an affine sum, and axes, that are one pass
DOUBTS = 1 << 10  # numbers that are made at once


class TorchSpace:
    """Implements Space."""

    def __init__(self, device: torch.device) -> None:
        self.device = str(device)

    def own(self, array: Any) -> Any:
        if isinstance(array, np.ndarray):
            array = torch.from_numpy(array if array.flags.writeable else array.copy())
        return array.to(self.device)

    def host(self, array: Any) -> Any:
        return array.as_subclass(Tensor).cpu().numpy()

    def zeros(self, shape: Sequence[int], kind: str) -> Any:
        return torch.zeros(tuple(shape), dtype=_KINDS[kind], device=self.device)

    def cast(self, array: Any, kind: str) -> Any:
        return array.to(_KINDS[kind])

    def contiguous(self, array: Any) -> Any:
        return array if array.is_contiguous() else _through(array, Tensor.contiguous)

    def pad(self, array: Any, shape: Sequence[int]) -> Any:
        widths = [w for a, b in zip(reversed(array.shape), reversed(tuple(shape)), strict=True) for w in (0, b - a)]
        return _through(array, lambda t: torch.nn.functional.pad(t, widths))

    def transpose(self, array: Any, order: Sequence[int]) -> Any:
        return array.permute(*order)

    def broadcast(self, array: Any, shape: Sequence[int]) -> Any:
        return array.expand(*shape)

    def concatenate(self, parts: Sequence[Any]) -> Any:
        return _signed_cat(torch.cat, parts)

    def stack(self, parts: Sequence[Any]) -> Any:
        return _signed_cat(torch.stack, parts)

    def take(self, array: Any, index: Any) -> Any:
        where = index if isinstance(index, Tensor) else torch.as_tensor(np.asarray(index), device=self.device)
        return _through(array, lambda t: t[where])

    def extent(self, array: Any) -> tuple[int, int]:
        return _extent(array)

    def accumulate(self, total: Any, coefficient: int, array: Any) -> None:
        """The product is made in the wider type, entry by entry."""
        total.add_(array, alpha=coefficient)

    def table_rows(self, index: Any, first: int, size: int) -> Any:
        row = index.long() - first
        return row * ((row >= 0) & (row < size))

    def look_up(self, entries: Any, index: Any, first: int) -> Any:
        return self.take(entries, self.table_rows(index, first, len(entries)))

    def tally(self, index: Any, chosen: Any, first: int, size: int) -> Any:
        """What is not chosen falls into one more row, which is cut off."""
        rows = self.table_rows(index, first, size)
        index = rows if chosen is None else torch.where(chosen != 0, rows, size)
        return torch.bincount(index.reshape(-1), minlength=size + 1)[:size]

    def einsum(self, spec: str, arrays: Sequence[Any]) -> Any:
        return exact_einsum(spec, arrays)

    def affine(self, form: Form, kind: str) -> tuple[Any, Any]:
        """Floats bound what a partial sum can be."""
        total, (shift, bits) = self.zeros(form.shape, "int64"), form.digit
        bound = torch.full((1,), float(abs(form.constant)), dtype=torch.float64, device=self.device)
        if form.constant:
            total[tuple(slice(0, n) for n in form.real)] += form.constant
        for c, a in form.terms:
            self.accumulate(total[tuple(slice(0, n if n > 1 else None) for n in a.shape)], c, a)
            bound = bound + (abs(c) * a.double().abs().max() if a.numel() else 0)
        if bits:
            total = (total >> shift) & ((1 << bits) - 1)
        made = self.cast(total, kind)
        return made, (bound >= EXACT_INT) | (made != total).any()

    def wrong(self, doubts: Sequence[Any]) -> list[bool]:
        return [bool(d) for d in torch.cat(list(doubts)).tolist()]


class Passes(Protocol):
    """What a device does in one pass over its memory, and torch in many. Contiguous tensors."""

    def to_device(self, data: Any) -> Any: ...

    def to_host(self, data: Any) -> Any: ...

    def look_up(self, entries: Any, index: Any, first: int) -> Any: ...

    def tally(self, index: Any, chosen: Any, first: int, size: int) -> Any: ...

    def affine(self, form: Form, kind: torch.dtype, doubt: Any) -> Any: ...


class KernelSpace(TorchSpace):
    """A device's memory, as kernels see it that count what crosses."""

    def __init__(self, device: torch.device, passes: Passes) -> None:
        super().__init__(device)
        self._passes = passes
        self._doubts: list[Any] = []  # numbers that nothing has been written to

    def own(self, array: Any) -> Any:
        laid = np.ascontiguousarray(array) if isinstance(array, np.ndarray) else self.contiguous(array)
        return self._passes.to_device(laid)

    def host(self, array: Any) -> Any:
        return self._passes.to_host(array)

    def look_up(self, entries: Any, index: Any, first: int) -> Any:
        return self._passes.look_up(entries, self.contiguous(index), first)

    def affine(self, form: Form, kind: str) -> tuple[Any, Any]:
        if max(len(form.terms), len(form.shape)) > AT_MOST:
            return super().affine(form, kind)
        if not self._doubts:
            self._doubts = list(torch.zeros(DOUBTS, 1, dtype=torch.int32, device=self.device))
        doubt = self._doubts.pop()
        return self._passes.affine(form, _KINDS[kind], doubt), doubt

    def tally(self, index: Any, chosen: Any, first: int, size: int) -> Any:
        mask = None if chosen is None else self.contiguous(self.cast(chosen, "int8"))
        return self._passes.tally(self.contiguous(index), mask, first, size)


def _through(array: Any, change: Any) -> Any:
    """Torch moves signed integers in every way, unsigned ones not in all."""
    if array.dtype != torch.uint64:
        return change(array)
    return change(array.view(torch.int64)).view(torch.uint64)


def _signed_cat(join: Any, parts: Sequence[Any]) -> Any:
    if parts[0].dtype != torch.uint64:
        return join(list(parts))
    return join([p.view(torch.int64) for p in parts]).view(torch.uint64)


# ---- exact products


def extents(arrays: Sequence[Tensor]) -> list[tuple[int, int]]:
    """Of each, as `Space.extent`. A device is waited for once."""
    if not arrays:
        return []
    nothing = torch.zeros(2, dtype=torch.int64, device=arrays[0].device)
    ends = [torch.stack(torch.aminmax(a)).long() if a.numel() else nothing for a in arrays]
    return [(lo, hi) for lo, hi in torch.stack(ends).tolist()]


def _extent(array: Tensor) -> tuple[int, int]:
    return extents([array])[0]


def bound_of(array: Tensor) -> int:
    return bounds([array])[0]


def bounds(arrays: Sequence[Tensor]) -> list[int]:
    """What no entry's magnitude exceeds, and one reaches."""
    return [magnitude(e) for e in extents(arrays)]


def exact_einsum(spec: str, arrays: Sequence[Tensor]) -> Tensor | None:
    """Factors are taken in from the left, each product exactly; int64. None if a sum might leave 2^62."""
    ins, out = spec.split("->")
    factors = ins.split(",")
    left, letters = arrays[0], factors[0]
    if len(factors) == 1:
        return _product(letters, left, "", None, out)
    for i, (f, a) in enumerate(zip(factors[1:], arrays[1:], strict=True), 1):
        wanted = set(out).union(*factors[i + 1 :])
        kept = out if i == len(factors) - 1 else "".join(x for x in dict.fromkeys(letters + f) if x in wanted)
        made = _product(letters, left, f, a, kept)
        if made is None:
            return None
        left, letters = made, kept
    return left


def _product(f: str, a: Tensor, g: str, b: Tensor | None, out: str) -> Tensor | None:
    """By bytes where a GPU multiplies large matrices; else in float64 where no partial sum can leave 2^53; else element
    by element; else the wider factor in two pieces."""
    if b is None:
        bound = sum_bound(f"{f}->{out}", [a.shape], [bound_of(a)])
        return torch.einsum(f"{f}->{out}", a.long()) if bound < EXACT_INT else None
    if not (set(f) | set(g)) - set(out):
        return _entrywise(f, a, g, b, out)
    if (made := _by_bytes(f, a, g, b, out)) is not None:
        return made
    spec, most = f"{f},{g}->{out}", (widest(a), widest(b))
    bound = sum_bound(spec, [a.shape, b.shape], most)
    if bound >= EXACT_FLOAT:
        of_a, of_b = bounds([a, b])
        most = of_a, of_b
        bound = sum_bound(spec, [a.shape, b.shape], most)
    if bound < EXACT_FLOAT:
        return torch.einsum(spec, a.double(), b.double()).long()  # exact as it is
    if bound >= EXACT_INT:
        return None
    return _in_pieces(f, a, g, b, out) if most[0] >= most[1] else _in_pieces(g, b, f, a, out)


def _by_bytes(f: str, a: Tensor, g: str, b: Tensor, out: str) -> Tensor | None:
    """Where byte_products has a plan for it, and the factors are narrow enough."""
    here = _passes(a.device)
    sizes = tuple({**dict(zip(f, a.shape, strict=True)), **dict(zip(g, b.shape, strict=True))}.items())
    plan = None if here is None else byte_products.plan(f, g, out, sizes)
    if here is None or plan is None:
        return None
    digits = _bytes(a), _bytes(b)
    return byte_products.product(here, plan, f, a, g, b, digits) if plan.fits(digits) else None


def _passes(device: torch.device) -> byte_products.Passes | None:
    """The engine's, of a GPU that it computes on."""
    if device.type != "cuda":
        return None
    from zkcore.field import cuda

    kernels = None if cuda.missing() else cuda.load()
    return kernels.passes if kernels is not None and kernels.device == device else None


def _bytes(array: Tensor) -> int:
    """That hold every entry; what is narrow by its type is not read."""
    if array.element_size() <= 2:
        return array.element_size()
    lo, hi = _extent(array)
    return (max(hi, ~lo).bit_length() + 8) // 8


def _in_pieces(f: str, a: Tensor, g: str, b: Tensor, out: str) -> Tensor | None:
    """a = high 2^s + low: both products are smaller."""
    shift = (bound_of(a).bit_length() + 1) // 2
    high, low = _product(f, a >> shift, g, b, out), _product(f, a & (1 << shift) - 1, g, b, out)
    return None if high is None or low is None else (high << shift) + low


def _entrywise(f: str, a: Tensor, g: str, b: Tensor, out: str) -> Tensor | None:
    """No axis is summed."""
    return exact_product(_spread(f, a, out), _spread(g, b, out))


def exact_product(a: Tensor, b: Tensor) -> Tensor | None:
    """a * b, broadcast; int64. The largest product may be far below the product of the largest."""
    if widest(a) * widest(b) > EXACT_INT and prod(bounds([a, b])) > EXACT_INT:
        most = (a.double() * b.double()).abs().max()
        if float(most) >= float(EXACT_INT >> 1):
            return None
    if torch.int64 not in (a.dtype, b.dtype):  # one of them is made wide by itself: the smaller one
        a, b = (a.long(), b) if a.numel() < b.numel() else (a, b.long())
    return torch.mul(a, b)


def _spread(letters: str, a: Tensor, out: str) -> Tensor:
    laid = a.permute(*sorted(range(len(letters)), key=lambda k: out.index(letters[k])))
    size = dict(zip(letters, a.shape, strict=True))
    return laid.reshape([size.get(x, 1) for x in out])
