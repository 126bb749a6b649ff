"""Every built-in op through the suite, at awkward sizes and at the ends of its intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from zkcore.errors import RangeError
from zkcore.graph.public import Below, CausalTiles, Dense, OneHot, Ones
from zkcore.graph.public import Select as Picks
from zkcore.graph.tensor import PublicTensor
from zkcore.models.rope import RopeSpec, tables
from zkcore.ops.argmax import Argmax
from zkcore.ops.attention import Attention, AttentionSettings
from zkcore.ops.glu import GELU_TANH, SILU, Activate, ActivationSettings, Glu, GluSettings
from zkcore.ops.layernorm import LayerNorm
from zkcore.ops.linear import Add, Bias, Contract, Embedding, Replicate, Rope, Select
from zkcore.ops.requantise import Requantise, Residual
from zkcore.ops.rmsnorm import RmsNorm
from zkcore.testing import attacks
from zkcore.testing.op_suite import SIZES, Input, activation, check_op, check_public, public, sample, weight

Integers = NDArray[np.int64]


# --- what is public ---------------------------------------------------------------------------------------------------
PUBLICS: list[PublicTensor] = [
    OneHot((0, 2, 1, -1, 4, 4), (2, 3), 5, 3),
    OneHot((0,), (1, 1), 1, 1),
    Picks((0, 5, 3), (2, 3)),
    Picks((0,), (1, 1)),
    Below((0, 3, 5), 5),
    Below((8, 1), 8),
    Below((1,), 1),
    Dense(sample((3, 5), 4), -8, 7, {(0,): 24}),
    Ones((3,)),
    Ones((2, 5)),
    Ones((1, 4, 3)),
    *(CausalTiles(tiles, tile) for tiles in (1, 2, 3, 4) for tile in (1, 2, 3, 4, 5)),
]


@pytest.mark.parametrize("source", PUBLICS, ids=lambda p: f"{type(p).__name__} {p.shape}")
def test_public_tensors(source: PublicTensor) -> None:
    check_public(source)


# --- linear algebra ---------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", SIZES)
def test_contract(n: int) -> None:
    report = check_op(
        Contract("Iim,mhd->hIid"),
        {"x": activation(sample((1, 3, n), 8), 8, positions=0), "w": weight(sample((n, 3, 2), 8), 8)},
        hiding=n == 3,
    )
    assert report.guards == {"op.y": {"op.y"}}


@pytest.mark.parametrize("spec, x, w", [("pm,vm->pv", (2, 5), (7, 5)), ("Iif,fm->Iim", (2, 3, 9), (9, 1))])
def test_contract_of_other_shapes(spec: str, x: tuple[int, ...], w: tuple[int, ...]) -> None:
    positions = 0 if "Ii" in spec else None
    inputs = {"x": activation(sample(x, 8), 8, positions=positions), "w": weight(sample(w, 8), 8)}
    check_op(Contract(spec), inputs, hiding=False)


@pytest.mark.parametrize("n", SIZES)
def test_bias(n: int) -> None:
    x, bias = activation(sample((1, 3, n), 8), 8, positions=0), weight(sample((n,), 20), 20)
    report = check_op(Bias("Iim,m"), {"x": x, "bias": bias}, hiding=n == 3)
    assert report.guards["op.y"] == {"op.y"} and report.guards["op.repeated"] == {"op.repeated"}


@pytest.mark.parametrize(
    "axes, x, bias, positions",
    [
        ("hIid,hd", (3, 2, 3, 5), (3, 5), 1),
        ("hgIid,hgd", (3, 2, 1, 3, 5), (3, 2, 5), 2),
        ("pv,v", (3, 7), (7,), None),
        ("pv,v", (1, 1), (1,), None),
    ],
)
def test_bias_of_other_shapes(axes: str, x: tuple[int, ...], bias: tuple[int, ...], positions: int | None) -> None:
    """On axes whose padding nobody keeps clean: the suite fills it with garbage."""
    inputs = {"x": activation(sample(x, 8), 8, positions=positions), "bias": weight(sample(bias, 9), 9)}
    check_op(Bias(axes), inputs, hiding=False)


def test_add() -> None:
    inputs = {n: activation(sample((1, 3, 5), 8, seed=k), 8, positions=0) for k, n in enumerate("ab")}
    assert check_op(Add(), inputs).guards == {"op.y": {"op.y"}}


@pytest.mark.parametrize("positions, vocab, dim", [(1, 2, 1), (3, 5, 3), (4, 8, 7), (5, 9, 4)])
def test_embedding(positions: int, vocab: int, dim: int) -> None:
    tokens = tuple(int(t) for t in np.random.default_rng(vocab).integers(0, vocab, positions))
    one_hot = OneHot(tokens, (1, positions), vocab, positions)
    check_op(Embedding(), {"tokens": public(one_hot, positions=0), "table": weight(sample((vocab, dim), 9), 9)})


@pytest.mark.parametrize("picked", [(0,), (5,), (0, 3, 5), (0, 1, 2, 3, 4, 5)])
def test_select(picked: tuple[int, ...]) -> None:
    x = activation(sample((2, 3, 5), 8), 8, positions=0)
    check_op(Select(), {"pick": public(Picks(picked, (2, 3)), positions=1), "x": x}, hiding=len(picked) == 3)


@pytest.mark.parametrize("kv, group", [(1, 2), (3, 2), (2, 3)])
def test_replicate(kv: int, group: int) -> None:
    heads = OneHot(tuple(h // group for h in range(kv * group)), (kv * group,), kv, group)
    check_op(Replicate(), {"heads": public(heads), "x": activation(sample((kv, 1, 3, 5), 8), 8, positions=1)})


@pytest.mark.parametrize("heads, tiles, tile, dim", [(1, 1, 1, 2), (3, 1, 3, 4), (2, 3, 2, 6)])
def test_rope(heads: int, tiles: int, tile: int, dim: int) -> None:
    x = activation(sample((heads, tiles, tile, dim), 10), 10, positions=1)
    check_op(Rope(), {"x": x, **rotation(tiles, tile, dim)})


def rotation(tiles: int, tile: int, dim: int, bits: int = 8) -> dict[str, Input]:
    cos, sin = tables(RopeSpec(), dim, tiles * tile, bits)
    swap = np.zeros((dim, dim), dtype=np.int64)
    for i in range(dim // 2):
        swap[i + dim // 2, i], swap[i, i + dim // 2] = -1, 1
    shape, one = (tiles, tile, dim), 1 << bits
    angles = {n: public(Dense(a.reshape(shape), -one, one), positions=0) for n, a in (("cos", cos), ("sin", sin))}
    return {**angles, "swap": public(Dense(swap, -1, 1, {(0,): 1, (1,): 1}))}


# --- rescaling --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("n", SIZES)
def test_requantise(n: int) -> None:
    check_op(Requantise(5, 8), {"x": activation(sample((3, n), 12), 12)}, hiding=n in (1, 5))


SHIFTS = [(0, 8, 8), (1, 9, 9), (8, 16, 9), (9, 16, 8), (17, 24, 8), (3, 14, 12)]


@pytest.mark.parametrize("shift, bits_in, bits", SHIFTS)
def test_requantise_by(shift: int, bits_in: int, bits: int) -> None:
    """No shift at all, up to the table's bits, beyond them, and twice over; the result too may need limbs."""
    x = np.clip(sample((5,), bits_in), -1 << bits_in - 1, (1 << bits_in - 1) - (1 << shift))
    check_op(Requantise(shift, bits), {"x": activation(x, bits_in)}, samples=5, hiding=shift in (0, 9))


def test_requantise_rounds_half_up() -> None:
    x = np.array([-3, -2, -1, 0, 1, 2, 3, 6, -6, 4 * 127 + 1, 4 * -128 - 2], dtype=np.int64)
    op = Requantise(2, 8)
    check_op(op, {"x": activation(x, 11)}, samples=11)
    import torch

    assert op.forward({"x": torch.tensor(x)})["y"].tolist() == [-1, 0, 0, 0, 0, 1, 1, 2, -1, 127, -128]


@pytest.mark.parametrize("value", [4 * 127 + 2, 4 * -128 - 3])
def test_requantise_refuses_what_does_not_fit(value: int) -> None:
    import torch

    with pytest.raises(RangeError, match="does not fit 8 bits"):
        Requantise(2, 8).forward({"x": torch.tensor([value])})


@pytest.mark.parametrize("shift", [0, 3, 9])
@pytest.mark.parametrize("dim", [1, 5, 8])
def test_residual(shift: int, dim: int) -> None:
    base, x = sample((2, 3, dim), 9, seed=1) // 2, sample((2, 3, dim), 7 + shift, seed=2)
    inputs = {"base": activation(base, 9, positions=0), "x": activation(x, 7 + shift, positions=0)}
    check_op(Residual(shift, 10), inputs, hiding=dim == 5)


# --- normalisation ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("dim", SIZES)
@pytest.mark.parametrize("gain", [False, True])
def test_rmsnorm(dim: int, gain: bool) -> None:
    inputs = {"x": activation(sample((1, 3, dim), 8, seed=dim), 8, positions=0)}
    if gain:
        inputs["gain"] = weight(sample((dim,), 6), 6)
    op = RmsNorm(12, 1, 11 if gain else 6, 12)
    follow = attacks.rmsnorm(op, "op.") if dim in (1, 5) else {}
    check_op(op, inputs, hiding=dim == 5, follow=follow)


@pytest.mark.parametrize("value", [0, 1, -1, 127, -128])
def test_rmsnorm_of_equal_entries(value: int) -> None:
    """Zero rows have an inverse too; the ends of the interval are where limbs are fullest."""
    check_op(RmsNorm(12, 1, 6, 12), {"x": activation(np.full((2, 1, 3), value), 8, positions=0)}, hiding=False)


@pytest.mark.parametrize("epsilon", [1, 3, 1000])
def test_rmsnorm_of_rows(epsilon: int) -> None:
    check_op(RmsNorm(10, epsilon, 4, 12), {"x": activation(sample((5, 6), 8), 8)}, hiding=False)


@pytest.mark.parametrize("heads", [(3,), (3, 2)], ids=["heads", "groups"])
def test_rmsnorm_head_by_head(heads: tuple[int, ...]) -> None:
    """Of queries and keys: one gain for all heads."""
    op = RmsNorm(12, 1, 11, 12)
    x = activation(sample((*heads, 1, 3, 5), 8), 8, positions=len(heads))
    check_op(op, {"x": x, "gain": weight(sample((5,), 6), 6)}, hiding=False, follow=attacks.rmsnorm(op, "op."))


@pytest.mark.parametrize(("dim", "gain"), [*((n, False) for n in SIZES), (1, True), (5, True), (8, True)])
def test_layernorm(dim: int, gain: bool) -> None:
    inputs = {"x": activation(sample((1, 3, dim), 8, seed=dim), 8, positions=0)}
    if gain:
        inputs["gain"] = weight(sample((dim,), 6), 6)
    op = LayerNorm(14, 1, 14 if gain else 9, 12)
    follow = attacks.layernorm(op, "op.") if dim in (1, 5) else {}
    report = check_op(op, inputs, hiding=dim == 5, follow=follow)
    if follow:
        assert {"op.inverse.low.0", "op.inverse.high.0"} <= report.guards["op.inverse"]


@pytest.mark.parametrize("value", [0, 1, -1, 127, -128])
def test_layernorm_of_equal_entries(value: int) -> None:
    """No variance at all: the epsilon alone keeps n above zero, and the inverse is as large as it can be."""
    check_op(LayerNorm(14, 1, 9, 12), {"x": activation(np.full((2, 1, 3), value), 8, positions=0)}, hiding=False)


@pytest.mark.parametrize("epsilon", [1, 3, 1000])
def test_layernorm_of_rows(epsilon: int) -> None:
    check_op(LayerNorm(13, epsilon, 7, 12), {"x": activation(sample((5, 6), 8), 8)}, hiding=False)


def test_layernorm_is_layer_normalisation() -> None:
    import torch

    x = torch.tensor(sample((2, 3, 48), 12))
    exact = torch.nn.functional.layer_norm(x.double(), (48,))
    ours = LayerNorm(34, 1, 24, 14).forward({"x": x})["y"].double() * 2.0**-10
    assert float((ours - exact).abs().max()) < 2.0**-10


# --- gates ------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("ffn", SIZES)
def test_glu(ffn: int) -> None:
    settings = GluSettings(bits=8, gate_acc=9, up_acc=7, gate=5, act=5, y=4)
    follow = attacks.glu(settings, "op.", "gate") if ffn in (1, 5) else {}
    check_op(Glu(SILU, settings), gated((1, 3, ffn), gate_bits=12, up_bits=8), hiding=ffn == 5, follow=follow)


@pytest.mark.parametrize("value", [(0, 0), (-2048, -128), (2039, 127), (2039, -128)])
def test_glu_at_the_ends(value: tuple[int, int]) -> None:
    settings = GluSettings(bits=8, gate_acc=9, up_acc=7, gate=5, act=5, y=2)
    gate, up = (np.full((2, 1, 3), v) for v in value)
    inputs = {"gate": activation(gate, 12, positions=0), "up": activation(up, 8, positions=0)}
    check_op(Glu(SILU, settings), inputs, hiding=False)


def test_glu_without_a_shift() -> None:
    settings = GluSettings(bits=8, gate_acc=5, up_acc=7, gate=5, act=5, y=2)
    check_op(Glu(SILU, settings), gated((1, 2, 3), gate_bits=8, up_bits=8), hiding=False)


@pytest.mark.parametrize("ffn", SIZES)
def test_an_activation_alone(ffn: int) -> None:
    settings = ActivationSettings(bits=8, acc=9, index=5, y=6)
    x = np.minimum(sample((1, 3, ffn), 12), 2039)
    follow = attacks.activation(settings, "op.", "x") if ffn in (1, 5) else {}
    report = check_op(
        Activate(GELU_TANH, settings), {"x": activation(x, 12, positions=0)}, hiding=ffn == 5, follow=follow
    )
    assert report.guards["op.index"] >= {"op.index.rest.0"}


@pytest.mark.parametrize("value", [0, -2048, 2039])
def test_an_activation_at_the_ends(value: int) -> None:
    settings = ActivationSettings(bits=8, acc=9, index=5, y=2)
    check_op(Activate(SILU, settings), {"x": activation(np.full((2, 1, 3), value), 12, positions=0)}, hiding=False)


def test_a_gate_of_gelu() -> None:
    settings = GluSettings(bits=8, gate_acc=9, up_acc=7, gate=5, act=5, y=4)
    check_op(Glu(GELU_TANH, settings), gated((1, 3, 5), gate_bits=12, up_bits=8), hiding=False)


def gated(shape: tuple[int, ...], gate_bits: int, up_bits: int) -> dict[str, Input]:
    gate = np.minimum(sample(shape, gate_bits, seed=1), (1 << gate_bits - 1) - 9)
    return {
        "gate": activation(gate, gate_bits, positions=0),
        "up": activation(sample(shape, up_bits, seed=2), up_bits, positions=0),
    }


# --- the token --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("proved, vocab", [(1, 1), (1, 2), (3, 5), (2, 8), (2, 9)])
@pytest.mark.parametrize("bits", [8, 12])
def test_argmax(proved: int, vocab: int, bits: int) -> None:
    check_argmax(sample((proved, vocab), bits, seed=vocab), bits, hiding=vocab == 5)


@pytest.mark.parametrize("row", [[0, 0, 0], [-128, -128, -128], [1, 3, 3], [127, -128, 127], [-128, 127, 126]])
def test_argmax_of_ties(row: list[int]) -> None:
    check_argmax(np.array([row]), 8, hiding=False)


def check_argmax(logits: Integers, bits: int, hiding: bool) -> None:
    best, vocab = tuple(int(v) for v in logits.argmax(-1)), logits.shape[1]  # numpy's argmax: the lowest index
    target = OneHot(best, (len(best),), vocab, len(best))
    publics = {"target": public(target), "lower": public(Below(best, vocab))}
    check_op(Argmax(bits), {"logits": activation(logits, bits), **publics}, hiding=hiding)


# --- attention --------------------------------------------------------------------------------------------------------
SETTINGS = AttentionSettings(
    head_dim=4, score_fraction=8, escale=3, index_bits=8, exp_fraction=8, reciprocal=16, bits=6
)


@pytest.mark.parametrize("heads, tiles, tile", [(1, 1, 1), (1, 1, 2), (3, 1, 3), (1, 1, 5), (1, 3, 2), (3, 2, 1)])
def test_attention(heads: int, tiles: int, tile: int) -> None:
    q, k, v = (sample((heads, tiles, tile, 4), bits, seed=s) for s, bits in enumerate((5, 5, 6)))
    several = (heads, tiles) != (1, 1)
    check_attention(q, k, v, hiding=several, follow=attacks.attention(SETTINGS, "op.") if several else {})


def test_attention_of_six_dimensions() -> None:
    """A head that is not a power of two: its padding is summed by the scores."""
    q, k, v = (sample((2, 1, 3, 6), bits, seed=s) for s, bits in enumerate((4, 5, 6)))
    check_attention(q, k, v, hiding=False)


CASES = {
    "all scores equal": (3, 0, 5),
    "all zero": (0, 0, 0),
    "largest": (15, 15, 31),
    "smallest": (-16, -16, -32),
    "scores at the lower end": (15, -16, -32),
}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
@pytest.mark.parametrize("tiles, tile", [(1, 3), (2, 2)])
def test_attention_at_the_ends(values: tuple[int, int, int], tiles: int, tile: int) -> None:
    q, k, v = (np.full((1, tiles, tile, 4), x) for x in values)
    check_attention(q, k, v, hiding=False)


def test_attention_with_the_widest_spread() -> None:
    """One key far above the others: every other entry of exp is at the table's end."""
    k = np.full((1, 1, 4, 4), -16)
    k[0, 0, 1] = 15
    check_attention(np.full((1, 1, 4, 4), 15), k, sample((1, 1, 4, 4), 6), hiding=False)


def test_attention_refuses_a_spread_beyond_the_table() -> None:
    import torch

    narrow = replace(SETTINGS, escale=1)
    q = torch.full((1, 2, 4), 15)
    k = torch.stack([q[:, 0], -q[:, 0]], dim=1)
    with pytest.raises(RangeError, match="index_bits"):
        Attention(narrow, 2).forward({"q": q, "k": k, "v": q})


def check_attention(q: Integers, k: Integers, v: Integers, hiding: bool, follow: attacks.Lies | None = None) -> None:
    _, tiles, tile, dim = q.shape
    settings = replace(SETTINGS, head_dim=dim)
    inputs = {**heads_of(q, k, v), **maps(tiles, tile)}
    check_op(Attention(settings, tile), inputs, samples=4, hiding=hiding, follow=follow or {})


def heads_of(q: Integers, k: Integers, v: Integers) -> dict[str, Input]:
    bits = {"q": 5, "k": 5, "v": 6}
    return {n: activation(a, bits[n], positions=1) for n, a in (("q", q), ("k", k), ("v", v))}


def maps(tiles: int, tile: int) -> dict[str, Input]:
    causal = CausalTiles(tiles, tile)
    pairs = causal.pairs
    ends = {"row_of": [i for i, _ in pairs], "col_of": [j for _, j in pairs]}
    found = {n: public(OneHot(tuple(e), (len(pairs),), tiles, tiles)) for n, e in ends.items()}
    return {**found, "causal": public(causal)}
