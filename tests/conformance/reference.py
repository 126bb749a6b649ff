"""A decoder in plain Python integers and lists: slow, sharing no line with the package. What it says is the definition.

`n` holds the numbers of one model:

    heads, kv_heads, head_dim       the other sizes are read off the weights
    rope_bits, angles               angles[p][k]: the angle (mpmath) of pair k at position p
    norm_k, epsilon                 inverse = floor(sqrt(d 4^norm_k / (sum x^2 + d epsilon)))
    layer_norm                      if true: of c = d x - sum x in place of x, and d^2 epsilon in place of epsilon
    head_k, head_epsilon            of the norms of queries and keys, where there are any
    activation                      "silu" or "gelu"
    shift                           by name: attention_in, q, k, v, attention_residual, mlp_in, gate, mid, mlp_residual,
                                    final
    escale, step, exp_fraction, index_bits, reciprocal          step: nats of one step of the exp table (mpmath)
    gate_fraction, act_fraction
    activation_bits, hidden_bits

`w`: nested lists. embed[v][m]; layers[l] with q[m][h][d], k, v, o[h][d][m], gate[m][f], up, down[f][m]; gain[m] (only
with tied embeddings); head[v][m]. Where the model has them: positions[p][m]; in layers q_bias[h][d], k_bias, v_bias,
o_bias[m], gate_bias[f], up_bias, down_bias[m], q_gain[d], k_gain; head_bias[v]. No gate: the MLP is down(act(up)).
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import mpmath

Vector = list[int]
PRECISION = 300


class TooLarge(Exception):
    """A value left its interval."""


# --- rounding ---------------------------------------------------------------------------------------------------------
def half_up(x: int, shift: int) -> int:
    """The integer nearest to x / 2^shift, the larger of two."""
    quotient, rest = divmod(x, 2**shift)
    return quotient + (1 if 2 * rest >= 2**shift else 0)


def nearest(x: mpmath.mpf) -> int:
    return int(mpmath.floor(x + mpmath.mpf(1) / 2))


def fits(x: int, bits: int, what: str) -> int:
    if not -(2 ** (bits - 1)) <= x <= 2 ** (bits - 1) - 1:
        raise TooLarge(f"{what}: {x} in {bits} bits")
    return x


# --- functions, from an independent implementation in high precision --------------------------------------------------
@cache
def exp_step(steps: int, step: mpmath.mpf, fraction: int) -> int:
    with mpmath.workprec(PRECISION):
        return nearest(mpmath.exp(-steps * step) * 2**fraction)


@cache
def silu(x: int, fraction_in: int, fraction_out: int) -> int:
    with mpmath.workprec(PRECISION):
        real = mpmath.mpf(x) / 2**fraction_in
        return nearest(real / (1 + mpmath.exp(-real)) * 2**fraction_out)


@cache
def gelu(x: int, fraction_in: int, fraction_out: int) -> int:
    """By the formula with tanh."""
    with mpmath.workprec(PRECISION):
        real = mpmath.mpf(x) / 2**fraction_in
        inner = mpmath.sqrt(2 / mpmath.pi) * (real + mpmath.mpf("0.044715") * real**3)
        return nearest(real / 2 * (1 + mpmath.tanh(inner)) * 2**fraction_out)


ACTIVATIONS = {"silu": silu, "gelu": gelu}


@cache
def cos_sin(angle: mpmath.mpf, bits: int) -> tuple[int, int]:
    with mpmath.workprec(PRECISION):
        return nearest(mpmath.cos(angle) * 2**bits), nearest(mpmath.sin(angle) * 2**bits)


# --- parts of a layer -------------------------------------------------------------------------------------------------
def dot(a: Vector, b: Vector) -> int:
    total = 0
    for x, y in zip(a, b, strict=True):
        total += x * y
    return total


def column(matrix: list[Any], *index: int) -> Vector:
    """matrix[m][index...] for all m."""
    out = []
    for row in matrix:
        for i in index:
            row = row[i]
        out.append(row)
    return out


def norm(n: dict[str, Any], x: Vector, name: str, gain: Vector | None = None) -> Vector:
    d, epsilon, k = len(x), n["epsilon"], n["norm_k"]
    if name in ("q_norm", "k_norm"):
        epsilon, k = n["head_epsilon"][name], n["head_k"]
    elif n.get("layer_norm"):
        x, epsilon = [d * a - sum(x) for a in x], d * d * epsilon
    size = dot(x, x) + d * epsilon
    inverse = math.isqrt(d * 4**k // size)
    y = [a * inverse * (gain[m] if gain else 1) for m, a in enumerate(x)]
    return [fits(half_up(a, n["shift"][name]), n["activation_bits"], name) for a in y]


def rotate(n: dict[str, Any], x: Vector, position: int) -> Vector:
    """Pair k is (x[k], x[k + d/2]), turned by its angle."""
    half = len(x) // 2
    y = [0] * len(x)
    for k in range(half):
        cos, sin = cos_sin(n["angles"][position][k], n["rope_bits"])
        y[k] = x[k] * cos - x[k + half] * sin
        y[k + half] = x[k + half] * cos + x[k] * sin
    return y


def project(n: dict[str, Any], x: Vector, layer: dict[str, Any], head: int, name: str, position: int) -> Vector:
    """One head of q, k or v at one position."""
    y = [dot(x, column(layer[name], head, d)) for d in range(n["head_dim"])]
    if f"{name}_bias" in layer:
        y = [a + b for a, b in zip(y, layer[f"{name}_bias"][head], strict=True)]
    if f"{name}_gain" in layer:
        raw = [fits(half_up(a, n["shift"][f"{name}_raw"]), n["activation_bits"], name) for a in y]
        y = norm(n, raw, f"{name}_norm", layer[f"{name}_gain"])
    if name != "v" and n["angles"]:
        y = rotate(n, y, position)
    return [fits(half_up(a, n["shift"][name]), n["activation_bits"], name) for a in y]


def attend(n: dict[str, Any], q: Vector, keys: list[Vector], values: list[Vector]) -> Vector:
    """One query over the positions up to its own."""
    scores = [half_up(dot(q, k), n["escale"]) for k in keys]
    steps = [max(scores) - s for s in scores]
    if max(steps) >= 2 ** n["index_bits"]:
        raise TooLarge(f"scores: {max(steps)} steps")
    weights = [exp_step(s, n["step"], n["exp_fraction"]) for s in steps]
    reciprocal = 2 ** n["reciprocal"] // sum(weights)
    mixed = [dot(weights, column(values, d)) * reciprocal for d in range(n["head_dim"])]
    return [fits(half_up(a, n["reciprocal"]), n["activation_bits"], "attention") for a in mixed]


def attention(n: dict[str, Any], h: list[Vector], layer: dict[str, Any]) -> list[Vector]:
    x = [norm(n, row, "attention_in") for row in h]
    group = n["heads"] // n["kv_heads"]
    q = [[project(n, row, layer, a, "q", p) for p, row in enumerate(x)] for a in range(n["heads"])]
    k = [[project(n, row, layer, a, "k", p) for p, row in enumerate(x)] for a in range(n["kv_heads"])]
    v = [[project(n, row, layer, a, "v", p) for p, row in enumerate(x)] for a in range(n["kv_heads"])]
    out = []
    for p, base in enumerate(h):
        mixed = [attend(n, q[a][p], k[a // group][: p + 1], v[a // group][: p + 1]) for a in range(n["heads"])]
        flat = [value for head in mixed for value in head]
        matrix = [row for head in layer["o"] for row in head]
        update = [dot(flat, column(matrix, m)) for m in range(len(base))]
        out.append(add(n, base, biased(update, layer, "o"), "attention_residual"))
    return out


def mlp(n: dict[str, Any], h: list[Vector], layer: dict[str, Any]) -> list[Vector]:
    out = []
    for base in h:
        x, mid = norm(n, base, "mlp_in"), []
        sums = {
            name: biased([dot(x, column(layer[name], f)) for f in range(len(layer["down"]))], layer, name)
            for name in ("gate", "up")
            if name in layer
        }
        for f, up in enumerate(sums["up"]):
            index = fits(half_up(sums.get("gate", sums["up"])[f], n["shift"]["gate"]), n["activation_bits"], "gate")
            value = ACTIVATIONS[n["activation"]](index, n["gate_fraction"], n["act_fraction"])
            if "gate" in sums:
                value = fits(half_up(value * up, n["shift"]["mid"]), n["activation_bits"], "mid")
            mid.append(value)
        update = [dot(mid, column(layer["down"], m)) for m in range(len(base))]
        out.append(add(n, base, biased(update, layer, "down"), "mlp_residual"))
    return out


def biased(y: Vector, w: dict[str, Any], name: str) -> Vector:
    """With the bias of that name, if there is one."""
    return [a + b for a, b in zip(y, w.get(f"{name}_bias", [0] * len(y)), strict=True)]


def add(n: dict[str, Any], base: Vector, update: Vector, name: str) -> Vector:
    return [fits(b + half_up(u, n["shift"][name]), n["hidden_bits"], name) for b, u in zip(base, update, strict=True)]


# --- the model --------------------------------------------------------------------------------------------------------
def run(n: dict[str, Any], w: dict[str, Any], tokens: list[int]) -> tuple[list[list[Vector]], list[Vector]]:
    """(hidden states: after the embedding and after each half of each layer; logits), at every position."""
    states = [[list(w["embed"][t]) for t in tokens]]
    if "positions" in w:
        states[0] = [[a + b for a, b in zip(row, w["positions"][p], strict=True)] for p, row in enumerate(states[0])]
    for layer in w["layers"]:
        states.append(attention(n, states[-1], layer))
        states.append(mlp(n, states[-1], layer))
    logits = []
    for row in states[-1]:
        x = norm(n, row, "final", w.get("gain"))
        logits.append(biased([dot(x, entry) for entry in w["head"]], w, "head"))
    return states, logits


def greedy(logits: Vector) -> int:
    """The lowest of the best ids."""
    best = 0
    for token, value in enumerate(logits):
        if value > logits[best]:
            best = token
    return best


def generate(n: dict[str, Any], w: dict[str, Any], prompt: list[int], count: int) -> list[int]:
    tokens = list(prompt)
    for _ in range(count):
        tokens.append(greedy(run(n, w, tokens)[1][-1]))
    return tokens
