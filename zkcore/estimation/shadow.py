"""A prover without data: the driver's own code, run as the prover on arrays that have only shapes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from math import prod

import numpy as np

from zkcore.estimation.blank import Blank, Meter, blank
from zkcore.estimation.counting import CountingKernels
from zkcore.estimation.tally import SOME, Tally
from zkcore.field.generators import Generators, is_pinned
from zkcore.field.kernels import Points
from zkcore.field.space import narrowest
from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.graph.tensor import Tensor
from zkcore.graph.witness import Witness
from zkcore.polynomial.boxes import Box, whole
from zkcore.polynomial.point import padded
from zkcore.relation import Expr, Relation
from zkcore.transcript.channel import DryChannel

WIDE = 1 << 62  # integers beyond this are kept as field elements


class CountingChannel(DryChannel):
    """Makes every message, and keeps its size."""

    proving = True

    def __init__(self, tally: Tally) -> None:
        super().__init__()
        self._tally = tally

    def move(self, label: str, size: int, make: Callable[[], bytes]) -> bytes:
        data = make()
        if len(data) != size:
            raise ValueError(f"{label}: the verifier expects {size} bytes, got {len(data)}")
        super().move(label, size, make)
        return data

    def blinders(self, count: int) -> list[int]:  # type: ignore[override]
        self._tally.add("blinders", count)
        return [SOME] * count


class CountingGenerators(Generators):
    """Those that a cache may hold cost nothing."""

    def __init__(self, kernels: CountingKernels) -> None:
        super().__init__(kernels)
        self._meter = kernels.meter

    def _load(self, purpose: str, count: int) -> Points:
        if is_pinned(purpose, count):
            return blank(self._meter, (count, 12), np.uint64)
        return self.compute(purpose, count)


class ShapeWitness(Witness):
    """Every tensor of the system as a blank. What no op computes is derived when first read, as the prover does it.
    `memory`: the prover's. `in_parts`: tensors that are given layer by layer, and put together when they are read."""

    def __init__(
        self,
        system: System,
        kernels: CountingKernels,
        memory: int | None = None,
        in_parts: Collection[str] = (),
    ) -> None:
        super().__init__(system, kernels, {}, memory=memory)
        self._meter, self._tally = kernels.meter, kernels.tally
        self._shares: dict[str, float] = {}
        if memory is not None:
            self._lent.update(in_parts)
            own = [n for n in in_parts if system.tensors[n].kind == "committed"]  # weights' parts are their owner's
            self._parts = [self._narrowest(n, self._meter) for n in own]
        einsums = {r.outs[0]: r for r in system.relations if r.kind == "einsum"}
        self._derived = {n: r for n, r in einsums.items() if not n.endswith(".y")}  # forward passes leave their ".y"

    def _make(self, name: str) -> Array:
        tensor = self.system.tensors[name]
        if maker := self._derived.get(name):
            for read, _ in maker.reads():
                self.array(read)
            self._tally.add("einsum", products(self.system, maker))
        if max(-tensor.lo, tensor.hi) >= WIDE:
            return blank(self._meter, (*tensor.shape, 4), np.uint64)
        if tensor.ternary:
            return blank(self._meter, tensor.shape, np.int8, (tensor.lo, tensor.hi))
        if tensor.kind == "weight" and self._memory is not None:
            return self._narrowest(name, self._meter if name in self._lent else Meter())  # else it is the owner's array
        if tensor.kind != "committed" or name in self.system.digits:
            return self._blank(tensor.shape, (tensor.lo, tensor.hi))
        made = (
            self._narrowest(name, self._meter) if self._memory is not None else self._blank(tensor.shape, _seen(tensor))
        )
        made.filled = self._share(tensor.support[0] if tensor.support else None)
        return made

    def _narrowest(self, name: str, meter: Meter) -> Blank:
        tensor = self.system.tensors[name]
        return blank(meter, tensor.shape, narrowest(_seen(tensor)), _seen(tensor))

    def _share(self, mask: str | None) -> float:
        """Of ones in a public mask."""
        if mask and mask not in self._shares:
            self._shares[mask] = float(self.system.publics[mask].array().mean())
        return self._shares[mask] if mask else 1.0

    def _blank(self, shape: tuple[int, ...], interval: tuple[int, int]) -> Blank:
        return blank(self._meter, shape, np.int64, interval)

    def affine(self, expr: Expr, letters: str, shape: Sequence[int] | None = None) -> Array:
        """A lookup's column: in an honest proof its entries are in the table."""
        size = {x: k for _, n, a in expr.terms for x, k in zip(a, self.system.tensors[n].shape, strict=True)}
        cube = padded([size[x] for x in letters]) if shape is None else tuple(shape)
        for _, name, _ in expr.terms:
            self.array(name)
        total = self._blank(cube, (0, 0))
        self._tally.add("affine", total.size * len(expr.terms))
        self._blank(cube, (0, 0))  # coefficient * array, before it is added: a moment's memory
        return total

    def selector(self, relation: Relation, box: Box | None = None) -> Array:
        made = self.indicator(box or whole(self.system.domain(relation)))
        made.filled *= self._share(relation.mask)
        return made

    def indicator(self, box: Box) -> Blank:
        real = prod(s.stop - s.start for s in box.slices)
        return blank(self._meter, box.size, np.int8, (0, 1), real / prod(box.size))

    def rows(self, relation: Relation) -> Array:
        index = self.affine(relation.exprs[0], relation.spec, self.system.domain(relation))
        return self._blank(index.shape, (0, relation.table.size - 1 if relation.table else 0))


def _seen(tensor: Tensor) -> tuple[int, int]:
    """The interval of a tensor's entries: calibration leaves a bit of room above activations."""
    return (tensor.lo, tensor.hi) if tensor.kind == "weight" else (tensor.lo // 2, tensor.hi // 2)


def products(system: System, relation: Relation) -> int:
    """Multiplications of an einsum that takes in one factor after the other."""
    size, (factors, out) = system.sizes(relation), relation.factors()
    held, total = set(factors[0]), 0
    for i, letters in enumerate(factors[1:], 1):
        held |= set(letters)
        total += prod(size[x] for x in held)
        held &= {x for f in factors[i + 1 :] for x in f} | set(out)
    return total
