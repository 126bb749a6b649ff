"""Products that byte_products has a plan for, and what is exact of them: for the host, and for a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from zkcore.field import byte_products

# spec, sizes: factors as they lie and turned, results with rows in front, in between and behind
SHAPES: list[tuple[str, dict[str, int]]] = [
    ("im,mo->io", {"i": 17, "m": 16, "o": 16}),
    ("im,mo->io", {"i": 131, "m": 400, "o": 208}),
    ("Iim,mhd->hIid", {"I": 3, "i": 8, "m": 144, "h": 5, "d": 16}),
    ("hIid,hdm->Iim", {"I": 3, "i": 8, "m": 32, "h": 5, "d": 16}),
    ("mo,im->io", {"i": 33, "m": 160, "o": 16}),
    ("om,im->io", {"i": 33, "m": 160, "o": 16}),
    ("mi,om->io", {"i": 33, "m": 160, "o": 16}),
]
REFUSED = [
    ("bim,bmo->bio", {"b": 2, "i": 32, "m": 32, "o": 32}),  # a batch
    ("im,mo->oi", {"i": 17, "m": 32, "o": 32}),  # 17 behind
    ("im,mo->io", {"i": 17, "m": 24, "o": 32}),
    ("im,mo->io", {"i": 17, "m": 32, "o": 24}),
    ("iIm,mhd->ihId", {"I": 5, "i": 8, "m": 32, "h": 5, "d": 16}),  # rows that lie apart
    ("ima,mo->io", {"a": 2, "i": 32, "m": 32, "o": 32}),  # a sum of one factor alone
    ("im,mo->", {"i": 32, "m": 32, "o": 32}),
    ("im,m->i", {"i": 32, "m": 32}),
    ("iim,mo->io", {"i": 32, "m": 32, "o": 32}),
]
KINDS = [("int8", "int8"), ("int16", "int16"), ("int16", "int8"), ("int8", "int16"), ("int32", "int16")]
MOST_STEPS = (1 << 17) - 16
LEASTS = ("LEAST_ENTRIES", "LEAST_STEPS", "LEAST_PRODUCTS")


def values(kind: str, shape: tuple[int, ...], seed: int) -> np.ndarray[Any, Any]:
    """Of every size, many of them extremes of their type."""
    draw, info = np.random.default_rng(seed), np.iinfo(kind)
    some = draw.integers(info.min, info.max, shape, dtype=kind, endpoint=True)
    edges = np.array([info.min, info.min + 1, -129, -128, -1, 0, 127, 128, 255, info.max - 127, info.max])
    edges = edges[(info.min <= edges) & (edges <= info.max)].astype(kind)
    return np.where(draw.random(shape) < 0.5, edges[draw.integers(0, len(edges), shape)], some)


def exact(spec: str, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(np.einsum(spec, a.astype(np.int64), b.astype(np.int64)))


def shape(letters: str, sizes: dict[str, int]) -> tuple[int, ...]:
    return tuple(sizes[x] for x in letters)


def spied(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[byte_products.Plan]]:
    """However small, every product that has a plan goes through it; which were made."""
    made: list[byte_products.Plan] = []
    real = byte_products.product
    for least in LEASTS:
        monkeypatch.setattr(byte_products, least, 1)
    monkeypatch.setattr(byte_products, "product", lambda here, p, *rest: made.append(p) or real(here, p, *rest))
    byte_products.plan.cache_clear()
    yield made
    byte_products.plan.cache_clear()
