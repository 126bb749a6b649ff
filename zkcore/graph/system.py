"""A finished system of relations: what is proved, without the data it is proved about."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from zkcore.graph.builder import Builder
from zkcore.graph.rules import Digit, Entry
from zkcore.graph.tensor import PublicTensor, Tensor
from zkcore.relation import Relation

LEAST_JOINT = 1 << 20


@dataclass(frozen=True, eq=False)
class System:
    """Tensors in order of definition, relations in forward order."""

    tensors: Mapping[str, Tensor]
    relations: tuple[Relation, ...]
    publics: Mapping[str, PublicTensor]
    digits: Mapping[str, Digit | Entry]
    _sizes: dict[str, tuple[Relation, Mapping[str, int]]] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def makers(self) -> dict[str, tuple[Relation, int]]:
        """By virtual tensor: the relation that defines it, and as which of its outputs, counted from 1."""
        return {out: (r, k) for r in self.relations for k, out in enumerate(r.outs, 1)}

    def sources(self, name: str) -> set[str]:
        """What a tensor is derived from."""
        digit = self.digits.get(name)
        if isinstance(digit, Digit):
            return {n for _, n, _ in digit.expr.terms}
        relation = digit.relation if digit else self.makers[name][0] if name in self.makers else None
        return {n for n, _ in relation.reads()} if relation else set()

    def of_kind(self, kind: str) -> list[Tensor]:
        return [t for t in self.tensors.values() if t.kind == kind]

    def domain(self, relation: Relation) -> tuple[int, ...]:
        """Real sizes of a lookup's, zero's or linear's axes."""
        size = self.sizes(relation)
        return tuple(size[x] for x in relation.spec)

    def sizes(self, relation: Relation) -> Mapping[str, int]:
        """Of its axes, by letter. They are asked for again and again."""
        known = self._sizes.get(relation.name)
        if known is None or known[0] is not relation:
            size = {x: k for n, a in relation.reads() for x, k in zip(a, self.tensors[n].shape, strict=True)}
            known = self._sizes[relation.name] = relation, size
        return known[1]

    def ternary(self, name: str) -> bool:
        """A weight whose entries are declared to be -1, 0 and 1; no column committed in mid-protocol is."""
        return name in self.tensors and self.tensors[name].ternary

    def describe(self) -> bytes:
        """Canonical content, absorbed with the statement."""
        content = {
            "tensors": [t.describe() for t in self.tensors.values()],
            "publics": {n: p.describe() for n, p in sorted(self.publics.items())},
            "relations": [r.describe() for r in self.relations],
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    def committed_values(self) -> int:
        return sum(math.prod(t.shape) for t in self.of_kind("committed"))

    def largest_tree(self) -> int:
        """Cells of the lookups that share a tree, where they are most."""
        return max(self._cells(r for r in self.relations if r.kind == "lookup").values(), default=0)

    def joint_entries(self) -> int:
        """That the tables of one sumcheck over many relations may have: they take less than the largest tree."""
        return max(LEAST_JOINT, self.largest_tree() // 4)

    def definition_trees(self, defining: Sequence[Relation]) -> dict[str, str]:
        """By group of these lookups: the one whose tree it shares. Neighbours are joined up to half as many cells as
        the largest tree has (numerators are field elements), if their indices are opened together."""
        cells, opened = self._cells(defining), {r.group: self.tensors[r.reads()[0][0]].group for r in defining}
        trees = fill_trees(list(cells.values()), self.largest_tree() // 2)
        first = dict[tuple[str, int], str]()
        return {g: first.setdefault((opened[g], tree), g) for g, tree in zip(cells, trees, strict=True)}

    def _cells(self, lookups: Iterable[Relation]) -> dict[str, int]:
        """By group, in order."""
        cells = Counter[str]()
        for r in lookups:
            cells[r.group] += math.prod(self.domain(r))
        return dict(cells)

    def lookups(self) -> int:
        return sum(math.prod(self.domain(r)) for r in self.relations if r.kind == "lookup")


def freeze(builder: Builder) -> System:
    builder.finish()
    return System(dict(builder.tensors), tuple(builder.relations), dict(builder.publics), dict(builder.digits))


def fill_trees(cells: Sequence[int], room: int) -> list[int]:
    """The number of the tree for each of these lookups: in order, a tree takes up to `room` cells, or one lookup."""
    out, tree, held = list[int](), 0, 0
    for n in cells:
        if held and held + n > room:
            tree, held = tree + 1, 0
        held += n
        out.append(tree)
    return out
