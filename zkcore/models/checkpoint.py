"""Reads a Hugging Face checkpoint directory: config.json, tokenizer.json and safetensors weights.

Everything in the directory is a stranger's: no pickle is ever opened, no file outside it is followed, and a weight that
is not finite is refused. `load_config` and `tokenizer_file` need neither torch nor safetensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from numpy.typing import NDArray

from zkcore.errors import ModelError
from zkcore.statement import parse_json

if TYPE_CHECKING:
    import torch

CONFIG, TOKENIZER, WEIGHTS, INDEX = "config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json"
DTYPES = ("F32", "F16", "BF16")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
# Tables that old checkpoints store although they follow from the configuration.
DERIVED = (".rotary_emb.inv_freq", ".attn.bias", ".attn.masked_bias")


def load_config(directory: Path) -> dict[str, Any]:
    """The model's config.json, which names its family."""
    content = _json_object(_member(directory, CONFIG))
    if not isinstance(content.get("model_type"), str):
        raise ModelError(f"{CONFIG}: it has no model_type, which names the family of the model")
    return content


def tokenizer_file(directory: Path) -> bytes:
    """The bytes of tokenizer.json, whose hash is part of the statement."""
    return _member(directory, TOKENIZER).read_bytes()


def load_tensors(directory: Path) -> Tensors:
    """The weights by name, from model.safetensors or from the shards that its index lists. Nothing is read yet."""
    if (directory / WEIGHTS).exists():
        return Tensors({WEIGHTS: _open(_member(directory, WEIGHTS))})
    if (directory / INDEX).exists():
        return _load_shards(directory)
    _refuse_without_safetensors(directory)


class Tensors(Mapping[str, "torch.Tensor"]):
    """Weights by name; each is read, widened to float32 and checked when it is asked for, and not kept."""

    def __init__(self, shards: Mapping[str, Any]) -> None:
        self._shards = dict(shards)
        self._shard_of: dict[str, str] = {}
        for shard, handle in shards.items():
            for name in handle.keys():  # noqa: SIM118 - the handle is no dict
                if name in self._shard_of:
                    raise ModelError(f"tensor {name} is both in {self._shard_of[name]} and in {shard}")
                self._shard_of[name] = shard

    def __getitem__(self, name: str) -> torch.Tensor:
        part = self._slice(name)
        if part.get_dtype() not in DTYPES:
            raise ModelError(f"tensor {name}: dtype {part.get_dtype()} is not supported, only {', '.join(DTYPES)}")
        tensor: torch.Tensor = self._shards[self._shard_of[name]].get_tensor(name).float()
        if not bool(tensor.isfinite().all()):
            raise ModelError(f"tensor {name}: holds NaN or infinite values, the checkpoint is damaged")
        return tensor

    def packed(self, name: str) -> torch.Tensor:
        """Bytes (uint8) as they are: weights that a family unpacks itself."""
        if self.dtype(name) != "U8":
            raise ModelError(f"tensor {name}: expected packed weights, dtype U8, not {self.dtype(name)}")
        tensor: torch.Tensor = self._shards[self._shard_of[name]].get_tensor(name)
        return tensor

    def dtype(self, name: str) -> str:
        """As safetensors names it; without reading the values."""
        return str(self._slice(name).get_dtype())

    def __contains__(self, name: object) -> bool:
        """Without reading the values."""
        return name in self._shard_of

    def __iter__(self) -> Iterator[str]:
        return iter(self._shard_of)

    def __len__(self) -> int:
        return len(self._shard_of)

    def shape(self, name: str) -> tuple[int, ...]:
        """Without reading the values."""
        return tuple(self._slice(name).get_shape())

    def shard_of(self, name: str) -> str:
        """The file the tensor is in."""
        return self._shard_of[name]

    def _slice(self, name: str) -> Any:
        return self._shards[self._shard_of[name]].get_slice(name)


def check_tensors(tensors: Tensors, expected: Mapping[str, tuple[int, ...]]) -> None:
    """Are these exactly the tensors the configuration asks for? All differences are named at once."""
    stored = {name for name in tensors if not name.endswith(DERIVED)}
    problems = [f"missing tensor {name} of shape {expected[name]}" for name in expected if name not in tensors]
    problems += [f"unexpected tensor {name}" for name in sorted(stored - expected.keys())]
    problems += [
        f"tensor {name}: expected shape {shape}, the file has {tensors.shape(name)}"
        for name, shape in expected.items()
        if name in tensors and tensors.shape(name) != shape
    ]
    if problems:
        raise ModelError(f"the weights do not fit {CONFIG}:\n" + _listing(problems))


def tensors_digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Of tensors with their names, in whatever order they are kept."""
    total = hashlib.sha256()
    for name in sorted(arrays):
        total.update(hashlib.sha256(name.encode()).digest() + hashlib.sha256(arrays[name].tobytes()).digest())
    return total.hexdigest()


def _load_shards(directory: Path) -> Tensors:
    index = _shard_index(directory)
    tensors = Tensors({shard: _open(_member(directory, shard)) for shard in sorted(set(index.values()))})
    problems = [f"{shard} lacks tensor {name}" for name, shard in index.items() if name not in tensors]
    problems += [f"{tensors.shard_of(name)} holds tensor {name}" for name in tensors if name not in index]
    problems += [
        f"tensor {name} is in {tensors.shard_of(name)}, not in {shard}"
        for name, shard in index.items()
        if name in tensors and tensors.shard_of(name) != shard
    ]
    if problems:
        raise ModelError(f"{directory}: the shards do not fit {INDEX}:\n" + _listing(problems))
    return tensors


def _shard_index(directory: Path) -> dict[str, str]:
    """Tensor name to shard file."""
    weight_map = _json_object(_member(directory, INDEX)).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelError(f"{directory / INDEX}: expected an object weight_map from tensor names to file names")
    for shard in weight_map.values():
        if not isinstance(shard, str) or not shard.endswith(".safetensors"):
            raise ModelError(f"{directory / INDEX}: {shard!r} is no safetensors file")
    return weight_map


def _member(directory: Path, name: str) -> Path:
    """A file of the directory: a plain name, and no link that leads out of the checkpoint."""
    if not directory.is_dir():
        raise ModelError(f"{directory} is no directory; expected a Hugging Face checkpoint with {CONFIG}")
    if name in ("", ".", "..") or any(char in name for char in "/\\\0"):
        raise ModelError(f"{directory}: {name!r} is no plain file name inside the checkpoint")
    path = directory / name
    if not path.is_file():
        raise ModelError(f"{directory}: there is no file {name}")
    if not path.resolve().is_relative_to(_root(directory)):
        raise ModelError(f"{path} links to a file outside the checkpoint; copy that file into the directory")
    return path


def _root(directory: Path) -> Path:
    """The directory itself; of a hub cache (MODEL/snapshots/REVISION links to MODEL/blobs) the model's own folder."""
    real = directory.resolve()
    return real.parent.parent if real.parent.name == "snapshots" else real


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = parse_json(path.read_text(encoding="utf-8"), parse_constant=_no_constant)
    except (ValueError, OSError) as error:
        raise ModelError(f"{path} is no valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


def _open(path: Path) -> Any:
    """A safetensors handle: it reads the header now, and a tensor when asked."""
    try:
        import torch  # noqa: F401 - safe_open wants it, and says so less clearly
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise ModelError("reading weights needs the prover's packages: pip install 'zkcore[prove]'") from error
    try:
        return safe_open(path, framework="pt")
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is no valid safetensors file: {error}") from error


def _refuse_without_safetensors(directory: Path) -> NoReturn:
    pickles = sorted(path.name for pattern in PICKLES for path in directory.glob(pattern))
    if pickles:
        raise ModelError(
            f"{directory}: only pickled weights ({pickles[0]}), which can run code when opened; convert them to "
            "safetensors where you trust them: AutoModelForCausalLM.from_pretrained(DIR).save_pretrained(NEW_DIR)"
        )
    raise ModelError(f"{directory}: found neither {WEIGHTS} nor {INDEX}")


def _listing(problems: Iterable[str], most: int = 20) -> str:
    lines = [f"  {problem}" for problem in problems]
    return "\n".join(lines[:most] + ([f"  ... and {len(lines) - most} more"] if len(lines) > most else []))
