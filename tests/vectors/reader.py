"""Reads proofs by docs/FORMAT.md alone. Imports nothing of zkcore: this is where an independent verifier may start."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from py_ecc.bls.point_compression import decompress_G1
from py_ecc.optimized_bls12_381 import b as CURVE
from py_ecc.optimized_bls12_381 import is_inf, is_on_curve, multiply

R = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001


# --- container --------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Container:
    magic: bytes
    header: dict[str, Any]
    body: bytes


def container(data: bytes) -> Container:
    version, size = int.from_bytes(data[8:12], "big"), int.from_bytes(data[12:16], "big")
    if version != 4 or size > 1 << 22 or len(data) < 16 + size:
        raise ValueError("no file of format version 4")
    header = json.loads(data[16 : 16 + size])
    if canonical(header) != data[16 : 16 + size]:
        raise ValueError("the header is not canonical")
    return Container(data[:8], header, data[16 + size :])


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


@dataclass(frozen=True)
class Commitment:
    header: dict[str, Any]
    tokenizer: bytes
    rows: bytes
    range_proof: bytes

    @property
    def model(self) -> bytes:
        """M of the statement."""
        h = self.header
        kept = {k: h[k] for k in ("architecture", "config", "plugins", "quantisation")}
        more = {"kind": "model", "format_version": 4, "tokenizer_sha256": h["tokenizer"][1]}
        return canonical({**kept, **more, "commitment_sha256": h["rows_sha256"]})


def commitment(data: bytes, row_bytes: int) -> Commitment:
    """`row_bytes` follows from the model's shapes."""
    found = container(data)
    length = found.header["tokenizer"][0]
    rows = found.body[length : length + row_bytes]
    if found.magic != b"ZKCMODEL" or hashlib.sha256(rows).hexdigest() != found.header["rows_sha256"]:
        raise ValueError("no commitment")
    return Commitment(found.header, found.body[:length], rows, found.body[length + row_bytes :])


def answer_statement(model: bytes, header: dict[str, Any], system: bytes) -> bytes:
    rest = {k: header[k] for k in ("prompt", "output", "nonce", "opening")}
    told = {**rest, "kind": "answer", "system": hashlib.sha256(system).hexdigest()}
    return len(model).to_bytes(8, "big") + model + canonical(told)


# --- transcript -------------------------------------------------------------------------------------------------------
class Transcript:
    def __init__(self, hiding: bool, statement: bytes) -> None:
        self.state = b"zkcore/3"
        self.absorb("mode", b"hiding" if hiding else b"clear")
        self.absorb("statement", statement)

    def absorb(self, label: str, data: bytes) -> None:
        parts = (self.state, label.encode(), data)
        self.state = hashlib.sha512(b"".join(len(p).to_bytes(8, "big") + p for p in parts)).digest()

    def challenge(self, label: str) -> int:
        self.absorb("challenge", label.encode())
        return int.from_bytes(self.state, "big") % R


# --- elements ---------------------------------------------------------------------------------------------------------
def scalar(data: bytes) -> int:
    value = int.from_bytes(data, "big")
    if len(data) != 32 or value >= R:
        raise ValueError("no canonical scalar")
    return value


def point(data: bytes) -> Any:
    found = decompress_G1(int.from_bytes(data, "big"))  # type: ignore[arg-type]
    if len(data) != 48 or not (is_inf(found) or is_on_curve(found, CURVE)) or not is_inf(multiply(found, R)):
        raise ValueError("no point of the group")
    return found


# --- multilinear extensions -------------------------------------------------------------------------------------------
def extension(cells: Sequence[Any], shape: Sequence[int], place: Sequence[Sequence[int]]) -> int:
    """Of nested lists, real cells only; a point for each axis."""
    if not shape:
        return int(cells) % R  # type: ignore[call-overload, no-any-return]
    total = 0
    for i in range(shape[0]):
        total += weight(i, place[0]) * extension(cells[i], shape[1:], place[1:])
    return total % R


def weight(index: int, coordinates: Sequence[int]) -> int:
    """eq: the first coordinate is the most significant bit's."""
    out, n = 1, len(coordinates)
    for k, x in enumerate(coordinates):
        out = out * (x if index >> (n - 1 - k) & 1 else 1 - x) % R
    return out


def after_round(values: Sequence[int], claim: int, at: int) -> int:
    """s(at), for s of degree len(values) given by s(0), s(2), ..., and s(0) + s(1) = claim."""
    points = [values[0], (claim - values[0]) % R, *values[1:]]
    total = 0
    for i, y in enumerate(points):
        above, below = 1, 1
        for j in range(len(points)):
            if i != j:
                above, below = above * (at - j) % R, below * (i - j) % R
        total += y * above * pow(below, -1, R)
    return total % R


def steps(vector: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int | None]]:
    """Every step of a recorded proof, with the challenge that this reader computes where one is drawn."""
    t = Transcript(vector["mode"] == "hiding", bytes.fromhex(vector["statement"]))
    for step in vector["steps"]:
        if "challenge" in step:
            yield step, t.challenge(step["challenge"])
            continue
        if "absorb" in step:
            t.absorb(step["absorb"], bytes.fromhex(step["data"]))
        yield step, None
