"""Reading public.zkc: everything a client needs about a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ParamSpec, TypeVar

from zkcore import proof as files
from zkcore.errors import FormatError, ProofRejected
from zkcore.graph.system import System
from zkcore.models.family import Sequence
from zkcore.models.text import TextCodec
from zkcore.setup import Setup, from_header
from zkcore.statement import ModelStatement, Statement, canonical, digest
from zkcore.transcript.wire import POINT_BYTES

WHAT, NAME = "commitment file", "public.zkc"
SHORT = 4096  # tokens whose system is built without further ado
Given = ParamSpec("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class PublicFile:
    """A commitment file, its sizes checked against its own header's shapes before anything is built from them."""

    setup: Setup
    tokenizer: bytes
    rows: bytes
    certificate: bytes
    tokenizer_sha256: str
    sha256: str

    @cached_property
    def codec(self) -> TextCodec:
        return TextCodec.from_compressed(self.tokenizer, self.tokenizer_sha256)

    def system(self, sequence: Sequence, messages: int | None = None) -> System:
        """What is proved about a sequence. `messages`: bytes of a stranger's proof of it. What takes memory grows with
        the square of the tokens, which are written down quickly; but the more of them, the more is committed, too. So
        a long sequence is only built if the messages could hold the rows of its beginnings, the shorter ones first."""
        length = SHORT
        while messages is not None and length < len(sequence.tokens):
            if self._committed_bytes(Sequence(sequence.tokens[:length], length - 1)) > messages:
                raise ProofRejected("proof too short", f"{messages} bytes about {len(sequence.tokens)} tokens")
            length *= 2
        return building(self.setup.system, sequence)

    def _committed_bytes(self, sequence: Sequence) -> int:
        """At least, of its proof's messages."""
        shapes = [t.shape for t in building(self.setup.system, sequence).of_kind("committed")]
        return POINT_BYTES * sum(-(-math.prod(s) >> self.setup.parts.scheme.log_width) for s in shapes)

    @property
    def statement(self) -> ModelStatement:
        return self.setup.statement(self.tokenizer_sha256, digest(self.rows))

    def answer(self, sequence: Sequence, system: System, nonce: bytes, opening: str) -> Statement:
        """What a proof about a sequence says. `system`: the sequence's."""
        prompt, sha256 = sequence.tokens[: sequence.prompt_length], digest(system.describe())
        return Statement(self.statement, prompt, sequence.generated, sha256, nonce, opening)


def place(path: Path) -> Path:
    """The file, also if the directory is named that `commit` made."""
    return path.joinpath(NAME) if path.is_dir() else path


def load(path: Path) -> PublicFile:
    """See `place`."""
    return parse(files.read(place(path), WHAT))


def parse(data: bytes) -> PublicFile:
    container = files.unpack(data, files.COMMITMENT_MAGIC, WHAT)
    header, body = container.header, container.body
    if set(header) != {"config", "plugins", "architecture", "quantisation", "tokenizer", "rows_sha256"}:
        raise FormatError(f"{WHAT}: its header has unknown or missing keys")
    length, sha256 = _tokenizer(header["tokenizer"])
    _plausible(header, len(body))
    setup = building(from_header, header)
    _same(header, setup)
    size = building(_row_bytes, setup, len(body))
    if length + size > len(body):
        raise FormatError(f"{WHAT}: it is cut short ({len(body)} bytes, {size} of rows expected)")
    rows = body[length : length + size]
    if digest(rows) != header["rows_sha256"]:
        raise FormatError(f"{WHAT}: the rows are not those its header names")
    return PublicFile(setup, body[:length], rows, body[length + size :], sha256, digest(data))


def building(make: Callable[Given, Made], *args: Given.args, **options: Given.kwargs) -> Made:
    """make(*args): something from numbers that a stranger chose, which may fit together in no way."""
    try:
        return make(*args, **options)
    except (ArithmeticError, LookupError, TypeError, ValueError) as e:
        raise FormatError(f"{WHAT}: its header describes no model: {type(e).__name__}: {e}") from e


def _tokenizer(entry: object) -> tuple[int, str]:
    """Bytes, and digest."""
    match entry:
        case [int(length), str(sha256)] if not isinstance(length, bool) and length >= 0:
            return length, sha256
    raise FormatError(f"{WHAT}: its header is malformed: tokenizer")


def _plausible(header: Mapping[str, object], body: int) -> None:
    """A file of this size cannot commit to so many layers: refuse before building anything."""
    shape = header["architecture"]
    if not isinstance(shape, dict):
        raise FormatError(f"{WHAT}: its header is malformed: architecture")
    layers = shape.get("layers")
    if not isinstance(layers, int) or layers < 1 or layers * POINT_BYTES > body:
        raise FormatError(f"{WHAT}: {body} bytes cannot hold {layers} layers")


def _same(header: Mapping[str, object], setup: Setup) -> None:
    """Nothing is left to defaults, and nothing is said twice in different ways."""
    if any(canonical(header[k]) != canonical(v) for k, v in setup.header().items()):
        raise FormatError(f"{WHAT}: its header leaves settings out")
    if setup.parts.config.commitment.log_width == "auto":
        raise FormatError(f"{WHAT}: its header leaves commitment.log_width open")
    if setup.quantisation.bits != setup.parts.config.model:
        raise FormatError(f"{WHAT}: its quantisation is not of its configuration")


def _row_bytes(setup: Setup, body: int) -> int:
    """Rows hold so many weights at most; counting them exactly takes memory for each."""
    entries = sum(math.prod(w.shape) for w in setup.weights().values())
    if entries > body // POINT_BYTES << setup.parts.config.commitment.width:
        raise FormatError(f"{WHAT}: {body} bytes cannot commit to {entries} weights")
    return setup.row_bytes()
