"""What a LLaMA checkpoint's config.json says. What would change the model and is not supported is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from zkcore.config import problems_in
from zkcore.errors import ModelError
from zkcore.models.family import Architecture, Size
from zkcore.models.rope import DecimalText, RopeSpec

PLAIN = {  # settings that change the model, and the value that does not
    "attention_bias": False,
    "mlp_bias": False,
    "sliding_window": None,
    "quantization_config": None,
    "partial_rotary_factor": None,
    "original_max_position_embeddings": None,
}
ROPE_TYPES = ("default", "linear", "llama3")


class LlamaArchitecture(Architecture):
    """Bounds keep what is built from a stranger's header small; head_dim^2 is the largest table of them all."""

    hidden: Annotated[int, Field(ge=1, le=1 << 20)]
    heads: Annotated[int, Field(ge=1, le=1 << 12)]
    kv_heads: Annotated[int, Field(ge=1, le=1 << 12)]
    head_dim: Annotated[int, Field(ge=2, le=1 << 10)]
    ffn: Annotated[int, Field(ge=1, le=1 << 22)]
    activation: str
    epsilon: DecimalText
    tied: bool
    rope: RopeSpec


class _Read(BaseModel):
    """Integers are integers, and no number is infinite."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class _Rope(_Read):
    model_config = ConfigDict(extra="forbid")
    rope_type: str = "default"
    type: str = "default"
    rope_theta: float | None = None
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 0


class _Config(_Read):
    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    max_position_embeddings: Size
    hidden_act: str = "silu"
    rms_norm_eps: float = 1e-6
    tie_word_embeddings: bool = False
    eos_token_id: int | list[int] | None = None
    rope_theta: float = 10000.0
    rope_scaling: _Rope | None = None
    rope_parameters: _Rope | None = None


def read(config: Mapping[str, Any]) -> LlamaArchitecture:
    """All problems at once."""
    problems = [
        f"{key} = {config[key]!r} is not supported (only {plain!r})"
        for key, plain in PLAIN.items()
        if config.get(key, plain) not in (plain, None)
    ]
    new, old = config.get("rope_parameters"), config.get("rope_scaling")
    problems += ["rope_parameters and rope_scaling contradict each other"] if new and old and new != old else []
    problems += _rope_problems(new or old or {})
    try:
        found = _Config.model_validate({k: v for k, v in config.items() if k in _Config.model_fields})
    except ValidationError as e:
        raise ModelError(_said([*problems, *problems_in(e)])) from None
    if problems:
        raise ModelError(_said(problems))
    try:
        return checked(_architecture(found))
    except ValidationError as e:
        raise ModelError(_said(problems_in(e))) from None


def checked(a: LlamaArchitecture) -> LlamaArchitecture:
    problems = []
    if a.heads % a.kv_heads:
        problems.append(f"{a.kv_heads} key-value heads do not divide {a.heads} heads")
    if a.head_dim % 2:
        problems.append(f"head_dim {a.head_dim} is odd: rotary positions need pairs")
    if problems:
        raise ModelError(_said(problems))
    return a


def _architecture(c: _Config) -> LlamaArchitecture:
    heads = c.num_attention_heads
    if c.head_dim is None and c.hidden_size % heads:
        raise ModelError(
            _said([f"hidden_size {c.hidden_size} is no multiple of {heads} heads, and head_dim is missing"])
        )
    eos = () if c.eos_token_id is None else c.eos_token_id
    return LlamaArchitecture(
        family="llama",
        vocab_size=c.vocab_size,
        layers=c.num_hidden_layers,
        max_positions=c.max_position_embeddings,
        eos=(eos,) if isinstance(eos, int) else tuple(eos),
        hidden=c.hidden_size,
        heads=heads,
        kv_heads=c.num_key_value_heads or heads,
        head_dim=c.head_dim or c.hidden_size // heads,
        ffn=c.intermediate_size,
        activation=c.hidden_act,
        epsilon=repr(c.rms_norm_eps),
        tied=c.tie_word_embeddings,
        rope=_rope(c),
    )


def _rope(c: _Config) -> RopeSpec:
    given = c.rope_parameters or c.rope_scaling or _Rope()
    kind = given.rope_type if "rope_type" in given.model_fields_set else given.type
    spec = {"type": kind, "theta": repr(c.rope_theta if given.rope_theta is None else given.rope_theta)}
    if kind == "default":
        return RopeSpec.model_validate(spec)
    spec["factor"] = repr(given.factor)
    if kind == "linear":
        return RopeSpec.model_validate(spec)
    more = {"low_freq_factor": repr(given.low_freq_factor), "high_freq_factor": repr(given.high_freq_factor)}
    length = given.original_max_position_embeddings
    return RopeSpec.model_validate({**spec, **more, "original_max_positions": length})


def _rope_problems(given: object) -> list[str]:
    """A scaling that is not known, and what a known one lacks. Malformed settings are for the reader to refuse."""
    if not isinstance(given, dict):
        return []
    kind = given.get("rope_type", given.get("type", "default"))
    if kind not in ROPE_TYPES:
        return [f"rope_type {kind!r} is not supported; known: {', '.join(ROPE_TYPES)}"]
    needed = {"linear": ["factor"], "llama3": list(_Rope.model_fields)[3:]}.get(kind, [])
    return [f"rope_type {kind!r} needs {name}" for name in needed if name not in given]


def _said(problems: list[str]) -> str:
    return "\n".join(f"config.json: {p}" for p in problems)
