"""Settlement files: one opening for what many answers left open (the argument: commitment/deferred.py).

A settlement names each answer by the digest of its proof file, with the answer's instance. A client with one answer
finds its own entry, compares it with the instance that its own check of the answer yields, and checks the settlement:
it needs nobody else's proof file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zkcore import proof as files
from zkcore.commitment.deferred import Instance, Secret, settle
from zkcore.errors import FormatError, ProofRejected
from zkcore.public import PublicFile
from zkcore.setup import Setup, toolbox
from zkcore.statement import ModelStatement, canonical
from zkcore.transcript.channel import Channel, ProverChannel, VerifierChannel
from zkcore.transcript.transcript import Transcript

WHAT = "settlement file"


@dataclass(frozen=True)
class Entry:
    """`answer`: the digest of its proof file."""

    answer: str
    instance: Instance


@dataclass(frozen=True)
class Settlement:
    """A settlement file, its entries cut but not yet proved."""

    model: Mapping[str, Any]
    entries: tuple[Entry, ...]
    proof: bytes


def plain(model: ModelStatement) -> dict[str, Any]:
    """As a file's header has it."""
    made: dict[str, Any] = json.loads(canonical(asdict(model)))
    return made


def prove(commitment: PublicFile, carried: Sequence[tuple[Entry, Secret]], cache_dir: Path | None) -> bytes:
    """A settlement file's bytes."""
    entries = [e for e, _ in carried]
    channel = ProverChannel(b"".join(s.vector.tobytes() + s.blind.to_bytes(32, "big") for _, s in carried))
    _run(commitment, channel, entries, [s for _, s in carried], cache_dir)
    header = {"model": plain(commitment.statement), "answers": [e.answer for e in entries]}
    body = [e.instance.encode() for e in entries]
    return files.pack(files.SETTLEMENT_MAGIC, header, [*body, bytes(channel.proof)])


@dataclass(frozen=True)
class Settled:
    """What a settlement proves, checked. Only `judge` makes one."""

    model: ModelStatement
    entries: tuple[Entry, ...]

    def require(self, commitment: PublicFile, own: Entry) -> None:
        """Raises ProofRejected unless `own` is among it."""
        if self.model != commitment.statement:
            raise ProofRejected("a settlement of another model or configuration")
        mine = [e for e in self.entries if e.answer == own.answer]
        if not mine:
            there = ", ".join(e.answer[:16] for e in self.entries)
            raise ProofRejected("the answer is not in this settlement", f"expected {own.answer[:16]}, found {there}")
        if mine != [own]:
            raise ProofRejected("the settlement has another instance of this answer", own.answer[:16])


def judge(commitment: PublicFile, data: bytes, cache_dir: Path | None) -> Settled:
    """Raises ProofRejected unless every instance in the file has a witness."""
    try:
        found = parse(data, commitment.setup.parts.scheme.log_width)
    except FormatError as e:
        raise ProofRejected("malformed settlement file", str(e)) from None
    if other := difference(plain(commitment.statement), found.model):
        raise ProofRejected("a settlement of another model or configuration", other)
    _run(commitment, VerifierChannel(found.proof), found.entries, None, cache_dir)
    return Settled(commitment.statement, found.entries)


def parse(data: bytes, log_width: int) -> Settlement:
    container = files.unpack(data, files.SETTLEMENT_MAGIC, WHAT)
    header = container.header
    if set(header) != {"model", "answers"} or not isinstance(header["model"], dict):
        raise FormatError(f"{WHAT}: its header has unknown or missing keys")
    answers = digests(header["answers"], WHAT)
    size = Instance.size(log_width)
    if len(answers) * size > len(container.body):
        raise FormatError(f"{WHAT}: it is cut short: {len(answers)} answers take {len(answers) * size} bytes")
    parts = [container.body[i * size : (i + 1) * size] for i in range(len(answers))]
    entries = tuple(Entry(a, Instance.decode(p)) for a, p in zip(answers, parts, strict=True))
    return Settlement(header["model"], entries, container.body[len(answers) * size :])


def digests(value: object, what: str) -> list[str]:
    """At least one, no two alike."""
    found = [str(x) for x in value] if isinstance(value, list) else []
    if not found or found != value or any(len(x) != 64 for x in found) or len({*found}) != len(found):
        raise FormatError(f"{what}: its header is malformed: answers")
    return found


def difference(expected: object, found: object, path: str = "") -> str:
    """Where two of our JSON values first differ, with what was expected and found; empty if nowhere."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in sorted({*expected, *found}, key=_telling):
            inner = f"{path}.{key}" if path else key
            if said := difference(expected.get(key), found.get(key), inner):
                return said
        return ""
    return "" if canonical(expected) == canonical(found) else f"{path}: expected {expected}, found {found}"


def _telling(key: str) -> tuple[bool, str]:
    """Plugins and configuration tell more than the digest that follows from them."""
    return key not in ("config", "plugins"), key


def stated(model: bytes, entries: Sequence[Entry]) -> bytes:
    """What a settlement is about: the model (its statement's encoding), and every answer with its instance."""
    told = {"kind": "settlement", "answers": [[e.answer, e.instance.encode().hex()] for e in entries]}
    return b"settlement" + model + canonical(told)


def _run(
    commitment: PublicFile,
    channel: Channel,
    entries: Sequence[Entry],
    secrets: Sequence[Secret] | None,
    cache_dir: Path | None,
) -> None:
    """Both sides."""
    setup: Setup = commitment.setup
    statement = stated(commitment.statement.encode(), entries)
    t = Transcript(channel, toolbox(cache_dir), statement, hiding=setup.parts.config.zero_knowledge)
    settle(t, setup.parts.scheme, [e.instance for e in entries], secrets)
