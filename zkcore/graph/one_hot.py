"""Einsums that only choose along an axis: a product with a public one-hot tensor, each row of which has its 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zkcore.field import space
from zkcore.graph.arrays import Array
from zkcore.graph.public import OneHot
from zkcore.graph.tensor import PublicTensor
from zkcore.relation import Relation


def narrow(source: PublicTensor) -> Array:
    """A public tensor's entries, of the narrowest type."""
    return source.narrow() if isinstance(source, OneHot) else space.narrow(source.array())


@dataclass(frozen=True)
class Pick:
    """Along `axis` of the tensor `of`, the cells `source.index`; the axes of the result, where that axis has become
    `source.outer`, are then laid out as `order` says."""

    name: str
    source: OneHot
    of: str
    axis: int
    order: tuple[int, ...]


def chosen_by(relation: Relation, publics: Mapping[str, PublicTensor]) -> Pick | None:
    """For an einsum, e.g. "hIjd,tI->htjd" with a one-hot "tI"."""
    factors, out = relation.factors()
    if len(factors) != 2:
        return None
    named = [(name, letters) for (name, _), letters in zip(relation.reads(), factors, strict=True)]
    for (name, own), (other, rest) in (named, named[::-1]):
        source = publics.get(name)
        if not isinstance(source, OneHot) or min(source.index) < 0:
            continue
        width = own[-1]
        made = rest.replace(width, own[:-1])
        if rest.count(width) == 1 and width not in out and sorted(made) == sorted(out) and len(set(made)) == len(made):
            return Pick(name, source, other, rest.index(width), tuple(made.index(x) for x in out))
    return None
