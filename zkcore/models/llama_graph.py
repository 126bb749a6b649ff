"""LLaMA as a graph. Norm gains are folded into the next projection, so that a norm is one requantisation; only with
tied embeddings the last norm keeps its gain."""

from __future__ import annotations

from typing import Any

import numpy as np

from zkcore.graph.model import CARRY, ModelGraph, Ref, Stage
from zkcore.graph.public import Below, CausalTiles, Dense, OneHot, Select
from zkcore.models.family import Ops, Sequence, Tiling
from zkcore.models.llama_config import LlamaArchitecture
from zkcore.models.quantisation import Quantisation
from zkcore.models.rope import tables
from zkcore.ops.argmax import Argmax
from zkcore.ops.attention import AttentionSettings
from zkcore.ops.glu import GluSettings
from zkcore.ops.linear import Contract, Embedding, Replicate, Rope
from zkcore.ops.linear import Select as SelectPositions
from zkcore.ops.requantise import Requantise, Residual
from zkcore.ops.rmsnorm import RmsNorm


def build(a: LlamaArchitecture, q: Quantisation, ops: Ops, sequence: Sequence) -> ModelGraph:
    """The model on one sequence."""
    tiling = Tiling.of(len(sequence.inputs), q.bits.attention.tile)
    g = ModelGraph(Stage(), Stage(), a.layers, Stage(), {}, CARRY, tiling.positions)
    _publics(g, a, q, sequence, tiling)
    g.prologue.out = _embedding(g, a, q)
    g.block.out = _block(g, a, q, ops, tiling)
    g.logits = _head(g, a, q)
    return g


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
    return RmsNorm(q.norm, q.epsilon, shift, q.bits.activation_bits, a.epsilon)


def _block(g: ModelGraph, a: LlamaArchitecture, q: Quantisation, ops: Ops, tiling: Tiling) -> Ref:
    b, bits = g.block, q.bits
    x = b.add("attention_in", _norm(a, q, "attention_in"), x=CARRY)["y"]
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
    attention = ops.op("attention", bits.attention.name)(settings, tiling.tile)
    grouped = bool(getattr(attention, "grouped", False))
    heads = {n: _projected_head(g, a, q, n, x, grouped) for n in ("q", "k", "v")}
    maps = {n: Ref("public", n) for n in ("row_of", "col_of", "causal")}
    mixed = b.add("attention", attention, **heads, **maps)["y"]
    axes, shape = _query_heads(a, grouped)
    o = b.weight("o", (*shape, a.head_dim, a.hidden), bits.weight_bits)
    o_acc = b.add("o_acc", Contract(f"{axes}Iid,{axes}dm->Iim"), x=mixed, w=o)["y"]
    shift = q.activations["v"] + q.weights["o"] - q.hidden
    h = b.add("attention_residual", Residual(shift, bits.hidden_bits), base=CARRY, x=o_acc)["y"]
    return _mlp(g, a, q, ops, h)


def _query_heads(a: LlamaArchitecture, grouped: bool) -> tuple[str, tuple[int, ...]]:
    """Letters and sizes of the query heads' axes."""
    return ("hg", (a.kv_heads, a.heads // a.kv_heads)) if grouped else ("h", (a.heads,))


def _projected_head(g: ModelGraph, a: LlamaArchitecture, q: Quantisation, name: str, x: Ref, grouped: bool) -> Ref:
    """Project, rotate, requantise once. KV heads are repeated for their group if the attention op wants them so."""
    b, kv = g.block, name != "q"
    axes, shape = ("h", (a.kv_heads,)) if kv else _query_heads(a, grouped)
    w = b.weight(name, (a.hidden, *shape, a.head_dim), q.bits.weight_bits)
    acc = b.add(f"{name}_acc", Contract(f"Iim,m{axes}d->{axes}Iid"), x=x, w=w)["y"]
    if kv and not grouped and a.kv_heads != a.heads:
        acc = b.add(f"{name}_repeated", Replicate(), x=acc, heads=Ref("public", "heads"))["y"]
    scale = q.activations["attention_in"] + q.weights[name]
    if name != "v":
        tables = {n: Ref("public", n) for n in ("cos", "sin", "swap")}
        acc, scale = b.add(f"{name}_rope", Rope(), x=acc, **tables)["y"], scale + q.bits.rope_fraction
    return b.add(name, Requantise(scale - q.activations[name], q.bits.activation_bits), x=acc)["y"]


def _mlp(g: ModelGraph, a: LlamaArchitecture, q: Quantisation, ops: Ops, h: Ref) -> Ref:
    b, bits, act = g.block, q.bits, q.activations
    x = b.add("mlp_in", _norm(a, q, "mlp_in"), x=h)["y"]
    accs = {}
    for name in ("gate", "up"):
        w = b.weight(name, (a.hidden, a.ffn), bits.weight_bits)
        accs[name] = b.add(f"{name}_acc", Contract("Iim,mf->Iif"), x=x, w=w)["y"]
    gate, up = (act["mlp_in"] + q.weights[n] for n in ("gate", "up"))
    settings = GluSettings(bits.activation_bits, gate, up, act["gate"], act["act"], act["mid"])
    y = b.add("mlp", ops.op("mlp", a.activation)(settings), gate=accs["gate"], up=accs["up"])["y"]
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
