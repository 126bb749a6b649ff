"""A small model, committed to and proved about once a session."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checkpoints import Place, write_checkpoint


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
    return prove_something(tmp_path_factory.mktemp("tiny"), "The old mill", b"from the client")


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Place:
    """Another model of the same shape."""
    return prove_something(tmp_path_factory.mktemp("other"), "The old mill", b"from the client", seed=1)


def prove_something(place: Path, prompt: str, nonce: bytes, seed: int = 0) -> Place:
    from zkcore import api

    model = write_checkpoint(place / "model", seed=seed)
    api.commit(model, model / "config.yaml", place / "commitment")
    made = api.prove(place / "commitment", prompt, 3, place / "answer.zkp", nonce=nonce)
    return Place(model, place / "commitment", place / "answer.zkp", prompt, made.text, nonce)
