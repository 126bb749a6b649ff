"""The YAML configuration: strict, all problems reported at once, everything in it part of the statement."""

from __future__ import annotations

import re
import reprlib
from collections import Counter
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from zkcore.errors import ConfigError


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Listed = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)  # YAML and JSON have lists


class StrategyConfig(Strict):
    """How the repeated blocks are proved. `batching`: one lookup tree and one opening for the whole proof (one), one of
    each a layer (each_layer), or a tree for every `tree_layers` layers, under folding as many cells, and one
    opening (layer_trees). folded_layers: how many layers folding takes at a time; fewer take less memory and make
    longer proofs."""

    name: str = "per_layer"
    batching: Literal["one", "each_layer", "layer_trees"] = "one"
    tree_layers: int = Field(default=1, ge=1)
    folded_layers: Annotated[int, Field(ge=1)] | Literal["all"] = "all"

    def group(self, name: str) -> str:
        """Of lookups that share a tree: those of the same layers, and all others. `name`: of a tensor, or its scope."""
        found = re.match(r"layers\.(\d+)\.", name)
        if self.batching == "one" or not found:
            return ""
        apart = self.tree_layers if self.batching == "layer_trees" else 1
        return f"layers.{int(found[1]) // apart * apart}"

    def opening(self, name: str) -> str:
        """Of tensors that are opened together."""
        return self.group(name) if self.batching == "each_layer" else ""


NARROWEST, WIDEST = 11, 20  # of commitment rows; digests of up to 2^20 generators are pinned


class CommitmentConfig(Strict):
    """log_width: log2 of the entries of a commitment row, "auto" from the model's size. Wider rows: fewer bytes, a
    longer generator vector."""

    name: str = "hyrax"
    log_width: Annotated[int, Field(ge=3, le=WIDEST)] | Literal["auto"] = "auto"

    @property
    def width(self) -> int:
        """Before a model is known, the narrowest that is chosen."""
        return NARROWEST if self.log_width == "auto" else self.log_width

    def settled(self, weights: int) -> CommitmentConfig:
        """For a model of `weights` weights. Of N entries a proof holds N / width points, and the verifier works on
        width generators: about N^(2/3) keeps both in seconds and megabytes from small models to large ones."""
        if self.log_width != "auto":
            return self
        best = 2 * weights.bit_length() // 3 - 2
        return self.model_copy(update={"log_width": min(max(best, NARROWEST), WIDEST)})


class ZkAttentionConfig(Strict):
    """Segments of zkattn, least significant first. segment_bits: log2 of each base; the first may be "auto", then it
    holds the bits below 2^-step_bits nats. low: how many of them are only range-checked; high: how many make a weight 0
    unless they are 0. theta_bits: fraction bits of the exp tables of those between."""

    segment_bits: Annotated[tuple[Annotated[int, Field(ge=1, le=20)] | Literal["auto"], ...], Listed] = ("auto", 16, 16)
    low: int = Field(default=1, ge=0)
    high: int = Field(default=0, ge=0)
    theta_bits: Annotated[tuple[Annotated[int, Field(ge=1, le=22)], ...], Listed] = (5, 11)
    step_bits: int = Field(default=19, ge=4, le=24)

    @model_validator(mode="after")
    def _consistent(self) -> ZkAttentionConfig:
        middle = len(self.segment_bits) - self.low - self.high
        if middle < 1:
            raise ValueError(
                f"{len(self.segment_bits)} segments leave none between low {self.low} and high {self.high}"
            )
        if len(self.theta_bits) != middle:
            raise ValueError(f"theta_bits needs {middle} entries, one for each segment that is neither low nor high")
        if "auto" in self.segment_bits[1:] or (self.low == 0 and "auto" in self.segment_bits):
            raise ValueError('only the first segment may be "auto", and only if it is a low one')
        if sum(self.theta_bits) > 30:
            raise ValueError("theta_bits: weights of more than 30 bits leave 64-bit integers when they are summed")
        return self


class AttentionConfig(Strict):
    """tile: positions of an attention tile (a power of two). step_bits: log2 of the exp table's steps per nat.
    index_bits: log2 of the exp table, "auto" from calibration. exp_fraction: fraction bits of its entries."""

    name: str = "attention"
    tile: Literal[16, 32, 64, 128, 256, 512, 1024] = 64
    step_bits: int = Field(default=7, ge=4, le=12)
    index_bits: Annotated[int, Field(ge=1, le=18)] | Literal["auto"] = "auto"
    exp_fraction: int = Field(default=14, ge=8, le=16)
    zkattn: ZkAttentionConfig = ZkAttentionConfig()


class ModelConfig(Strict):
    """Bits of the integer model. Intervals are signed; fractions come from calibration. encoding: "plain" (weights of
    weight_bits bits), or another one for which a plugin has families, e.g. "ternary". table_bits: log2 of a function's
    table; of ranges' too, unless so many cells are looked up that fewer limbs and a longer table cost less."""

    encoding: str = "plain"
    weight_bits: int = Field(default=16, ge=4, le=20)
    activation_bits: int = Field(default=16, ge=8, le=20)
    hidden_bits: int = Field(default=20, ge=8, le=28)
    logit_bits: int = Field(default=32, ge=8, le=60)
    table_bits: int = Field(default=16, ge=8, le=18)
    rope_fraction: int = Field(default=14, ge=8, le=16)
    attention: AttentionConfig = AttentionConfig()


class CalibrationConfig(Strict):
    """headroom_bits: room above the largest value seen in the calibration text. tokens: how much of it is read."""

    headroom_bits: int = Field(default=1, ge=0, le=4)
    tokens: int = Field(default=4096, ge=64)
    window: int = Field(default=128, ge=16)


class Config(Strict):
    """device: where proofs are made. memory_limit: GiB of memory that a prover takes at most, null for all; the less,
    the more is computed twice, and what cannot be kept is refused at the start. On a GPU: of the device, whatever the
    host holds besides. On a CPU: of this process's resident memory, the model and all else included. Calibration, which
    holds the model as floats, and text generation are not bounded."""

    version: int = Field(default=1, ge=1, le=1)
    plugins: tuple[str, ...] = ()
    strategy: StrategyConfig = StrategyConfig()
    lookup: str = "logup_gkr"
    commitment: CommitmentConfig = CommitmentConfig()
    zero_knowledge: bool = True
    model: ModelConfig = ModelConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    memory_limit: Annotated[int, Field(ge=1)] | None = None


def parse(data: Any, where: str) -> Config:
    """A configuration from plain data; problems carry their key paths."""
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError([f"{where}: expected a mapping of keys, got {type(data).__name__}"])
    if isinstance(data.get("plugins"), list):
        data = {**data, "plugins": tuple(data["plugins"])}
    try:
        return Config.model_validate(data)
    except ValidationError as e:
        raise ConfigError([f"{where}: {p}" for p in problems_in(e)]) from None


def load(path: Path) -> Config:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        raise ConfigError([f"{path}: cannot be read: {getattr(e, 'strerror', None) or e}"]) from None
    try:
        data = yaml.load(text, _Loader)
    except (yaml.YAMLError, ValueError) as e:
        raise ConfigError([f"{path}: not YAML: {e}"]) from None
    return parse(data, str(path))


class _Loader(yaml.SafeLoader):
    """Plain data only; no aliases, which can grow without bound, no key twice, no nesting that no configuration has:
    the composer recurses, and what Python does at the end of its stack depends on who called."""

    MAX_DEPTH = 32

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.get_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "an alias is not supported", mark)
        if self._depth == self.MAX_DEPTH:
            problem = f"nested more than {self.MAX_DEPTH} deep"
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, problem, mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = [str(key.value) for key, _ in node.value]
        if twice := sorted(k for k, n in Counter(keys).items() if n > 1):
            problem = f"the key {twice[0]!r} is there twice"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark)
        return super().construct_mapping(node, deep)


def problems_in(error: ValidationError) -> list[str]:
    """One a key, with its path; a value that no member of a union takes has a problem with each of them."""
    found: dict[str, list[str]] = {}
    for p in error.errors():
        found.setdefault(_path(p["loc"]), []).append(_problem(dict(p)))
    return [f"{path}: {'; or '.join(dict.fromkeys(said))}" for path, said in found.items()]


def _path(location: tuple[Any, ...]) -> str:
    """Of a union's members pydantic names the one it tried: that is no key."""
    return ".".join(str(x) for x in location if not str(x).startswith(_UNION)) or "(top level)"


_UNION = ("constrained-", "literal[", "list[", "function-")


def _problem(error: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    return f"{error['msg']} (got {reprlib.repr(error.get('input'))})"
