from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.checkpoints import Place


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """An empty directory that must still be empty in the end."""
    place = tmp_path / "here"
    place.mkdir()
    yield place
    assert list(place.rglob("*")) == []


@pytest.fixture(params=["clear", pytest.param("tiny", marks=pytest.mark.slow)])
def either(request: pytest.FixtureRequest) -> Place:
    """Both modes handle files and statements alike; in clear mode that takes a fraction of the time."""
    found: Place = request.getfixturevalue(request.param)
    return found
