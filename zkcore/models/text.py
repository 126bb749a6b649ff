"""Text to tokens and back, from the bytes of a tokenizer.json alone. No torch, no transformers."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from tokenizers import Tokenizer

from zkcore.errors import FormatError, UsageError

MAX_TOKENIZER = 1 << 26
_OURS = (KeyboardInterrupt, SystemExit)


class TextCodec:
    def __init__(self, tokenizer_json: bytes) -> None:
        self._bytes = tokenizer_json
        try:
            self._tokenizer = Tokenizer.from_buffer(tokenizer_json)
            # Settings of a training run, which transformers passes over as well: a prompt is never cut or filled up.
            self._tokenizer.no_truncation()
            self._tokenizer.no_padding()
        except BaseException as e:
            raise _refusal(e, "cannot be read") from None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self._bytes).hexdigest()

    def compressed(self) -> bytes:
        return zlib.compress(self._bytes, 9)

    @staticmethod
    def from_compressed(data: bytes, sha256: str) -> TextCodec:
        """Refuses what would unpack to more than 64 MB, and a tokenizer other than expected."""
        stream = zlib.decompressobj()
        try:
            out = stream.decompress(data, MAX_TOKENIZER)
        except zlib.error as e:
            raise FormatError(f"the tokenizer cannot be unpacked: {e}") from None
        if stream.unconsumed_tail or stream.unused_data or not stream.eof:
            raise FormatError("the tokenizer cannot be unpacked: too large, or something follows it")
        if hashlib.sha256(out).hexdigest() != sha256:
            raise FormatError("the tokenizer is not the one that the header names")
        return TextCodec(out)

    def encode(self, text: str) -> tuple[int, ...]:
        """As transformers would, special tokens included."""
        try:
            text.encode()
            tokens = tuple(self._tokenizer.encode(text).ids)
        except UnicodeEncodeError as e:
            raise UsageError(f"the text is not Unicode: {e.reason} at character {e.start}") from None
        except BaseException as e:
            raise _refusal(e, "cannot encode the text") from None
        if not tokens:
            raise UsageError("the text has no tokens")
        return tokens

    def show(self, tokens: Sequence[int]) -> str:
        """A prompt for people to read. If text alone would not give these tokens again, special ones are spelled out:
        they may change what a model does."""
        text = self.decode(tokens)
        same = bool(text) and self.encode(text) == tuple(tokens)
        return text if same else self.decode(tokens, special=True)

    def decode(self, tokens: Sequence[int], special: bool = False) -> str:
        try:
            return str(self._tokenizer.decode(list(tokens), skip_special_tokens=not special))
        except BaseException as e:
            raise _refusal(e, "cannot decode the tokens") from None


def _refusal(error: BaseException, what: str) -> BaseException:
    """The library raises bare exceptions, and panics, which are no exceptions of Python's."""
    return error if isinstance(error, _OURS) else FormatError(f"the tokenizer {what}: {error}")


def beside(path: Path | None, model_dir: Path, name: str) -> str:
    """The text file given, the one of this name beside the checkpoint, or the one that ships."""
    chosen = path or Path(model_dir).joinpath(name)
    if path is None and not chosen.exists():
        return files("zkcore.models").joinpath("default_text.txt").read_text(encoding="utf-8")
    try:
        return chosen.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{chosen}: {e}") from None
