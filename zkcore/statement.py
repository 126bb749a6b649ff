"""The statement: all that is public about an answer, absorbed whole before anything else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

FORMAT_VERSION = 4
COMPLETE, DEFERRED = "complete", "deferred"  # how a proof opens its commitments
MAX_BRACKETS = 1000  # in a stranger's JSON: what nests deeper can overflow the parser's stack


def canonical(value: object) -> bytes:
    """One encoding for each value: sorted keys, no spaces, no floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()


def parse_json(text: str, **options: Any) -> Any:
    """A stranger's JSON. Raises ValueError."""
    if text.count("[") + text.count("{") > MAX_BRACKETS:
        raise ValueError(f"more than {MAX_BRACKETS} brackets")
    try:
        return json.loads(text, **options)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class ModelStatement:
    """What a commitment file says about a model; part of every answer's statement."""

    format_version: int
    config: Mapping[str, Any]
    plugins: tuple[tuple[str, str], ...]
    architecture: Mapping[str, Any]
    quantisation: Mapping[str, Any]
    tokenizer_sha256: str
    commitment_sha256: str  # of the weights' rows

    def encode(self) -> bytes:
        return canonical({"kind": "model", **asdict(self)})

    def ranges(self) -> bytes:
        """What the commitment file's own proof is about: every weight lies in its interval."""
        return b"weight ranges" + self.encode()


@dataclass(frozen=True)
class Statement:
    """There are weights W with Com(W) = C such that IntegerModel(W, prompt) = output.

    `system_sha256`: of the relations both sides derive for this sequence length. `nonce` comes from the client.
    `opening`: whether the proof opens the commitments itself or leaves that to a settlement."""

    model: ModelStatement
    prompt: tuple[int, ...]
    output: tuple[int, ...]
    system_sha256: str
    nonce: bytes = b""
    opening: str = COMPLETE

    def encode(self) -> bytes:
        """The nonce follows the commitment: whoever commits cannot have known it."""
        rest = {
            "kind": "answer",
            "prompt": list(self.prompt),
            "output": list(self.output),
            "system": self.system_sha256,
            "nonce": self.nonce.hex(),
            "opening": self.opening,
        }
        model, rest_bytes = self.model.encode(), canonical(rest)
        return len(model).to_bytes(8, "big") + model + rest_bytes
