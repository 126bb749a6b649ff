"""Loading plugins. A plugin is code inside the verifier: only those that the configuration names are imported."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import metadata

import pluggy

from zkcore import builtins, hookspecs
from zkcore.errors import PluginError
from zkcore.hookspecs import PROJECT
from zkcore.registry import Offer, PluginInfo, Registry, op_kind
from zkcore.version import __version__

BUILTIN = "zkcore"
KINDS = {
    "register_lookup_arguments": "lookup argument",
    "register_commitment_schemes": "commitment scheme",
    "register_strategies": "strategy",
    "register_model_families": "model family",
}


@dataclass(frozen=True, order=True)
class InstalledPlugin:
    """What an entry point says, without importing what it points to."""

    name: str
    distribution: str
    version: str
    target: str


def build_registry(plugin_names: Sequence[str] = ()) -> Registry:
    """The built-ins and the named plugins. Neither the order of the names nor that of the hooks matters."""
    loaded, offers = [PluginInfo(BUILTIN, __version__)], _offers(BUILTIN, builtins)
    found = _entry_points()
    for name in sorted(set(plugin_names)):
        installed, entry_point = _choose(name, found)
        loaded.append(PluginInfo(name, installed.version))
        offers += _offers(name, _load(installed, entry_point))
    return Registry(offers, loaded)


def installed_plugins() -> tuple[InstalledPlugin, ...]:
    """What could be named in a configuration. Imports nothing."""
    return tuple(sorted(_entry_points()))


def _entry_points() -> dict[InstalledPlugin, metadata.EntryPoint]:
    """By description; an installation seen twice on the path counts once."""
    found: dict[InstalledPlugin, metadata.EntryPoint] = {}
    for entry in metadata.entry_points(group=PROJECT):
        distribution, version = (entry.dist.name, entry.dist.version) if entry.dist else ("?", "?")
        found[InstalledPlugin(entry.name, distribution, version, entry.value)] = entry
    return found


def _choose(
    name: str, found: dict[InstalledPlugin, metadata.EntryPoint]
) -> tuple[InstalledPlugin, metadata.EntryPoint]:
    if name == BUILTIN:
        raise PluginError(f"{name!r} is the name of the built-ins, which are always there: take it off `plugins`")
    matches = sorted(p for p in found if p.name == name)
    if not matches:
        there = ", ".join(_who(p) for p in sorted(found)) or "none"
        raise PluginError(f"the plugin {name!r} is not installed; installed: {there}")
    if len(matches) > 1:
        raise PluginError(f"several plugins are called {name!r}: {' and '.join(_who(p) for p in matches)}")
    return matches[0], found[matches[0]]


def _who(plugin: InstalledPlugin) -> str:
    return f"{plugin.name} ({plugin.distribution} {plugin.version}, {plugin.target})"


def _what(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _load(installed: InstalledPlugin, entry_point: metadata.EntryPoint) -> object:
    try:
        loaded: object = entry_point.load()
    except Exception as error:
        raise PluginError(f"the plugin {_who(installed)} cannot be imported: {_what(error)}") from error
    return loaded


def _offers(name: str, plugin: object) -> list[Offer]:
    """What a plugin registers. Its hooks are called by a manager of its own: it cannot wrap another plugin's."""
    hooks = _manager(name, plugin).hook
    offers: list[Offer] = []

    def register(kind: str, offer: str, factory: object) -> None:
        offers.append(Offer(kind, offer, name, factory))

    def register_op(slot: str, offer: str, factory: object) -> None:
        register(op_kind(slot), offer, factory)

    callbacks: dict[str, Callable[..., None]] = {hook: partial(register, kind) for hook, kind in KINDS.items()}
    for hook, callback in {"register_ops": register_op, **callbacks}.items():
        _call(getattr(hooks, hook), name, callback)
    return offers


def _manager(name: str, plugin: object) -> pluggy.PluginManager:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"the plugin {name!r} does not fit this zkcore: {error}") from error
    return manager


def _call(hook: pluggy.HookCaller, plugin: str, callback: Callable[..., None]) -> None:
    try:
        hook(register=callback)
    except Exception as error:
        raise PluginError(f"the plugin {plugin!r} failed in {hook.name}: {_what(error)}") from error
