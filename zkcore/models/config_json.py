"""What a checkpoint's config.json says, in LLaMA's words, which most families use. What would change the model and is
not supported is refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from zkcore.config import problems_in
from zkcore.errors import ModelError
from zkcore.models.decoder import Biased, DecoderArchitecture, checked, said
from zkcore.models.family import Size
from zkcore.models.rope import RopeSpec

PLAIN: Mapping[str, Any] = {  # settings that change the model, and the value that does not
    "attention_bias": False,
    "mlp_bias": False,
    "sliding_window": None,
    "quantization_config": None,
    "partial_rotary_factor": 1,
    "original_max_position_embeddings": None,
    "rope_interleaved": False,
    "use_bidirectional_attention": False,
    "attn_logit_softcapping": None,
    "final_logit_softcapping": None,
    "num_experts": None,
    "num_local_experts": None,
}
ROPE_TYPES = ("default", "linear", "llama3")
KINDS_OF_LAYERS = ("full_attention", "sliding_attention")


@dataclass(frozen=True)
class Rules:
    """How a family differs. `absent`: what transformers takes for a key that config.json leaves out. `harmless`: keys
    of PLAIN that do not change this family, or that are read. With `sliding_window` among them, answers are limited to
    the window's length: up to there it changes nothing."""

    family: str
    biases: tuple[Biased, ...] = ()
    qk_norm: bool = False
    absent: Mapping[str, Any] = field(default_factory=dict)
    harmless: tuple[str, ...] = ()


class Read(BaseModel):
    """Integers are integers, and no number is infinite."""

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Read)


class _Rope(Read):
    model_config = ConfigDict(extra="forbid")
    rope_type: str = "default"
    type: str = "default"
    rope_theta: float | None = None
    factor: float = 1.0
    low_freq_factor: float = 1.0
    high_freq_factor: float = 4.0
    original_max_position_embeddings: int = 0
    partial_rotary_factor: float = 1.0


class _Config(Read):
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
    use_sliding_window: bool = True
    sliding_window: Size | None = None
    layer_types: list[str] | None = None


def read(config: Mapping[str, Any], rules: Rules) -> DecoderArchitecture:
    """All problems at once."""
    config = {**rules.absent, **config}
    problems = refused(config, {k: v for k, v in PLAIN.items() if k not in rules.harmless}) + _layer_problems(config)
    new, old = config.get("rope_parameters"), config.get("rope_scaling")
    problems += ["rope_parameters and rope_scaling contradict each other"] if new and old and new != old else []
    problems += _rope_problems(new or old or {})
    return checked(_architecture(validated(_Config, config, problems), rules))


def refused(config: Mapping[str, Any], plain: Mapping[str, Any]) -> list[str]:
    """`plain`: settings that change the model, and the value that does not."""
    return [
        f"{key} = {config[key]!r} is not supported (only {value!r})"
        for key, value in plain.items()
        if config.get(key, value) not in (value, None)
    ]


def validated(model: type[Model], config: Mapping[str, Any], problems: list[str]) -> Model:
    """The keys that `model` knows. Raises ModelError with its problems and those found before."""
    try:
        found = model.model_validate({k: v for k, v in config.items() if k in model.model_fields})
    except ValidationError as e:
        raise ModelError(said([*problems, *problems_in(e)])) from None
    if problems:
        raise ModelError(said(problems))
    return found


def architecture_of(**parts: Any) -> DecoderArchitecture:
    try:
        return DecoderArchitecture(**parts)
    except ValidationError as e:
        raise ModelError(said(problems_in(e))) from None


def end_tokens(eos: int | list[int] | None) -> tuple[int, ...]:
    return () if eos is None else (eos,) if isinstance(eos, int) else tuple(eos)


def _architecture(c: _Config, rules: Rules) -> DecoderArchitecture:
    heads = c.num_attention_heads
    if c.head_dim is None and c.hidden_size % heads:
        raise ModelError(
            said([f"hidden_size {c.hidden_size} is no multiple of {heads} heads, and head_dim is missing"])
        )
    windowed = c.use_sliding_window and "sliding_window" in rules.harmless
    try:
        rope = _rope(c)
    except ValidationError as e:
        raise ModelError(said(problems_in(e))) from None
    return architecture_of(
        family=rules.family,
        vocab_size=c.vocab_size,
        layers=c.num_hidden_layers,
        max_positions=min(c.max_position_embeddings, (windowed and c.sliding_window) or c.max_position_embeddings),
        eos=end_tokens(c.eos_token_id),
        hidden=c.hidden_size,
        heads=heads,
        kv_heads=c.num_key_value_heads or heads,
        head_dim=c.head_dim or c.hidden_size // heads,
        ffn=c.intermediate_size,
        activation=c.hidden_act,
        epsilon=repr(c.rms_norm_eps),
        tied=c.tie_word_embeddings,
        rope=rope,
        qk_norm=rules.qk_norm,
        biases=rules.biases,
    )


def _layer_problems(config: Mapping[str, Any]) -> list[str]:
    """Kinds of layers we do not know, and a window that is asked for but not given."""
    kinds = config.get("layer_types")
    if not isinstance(kinds, list):
        return []
    problems = [f"layer_types: {k!r} is not supported" for k in sorted({str(k) for k in kinds} - {*KINDS_OF_LAYERS})]
    if "sliding_attention" in kinds and not (config.get("use_sliding_window", True) and config.get("sliding_window")):
        problems.append("layer_types: 'sliding_attention' without a sliding_window that is in use")
    return problems


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
    problems = []
    if given.get("partial_rotary_factor", 1) not in (1, None):
        problems.append(f"partial_rotary_factor = {given['partial_rotary_factor']!r} is not supported (only 1)")
    kind = given.get("rope_type", given.get("type", "default"))
    if kind not in ROPE_TYPES:
        return [*problems, f"rope_type {kind!r} is not supported; known: {', '.join(ROPE_TYPES)}"]
    llama3 = ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
    needed = {"linear": ("factor",), "llama3": llama3}.get(kind, ())
    return problems + [f"rope_type {kind!r} needs {name}" for name in needed if name not in given]
