"""The production forward pass against the slow reference, bit for bit: hidden states, logits, generated tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

from tests.conformance import reference
from zkcore.config import AttentionConfig, ModelConfig
from zkcore.errors import RangeError
from zkcore.models import passes
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.family import Sequence
from zkcore.models.llama import llama
from zkcore.models.quantisation import Quantisation
from zkcore.models.rope import RopeSpec, tables
from zkcore.ops import tables as functions
from zkcore.plugins import build_registry


# --- small models -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Shape:
    layers: int = 2
    hidden: int = 12
    heads: int = 2
    kv_heads: int = 2
    head_dim: int = 6
    ffn: int = 10
    vocab: int = 23
    tied: bool = False
    rope: RopeSpec | None = RopeSpec()
    size: float = 1.0  # of weights: extreme models saturate softmax and silu
    activation: str = "silu"
    norm: str = "rms"
    gated: bool = True
    qk_norm: bool = False
    biases: tuple[str, ...] = ()


LLAMA3 = RopeSpec(
    type="llama3",
    theta="500000.0",
    factor="8.0",
    low_freq_factor="1.0",
    high_freq_factor="4.0",
    original_max_positions=16,
)
ALL = ("q", "k", "v", "o", "gate", "up", "down", "head")
GPT2 = Shape(
    tied=True, rope=None, norm="layer", gated=False, activation="gelu_new", biases=tuple(b for b in ALL if b != "gate")
)
SHAPES = {
    "mha": Shape(),
    "mha, tied": Shape(tied=True),
    "gqa": Shape(heads=4, kv_heads=2, head_dim=4),
    "gqa, tied": Shape(heads=6, kv_heads=2, head_dim=2, tied=True),
    "mqa": Shape(heads=3, kv_heads=1, head_dim=4),
    "one of everything": Shape(layers=1, hidden=1, heads=1, kv_heads=1, head_dim=2, ffn=1, vocab=2),
    "powers of two": Shape(hidden=16, heads=4, kv_heads=4, head_dim=4, ffn=32, vocab=32),
    "llama3 positions": Shape(rope=LLAMA3, head_dim=8),
    "linear positions": Shape(rope=RopeSpec(type="linear", theta="10000.0", factor="4.0")),
    "sharp": Shape(size=3.0),
    "flat": Shape(size=0.02),
    "qwen2": Shape(heads=4, kv_heads=2, head_dim=4, biases=("q", "k", "v"), tied=True),
    "qwen3": Shape(heads=4, kv_heads=2, head_dim=4, qk_norm=True),
    "gemma": Shape(heads=3, kv_heads=1, head_dim=4, tied=True, activation="gelu_pytorch_tanh"),
    "gpt2": GPT2,
    "gpt2, untied, odd": replace(GPT2, tied=False, heads=3, kv_heads=3, head_dim=5, hidden=15, ffn=7),
    "biases everywhere": Shape(biases=("q", "k", "v", "o", "gate", "up", "down")),
    "everything at once": replace(
        GPT2, rope=RopeSpec(), heads=4, kv_heads=2, gated=True, activation="gelu_new", qk_norm=True, biases=ALL
    ),
}
BITS = ModelConfig(
    weight_bits=12,
    activation_bits=14,
    hidden_bits=20,
    logit_bits=40,
    table_bits=14,
    rope_fraction=11,
    attention=AttentionConfig(tile=16, exp_fraction=12, step_bits=5),
)
FRACTIONS = {"attention_in": 9, "q": 6, "k": 6, "v": 7, "mlp_in": 9, "gate": 8, "act": 8, "mid": 7, "final": 9}
HEADS = {"q_raw": 7, "k_raw": 8, "q_norm": 9, "k_norm": 10}


def quantisation(shape: Shape) -> Quantisation:
    kinds = ("q", "k", "v", "o", "gate", "up", "down", "head", "final_gain", "q_gain", "k_gain")
    plain = {k: v for k, v in FRACTIONS.items() if k != "mid" or shape.gated}
    return Quantisation(
        bits=BITS,
        hidden=10,
        activations=plain | (HEADS if shape.qk_norm else {}),
        weights=dict.fromkeys(kinds, 8),
        norm=24,
        epsilon=5,
        index_bits=13,
        escale=7,
        reciprocal=30,
    )


def architecture(s: Shape) -> DecoderArchitecture:
    return DecoderArchitecture(
        family="llama",
        vocab_size=s.vocab,
        layers=s.layers,
        max_positions=64,
        hidden=s.hidden,
        heads=s.heads,
        kv_heads=s.kv_heads,
        head_dim=s.head_dim,
        ffn=s.ffn,
        activation=s.activation,
        epsilon="1e-03",
        tied=s.tied,
        rope=s.rope,
        norm=s.norm,
        gated=s.gated,
        qk_norm=s.qk_norm,
        biases=s.biases,
    )


@cache
def weights(s: Shape, seed: int = 1) -> dict[str, torch.Tensor]:
    """Gaussian, in integers."""
    rng = np.random.default_rng(seed)
    sequence = Sequence((0, 0), 1)
    graph = llama().graph(architecture(s), quantisation(s), build_registry(()), sequence)
    out = {}
    for name, w in graph.weights().items():
        scale = 2**10 if name in ("embed", "positions") else 2**8 * s.size / max(1, w.shape[0]) ** 0.5
        if name.endswith("_bias"):
            scale = 2.0 ** llama().fraction(name, quantisation(s)) * s.size / 2
        values = np.rint(rng.normal(size=w.shape) * scale)
        if name.endswith("_gain"):
            values = np.rint(2**8 * (1 + 0.1 * rng.normal(size=w.shape)))
        out[name] = torch.from_numpy(np.clip(values, w.lo, w.hi).astype(np.int64))
    return out


def numbers(s: Shape, positions: int) -> dict[str, Any]:
    """What the reference needs to know, derived from the quantisation record by hand."""
    q = quantisation(s)
    a, w, rope = q.activations, q.weights, BITS.rope_fraction if s.rope else 0
    norm_k = q.norm + (s.hidden.bit_length() if s.norm == "layer" else 0)
    head_k, raw = BITS.activation_bits + 13, {n: a["attention_in"] + w[n] for n in "qk"}
    if s.qk_norm:
        raw = {n: HEADS[f"{n}_norm"] for n in "qk"}
    shift = {
        "attention_in": norm_k - a["attention_in"],
        "q": raw["q"] + rope - a["q"],
        "k": raw["k"] + rope - a["k"],
        **{f"{n}_raw": a["attention_in"] + w[n] - HEADS[f"{n}_raw"] for n in "qk"},
        **{f"{n}_norm": head_k + w[f"{n}_gain"] - HEADS[f"{n}_norm"] for n in "qk"},
        "v": a["attention_in"] + w["v"] - a["v"],
        "attention_residual": a["v"] + w["o"] - q.hidden,
        "mlp_in": norm_k - a["mlp_in"],
        "gate": a["mlp_in"] + w["gate"] - a["gate"],
        "mid": a["act"] + a["mlp_in"] + w["up"] - FRACTIONS["mid"],
        "mlp_residual": (FRACTIONS["mid"] if s.gated else a["act"]) + w["down"] - q.hidden,
        "final": norm_k + (w["final_gain"] if s.tied else 0) - a["final"],
    }
    with mpmath.workprec(reference.PRECISION):
        step = mpmath.mpf(2) ** (q.escale - a["q"] - a["k"]) / mpmath.sqrt(s.head_dim)
        angles = [[p * f for f in frequencies(s)] for p in range(positions)] if s.rope else []
        head_epsilon = {f: max(1, reference.nearest(mpmath.mpf("1e-03") * 4**f)) for f in HEADS.values()}
    return {
        **{"heads": s.heads, "kv_heads": s.kv_heads, "head_dim": s.head_dim},
        **{"rope_bits": rope, "angles": angles, "norm_k": norm_k, "epsilon": q.epsilon, "shift": shift},
        **{"layer_norm": s.norm == "layer", "head_k": head_k, "activation": s.activation.split("_")[0]},
        "head_epsilon": {f"{n}_norm": head_epsilon[HEADS[f"{n}_raw"]] for n in "qk"},
        **{"escale": q.escale, "step": step, "exp_fraction": BITS.attention.exp_fraction, "index_bits": q.index_bits},
        **{"reciprocal": q.reciprocal, "gate_fraction": a["gate"], "act_fraction": a["act"]},
        **{"activation_bits": BITS.activation_bits, "hidden_bits": BITS.hidden_bits},
    }


def frequencies(s: Shape) -> list[mpmath.mpf]:
    """theta^(-2k/d), scaled as in transformers' rope utilities."""
    out = []
    for k in range(s.head_dim // 2):
        f = mpmath.mpf(s.rope.theta if s.rope else 0) ** (mpmath.mpf(-2 * k) / s.head_dim)
        assert s.rope
        if s.rope.type == "linear":
            f /= mpmath.mpf(s.rope.factor)
        if s.rope.type == "llama3":
            f = llama3(s.rope, f)
        out.append(f)
    return out


def llama3(r: RopeSpec, f: mpmath.mpf) -> mpmath.mpf:
    low, high, old = (mpmath.mpf(x) for x in (r.low_freq_factor, r.high_freq_factor, r.original_max_positions))
    wavelength = 2 * mpmath.pi / f
    if wavelength < old / high:
        return f
    if wavelength > old / low:
        return f / mpmath.mpf(r.factor)
    smooth = (old / wavelength - low) / (high - low)
    return (1 - smooth) * f / mpmath.mpf(r.factor) + smooth * f


def nested(s: Shape, w: dict[str, torch.Tensor]) -> dict[str, Any]:
    def under(prefix: str) -> dict[str, Any]:
        return {n.removeprefix(prefix): v.tolist() for n, v in w.items() if n.startswith(prefix)}

    out = under("") | {"layers": [under(f"layers.{i}.") for i in range(s.layers)]}
    if s.tied:
        return {**out, "gain": w["final_gain"].tolist(), "head": out["embed"]}
    return out


# --- the comparison ---------------------------------------------------------------------------------------------------
def forward(s: Shape, w: dict[str, torch.Tensor], tokens: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """All logits are wanted: every position counts as proved."""
    graph = llama().graph(architecture(s), quantisation(s), build_registry(()), Sequence(tokens, 1))
    store = dict(passes.witness(graph, w))
    return store | {"logits": store[graph.logits.name]}


def states(s: Shape, store: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    out = [store["embedding.y" if s.rope else "positioned.y"]]
    for i in range(s.layers):
        out += [store[f"layers.{i}.attention_residual.y"], store[f"layers.{i}.mlp_residual.y"]]
    return out


def compare(s: Shape, w: dict[str, torch.Tensor], tokens: tuple[int, ...]) -> None:
    store, length = forward(s, w, tokens), len(tokens) - 1
    wanted, logits = reference.run(numbers(s, length), nested(s, w), list(tokens[:-1]))
    for found, expected in zip(states(s, store), wanted, strict=True):
        assert found[:length].tolist() == expected
    assert store["logits"].tolist() == logits


@pytest.mark.parametrize("s", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("length", [1, 7, 18])
def test_hidden_states_and_logits(s: Shape, length: int) -> None:
    """18 positions are two tiles, the last one padded."""
    tokens = np.random.default_rng(length).integers(0, s.vocab, length + 1)
    compare(s, weights(s), tuple(int(t) for t in tokens))


@pytest.mark.parametrize("name", ["gqa", "mha, tied"])
@pytest.mark.parametrize("seed", range(2, 6))
def test_other_weights(name: str, seed: int) -> None:
    s = SHAPES[name]
    tokens = np.random.default_rng(seed).integers(0, s.vocab, 6)
    compare(s, weights(s, seed), tuple(int(t) for t in tokens))


def extreme(s: Shape, name: str, value: str) -> dict[str, torch.Tensor]:
    w = dict(weights(s))
    limits = {"zero": 0, "lowest": -(1 << BITS.weight_bits - 1), "highest": (1 << BITS.weight_bits - 1) - 1}
    for full in [n for n in w if n.rsplit(".", 1)[-1] == name]:
        w[full] = torch.full_like(w[full], limits[value])
    return w


@pytest.mark.parametrize("value", ["zero", "lowest", "highest"])
@pytest.mark.parametrize("name", ["embed", "q", "v", "gate", "down", "head"])
def test_extreme_weights(name: str, value: str) -> None:
    """Either both agree, or both refuse: a value beyond its interval is an error, never another number."""
    s, tokens = SHAPES["gqa"], (3, 1, 4, 1, 5, 9)
    w = extreme(s, name, value)
    try:
        forward(s, w, tokens)
    except RangeError:
        with pytest.raises(reference.TooLarge):
            reference.run(numbers(s, 5), nested(s, w), list(tokens[:-1]))
    else:
        compare(s, w, tokens)


@pytest.mark.parametrize("token", [0, 22])
def test_one_token_all_over(token: int) -> None:
    """All keys are nearly one: softmax is flat, and ties abound."""
    compare(SHAPES["mha"], weights(SHAPES["mha"]), (token,) * 9)


@pytest.mark.parametrize("name", ["gqa", "mha, tied", "llama3 positions", "gpt2", "qwen3", "everything at once"])
def test_generation_with_a_cache(name: str) -> None:
    s, prompt, count = SHAPES[name], (3, 1, 4), 6
    found = passes.generate(llama(), architecture(s), quantisation(s), build_registry(()), weights(s), prompt, count)
    expected = reference.generate(numbers(s, 9), nested(s, weights(s)), list(prompt), count)
    assert [*prompt, *found] == expected


def test_generation_breaks_ties_downwards() -> None:
    s = SHAPES["mha"]
    w = dict(weights(s))
    w["head"] = w["head"].clone()
    w["head"][:] = w["head"][5]
    assert passes.generate(llama(), architecture(s), quantisation(s), build_registry(()), w, (1, 2), 2) == (0, 0)


# --- tables -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("index_bits, fraction, scale, head_dim", [(8, 12, -4, 4), (10, 14, -6, 6), (9, 8, 0, 128)])
def test_exp_table(index_bits: int, fraction: int, scale: int, head_dim: int) -> None:
    index, values, zero = functions.exp_table(index_bits, fraction, scale, head_dim).columns
    with mpmath.workprec(reference.PRECISION):
        step = mpmath.mpf(2) ** scale / mpmath.sqrt(head_dim)
    assert values.tolist() == [reference.exp_step(t, step, fraction) for t in range(1 << index_bits)]
    assert index.tolist() == list(range(1 << index_bits)) and zero.tolist() == [1] + [0] * ((1 << index_bits) - 1)


@pytest.mark.parametrize("bits, fraction_in, fraction_out", [(8, 4, 4), (10, 6, 12), (9, 0, 3), (12, 11, 9)])
def test_silu_table(bits: int, fraction_in: int, fraction_out: int) -> None:
    top = 1 << bits - 1
    expected = [reference.silu(x, fraction_in, fraction_out) for x in range(-top, top)]
    assert functions.silu(bits, fraction_in, fraction_out).tolist() == expected


@pytest.mark.parametrize(
    "bits, fraction_in, fraction_out", [(8, 4, 4), (10, 6, 12), (9, 0, 3), (12, 8, 10), (12, 11, 9)]
)
def test_gelu_table(bits: int, fraction_in: int, fraction_out: int) -> None:
    top = 1 << bits - 1
    expected = [reference.gelu(x, fraction_in, fraction_out) for x in range(-top, top)]
    assert functions.gelu_tanh(bits, fraction_in, fraction_out).tolist() == expected


@pytest.mark.parametrize("spec", [RopeSpec(), LLAMA3, RopeSpec(type="linear", factor="3.5")], ids=lambda r: r.type)
def test_rope_tables(spec: RopeSpec) -> None:
    shape, positions, bits = Shape(rope=spec, head_dim=8), 300, 14
    cos, sin = tables(spec, 8, positions, bits)
    with mpmath.workprec(reference.PRECISION):
        for p in range(0, positions, 13):
            pairs = [reference.cos_sin(p * f, bits) for f in frequencies(shape)]
            assert cos[p].tolist() == [c for c, _ in pairs] * 2
            assert sin[p].tolist() == [x for _, x in pairs] * 2
