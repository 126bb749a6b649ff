"""Files: magic, format version, canonical JSON header, sections. Sizes are checked before anything is allocated; what
is not exactly right is refused."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zkcore.errors import FormatError, UsageError
from zkcore.interrupts import undisturbed
from zkcore.statement import COMPLETE, FORMAT_VERSION, canonical, parse_json

PROOF_MAGIC, COMMITMENT_MAGIC = b"ZKCPROOF", b"ZKCMODEL"
SETTLEMENT_MAGIC, ACCUMULATOR_MAGIC = b"ZKCSETTL", b"ZKCACCUM"
KINDS = {
    PROOF_MAGIC: "a proof",
    COMMITMENT_MAGIC: "a commitment (public.zkc)",
    SETTLEMENT_MAGIC: "a settlement",
    ACCUMULATOR_MAGIC: "an accumulator",
}
MAX_HEADER = 1 << 22  # about half a million tokens
MAX_FILE, MAX_PROOF = 1 << 32, 1 << 28


@dataclass(frozen=True)
class Container:
    """`body`: everything behind the header."""

    header: dict[str, Any]
    body: bytes


def pack(magic: bytes, header: object, sections: Sequence[bytes]) -> bytes:
    text = canonical(header)
    return b"".join([magic, FORMAT_VERSION.to_bytes(4, "big"), len(text).to_bytes(4, "big"), text, *sections])


def answer_header(
    commitment_sha256: str, prompt: Sequence[int], output: Sequence[int], nonce: bytes, opening: str = COMPLETE
) -> dict[str, Any]:
    """What a proof file says before its messages."""
    return {
        "commitment_sha256": commitment_sha256,
        "prompt": list(prompt),
        "output": list(output),
        "nonce": nonce.hex(),
        "opening": opening,
    }


def unpack(data: bytes, magic: bytes, what: str) -> Container:
    if data[:8] != magic:
        found = KINDS.get(data[:8], "no file of zkcore's")
        raise FormatError(f"{what}: expected {KINDS[magic]}, but this is {found}")
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


def read(path: Path, what: str, most: int = MAX_FILE) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise UsageError(f"{what} {path}: it is no regular file")
        if (size := path.stat().st_size) > most:
            raise UsageError(f"{what} {path}: {size} bytes are too many, at most {most} are read")
        return path.read_bytes()
    except (OSError, ValueError) as e:
        raise UsageError(f"{what} {path}: {getattr(e, 'strerror', None) or e}") from None


@dataclass(frozen=True)
class Written:
    """A file to write. `private`: for its owner's eyes only."""

    path: Path
    data: bytes
    private: bool = False


def write(*written: Written) -> None:
    """All to temporary names beside them, then renamed together: never half a file, nor one without the others."""
    staged: list[tuple[Path, Path]] = []
    path = Path()
    try:
        for path, data, private in ((w.path, w.data, w.private) for w in written):
            path.parent.mkdir(parents=True, exist_ok=True)
            staged.append((_temporary(path), path))
            _store(staged[-1][0], data, 0o600 if private else 0o666)
        with undisturbed():
            for temporary, path in staged:
                os.replace(temporary, path)
    except (OSError, ValueError) as e:
        why, room = getattr(e, "strerror", None) or e, sum(len(w.data) for w in written)
        raise UsageError(f"{path}: cannot be written: {why} ({room:,} bytes are to be written)") from None
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


def check_writable(*paths: Path) -> None:
    """Before hours of work rather than after."""
    for path in paths:
        folder = next((p for p in path.absolute().parents if p.exists()), Path("/"))
        if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
            raise UsageError(
                f"{path}: cannot be written: " + ("it is a directory" if path.is_dir() else f"see {folder}")
            )


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}")


def _store(path: Path, data: bytes, mode: int) -> None:
    """The file has its name once all is written: whatever ends this process before leaves nothing behind."""
    handle, named = _open(path, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if not named:
            os.link(f"/proc/self/fd/{handle}", path, src_dir_fd=handle, follow_symlinks=True)


def _open(path: Path, mode: int) -> tuple[int, bool]:
    """A new file to write, and whether it has its name: where the system knows files without one, it has not."""
    try:
        if os.path.isdir("/proc/self/fd"):
            return os.open(path.parent, os.O_WRONLY | os.O_TMPFILE, mode), False
    except (AttributeError, OSError):  # not every file system has them
        pass
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), True
