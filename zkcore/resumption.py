"""What `prove --checkpoint DIR` keeps, so that the same command goes on from there after a crash.

    answer        the generated tokens, when there are all
    forward       the committed tensors of the forward pass, when it is over

Nothing random is kept, nor anything that depends on it: a resumed proof draws every mask and blind afresh, and its
first message differs from that of the proof that was broken off. So two proofs with one witness are all that an
observer could ever see, as if the answer had been proved twice. What is kept is as secret as the activations
themselves: files are readable by their owner only, written whole or not at all, and removed once the proof is written.

A file names the request it belongs to (model, plugins and configuration by the commitment file's digest, this program's
version, prompt, nonce, how the proof opens), the forward pass also the digest of the whole statement; what belongs to
another is refused, and so is what is damaged. That is against mix-ups, not against whoever may write into the
directory: they could change the prover as well, and a proof of something false is refused as ever.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from zkcore import proof as files
from zkcore.errors import FormatError, UsageError
from zkcore.field.space import narrow, of
from zkcore.field.unmade import Given, whole
from zkcore.graph.arrays import Array
from zkcore.models.family import Sequence
from zkcore.settlement import difference
from zkcore.statement import canonical, digest, parse_json
from zkcore.version import __version__

ANSWER, FORWARD = "answer.safetensors", "forward.safetensors"
Tensors = dict[str, torch.Tensor]
Made = Callable[[], Mapping[str, Given]]


@dataclass(frozen=True)
class Request:
    """What one call of `prove` is about, before there is an answer. `commitment`: the public file's digest."""

    commitment: str
    prompt: tuple[int, ...]
    max_new_tokens: int
    nonce: bytes
    opening: str

    def content(self) -> dict[str, Any]:
        return {
            "zkcore": __version__,
            "commitment": self.commitment,
            "prompt": digest(canonical(list(self.prompt))),
            "max_new_tokens": self.max_new_tokens,
            "nonce": self.nonce.hex(),
            "opening": self.opening,
        }


class Stages:
    """Nothing is kept."""

    def sequence(self, make: Callable[[], Sequence]) -> Sequence:
        """The prompt with its answer, made or kept."""
        return make()

    def witness(self, statement: bytes, committed: set[str], make: Made, wide: bool = True) -> Mapping[str, Given]:
        """What the forward pass of this statement made, or of that what is `committed`: all else follows from it.
        `wide`: as 64-bit integers, else in the narrowest."""
        return make()

    def over(self) -> None:
        """The proof is written."""


@dataclass(frozen=True)
class Checkpoint(Stages):
    """A directory that keeps what is over. `resumed`: told of what was found there."""

    place: Path
    request: Request
    resumed: Callable[[str], None] = lambda what: None

    def sequence(self, make: Callable[[], Sequence]) -> Sequence:
        path, request = self.place / ANSWER, self.request.content()
        if path.exists():
            self.resumed("the answer")
            output = _load(path, request).get("output")
            if output is None or output.dtype != torch.int64 or output.ndim != 1:
                raise FormatError(f"checkpoint {path}: it holds no tokens")
            return Sequence((*self.request.prompt, *output.tolist()), len(self.request.prompt))
        made = make()
        _store(path, {"output": torch.tensor(made.generated)}, request)
        return made

    def witness(self, statement: bytes, committed: set[str], make: Made, wide: bool = True) -> Mapping[str, Given]:
        path, request = self.place / FORWARD, {**self.request.content(), "statement": digest(statement)}
        if path.exists():
            self.resumed("its forward pass")
            found = _load(path, request)
            if found.keys() != committed:
                raise FormatError(f"checkpoint {path}: it has other tensors than the statement")
            return {n: (v.long() if wide else v).numpy() for n, v in found.items()}
        made = make()
        _store(path, {n: torch.from_numpy(_kept(made[n])) for n in committed}, request)
        return made

    def over(self) -> None:
        for path in (self.place / ANSWER, self.place / FORWARD):
            path.unlink(missing_ok=True)
        with suppress(OSError):  # there may be something else in it
            self.place.rmdir()


def begin(place: Path | None, request: Request, resumed: Callable[[str], None]) -> Stages:
    """Checked before hours of work rather than after: is what is there ours, and can more be written?"""
    if place is None:
        return Stages()
    files.check_writable(place / ANSWER)
    for path in (place / ANSWER, place / FORWARD):
        if path.exists():
            _metadata(path, request.content())
    return Checkpoint(place, request, resumed)


def _kept(given: Given) -> Array:
    narrowed = narrow(whole(given))
    return of(narrowed).host(narrowed)


def _store(path: Path, tensors: Tensors, request: Mapping[str, Any]) -> None:
    whole = {n: t.contiguous() for n, t in tensors.items()}
    told = {"request": canonical(request).decode(), "sha256": _digest(whole)}
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.write(files.Written(path, save(whole, told), private=True))


def _load(path: Path, request: Mapping[str, Any]) -> Tensors:
    told = _metadata(path, request)
    tensors, _ = stored(path)
    if told.get("sha256") != _digest(tensors):
        raise FormatError(
            f"checkpoint {path}: it is damaged: expected contents of digest {told.get('sha256')}, found "
            f"{_digest(tensors)}; remove it to begin anew"
        )
    return tensors


def _metadata(path: Path, request: Mapping[str, Any]) -> dict[str, str]:
    """Raises UsageError unless it belongs to the request (and the statement, if that names one)."""
    _, told = stored(path, only_metadata=True)
    try:
        found = parse_json(told.get("request", ""))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise FormatError(f"checkpoint {path}: this is no checkpoint of a proof; give --checkpoint another directory")
    if "statement" not in request:
        found.pop("statement", None)
    if other := difference(dict(request), found):
        raise UsageError(
            f"checkpoint {path}: it belongs to another proof: {other}; finish that one, or remove it to begin anew"
        )
    return told


def _digest(tensors: Tensors) -> str:
    """Of names, types, shapes and contents."""
    total = hashlib.sha256()
    for name in sorted(tensors):
        t = tensors[name]
        total.update(json.dumps([name, str(t.dtype), list(t.shape)]).encode())
        total.update(hashlib.sha256(t.numpy().tobytes()).digest())
    return total.hexdigest()


def stored(path: Path, only_metadata: bool = False) -> tuple[Tensors, dict[str, str]]:
    """A safetensors file's tensors and metadata."""
    try:
        with safe_open(path, framework="pt") as f:
            names = [] if only_metadata else list(f.keys())
            return {n: f.get_tensor(n) for n in names}, dict(f.metadata() or {})
    except (SafetensorError, OSError) as e:
        raise FormatError(f"{path}: {e}") from None
