"""The accumulator: what answers left open, kept by the model's owner until one settlement proves it all.

Its instances are public, its secrets are not: they are combinations of weights and activations. The file is readable by
its owner only, replaced as a whole, and changed by one process at a time.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zkcore import proof as files
from zkcore.commitment.deferred import Instance, Secret
from zkcore.errors import FormatError, UsageError
from zkcore.field.space import of
from zkcore.public import PublicFile
from zkcore.settlement import Entry, difference, digests, plain
from zkcore.statement import digest
from zkcore.transcript.wire import SCALAR_BYTES

HEADER = {"model", "settled", "answers", "sha256"}


@dataclass(frozen=True)
class Carried:
    """One answer's instance, with what proves it."""

    entry: Entry
    secret: Secret


@dataclass(frozen=True)
class Accumulator:
    """`settled`: the digest of the settlement; empty until there is one. From then on no secrets are kept."""

    path: Path
    model: dict[str, Any]
    answers: tuple[str, ...]
    carried: tuple[Carried, ...]
    settled: str = ""

    def file(self) -> files.Written:
        body = b"".join(_pack(c) for c in self.carried)
        header = {"model": self.model, "settled": self.settled, "answers": list(self.answers), "sha256": digest(body)}
        return files.Written(self.path, files.pack(files.ACCUMULATOR_MAGIC, header, [body]), private=True)


def load(path: Path, commitment: PublicFile) -> Accumulator:
    """For adding to it or settling it: raises UsageError if it is not this model's, is settled, or lacks an answer."""
    what = f"accumulator {path}"
    container = files.unpack(files.read(path, "accumulator"), files.ACCUMULATOR_MAGIC, what)
    header, body = container.header, container.body
    if set(header) != HEADER:
        raise FormatError(f"{what}: its header has unknown or missing keys")
    if other := difference(plain(commitment.statement), header["model"]):
        raise UsageError(f"{what}: it is of another model or configuration: {other}")
    answers = digests(header["answers"], what)
    if header["settled"]:
        raise UsageError(
            f"{what}: expected one that is open, found it already settled, in the settlement {header['settled']}, with "
            f"{len(answers)} answers; give --accumulate another file"
        )
    return Accumulator(
        path, header["model"], tuple(answers), _entries(what, header["sha256"], answers, body, commitment)
    )


def check(path: Path, commitment: PublicFile, proof: Path) -> None:
    """Before hours of work rather than after: can an answer be added, whose proof goes to `proof`?"""
    _apart(path, proof)
    files.check_writable(path)
    if path.exists():
        load(path, commitment)


def add(path: Path, commitment: PublicFile, carried: Carried, proof: files.Written) -> int:
    """Add an answer and write its proof file: both or neither. Returns how many answers there are now."""
    with _alone(path):
        kept = load(path, commitment) if path.exists() else Accumulator(path, plain(commitment.statement), (), ())
        if carried.entry.answer in kept.answers:
            raise UsageError(f"accumulator {path}: the answer {carried.entry.answer[:16]} is in it already")
        answers = (*kept.answers, carried.entry.answer)
        grown = Accumulator(path, kept.model, answers, (*kept.carried, carried))
        files.write(grown.file(), proof)
    return len(answers)


def settle(
    path: Path,
    commitment: PublicFile,
    out: Path,
    prove: Callable[[Sequence[tuple[Entry, Secret]]], bytes],
    wanted: Sequence[str] = (),
) -> tuple[int, bytes]:
    """Write a settlement, and forget the secrets. `wanted`: digests of answers that must be in it. Returns the number
    of answers, and the settlement."""
    _apart(path, out)
    files.check_writable(out)
    with _alone(path):
        kept = load(path, commitment)
        if missing := [w for w in wanted if w not in kept.answers]:
            there = ", ".join(a[:16] for a in kept.answers)
            raise UsageError(f"accumulator {path}: an answer is missing: expected {missing[0][:16]}, found {there}")
        made = prove([(c.entry, c.secret) for c in kept.carried])
        closed = Accumulator(path, kept.model, kept.answers, (), digest(made))
        files.write(files.Written(out, made), closed.file())
    return len(kept.answers), made


def _apart(path: Path, other: Path) -> None:
    if path.resolve() == other.resolve():
        raise UsageError(f"{path}: the accumulator and the file to write are one; give --out another name")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Answers that end at one time are added one after the other. The lock is the directory's and leaves nothing."""
    path.absolute().parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.absolute().parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _pack(c: Carried) -> bytes:
    numbers = (c.secret.blind, c.secret.value, c.secret.value_blind)
    words = np.ascontiguousarray(of(c.secret.vector).host(c.secret.vector), dtype="<u8").tobytes()
    return c.entry.instance.encode() + b"".join(n.to_bytes(SCALAR_BYTES, "big") for n in numbers) + words


def _entries(
    what: str, sha256: object, answers: Sequence[str], body: bytes, commitment: PublicFile
) -> tuple[Carried, ...]:
    log_width = commitment.setup.parts.scheme.log_width
    public, size = Instance.size(log_width), Instance.size(log_width) + (3 + (1 << log_width)) * SCALAR_BYTES
    if len(body) != size * len(answers):
        raise FormatError(
            f"{what}: an answer is missing, or it is cut: expected {len(answers)} answers of {size} bytes, found "
            f"{len(body) // size} and {len(body) % size} bytes"
        )
    if digest(body) != sha256:
        raise FormatError(f"{what}: it is damaged: expected contents of digest {sha256}, found {digest(body)}")
    out = []
    for i, answer in enumerate(answers):
        part = body[i * size : (i + 1) * size]
        entry = Entry(answer, Instance.decode(part[:public]))
        at = [public + k * SCALAR_BYTES for k in range(4)]
        blind, value, value_blind = (int.from_bytes(part[a:b], "big") for a, b in zip(at[:3], at[1:], strict=True))
        vector = np.frombuffer(part[at[3] :], dtype="<u8").astype(np.uint64).reshape(-1, 4)
        out.append(Carried(entry, Secret(vector, blind, value, value_blind)))
    return tuple(out)
