"""Files: magic, format version, canonical JSON header, sections. Sizes are checked before anything is allocated; what
is not exactly right is refused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zkcore.errors import FormatError, UsageError
from zkcore.statement import FORMAT_VERSION, canonical, parse_json

PROOF_MAGIC, COMMITMENT_MAGIC = b"ZKCPROOF", b"ZKCMODEL"
MAX_HEADER = 1 << 22  # about half a million tokens


@dataclass(frozen=True)
class Container:
    """`body`: everything behind the header."""

    header: dict[str, Any]
    body: bytes


def pack(magic: bytes, header: object, sections: Sequence[bytes]) -> bytes:
    text = canonical(header)
    return b"".join([magic, FORMAT_VERSION.to_bytes(4, "big"), len(text).to_bytes(4, "big"), text, *sections])


def unpack(data: bytes, magic: bytes, what: str) -> Container:
    if data[:8] != magic:
        raise FormatError(f"{what}: this is no such file (it starts with {data[:8]!r}, expected {magic!r})")
    version, size = int.from_bytes(data[8:12], "big"), int.from_bytes(data[12:16], "big")
    if version != FORMAT_VERSION:
        raise FormatError(f"{what}: format version {version}, this program reads {FORMAT_VERSION}")
    if size > MAX_HEADER:
        raise FormatError(f"{what}: its header of {size} bytes is too large")
    if 16 + size > len(data):
        raise FormatError(f"{what}: its header is cut short")
    return Container(_header(data[16 : 16 + size], what), data[16 + size :])


def _header(text: bytes, what: str) -> dict[str, Any]:
    """Only the canonical encoding is accepted: two files that differ never mean the same."""
    try:
        header = parse_json(text.decode("ascii"))
        same = canonical(header) == text
    except ValueError:
        raise FormatError(f"{what}: its header is not canonical JSON") from None
    if not same or not isinstance(header, dict):
        raise FormatError(f"{what}: its header is not canonical JSON")
    return header


def read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise UsageError(f"{what} {path}: {e.strerror or e}") from None


def write(path: Path, data: bytes) -> None:
    """To a temporary name beside it, then renamed: never half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as e:
        raise UsageError(f"{path}: cannot be written: {e.strerror or e}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except OSError as e:
        Path(name).unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written: {e.strerror or e}") from None
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
