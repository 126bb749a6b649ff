"""Files are written with the generators' cache in a place of its own, as in the core's tests."""

from tests.conftest import generator_cache

__all__ = ["generator_cache"]
