"""Prove in zero knowledge that a committed language model produced an output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zkcore.version import __version__

if TYPE_CHECKING:
    from zkcore.api import commit, estimate, inspect, prove, settle, verify, verify_together

__all__ = ["__version__", "commit", "estimate", "inspect", "prove", "settle", "verify", "verify_together"]


def __getattr__(name: str) -> Any:
    """The functions come with what they need, when they are asked for: importing zkcore costs nothing."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("zkcore.api"), name)
    raise AttributeError(f"module 'zkcore' has no attribute {name!r}")
