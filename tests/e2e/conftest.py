from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Path]:
    """An empty directory that must still be empty in the end."""
    place = tmp_path / "here"
    place.mkdir()
    yield place
    assert list(place.rglob("*")) == []
