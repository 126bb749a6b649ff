"""A decoder whose projections are ternary: norm, eight bits a token, sums of +-x, one factor a token.

The integer model, layer by layer (a gain cannot be folded into weights that are -1, 0 or 1, so norms keep theirs):

    x   = norm(h; gain), `activation_bits` bits          y, scale = absmax(x), 8 bits and a scale per token
    q, k, v = factor * sum y w,  factor = round(scale * weight_scale)      rotate, requantise, attend as in the core
    o reads absmax(sub-norm(attention)), gate and up read absmax(norm(h')), down reads absmax(sub-norm(act(gate) * up))

Sub-norms are BitNet's; a converted LLaMA has none. Embedding and head are not ternary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from zkcore.graph.model import CARRY, ModelGraph, Ref, Stage
from zkcore.models import decoder_graph as core
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.family import Ops, Sequence, Tiling
from zkcore.models.quantisation import Quantisation
from zkcore.ops.glu import GluSettings
from zkcore.ops.linear import Contract, Replicate, Rope
from zkcore.ops.requantise import Requantise, Residual
from zkcore.ops.rmsnorm import RmsNorm
from zkcore.ops.tables import units
from zkcore_ternary.absmax import Absmax
from zkcore_ternary.subnorm import SubNorm
from zkcore_ternary.token_scale import TokenScale

PROJECTIONS = ("q", "k", "v", "o", "gate", "up", "down")
# Of a weight scale over 127, and of that times an activation, in trained models.
TYPICAL = {f"{n}_{what}": size for n in PROJECTIONS for what, size in (("scale", 2.0**-12), ("factor", 2.0**-7))}
INVERSE_BITS = 13  # of a sub-norm's inverse root, at least


class TernaryArchitecture(DecoderArchitecture):
    """sub_norms: BitNet's norms before the projections `o` and `down`. stored: what the checkpoint holds: ternary
    weights packed in bytes (with a scale to multiply or to divide with), as floats -s, 0 and s, or floats that absmean
    made ternary."""

    sub_norms: bool = False
    stored: Literal["packed", "packed_inverse", "scaled", "absmean"] = "absmean"


@dataclass(frozen=True)
class Eight:
    """A tensor of eight bits, the scale of each position, and that scale's fraction bits."""

    y: Ref
    scale: Ref
    fraction: int


def build(a: TernaryArchitecture, q: Quantisation, ops: Ops, sequence: Sequence) -> ModelGraph:
    """The model on one sequence."""
    tiling = Tiling.of(len(sequence.inputs), q.bits.attention.tile)
    g = ModelGraph(Stage(), Stage(), a.layers, Stage(), {}, CARRY, tiling.positions)
    core.publics(g, a, q, sequence, tiling)
    g.prologue.out = core.embedding(g, a, q)
    g.block.out = _Block(g.block, a, q, ops, tiling).build()
    g.logits = core.head(g, a, q)
    return g


@dataclass(frozen=True)
class _Block:
    s: Stage
    a: TernaryArchitecture
    q: Quantisation
    ops: Ops
    tiling: Tiling

    def build(self) -> Ref:
        h = self.attention(self.eight("attention_in", self.norm("attention_in", CARRY), "Iim"))
        return self.mlp(self.eight("mlp_in", self.norm("mlp_in", h), "Iim"), h)

    # --- parts -------------------------------------------------------------------------------------------------------
    def norm(self, kind: str, x: Ref) -> Ref:
        q = self.q
        gain = self.s.weight(f"{kind}_gain", (self.a.hidden,), q.bits.weight_bits)
        shift = q.norm + q.weights[f"{kind}_gain"] - q.activations[kind]
        op = RmsNorm(q.norm, q.epsilon, shift, q.bits.activation_bits, self.a.epsilon)
        return self.s.add(kind, op, x=x, gain=gain)["y"]

    def sub_norm(self, kind: str, x: Ref, source: str, axes: str, features: tuple[int, ...]) -> tuple[Ref, str]:
        """x as it is where there are none; and the kind of what comes out. `source`: x's kind."""
        if not self.a.sub_norms:
            return x, source
        q, bits = self.q, self.q.bits.activation_bits
        gain = self.s.weight(f"{kind}_gain", features, q.bits.weight_bits)
        k = bits + INVERSE_BITS
        shift = k + q.weights[f"{kind}_gain"] - q.activations[kind]
        epsilon = units(self.a.epsilon, 2 * q.activations[source])
        return self.s.add(kind, SubNorm(axes, k, epsilon, shift, bits, self.a.epsilon), x=x, gain=gain)["y"], kind

    def eight(self, name: str, x: Ref, axes: str, kind: str = "") -> Eight:
        made = self.s.add(f"{name}_absmax", Absmax(self.q.bits.activation_bits, axes), x=x)
        return Eight(made["y"], made["scale"], self.q.activations[kind or name])

    def project(self, name: str, x: Eight, spec: str, shape: tuple[int, ...]) -> tuple[Ref, int]:
        """The projection before it is requantised, and its fraction bits."""
        s, bits = self.s, self.q.bits
        w = s.ternary(name, shape)
        weight_scale = s.weight(f"{name}_scale", (1,), bits.weight_bits)
        out = self.q.activations[f"{name}_factor"]
        total = s.add(f"{name}_sum", Contract(spec), x=x.y, w=w)["y"]
        shift = x.fraction + self.q.weights[f"{name}_scale"] - out
        op = TokenScale(spec.split("->")[1], shift, bits.activation_bits)
        return s.add(f"{name}_acc", op, x=total, scale=x.scale, weight_scale=weight_scale)["y"], out

    # --- halves of a layer -------------------------------------------------------------------------------------------
    def attention(self, x: Eight) -> Ref:
        a, q, s = self.a, self.q, self.s
        attention = core.attention_op(a, q, self.ops, self.tiling)
        grouped = bool(getattr(attention, "grouped", False))
        heads = {name: self.head(name, x, grouped) for name in ("q", "k", "v")}
        maps = {name: Ref("public", name) for name in ("row_of", "col_of", "causal")}
        mixed = s.add("attention", attention, **heads, **maps)["y"]
        letters, shape = core.query_heads(a, grouped)
        axes, features = f"{letters}Iid", (*shape, a.head_dim)
        mixed, kind = self.sub_norm("o_in", mixed, "v", axes, features)
        eight = self.eight("o", mixed, axes, kind)
        acc, scale = self.project("o", eight, f"{axes},{letters}dm->Iim", (*features, a.hidden))
        return s.add("attention_residual", Residual(scale - q.hidden, q.bits.hidden_bits), base=CARRY, x=acc)["y"]

    def head(self, name: str, x: Eight, grouped: bool) -> Ref:
        """Project, rotate, requantise. KV heads are repeated for their group if the attention op wants them so."""
        a, q, s, kv = self.a, self.q, self.s, name != "q"
        letters, shape = ("h", (a.kv_heads,)) if kv else core.query_heads(a, grouped)
        acc, scale = self.project(name, x, f"Iim,m{letters}d->{letters}Iid", (a.hidden, *shape, a.head_dim))
        if kv and not grouped and a.kv_heads != a.heads:
            acc = s.add(f"{name}_repeated", Replicate(), x=acc, heads=Ref("public", "heads"))["y"]
        if name != "v":
            tables = {n: Ref("public", n) for n in ("cos", "sin", "swap")}
            acc, scale = s.add(f"{name}_rope", Rope(), x=acc, **tables)["y"], scale + q.bits.rope_fraction
        return s.add(name, Requantise(scale - q.activations[name], q.bits.activation_bits), x=acc)["y"]

    def mlp(self, x: Eight, h: Ref) -> Ref:
        a, q, s, act = self.a, self.q, self.s, self.q.activations
        (gate, gate_acc), (up, up_acc) = (self.project(n, x, "Iim,mf->Iif", (a.hidden, a.ffn)) for n in ("gate", "up"))
        settings = GluSettings(q.bits.activation_bits, gate_acc, up_acc, act["gate"], act["act"], act["mid"])
        mid = s.add("mlp", self.ops.op("mlp", a.activation)(settings), gate=gate, up=up)["y"]
        mid, kind = self.sub_norm("down_in", mid, "mid", "Iif", (a.ffn,))
        acc, scale = self.project("down", self.eight("down", mid, "Iif", kind), "Iif,fm->Iim", (a.ffn, a.hidden))
        return s.add("mlp_residual", Residual(scale - q.hidden, q.bits.hidden_bits), base=h, x=acc)["y"]


# --- scales -----------------------------------------------------------------------------------------------------------
def kind(weight: str) -> str | None:
    """As ModelFamily.kind: ternary weights are integers by themselves."""
    last = weight.rsplit(".", 1)[-1]
    return None if last in PROJECTIONS else core.kind(weight)


def fraction(weight: str, q: Quantisation) -> int:
    return 0 if kind(weight) is None else core.weight_fraction(weight, q)


def observed(a: TernaryArchitecture) -> Mapping[str, str]:
    sub_norms = {"o_in.y": "o_in", "down_in.y": "down_in"} if a.sub_norms else {}
    return {**core.observed(a), **{f"{n}_acc.factor": f"{n}_factor" for n in PROJECTIONS}, **sub_norms}
