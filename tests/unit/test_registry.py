"""Plugins and the registry: only what is named is loaded, order is of no consequence, refusals name names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from itertools import permutations
from pathlib import Path
from types import SimpleNamespace

import pytest

from zkcore import hookspecs
from zkcore.errors import PluginError
from zkcore.hookspecs import RegisterOp, RegisterStrategy, hookimpl
from zkcore.plugins import KINDS, build_registry, installed_plugins
from zkcore.registry import PluginInfo
from zkcore.version import __version__


def some_op(settings: object) -> object:
    return settings


def ops_plugin(slot: str, name: str) -> object:
    @hookimpl
    def register_ops(register: RegisterOp) -> None:
        register(slot, name, some_op)  # type: ignore[arg-type]

    return SimpleNamespace(register_ops=register_ops)


PLUGINS: dict[str, object] = {
    "gelu": ops_plugin("mlp", "gelu"),
    "tanh": ops_plugin("mlp", "tanh"),
    "rival": ops_plugin("mlp", "gelu"),
    "window": ops_plugin("attention", "gelu"),
}


def install(site: Path, name: str, version: str = "1.2", target: str | None = None, dist: str | None = None) -> None:
    """A distribution as an installer leaves it: metadata, and a module that takes its plugin from this file."""
    dist = dist or f"zkcore-{name}"
    info = site / f"{dist.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {dist}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text(f"[zkcore]\n{name} = {target or f'zkcore_plugins_under_test:{name}'}\n")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "zkcore_plugins_under_test", SimpleNamespace(**PLUGINS))
    yield tmp_path


def test_the_builtins_come_through_the_same_hooks() -> None:
    registry = build_registry()
    assert PluginInfo("zkcore", __version__) in registry.plugins
    assert registry.lookup_argument("logup_gkr")().name == "logup_gkr"
    scheme = registry.commitment_scheme("hyrax")(7)
    assert (scheme.name, scheme.log_width) == ("hyrax", 7)


def test_a_named_plugin_is_loaded_with_its_version(site: Path) -> None:
    install(site, "gelu", "1.2")
    registry = build_registry(["gelu"])
    assert registry.op("mlp", "gelu") is some_op
    assert registry.plugins == (PluginInfo("gelu", "1.2"), PluginInfo("zkcore", __version__))


def test_what_is_not_named_is_not_imported(site: Path) -> None:
    install(site, "gelu")
    install(site, "bomb", target="zkcore_this_module_must_never_be_imported")
    assert [p.name for p in installed_plugins() if p.name in ("bomb", "gelu")] == ["bomb", "gelu"]
    build_registry(["gelu"])
    with pytest.raises(PluginError, match=r"bomb \(zkcore-bomb 1.2.*cannot be imported: ModuleNotFoundError"):
        build_registry(["bomb"])


def test_the_order_of_names_is_of_no_consequence(site: Path) -> None:
    names = ["gelu", "tanh", "window"]
    for name in reversed(names):
        install(site, name)
    seen = {
        (tuple(r.offers), tuple(o.plugin for o in r.offers.values()), r.plugins)
        for order in permutations(names)
        for r in [build_registry([*order, order[0]])]
    }
    assert len(seen) == 1


@pytest.mark.parametrize("order", [["gelu", "rival"], ["rival", "gelu"]])
def test_a_name_registered_twice_is_refused_naming_both(site: Path, order: list[str]) -> None:
    install(site, "gelu")
    install(site, "rival")
    with pytest.raises(PluginError, match="mlp op 'gelu' is registered twice: by gelu and rival"):
        build_registry(order)


def test_a_name_of_the_builtins_is_taken(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def register_commitment_schemes(register: Callable[..., None]) -> None:
        register("hyrax", some_op)

    plugin = SimpleNamespace(register_commitment_schemes=register_commitment_schemes)
    monkeypatch.setitem(sys.modules, "zkcore_plugins_under_test", SimpleNamespace(thief=plugin))
    install(site, "thief")
    with pytest.raises(PluginError, match="'hyrax' is registered twice: by thief and zkcore"):
        build_registry(["thief"])


def test_one_name_in_two_slots_is_two_ops(site: Path) -> None:
    install(site, "gelu")
    install(site, "window")
    registry = build_registry(["gelu", "window"])
    assert [o.plugin for o in registry.offered("attention op") if o.name == "gelu"] == ["window"]


def test_an_unknown_name_is_refused_with_what_there_is(site: Path) -> None:
    install(site, "gelu")
    with pytest.raises(PluginError, match=r"no mlp op is called 'gelo'; available: gelu \(from gelu\)"):
        build_registry(["gelu"]).op("mlp", "gelo")
    for get in ("lookup_argument", "commitment_scheme", "strategy", "model_family"):
        with pytest.raises(PluginError, match=f"no {get.replace('_', ' ')} is called 'x'; available: "):
            getattr(build_registry(), get)("x")


def test_a_missing_plugin_is_refused_with_what_is_installed(site: Path) -> None:
    install(site, "gelu", "3.1")
    with pytest.raises(PluginError, match=r"'gulu' is not installed; installed: .*gelu \(zkcore-gelu 3\.1, "):
        build_registry(["gulu"])


def test_two_distributions_with_one_plugin_name_are_refused(site: Path) -> None:
    install(site, "gelu")
    install(site, "gelu", dist="elsewhere")
    with pytest.raises(PluginError, match=r"several plugins are called 'gelu': .*elsewhere.*zkcore-gelu"):
        build_registry(["gelu"])


def test_a_distribution_seen_twice_counts_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(site, "gelu")
    found = list(metadata.entry_points(group="zkcore"))
    monkeypatch.setattr(metadata, "entry_points", lambda group: found + found)
    assert build_registry(["gelu"]).op("mlp", "gelu") is some_op


def test_the_name_of_the_builtins_is_reserved(site: Path) -> None:
    install(site, "zkcore", dist="impostor")
    with pytest.raises(PluginError, match="'zkcore' is the name of the built-ins"):
        build_registry(["zkcore"])


def use(monkeypatch: pytest.MonkeyPatch, site: Path, plugin: object) -> None:
    monkeypatch.setitem(sys.modules, "zkcore_plugins_under_test", SimpleNamespace(odd=plugin))
    install(site, "odd")


def test_a_hook_that_does_not_exist_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def register_oops(register: RegisterOp) -> None:
        """A slip of the pen."""

    use(monkeypatch, site, SimpleNamespace(register_oops=register_oops))
    with pytest.raises(PluginError, match="register_oops"):
        build_registry(["odd"])


def test_a_hook_with_other_arguments_is_refused(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def register_ops(registrar: RegisterOp) -> None:
        """Not the argument's name."""

    use(monkeypatch, site, SimpleNamespace(register_ops=register_ops))
    with pytest.raises(PluginError, match="'odd' does not fit this zkcore"):
        build_registry(["odd"])


def test_a_hook_that_raises_is_named(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def register_strategies(register: RegisterStrategy) -> None:
        raise KeyError("lost")

    use(monkeypatch, site, SimpleNamespace(register_strategies=register_strategies))
    with pytest.raises(PluginError, match="'odd' failed in register_strategies: KeyError: 'lost'"):
        build_registry(["odd"])


def test_what_cannot_be_called_is_no_factory(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @hookimpl
    def register_strategies(register: Callable[..., None]) -> None:
        register("folding", "not a factory")

    use(monkeypatch, site, SimpleNamespace(register_strategies=register_strategies))
    with pytest.raises(PluginError, match="strategy 'folding' of the plugin 'odd' is not callable"):
        build_registry(["odd"])


def test_a_registry_is_frozen_and_keeps_no_door_open(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[RegisterStrategy] = []

    @hookimpl
    def register_strategies(register: RegisterStrategy) -> None:
        kept.append(register)

    use(monkeypatch, site, SimpleNamespace(register_strategies=register_strategies))
    registry = build_registry(["odd"])
    before = dict(registry.offers)
    kept[0]("late", some_op)
    assert dict(registry.offers) == before
    with pytest.raises(TypeError):
        registry.offers["strategy", "late"] = before.popitem()[1]  # type: ignore[index]


def test_every_hook_is_called_once(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hooks, calls = ["register_ops", *KINDS], []

    def implement(hook: str) -> Callable[..., None]:
        def called(register: object) -> None:
            calls.append(hook)

        called.__name__ = hook
        return hookimpl(called)

    use(monkeypatch, site, SimpleNamespace(**{hook: implement(hook) for hook in hooks}))
    registry = build_registry(["odd"])
    registry.lookup_argument("logup_gkr")
    assert sorted(calls) == sorted(hooks) == sorted(n for n in vars(hookspecs) if n.startswith("register_"))


def test_building_a_registry_imports_neither_torch_nor_transformers() -> None:
    program = "import sys; from zkcore.plugins import build_registry; build_registry()\n"
    program += "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
