"""What a lookup argument is: it proves Lookup relations and leaves claims about their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from zkcore.claim import Claim
from zkcore.graph.system import System
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
    """Definitions that share a tree, by the first one's group."""
    trees = system.definition_trees(list(dict.fromkeys(d.relation for d in definitions)))
    out = dict[str, list[Definition]]()
    for d in definitions:
        out.setdefault(trees[d.relation.group], []).append(d)
    return out
