"""How an einsum is proved: which of its axes are summed by rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from zkcore.graph.system import System
from zkcore.polynomial.point import num_vars
from zkcore.relation import Relation


@dataclass(frozen=True)
class Plan:
    """Which axes are summed (`shared` of them are in the output too), and which need an indicator."""

    factors: list[str]
    size: Mapping[str, int]
    summed: str
    shared: list[str]
    padded: list[str]

    @property
    def weighted(self) -> bool:
        return bool(self.shared or self.padded)

    @cached_property
    def variables(self) -> int:
        return sum(num_vars(self.size[x]) for x in self.summed)

    @cached_property
    def degree(self) -> int:
        return sum(any(x in f for x in self.summed) for f in self.factors) + self.weighted


def plan(system: System, relation: Relation) -> Plan:
    factors, out = relation.factors()
    size = system.sizes(relation)
    summed = [x for x in size if x not in out or sum(x in f for f in factors) != 1]
    clean = {x for (n, _), f in zip(relation.reads(), factors, strict=True) for x in f if system.tensors[n].clean}
    padded = [x for x in summed if x not in out and x not in clean and size[x] & (size[x] - 1)]
    return Plan(factors, size, "".join(summed), [x for x in summed if x in out], padded)
