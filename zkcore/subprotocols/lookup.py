"""What a lookup argument is: it proves Lookup relations and leaves claims about their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol

from zkcore.claim import Claim
from zkcore.graph.system import System, fill_trees
from zkcore.relation import Relation
from zkcore.subprotocols.session import Session


@dataclass(frozen=True, eq=False)
class Definition:
    """A claim about a virtual tensor that `relation` defines as `column` of its table."""

    relation: Relation
    column: int
    claim: Claim


class LookupArgument(Protocol):
    """Both methods run on both sides. All columns of the relations are committed, or affine in what is."""

    name: str
    virtual_outputs: bool  # can function outputs stay uncommitted?

    def check(self, session: Session, relations: Sequence[Relation], group: str) -> None:
        """Every selected cell's columns are a row of the relation's table."""
        ...

    def define(self, session: Session, definitions: Sequence[Definition], group: str) -> None:
        """Reduce claims about looked-up function values to claims about the index columns."""
        ...


def together(system: System, definitions: Sequence[Definition]) -> dict[str, list[Definition]]:
    """Definitions that share a tree, by the first one's group. Those of neighbouring groups do, up to half as many
    cells as the largest tree of the lookups has (their numerators are field elements), if what they read is opened
    together."""
    cells, openings = dict[str, int](), dict[str, str]()
    for relation in dict.fromkeys(d.relation for d in definitions):
        group = relation.group
        cells[group] = cells.get(group, 0) + prod(system.domain(relation))
        openings[group] = system.tensors[relation.reads()[0][0]].group
    trees = dict(zip(cells, fill_trees(list(cells.values()), system.largest_tree() // 2), strict=True))
    first = dict[tuple[str, int], str]()
    out = dict[str, list[Definition]]()
    for d in definitions:
        group = d.relation.group
        name = first.setdefault((openings[group], trees[group]), group)
        out.setdefault(name, []).append(d)
    return out
