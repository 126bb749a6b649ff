"""Reading public.zkc: everything a client needs about a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from zkcore import proof as files
from zkcore.errors import FormatError
from zkcore.models.text import TextCodec
from zkcore.setup import Setup, from_header
from zkcore.statement import ModelStatement, digest


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
        codec = TextCodec.from_compressed(self.tokenizer)
        if codec.sha256 != self.tokenizer_sha256:
            raise FormatError("commitment file: the tokenizer is not the one its header names")
        return codec

    @property
    def statement(self) -> ModelStatement:
        return self.setup.statement(self.tokenizer_sha256, digest(self.rows))


def load(path: Path) -> PublicFile:
    return parse(files.read(path, "commitment file"))


def parse(data: bytes) -> PublicFile:
    container = files.unpack(data, files.COMMITMENT_MAGIC, "commitment file")
    header, body = container.header, container.body
    try:
        length, sha256 = header["tokenizer"]
        rows_sha256 = header["rows_sha256"]
    except (KeyError, TypeError, ValueError):
        raise FormatError("commitment file: its header is malformed") from None
    if set(header) != {"config", "plugins", "architecture", "quantisation", "tokenizer", "rows_sha256"}:
        raise FormatError("commitment file: its header has unknown or missing keys")
    _plausible(header, len(body))
    setup = from_header(header)
    size = setup.row_bytes()
    if not isinstance(length, int) or length < 0 or length + size > len(body):
        raise FormatError(f"commitment file: it is cut short ({len(body)} bytes, {size} of rows expected)")
    rows = body[length : length + size]
    if digest(rows) != rows_sha256:
        raise FormatError("commitment file: the rows are not those its header names")
    return PublicFile(setup, body[:length], rows, body[length + size :], str(sha256), digest(data))


def _plausible(header: dict[str, object], body: int) -> None:
    """A file of this size cannot commit to shapes like these: refuse before building anything."""
    shape = header.get("architecture")
    if not isinstance(shape, dict):
        raise FormatError("commitment file: its header is malformed")
    layers = shape.get("layers")
    if not isinstance(layers, int) or layers < 1 or layers * 48 > body:
        raise FormatError(f"commitment file: {body} bytes cannot hold {layers} layers")
