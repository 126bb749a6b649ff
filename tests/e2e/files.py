"""Taking files apart and putting them together again, as an attacker would."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from zkcore import api, public, verifier
from zkcore.public import PublicFile
from zkcore.statement import canonical

KeyPath = tuple[str | int, ...]
Changed = Callable[[Any], Any]


@dataclass(frozen=True)
class File:
    magic: bytes
    version: int
    header: dict[str, Any]
    body: bytes

    @staticmethod
    def of(data: bytes) -> File:
        size = int.from_bytes(data[12:16], "big")
        return File(data[:8], int.from_bytes(data[8:12], "big"), json.loads(data[16 : 16 + size]), data[16 + size :])

    def pack(self, *, header: object = None, body: bytes | None = None, version: int | None = None) -> bytes:
        """With something in another's place. A header given as bytes is taken as it is."""
        told = self.header if header is None else header
        text = told if isinstance(told, bytes) else canonical(told)
        number = self.version if version is None else version
        start = self.magic + number.to_bytes(4, "big") + len(text).to_bytes(4, "big")
        return start + text + (self.body if body is None else body)

    def edited(self, path: KeyPath, value: object) -> bytes:
        return self.pack(header=put(self.header, path, value))

    def edges(self, *sizes: int) -> list[int]:
        """Offsets where something begins or ends; `sizes`: of the body's first sections."""
        at = len(self.pack(body=b""))
        edges = [0, 8, 12, 16, at]
        for size in sizes:
            at += size
            edges.append(at)
        return sorted({*edges, at, len(self.pack())})


def public_edges(data: bytes) -> list[int]:
    """Where the sections of a commitment begin and end."""
    read = public.parse(data)
    return File.of(data).edges(len(read.tokenizer), len(read.rows), len(read.certificate))


def sections(commitment: PublicFile, answer: bytes, nonce: bytes) -> list[bytes]:
    """What the stages of a valid proof wrote."""
    done = verifier.verify(commitment, answer, verifier.Expected(nonce=nonce), api.cache_dir())
    out, body = [], File.of(answer).body
    for size in (work["bytes"] for name, work in done.work.items() if name != verifier.RANGES):
        out.append(body[:size])
        body = body[size:]
    assert body == b""
    return [part for part in out if part]


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Everything that is no mapping and no list, and what of these is empty."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list | tuple) and value:
        for at, inner in enumerate(value):
            yield from leaves(inner, (*path, at))
    else:
        yield path, value


def put(value: Any, path: KeyPath, new: object) -> Any:
    """A copy with one leaf replaced."""
    made = copy.deepcopy(value)
    at = made
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = new
    return made


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    made = bytearray(data)
    made[at] ^= 1 << bit
    return bytes(made)
