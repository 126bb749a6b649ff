"""What is written about the program is what the program says of itself."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
import yaml

from zkcore import hookspecs
from zkcore.cli.commands import app
from zkcore.config import load
from zkcore.plugins import build_registry
from zkcore.version import __version__

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = {p.name: p.read_text(encoding="utf-8") for p in DOCS.glob("*.md")}
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_configuration_reference_is_up_to_date() -> None:
    reference = runpy.run_path(str(ROOT / "scripts" / "config_reference.py"))["reference"]
    assert PAGES["configuration.md"] == reference(), "run scripts/config_reference.py"


def test_figures_are_those_of_the_results() -> None:
    tables = runpy.run_path(str(ROOT / "scripts" / "measured.py"))["tables"]
    assert (DOCS / "includes" / "measured.md").read_text(encoding="utf-8") == tables(), "run scripts/measured.py"


def test_every_page_is_in_the_navigation() -> None:
    nav = re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    hooks = (ROOT / "scripts" / "docs_hooks.py").read_text()
    generated = set(re.findall(r'"(?:zkcore/)?([A-Z_]+\.md)"', hooks))
    assert sorted(nav) == sorted({*PAGES, *generated})


def test_every_command_is_shown() -> None:
    names = {c.name or c.callback.__name__ for c in app.registered_commands if c.callback}
    shown = "\n".join([README, *PAGES.values()])
    assert len(names) >= 10
    assert [n for n in sorted(names) if f"zkcore {n}" not in shown and f"`{n}" not in shown] == []


def test_every_hook_is_documented() -> None:
    hooks = [name for name in vars(hookspecs) if name.startswith("register_")]
    assert len(hooks) == 5
    assert [h for h in hooks if f"`{h}`" not in PAGES["plugin.md"]] == []


def test_every_family_is_documented() -> None:
    families = [o.name for o in build_registry(()).offered("model family")]
    assert [f for f in families if f"| `{f}` |" not in PAGES["own-checkpoint.md"]] == []


@pytest.mark.parametrize("page", ["strategies.md"])
def test_configurations_that_are_named_are_there(page: str) -> None:
    named = set(re.findall(r"configs/(\w+\.yaml)", PAGES[page]))
    assert named and all((ROOT / "configs" / name).exists() for name in named)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_configuration_loads(path: Path) -> None:
    assert load(path).version == 1


def test_the_citation_names_this_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == __version__


@pytest.mark.parametrize("file", ["README.md", "CONTRIBUTING.md", "docs/index.md", "docs/quickstart.md"])
def test_relative_links_lead_somewhere(file: str) -> None:
    text = re.sub(r"`[^`\n]*`", "", (ROOT / file).read_text(encoding="utf-8"))
    links = [x for x in re.findall(r"\]\(([^)#\s]+)", text) if "://" not in x]
    assert [x for x in links if not (ROOT / file).parent.joinpath(x).exists()] == []
