"""Which parts of a configuration go together. Pairs that do not are reported all at once, by name, with the choices
that work. Parts state their needs as class attributes; what they do not state, they do not need:

    strategy, op    needs_virtual_outputs   function values must stay uncommitted
    strategy        batching                the values of strategy.batching that mean something to it
    strategy        runs                    it heeds strategy.folded_layers
    strategy        stacks                  tensors of the layers are given as stacks of them
    scheme          hides                   False: its commitments and openings show what is inside
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from zkcore.config import Config
from zkcore.errors import ConfigError
from zkcore.registry import Offer, Registry, op_kind

if TYPE_CHECKING:
    from zkcore.subprotocols.lookup import LookupArgument

BATCHING = ("one", "each_layer", "layer_trees")


def check(config: Config, registry: Registry) -> None:
    """Raises ConfigError. Unknown names are the registry's business."""
    problems = [
        *_virtual(config, registry),
        *_batching(config, registry),
        *_runs(config, registry),
        *_hiding(config, registry),
        *_segments(config),
    ]
    if problems:
        raise ConfigError(problems)


def _virtual(config: Config, registry: Registry) -> Iterator[str]:
    """Strategies and ops that rely on uncommitted function values, under an argument that must commit them."""
    argument: LookupArgument = registry.lookup_argument(config.lookup)()
    if argument.virtual_outputs:
        return
    able = [o.name for o in registry.offered("lookup argument") if o.factory().virtual_outputs]
    attention = op_kind("attention"), config.model.attention.name
    for key, kind, name in (("strategy.name", "strategy", config.strategy.name), ("model.attention.name", *attention)):
        if _need(registry.offers.get((kind, name))):
            others = [o.name for o in registry.offered(kind) if not _need(o)]
            yield (
                f"{key}: {name} and lookup: {config.lookup} do not go together: {name} needs function values that stay "
                f"virtual, {config.lookup} commits them. Choose lookup: {_any(able)}, or {key}: {_any(others)}"
            )


def _need(offer: Offer | None) -> bool:
    return bool(offer and getattr(offer.factory, "needs_virtual_outputs", False))


def _batching(config: Config, registry: Registry) -> Iterator[str]:
    known = _known_batching(registry.strategy(config.strategy.name))
    return _heeded("batching", config, registry, lambda s, chosen: chosen in _known_batching(s), _any(known))


def _known_batching(strategy: Any) -> tuple[str, ...]:
    return tuple(getattr(strategy, "batching", BATCHING))


def _runs(config: Config, registry: Registry) -> Iterator[str]:
    def heeds(strategy: Any, chosen: object) -> bool:
        return chosen == "all" or bool(getattr(strategy, "runs", False))

    return _heeded("folded_layers", config, registry, heeds, "all", ": nothing is folded")


def _heeded(
    key: str, config: Config, registry: Registry, heeds: Callable[[Any, object], bool], instead: str, why: str = ""
) -> Iterator[str]:
    """A key under `strategy` whose value means nothing to the strategy that is named. `instead`: values that do."""
    name, chosen = config.strategy.name, getattr(config.strategy, key)
    if not heeds(registry.strategy(name), chosen):
        others = [o.name for o in registry.offered("strategy") if heeds(o.factory, chosen)]
        yield (
            f"strategy.{key}: {chosen} and strategy.name: {name} do not go together{why}. "
            f"Choose strategy.{key}: {instead}, or strategy.name: {_any(others)}"
        )


def _hiding(config: Config, registry: Registry) -> Iterator[str]:
    name = config.commitment.name
    if config.zero_knowledge and not _hides(registry.commitment_scheme(name)):
        able = [o.name for o in registry.offered("commitment scheme") if _hides(o.factory)]
        yield (
            f"commitment.name: {name} and zero_knowledge: true do not go together: {name} hides nothing. "
            f"Choose commitment.name: {_any(able)}, or zero_knowledge: false"
        )


def _hides(scheme: Any) -> bool:
    return bool(getattr(scheme, "hides", True))


def _segments(config: Config) -> Iterator[str]:
    """A segment's table is one of the model's tables."""
    model, attention = config.model, config.model.attention
    widest = max((b for b in attention.zkattn.segment_bits if b != "auto"), default=0)
    if attention.name == "zkattn" and widest > model.table_bits:
        yield (
            f"model.attention.zkattn.segment_bits: {widest} and model.table_bits: {model.table_bits} do not go "
            f"together: a segment indexes a table. Choose segments of at most {model.table_bits} bits, or "
            f"model.table_bits: {widest}" + ("" if widest <= 18 else ", which is beyond what tables may have")
        )


def _any(names: object) -> str:
    found = sorted(str(n) for n in names) if isinstance(names, list | tuple) else []
    return " or ".join(found) or "(none is installed)"
