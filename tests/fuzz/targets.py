"""What reads a stranger's bytes. Each may return or raise one of zkcore's own errors, in little time; nothing else."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

from zkcore import config, inspection, proof, public, settlement
from zkcore.commitment.deferred import Instance
from zkcore.errors import ProofRejected, ZkcoreError
from zkcore.field import native
from zkcore.graph.system import System
from zkcore.models.text import TextCodec
from zkcore.statement import canonical
from zkcore.testing.attack_kit import systems
from zkcore.testing.toolbox import Weights, commit_weights, verify_system

HERE = Path(__file__).parent
MAGICS = (proof.COMMITMENT_MAGIC, proof.PROOF_MAGIC, proof.SETTLEMENT_MAGIC, proof.ACCUMULATOR_MAGIC)


def commitment(data: bytes) -> None:
    public.parse(data)


def described(data: bytes) -> None:
    with NamedTemporaryFile() as file:
        Path(file.name).write_bytes(data)
        inspection.describe(Path(file.name))


def settled(data: bytes) -> None:
    settlement.parse(data, 3)


def instance(data: bytes) -> None:
    Instance.decode(data[: Instance.size(3)].ljust(Instance.size(3), b"\0"))


def configuration(data: bytes) -> None:
    with NamedTemporaryFile(suffix=".yaml") as file:
        Path(file.name).write_bytes(data)
        config.load(Path(file.name))


def tokenizer(data: bytes) -> None:
    TextCodec.from_compressed(data, hashlib.sha256(data).hexdigest())


def points(data: bytes) -> None:
    """The engine says ValueError; what asks it turns that into ProofRejected."""
    with suppress(ValueError):
        native.load().decode(data[: len(data) // 48 * 48])


def answer(data: bytes) -> None:
    """Messages of a proof about a small system, to the last byte. In clear: what is wrong is found where it is read."""
    system, weights = _small()
    verify_system(system, data, weights=weights)


@cache
def _small() -> tuple[System, Weights]:
    truth = systems.lookups(True)[0]
    return truth.system, commit_weights(truth.system, truth.given)


TARGETS: tuple[Callable[[bytes], None], ...] = (
    commitment,
    described,
    settled,
    instance,
    configuration,
    tokenizer,
    points,
    answer,
)


def one(data: bytes) -> None:
    """The first byte chooses the target. Any exception that gets out is a finding."""
    if not data:
        return
    with suppress(ZkcoreError):
        TARGETS[data[0] % len(TARGETS)](data[1:])


# --- structure-aware changes ------------------------------------------------------------------------------------------
STRANGE = [None, True, -1, 0, 1, 255, 1 << 31, 1 << 63, 1 << 255, "", "x" * 300, "\ud800", [], {}, [[]], {"": []}, 1.5]


def changed(data: bytes, rng: random.Random) -> bytes:
    """A file of ours with something else in it, mostly with a header that is canonical JSON again."""
    kind, body = data[:1], data[1:]
    if body[:8] in MAGICS and rng.random() < 0.8:
        return kind + _container(body, rng)
    made = bytearray(body)
    for _ in range(rng.choice([1, 1, 2, 8])):
        at = rng.randrange(len(made) + 1)
        match rng.randrange(4):
            case 0 if made:
                made[at % len(made)] = rng.randrange(256)
            case 1:
                made[at:at] = rng.randbytes(rng.choice([1, 4, 48]))
            case 2:
                del made[at : at + rng.choice([1, 4, 48, 1000])]
            case _:
                made[at:at] = made[rng.randrange(len(made) + 1) :][:64]
    return kind + bytes(made)


def _container(body: bytes, rng: random.Random) -> bytes:
    size = int.from_bytes(body[12:16], "big")
    try:
        header = json.loads(body[16 : 16 + size])
    except ValueError:
        return rng.choice(MAGICS) + body[8:]
    rest = body[16 + size :]
    for _ in range(rng.choice([1, 1, 2, 4])):
        header = _in_json(header, rng)
    if rng.random() < 0.3:
        rest = rest[: rng.randrange(len(rest) + 1)] + rng.randbytes(rng.choice([0, 1, 48]))
    try:
        text = canonical(header)
    except (ValueError, TypeError):
        return body
    length = len(text) if rng.random() < 0.95 else rng.choice([0, 1, 1 << 22, 1 << 31])
    return body[:8] + rng.choice([1, 1, 1, 1, 2]).to_bytes(4, "big") + length.to_bytes(4, "big") + text + rest


def _in_json(value: object, rng: random.Random) -> object:
    """One leaf, somewhere, is another value, or gone, or twice there."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        match rng.randrange(12):
            case 0:
                return {k: v for k, v in value.items() if k != key}
            case 1:
                return {**value, rng.choice(["", "x", "__class__", key + "_"]): rng.choice(STRANGE)}
            case _:
                return {**value, key: _in_json(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.8:
        at = rng.randrange(len(value))
        return [*value[:at], _in_json(value[at], rng), *value[at + 1 :], *value[: rng.choice([0, 0, 1])]]
    if isinstance(value, int) and rng.random() < 0.5:
        return value + rng.choice([-1, 1, 1 << 20, -(1 << 20)])
    return rng.choice(STRANGE)


# --- where to begin ---------------------------------------------------------------------------------------------------
@cache
def corpus() -> tuple[bytes, ...]:
    """What is kept in the repository: small files of every kind, and what was found once."""
    return tuple(p.read_bytes() for p in sorted((HERE / "corpus").iterdir()))


def of_a_model(place: Path) -> list[bytes]:
    """Real files, of a commitment directory with a proof beside it."""
    made = []
    for path in (place / "commitment" / "public.zkc", place / "answer.zkp"):
        made += [bytes([kind]) + path.read_bytes() for kind in (0, 1)]
    return made


__all__ = ["TARGETS", "ProofRejected", "changed", "corpus", "of_a_model", "one"]
