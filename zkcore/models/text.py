"""Text to tokens and back, from the bytes of a tokenizer.json alone. No torch, no transformers."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

from tokenizers import Tokenizer

from zkcore.errors import FormatError, UsageError

MAX_TOKENIZER = 1 << 28


class TextCodec:
    def __init__(self, tokenizer_json: bytes) -> None:
        self._bytes = tokenizer_json
        try:
            self._tokenizer = Tokenizer.from_buffer(tokenizer_json)
        except Exception as e:  # the library raises bare exceptions
            raise FormatError(f"the tokenizer cannot be read: {e}") from None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self._bytes).hexdigest()

    def compressed(self) -> bytes:
        return zlib.compress(self._bytes, 9)

    @staticmethod
    def from_compressed(data: bytes) -> TextCodec:
        """Refuses what would unpack to more than 256 MB."""
        stream = zlib.decompressobj()
        try:
            out = stream.decompress(data, MAX_TOKENIZER)
        except zlib.error as e:
            raise FormatError(f"the tokenizer cannot be unpacked: {e}") from None
        if stream.unconsumed_tail or stream.unused_data or not stream.eof:
            raise FormatError("the tokenizer cannot be unpacked: too large, or something follows it")
        return TextCodec(out)

    def encode(self, text: str) -> tuple[int, ...]:
        """As transformers would, special tokens included."""
        tokens = tuple(self._tokenizer.encode(text).ids)
        if not tokens:
            raise UsageError("the prompt is empty")
        return tokens

    def decode(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(tokens)))
