"""Generators nobody knows a logarithm of: RFC 9380 hash-to-curve of a running number, one domain per purpose."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from contextlib import suppress
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from zkcore.field.kernels import Kernels, Points

DOMAIN = b"ZKCORE-V1-CS01-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"


@cache
def _pinned() -> dict[str, str]:
    """SHA-256 of the first 2^k generators of each purpose; part of the source, so that a cache cannot lie."""
    text = files("zkcore.field").joinpath("generator_digests.json").read_text()
    return dict(json.loads(text))


def is_pinned(purpose: str, count: int) -> bool:
    """May a cache hold them?"""
    return f"{purpose}/{count}" in _pinned()


class Generators:
    """`take(purpose, n)`: the first n generators of a purpose. A directory may hold a cache; it is believed only where
    its digest is pinned in the source, and everything else is computed anew."""

    def __init__(self, kernels: Kernels, cache_dir: Path | None = None) -> None:
        self._kernels, self._dir = kernels, cache_dir
        self._held: dict[str, Points] = {}

    def take(self, purpose: str, count: int) -> Points:
        held = self._held.get(purpose)
        if held is None or len(held) < count:
            held = self._held[purpose] = self._load(purpose, 1 << max(count - 1, 7).bit_length())
        return held[:count]

    def _load(self, purpose: str, count: int) -> Points:
        pinned = _pinned().get(f"{purpose}/{count}")
        if self._dir is None or pinned is None:
            return self.compute(purpose, count)
        path = self._dir / f"{purpose}-{count}.g1"
        try:
            data = np.fromfile(path, dtype=np.uint8)
        except OSError:
            data = np.zeros(0, dtype=np.uint8)
        if hashlib.sha256(data.data).hexdigest() == pinned:
            return self._kernels.space.own(data.view(np.uint64).reshape(count, 12))
        points = self.compute(purpose, count)
        _store(path, self._kernels.space.host(points).tobytes())
        return points

    def compute(self, purpose: str, count: int) -> Points:
        return self._kernels.hash_to_curve(DOMAIN, purpose.encode() + b"/", 0, count)


def _store(path: Path, data: bytes) -> None:
    """A cache that cannot be written is no error: the next run computes again."""
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(name, path)
        except OSError:
            os.unlink(name)
