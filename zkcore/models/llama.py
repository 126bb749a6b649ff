"""LLaMA: RMSNorm, rotary positions, causal attention, gated MLP. Norm gains are folded into the next projection, so
that a norm is one requantisation; only with tied embeddings the last norm keeps its gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from zkcore.errors import ModelError
from zkcore.graph.model import CARRY, ModelGraph, Ref, Stage
from zkcore.graph.public import Below, CausalTiles, Dense, OneHot, Select
from zkcore.models.family import Architecture, Sequence, Tiling
from zkcore.models.quantisation import Quantisation
from zkcore.models.rope import RopeSpec, tables
from zkcore.ops.argmax import Argmax
from zkcore.ops.attention import AttentionSettings
from zkcore.ops.glu import GluSettings
from zkcore.ops.linear import Contract, Embedding, Replicate, Rope
from zkcore.ops.linear import Select as SelectPositions
from zkcore.ops.requantise import Requantise, Residual
from zkcore.ops.rmsnorm import RmsNorm

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.registry import Registry

REFUSED = {
    "attention_bias": False,
    "mlp_bias": False,
    "sliding_window": None,
    "quantization_config": None,
    "partial_rotary_factor": None,
}
ROPE_KEYS = {
    "rope_type",
    "type",
    "rope_theta",
    "factor",
    "low_freq_factor",
    "high_freq_factor",
    "original_max_position_embeddings",
}


class LlamaArchitecture(Architecture):
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    activation: str
    epsilon: str
    tied: bool
    rope: RopeSpec


class Llama:
    name = "llama"

    # --- reading a checkpoint ----------------------------------------------------------------------------------------
    def architecture(self, config: Mapping[str, Any]) -> LlamaArchitecture:
        for key, plain in REFUSED.items():
            if config.get(key, plain) not in (plain, None):
                raise ModelError(f"config.json: {key} = {config[key]!r} is not supported (only {plain!r})")
        try:
            heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
            found = LlamaArchitecture(
                family=self.name,
                vocab_size=int(config["vocab_size"]),
                layers=int(config["num_hidden_layers"]),
                max_positions=int(config["max_position_embeddings"]),
                eos=_ids(config.get("eos_token_id")),
                hidden=hidden,
                heads=heads,
                kv_heads=int(config.get("num_key_value_heads") or heads),
                head_dim=int(config.get("head_dim") or hidden // heads),
                ffn=int(config["intermediate_size"]),
                activation=str(config.get("hidden_act", "silu")),
                epsilon=repr(float(config.get("rms_norm_eps", 1e-6))),
                tied=bool(config.get("tie_word_embeddings", False)),
                rope=_rope(config),
            )
        except (KeyError, TypeError, ValueError) as e:
            raise ModelError(f"config.json: missing or malformed key: {e}") from None
        return _checked(found)

    def parse(self, data: Mapping[str, Any]) -> LlamaArchitecture:
        try:
            return _checked(LlamaArchitecture.model_validate({**data, "eos": tuple(data.get("eos", ()))}))
        except (ValidationError, TypeError) as e:
            raise ModelError(f"architecture: {e}") from None

    def weights(self, architecture: Architecture, tensors: Mapping[str, TorchTensor]) -> dict[str, TorchTensor]:
        a = _own(architecture)
        left = dict(tensors)

        def take(name: str, *shape: int) -> TorchTensor:
            if name not in left:
                raise ModelError(f"the checkpoint has no tensor {name}")
            tensor = left.pop(name)
            if tuple(tensor.shape) != shape:
                raise ModelError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")
            return tensor

        out = {"embed": take("model.embed_tokens.weight", a.vocab_size, a.hidden)}
        for i in range(a.layers):
            out.update({f"layers.{i}.{k}": v for k, v in _layer_weights(a, f"model.layers.{i}.", take).items()})
        gain = take("model.norm.weight", a.hidden)
        if a.tied:
            out["final_gain"] = gain
            left.pop("lm_head.weight", None)
        else:
            out["head"] = take("lm_head.weight", a.vocab_size, a.hidden) * gain
        unknown = [n for n in left if not n.endswith("rotary_emb.inv_freq")]
        if unknown:
            raise ModelError(f"the checkpoint has tensors that this family does not know: {sorted(unknown)[:5]}")
        return out

    def kind(self, weight: str) -> str:
        last = weight.rsplit(".", 1)[-1]
        return "embedding" if last == "embed" else last

    def observed(self, architecture: Architecture) -> Mapping[str, str]:
        residual = {"embedding.y": "hidden", "attention_residual.y": "hidden", "mlp_residual.y": "hidden"}
        kinds = {n: n.removesuffix(".y") for n in ("attention_in.y", "q.y", "k.y", "v.y", "mlp_in.y", "final.y")}
        extra = {"attention.t": "score_spread", "mlp.gate": "gate", "mlp.act": "act", "mlp.y": "mid"}
        return {**residual, **kinds, **extra}

    # --- the graph ---------------------------------------------------------------------------------------------------
    def graph(
        self, architecture: Architecture, quantisation: Quantisation, registry: Registry, sequence: Sequence
    ) -> ModelGraph:
        a, q = _own(architecture), quantisation
        tiling = Tiling.of(len(sequence.inputs), q.bits.attention.tile)
        g = ModelGraph(Stage(), Stage(), a.layers, Stage(), {}, CARRY, tiling.positions)
        _publics(g, a, q, sequence, tiling)
        g.prologue.out = _embedding(g, a, q)
        g.block.out = _block(g, a, q, registry, tiling)
        g.logits = _head(g, a, q)
        return g


def _own(architecture: Architecture) -> LlamaArchitecture:
    if not isinstance(architecture, LlamaArchitecture):
        raise ModelError(f"not a llama architecture: {architecture.family}")
    return architecture


def _ids(value: object) -> tuple[int, ...]:
    if value is None:
        return ()
    return tuple(value) if isinstance(value, list) else (int(value),)  # type: ignore[call-overload]


def _rope(config: Mapping[str, Any]) -> RopeSpec:
    given = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    if unknown := set(given) - ROPE_KEYS:
        raise ModelError(f"config.json: rope settings {sorted(unknown)} are not supported")
    kind = str(given.get("rope_type", given.get("type", "default")))
    if kind not in ("default", "linear", "llama3"):
        raise ModelError(f"config.json: rope_type {kind!r} is not supported; known: default, linear, llama3")
    theta = given.get("rope_theta", config.get("rope_theta", 10000.0))
    spec = RopeSpec(type=kind, theta=repr(float(theta)))
    if kind == "default":
        return spec
    spec = spec.model_copy(update={"factor": repr(float(given["factor"]))})
    if kind == "linear":
        return spec
    return spec.model_copy(
        update={
            "low_freq_factor": repr(float(given["low_freq_factor"])),
            "high_freq_factor": repr(float(given["high_freq_factor"])),
            "original_max_positions": int(given["original_max_position_embeddings"]),
        }
    )


def _checked(a: LlamaArchitecture) -> LlamaArchitecture:
    problems = []
    if min(a.vocab_size, a.layers, a.hidden, a.heads, a.kv_heads, a.head_dim, a.ffn, a.max_positions) < 1:
        problems.append("every size must be at least 1")
    elif a.heads % a.kv_heads:
        problems.append(f"{a.kv_heads} key-value heads do not divide {a.heads} heads")
    if a.head_dim % 2:
        problems.append(f"head_dim {a.head_dim} is odd: rotary positions need pairs")
    if problems:
        raise ModelError("config.json: " + "; ".join(problems))
    return a


def _layer_weights(a: LlamaArchitecture, prefix: str, take: Any) -> dict[str, TorchTensor]:
    """Projections as [inputs, outputs...], with the gain of the norm before them folded in."""
    first = take(f"{prefix}input_layernorm.weight", a.hidden)
    second = take(f"{prefix}post_attention_layernorm.weight", a.hidden)
    out = {}
    for name, heads in (("q", a.heads), ("k", a.kv_heads), ("v", a.kv_heads)):
        w = take(f"{prefix}self_attn.{name}_proj.weight", heads * a.head_dim, a.hidden) * first
        out[name] = w.t().reshape(a.hidden, heads, a.head_dim)
    o = take(f"{prefix}self_attn.o_proj.weight", a.hidden, a.heads * a.head_dim)
    out["o"] = o.t().reshape(a.heads, a.head_dim, a.hidden)
    out["gate"] = (take(f"{prefix}mlp.gate_proj.weight", a.ffn, a.hidden) * second).t()
    out["up"] = (take(f"{prefix}mlp.up_proj.weight", a.ffn, a.hidden) * second).t()
    out["down"] = take(f"{prefix}mlp.down_proj.weight", a.hidden, a.ffn).t()
    return out


def _publics(g: ModelGraph, a: LlamaArchitecture, q: Quantisation, sequence: Sequence, tiling: Tiling) -> None:
    shape, bits = (tiling.tiles, tiling.tile), q.bits.rope_fraction
    inputs = sequence.inputs + (0,) * (tiling.positions - len(sequence.inputs))
    g.public("tokens", OneHot(inputs, shape, a.vocab_size, tiling.positions))
    proved = tuple(sequence.proved)
    targets = tuple(sequence.tokens[i + 1] for i in proved)
    g.public("pick", Select(proved, shape))
    g.public("target", OneHot(targets, (len(proved),), a.vocab_size, len(proved)))
    g.public("lower", Below(targets, a.vocab_size))
    cos, sin = tables(a.rope, a.head_dim, tiling.positions, bits)
    one = 1 << bits
    for name, values in (("cos", cos), ("sin", sin)):
        g.public(name, Dense(values.reshape(*shape, a.head_dim), -one, one, scale_bits=bits))
    g.public("swap", Dense(_swap(a.head_dim), -1, 1, {(0,): 1, (1,): 1}))
    causal = CausalTiles(tiling.tiles, tiling.tile)
    g.public("causal", causal)
    g.public("row_of", OneHot(tuple(i for i, _ in causal.pairs), (len(causal.pairs),), tiling.tiles, tiling.tiles))
    g.public("col_of", OneHot(tuple(j for _, j in causal.pairs), (len(causal.pairs),), tiling.tiles, tiling.tiles))
    if a.kv_heads != a.heads:
        group = a.heads // a.kv_heads
        g.public("heads", OneHot(tuple(h // group for h in range(a.heads)), (a.heads,), a.kv_heads, group))


def _swap(head_dim: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[d, e]: x swap = (-second half, first half)."""
    half, out = head_dim // 2, np.zeros((head_dim, head_dim), dtype=np.int64)
    for i in range(half):
        out[i + half, i], out[i, i + half] = -1, 1
    return out


def _embedding(g: ModelGraph, a: LlamaArchitecture, q: Quantisation) -> Ref:
    table = g.prologue.weight("embed", (a.vocab_size, a.hidden), q.bits.hidden_bits)
    return g.prologue.add("embedding", Embedding(), tokens=Ref("public", "tokens"), table=table)["y"]


def _norm(a: LlamaArchitecture, q: Quantisation, kind: str, gain: int = 0) -> RmsNorm:
    shift = q.norm + gain - q.activations[kind]
    return RmsNorm(q.norm, q.epsilon, shift, q.bits.activation_bits, float(a.epsilon))


def _block(g: ModelGraph, a: LlamaArchitecture, q: Quantisation, registry: Registry, tiling: Tiling) -> Ref:
    b, bits = g.block, q.bits
    x = b.add("attention_in", _norm(a, q, "attention_in"), x=CARRY)["y"]
    heads = {n: _projected_head(g, a, q, n, x) for n in ("q", "k", "v")}
    settings = AttentionSettings(
        a.head_dim,
        q.activations["q"] + q.activations["k"],
        q.escale,
        q.index_bits,
        bits.attention.exp_fraction,
        q.reciprocal,
        bits.activation_bits,
    )
    attention = registry.op("attention", bits.attention.name)(settings, tiling.tile)
    maps = {n: Ref("public", n) for n in ("row_of", "col_of", "causal")}
    mixed = b.add("attention", attention, **heads, **maps)["y"]
    o = b.weight("o", (a.heads, a.head_dim, a.hidden), bits.weight_bits)
    o_acc = b.add("o_acc", Contract("hIid,hdm->Iim"), x=mixed, w=o)["y"]
    shift = q.activations["v"] + q.weights["o"] - q.hidden
    h = b.add("attention_residual", Residual(shift, bits.hidden_bits), base=CARRY, x=o_acc)["y"]
    return _mlp(g, a, q, registry, h)


def _projected_head(g: ModelGraph, a: LlamaArchitecture, q: Quantisation, name: str, x: Ref) -> Ref:
    """Project, repeat KV heads for their group, rotate, requantise once."""
    b, kv = g.block, name != "q"
    heads = a.kv_heads if kv else a.heads
    w = b.weight(name, (a.hidden, heads, a.head_dim), q.bits.weight_bits)
    acc = b.add(f"{name}_acc", Contract("Iim,mhd->hIid"), x=x, w=w)["y"]
    if kv and heads != a.heads:
        acc = b.add(f"{name}_repeated", Replicate(), x=acc, heads=Ref("public", "heads"))["y"]
    scale = q.activations["attention_in"] + q.weights[name]
    if name != "v":
        tables = {n: Ref("public", n) for n in ("cos", "sin", "swap")}
        acc, scale = b.add(f"{name}_rope", Rope(), x=acc, **tables)["y"], scale + q.bits.rope_fraction
    return b.add(name, Requantise(scale - q.activations[name], q.bits.activation_bits), x=acc)["y"]


def _mlp(g: ModelGraph, a: LlamaArchitecture, q: Quantisation, registry: Registry, h: Ref) -> Ref:
    b, bits, act = g.block, q.bits, q.activations
    x = b.add("mlp_in", _norm(a, q, "mlp_in"), x=h)["y"]
    accs = {}
    for name in ("gate", "up"):
        w = b.weight(name, (a.hidden, a.ffn), bits.weight_bits)
        accs[name] = b.add(f"{name}_acc", Contract("Iim,mf->Iif"), x=x, w=w)["y"]
    gate, up = (act["mlp_in"] + q.weights[n] for n in ("gate", "up"))
    settings = GluSettings(bits.activation_bits, gate, up, act["gate"], act["act"], act["mid"])
    y = b.add("mlp", registry.op("mlp", a.activation)(settings), gate=accs["gate"], up=accs["up"])["y"]
    down = b.weight("down", (a.ffn, a.hidden), bits.weight_bits)
    acc = b.add("down_acc", Contract("Iif,fm->Iim"), x=y, w=down)["y"]
    shift = act["mid"] + q.weights["down"] - q.hidden
    return b.add("mlp_residual", Residual(shift, bits.hidden_bits), base=h, x=acc)["y"]


def _head(g: ModelGraph, a: LlamaArchitecture, q: Quantisation) -> Ref:
    """Final norm and logits, at the proved positions only."""
    e = g.epilogue
    picked = e.add("picked", SelectPositions(), x=CARRY, pick=Ref("public", "pick"))["y"]
    if a.tied:
        gain = e.weight("final_gain", (a.hidden,), q.bits.weight_bits)
        final = e.add("final", _norm(a, q, "final", q.weights["final_gain"]), x=picked, gain=gain)["y"]
        head = Ref("weight", "embed")
    else:
        final = e.add("final", _norm(a, q, "final"), x=picked)["y"]
        head = e.weight("head", (a.vocab_size, a.hidden), q.bits.weight_bits)
    logits = e.add("logits", Contract("pm,vm->pv"), x=final, w=head)["y"]
    publics = {n: Ref("public", n) for n in ("target", "lower")}
    e.add("argmax", Argmax(q.bits.logit_bits), logits=logits, **publics)
    e.out = logits
    return logits
