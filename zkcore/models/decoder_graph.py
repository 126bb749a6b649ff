"""A decoder as a graph. Gains and biases of norms are folded into the next projection, so that a norm is one
requantisation; only with tied embeddings the last norm keeps its gain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from zkcore.graph.model import CARRY, ModelGraph, Ref, Stage
from zkcore.graph.op import Op
from zkcore.graph.public import Below, CausalTiles, Dense, OneHot, Select
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.family import Ops, Sequence, Tiling
from zkcore.models.quantisation import Quantisation
from zkcore.models.rope import tables
from zkcore.ops.argmax import Argmax
from zkcore.ops.attention import AttentionSettings
from zkcore.ops.glu import ActivationSettings, GluSettings
from zkcore.ops.layernorm import LayerNorm
from zkcore.ops.linear import Add, Bias, Contract, Embedding, Replicate, Rope
from zkcore.ops.linear import Select as SelectPositions
from zkcore.ops.requantise import Requantise, Residual
from zkcore.ops.rmsnorm import RmsNorm
from zkcore.ops.tables import units

BIAS_BITS = 40  # a bias has its accumulator's scale


def build(a: DecoderArchitecture, q: Quantisation, ops: Ops, sequence: Sequence) -> ModelGraph:
    """The model on one sequence."""
    tiling = Tiling.of(len(sequence.inputs), q.bits.attention.tile)
    g = ModelGraph(Stage(), Stage(), a.layers, Stage(), {}, CARRY, tiling.positions)
    publics(g, a, q, sequence, tiling)
    g.prologue.out = embedding(g, a, q)
    g.block.out = _block(g, a, q, ops, tiling)
    g.logits = head(g, a, q)
    return g


def publics(g: ModelGraph, a: DecoderArchitecture, q: Quantisation, sequence: Sequence, tiling: Tiling) -> None:
    shape = tiling.tiles, tiling.tile
    inputs = sequence.inputs + (0,) * (tiling.positions - len(sequence.inputs))
    g.public("tokens", OneHot(inputs, shape, a.vocab_size, tiling.positions))
    proved = tuple(sequence.proved)
    targets = tuple(sequence.tokens[i + 1] for i in proved)
    g.public("pick", Select(proved, shape))
    g.public("target", OneHot(targets, (len(proved),), a.vocab_size, len(proved)))
    g.public("lower", Below(targets, a.vocab_size))
    _positions(g, a, q.bits.rope_fraction, tiling)
    causal = CausalTiles(tiling.tiles, tiling.tile)
    g.public("causal", causal)
    g.public("row_of", OneHot(tuple(i for i, _ in causal.pairs), (len(causal.pairs),), tiling.tiles, tiling.tiles))
    g.public("col_of", OneHot(tuple(j for _, j in causal.pairs), (len(causal.pairs),), tiling.tiles, tiling.tiles))
    if a.kv_heads != a.heads:
        group = a.heads // a.kv_heads
        g.public("heads", OneHot(tuple(h // group for h in range(a.heads)), (a.heads,), a.kv_heads, group))


def _positions(g: ModelGraph, a: DecoderArchitecture, bits: int, tiling: Tiling) -> None:
    """Angles, or rows of the learned table: beyond its end, where only padding is, its last one."""
    shape = tiling.tiles, tiling.tile
    if a.rope is None:
        places = tuple(min(i, a.max_positions - 1) for i in range(tiling.positions))
        g.public("places", OneHot(places, shape, a.max_positions, max(1, tiling.positions - a.max_positions + 1)))
        return
    cos, sin = tables(a.rope, a.head_dim, tiling.positions, bits)
    one = 1 << bits
    for name, values in (("cos", cos), ("sin", sin)):
        g.public(name, Dense(values.reshape(*shape, a.head_dim), -one, one, scale_bits=bits))
    g.public("swap", Dense(_swap(a.head_dim), -1, 1, {(0,): 1, (1,): 1}))


def _swap(head_dim: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """[d, e]: x swap = (-second half, first half)."""
    half, out = head_dim // 2, np.zeros((head_dim, head_dim), dtype=np.int64)
    for i in range(half):
        out[i + half, i], out[i, i + half] = -1, 1
    return out


def embedding(g: ModelGraph, a: DecoderArchitecture, q: Quantisation) -> Ref:
    p, bits = g.prologue, q.bits.hidden_bits
    table = p.weight("embed", (a.vocab_size, a.hidden), bits)
    y = p.add("embedding", Embedding(), tokens=Ref("public", "tokens"), table=table)["y"]
    if a.rope is not None:
        return y
    positions = p.weight("positions", (a.max_positions, a.hidden), bits)
    where = p.add("position", Embedding(), tokens=Ref("public", "places"), table=positions)["y"]
    return p.add("positioned", Add(), a=y, b=where)["y"]


def _norm(a: DecoderArchitecture, q: Quantisation, kind: str, gain: int = 0) -> Op:
    bits, out = q.bits.activation_bits, q.activations[kind]
    if a.norm == "rms":
        return RmsNorm(q.norm, q.epsilon, q.norm + gain - out, bits, a.epsilon)
    k = q.norm + a.hidden.bit_length()  # the inverse is smaller by a factor of the width
    return LayerNorm(k, q.epsilon, k + gain - out, bits, a.epsilon)


def _projected(s: Stage, a: DecoderArchitecture, name: str, acc: Ref, axes: str, shape: tuple[int, ...]) -> Ref:
    """With its bias, where it has one: `shape` is the bias', `axes` are the letters of both."""
    if name not in a.biases:
        return acc
    return s.add(f"{name}_biased", Bias(axes), x=acc, bias=s.weight(f"{name}_bias", shape, BIAS_BITS))["y"]


def _block(g: ModelGraph, a: DecoderArchitecture, q: Quantisation, ops: Ops, tiling: Tiling) -> Ref:
    b, bits = g.block, q.bits
    x = b.add("attention_in", _norm(a, q, "attention_in"), x=CARRY)["y"]
    attention = attention_op(a, q, ops, tiling)
    grouped = bool(getattr(attention, "grouped", False))
    heads = {n: _projected_head(g, a, q, n, x, grouped) for n in ("q", "k", "v")}
    maps = {n: Ref("public", n) for n in ("row_of", "col_of", "causal")}
    mixed = b.add("attention", attention, **heads, **maps)["y"]
    axes, shape = query_heads(a, grouped)
    o = b.weight("o", (*shape, a.head_dim, a.hidden), bits.weight_bits)
    o_acc = b.add("o_acc", Contract(f"{axes}Iid,{axes}dm->Iim"), x=mixed, w=o)["y"]
    o_acc = _projected(b, a, "o", o_acc, "Iim,m", (a.hidden,))
    shift = q.activations["v"] + q.weights["o"] - q.hidden
    h = b.add("attention_residual", Residual(shift, bits.hidden_bits), base=CARRY, x=o_acc)["y"]
    return _mlp(g, a, q, ops, h)


def attention_op(a: DecoderArchitecture, q: Quantisation, ops: Ops, tiling: Tiling) -> Op:
    """The one that the configuration names; with an attribute `grouped` if it wants KV heads as they are."""
    bits = q.bits
    settings = AttentionSettings(
        a.head_dim,
        q.activations["q"] + q.activations["k"],
        q.escale,
        q.index_bits,
        bits.attention.exp_fraction,
        q.reciprocal,
        bits.activation_bits,
        bits.attention,
    )
    return ops.op("attention", bits.attention.name)(settings, tiling.tile)


def query_heads(a: DecoderArchitecture, grouped: bool) -> tuple[str, tuple[int, ...]]:
    """Letters and sizes of the query heads' axes."""
    return ("hg", (a.kv_heads, a.heads // a.kv_heads)) if grouped else ("h", (a.heads,))


def _projected_head(g: ModelGraph, a: DecoderArchitecture, q: Quantisation, name: str, x: Ref, grouped: bool) -> Ref:
    """Project, normalise, rotate, requantise. KV heads are repeated for their group if the attention op wants it so."""
    b, kv, bits = g.block, name != "q", q.bits.activation_bits
    axes, shape = ("h", (a.kv_heads,)) if kv else query_heads(a, grouped)
    w = b.weight(name, (a.hidden, *shape, a.head_dim), q.bits.weight_bits)
    acc = b.add(f"{name}_acc", Contract(f"Iim,m{axes}d->{axes}Iid"), x=x, w=w)["y"]
    acc = _projected(b, a, name, acc, f"{axes}Iid,{axes}d", (*shape, a.head_dim))
    scale = q.activations["attention_in"] + q.weights[name]
    if a.qk_norm and name != "v":
        acc, scale = _normalised(b, a, q, name, acc, scale), q.activations[f"{name}_norm"]
    if kv and not grouped and a.kv_heads != a.heads:
        acc = b.add(f"{name}_repeated", Replicate(), x=acc, heads=Ref("public", "heads"))["y"]
    if a.rope is not None and name != "v":
        tables = {n: Ref("public", n) for n in ("cos", "sin", "swap")}
        acc, scale = b.add(f"{name}_rope", Rope(), x=acc, **tables)["y"], scale + q.bits.rope_fraction
    return b.add(name, Requantise(scale - q.activations[name], bits), x=acc)["y"]


def _normalised(b: Stage, a: DecoderArchitecture, q: Quantisation, name: str, acc: Ref, scale: int) -> Ref:
    """Head by head: its numbers are few bits, so that the inverse root of any head has at least 13 of them."""
    bits, raw, out = q.bits.activation_bits, q.activations[f"{name}_raw"], q.activations[f"{name}_norm"]
    x = b.add(f"{name}_raw", Requantise(scale - raw, bits), x=acc)["y"]
    gain = b.weight(f"{name}_gain", (a.head_dim,), q.bits.weight_bits)
    k = bits + 13
    op = RmsNorm(k, units(a.epsilon, 2 * raw), k + q.weights[f"{name}_gain"] - out, bits, a.epsilon)
    return b.add(f"{name}_norm", op, x=x, gain=gain)["y"]


def _mlp(g: ModelGraph, a: DecoderArchitecture, q: Quantisation, ops: Ops, h: Ref) -> Ref:
    b, bits, act = g.block, q.bits, q.activations
    x = b.add("mlp_in", _norm(a, q, "mlp_in"), x=h)["y"]
    accs = {}
    for name in ("gate", "up") if a.gated else ("up",):
        w = b.weight(name, (a.hidden, a.ffn), bits.weight_bits)
        acc = b.add(f"{name}_acc", Contract("Iim,mf->Iif"), x=x, w=w)["y"]
        accs[name] = _projected(b, a, name, acc, "Iif,f", (a.ffn,))
    wide, up = bits.activation_bits, act["mlp_in"] + q.weights["up"]
    if a.gated:
        settings = GluSettings(wide, act["mlp_in"] + q.weights["gate"], up, act["gate"], act["act"], act["mid"])
        y, scale = b.add("mlp", ops.op("mlp", a.activation)(settings), **accs)["y"], act["mid"]
    else:
        alone = ActivationSettings(wide, up, act["gate"], act["act"])
        y, scale = b.add("mlp", ops.op("activation", a.activation)(alone), x=accs["up"])["y"], act["act"]
    down = b.weight("down", (a.ffn, a.hidden), bits.weight_bits)
    acc = b.add("down_acc", Contract("Iif,fm->Iim"), x=y, w=down)["y"]
    acc = _projected(b, a, "down", acc, "Iim,m", (a.hidden,))
    return b.add("mlp_residual", Residual(scale + q.weights["down"] - q.hidden, bits.hidden_bits), base=h, x=acc)["y"]


def head(g: ModelGraph, a: DecoderArchitecture, q: Quantisation) -> Ref:
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
    acc = e.add("logits" if "head" not in a.biases else "head_acc", Contract("pm,vm->pv"), x=final, w=head)["y"]
    logits = _projected(e, a, "head", acc, "pv,v", (a.vocab_size,))
    publics = {n: Ref("public", n) for n in ("target", "lower")}
    e.add("argmax", Argmax(q.bits.logit_bits), logits=logits, **publics)
    e.out = logits
    return logits


# --- scales -----------------------------------------------------------------------------------------------------------
def kind(weight: str) -> str | None:
    """The scale a weight is stored at: a key of Quantisation.weights, "embedding", or None for a bias."""
    last = weight.rsplit(".", 1)[-1]
    if last.endswith("_bias"):
        return None
    return "embedding" if last in ("embed", "positions") else last


def weight_fraction(weight: str, q: Quantisation) -> int:
    """Fraction bits. A bias is added to its projection's accumulator, at that one's scale."""
    found = kind(weight)
    if found is None:
        name = weight.rsplit(".", 1)[-1].removesuffix("_bias")
        own = q.weights.get(name, q.hidden)  # a tied head is stored as the embedding
        return own + q.activations[READS[name] if READS[name] in q.activations else "act"]
    return q.hidden if found == "embedding" else q.weights[found]


READS = {  # the activation that a projection multiplies; "mid" is "act" where there is no gate
    **dict.fromkeys(("q", "k", "v"), "attention_in"),
    "o": "v",
    **dict.fromkeys(("gate", "up"), "mlp_in"),
    "down": "mid",
    "head": "final",
}


def observed(a: DecoderArchitecture) -> Mapping[str, str]:
    """Calibration: {node output: activation kind}."""
    carried = ("embedding.y" if a.rope else "positioned.y", "attention_residual.y", "mlp_residual.y")
    own = ("attention_in", "q", "k", "v", "mlp_in", "final")
    extra = ("q_raw", "k_raw", "q_norm", "k_norm") if a.qk_norm else ()
    mlp = {"mlp.gate": "gate", "mlp.act": "act", "mlp.y": "mid"} if a.gated else {"mlp.index": "gate", "mlp.y": "act"}
    return {
        **dict.fromkeys(carried, "hidden"),
        **{f"{name}.y": name for name in (*own, *extra)},
        "attention.t": "score_spread",
        "head_biased.y" if "head" in a.biases else "logits.y": "logits",
        **mlp,
    }
