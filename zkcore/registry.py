"""Who offers what: frozen once built, the same whatever order the plugins came in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from zkcore.errors import PluginError
from zkcore.hookspecs import (
    CommitmentSchemeFactory,
    LookupArgumentFactory,
    ModelFamilyFactory,
    OpFactory,
    StrategyFactory,
)

Key = tuple[str, str]  # kind ("mlp op", "strategy", ...), name


@dataclass(frozen=True, order=True)
class PluginInfo:
    """A loaded plugin, as the statement names it."""

    name: str
    version: str


@dataclass(frozen=True)
class Offer:
    """One registration. `factory` is typed by the hook it came through."""

    kind: str
    name: str
    plugin: str
    factory: Any


class Registry:
    """Lookups by name. An unknown name is refused with the names there are and who provides them."""

    def __init__(self, offers: Iterable[Offer], plugins: Iterable[PluginInfo]) -> None:
        self.plugins: tuple[PluginInfo, ...] = tuple(sorted(plugins))
        self.offers: Mapping[Key, Offer] = MappingProxyType(_unique(offers))

    def op(self, slot: str, name: str) -> OpFactory:
        factory: OpFactory = self._factory(op_kind(slot), name)
        return factory

    def lookup_argument(self, name: str) -> LookupArgumentFactory:
        factory: LookupArgumentFactory = self._factory("lookup argument", name)
        return factory

    def commitment_scheme(self, name: str) -> CommitmentSchemeFactory:
        factory: CommitmentSchemeFactory = self._factory("commitment scheme", name)
        return factory

    def strategy(self, name: str) -> StrategyFactory:
        factory: StrategyFactory = self._factory("strategy", name)
        return factory

    def model_family(self, name: str) -> ModelFamilyFactory:
        factory: ModelFamilyFactory = self._factory("model family", name)
        return factory

    def offered(self, kind: str) -> tuple[Offer, ...]:
        """All offers of a kind, by name."""
        return tuple(o for o in self.offers.values() if o.kind == kind)

    def _factory(self, kind: str, name: str) -> Any:
        if offer := self.offers.get((kind, name)):
            return offer.factory
        there = ", ".join(f"{o.name} (from {o.plugin})" for o in self.offered(kind)) or "none"
        raise PluginError(f"no {kind} is called {name!r}; available: {there}. Is a plugin missing under `plugins`?")


def op_kind(slot: str) -> str:
    """The kind under which ops of a slot are filed."""
    return f"{slot} op"


def _unique(offers: Iterable[Offer]) -> dict[Key, Offer]:
    """Sorted by kind and name; two offers of one name are refused."""
    same: defaultdict[Key, list[Offer]] = defaultdict(list)
    for offer in offers:
        if not callable(offer.factory):
            raise PluginError(f"the {offer.kind} {offer.name!r} of the plugin {offer.plugin!r} is not callable")
        same[offer.kind, offer.name].append(offer)
    for (kind, name), group in sorted(same.items()):
        if len(group) > 1:
            who = " and ".join(sorted(o.plugin for o in group))
            raise PluginError(f"the {kind} {name!r} is registered twice: by {who}")
    return {key: same[key][0] for key in sorted(same)}
