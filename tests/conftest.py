"""A small model, committed to and proved about once a session."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.e2e.checkpoints import CONFIG, Place, write_checkpoint

PROMPT, NONCE = "The old mill", b"from the client"


@pytest.fixture(scope="session")
def generator_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Tests leave nothing in the user's cache, and find nothing there."""
    before, place = os.environ.get("XDG_CACHE_HOME"), tmp_path_factory.mktemp("cache")
    os.environ["XDG_CACHE_HOME"] = str(place)
    yield place
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Place:
    """Do not write into its directories."""
    return _once(tmp_path_factory, "tiny", seed=0)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Place:
    """Another model of the same shape."""
    return _once(tmp_path_factory, "other", seed=1)


@pytest.fixture(scope="session")
def clear(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Place:
    """The first model without zero knowledge: what is wrong is found sooner."""
    return _once(tmp_path_factory, "clear", seed=0, more="zero_knowledge: false\n")


def _once(factory: pytest.TempPathFactory, name: str, seed: int, more: str = "") -> Place:
    """Made by the first worker that asks."""
    base = factory.getbasetemp()
    root = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    done = root / f"{name}.json"
    with FileLock(root / f"{name}.lock"):
        if not done.exists():
            text = prove_something(root / name, seed, more)
            done.write_text(json.dumps(text))
    place = root / name
    text = json.loads(done.read_text())
    return Place(place / "model", place / "commitment", place / "answer.zkp", PROMPT, text, NONCE)


def prove_something(place: Path, seed: int, more: str) -> str:
    """A model, a commitment to it and a proof; returns the answer. `more`: of its configuration."""
    from zkcore import api

    model = write_checkpoint(place / "model", seed=seed)
    (model / "config.yaml").write_text(CONFIG + more)
    api.commit(model, model / "config.yaml", place / "commitment")
    return api.prove(place / "commitment", PROMPT, 3, place / "answer.zkp", nonce=NONCE).text
