"""zkAttn: the segmented softmax against the suite, a slow reference, its error bound and cheating provers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zkcore import api
from zkcore import config as configuration
from zkcore.compatibility import check as check_parts
from zkcore.config import AttentionConfig, Config, ZkAttentionConfig
from zkcore.errors import ConfigError, ProofRejected, RangeError
from zkcore.graph.arrays import Array
from zkcore.graph.public import CausalTiles, OneHot
from zkcore.graph.witness import Tamper, Witness
from zkcore.ops.attention import AttentionSettings
from zkcore.ops.segments import Segments, error_bound
from zkcore.ops.zkattn import ZkAttention
from zkcore.plugins import build_registry
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.subprotocols.tlookup import TLookup
from zkcore.testing.attacks import cells, requantised
from zkcore.testing.direct import unsatisfied
from zkcore.testing.op_suite import Bench, Input, activation, check_op, public, sample
from zkcore.testing.toolbox import Attacker, prove_system, rejection, tools

Integers = NDArray[np.int64]
BASELINE = Path(__file__).parents[2] / "configs" / "baseline.yaml"
ARGUMENTS: list[LookupArgument] = [TLookup(), LogupGkr()]
by_argument = pytest.mark.parametrize("argument", ARGUMENTS, ids=lambda a: str(a.name))


def zkattn(tile: int, bits: tuple[Any, ...] = (3, 5, 5), theta: tuple[int, ...] = (4, 6), **more: Any) -> ZkAttention:
    """Scores have 8 fraction bits and up to 11 bits in all, heads 4 dimensions."""
    section = AttentionConfig(zkattn=ZkAttentionConfig(segment_bits=bits, theta_bits=theta, **more))
    return ZkAttention(AttentionSettings(4, 8, 3, 8, 8, 16, 6, section), tile)


def attended(q: Integers, k: Integers, v: Integers) -> dict[str, Input]:
    tiles, tile = q.shape[1:3]
    heads = {n: activation(a, b, positions=1) for n, a, b in (("q", q, 5), ("k", k, 5), ("v", v, 6))}
    causal = CausalTiles(tiles, tile)
    ends = {"row_of": [i for i, _ in causal.pairs], "col_of": [j for _, j in causal.pairs]}
    maps = {n: public(OneHot(tuple(e), (len(e),), tiles, tiles)) for n, e in ends.items()}
    return {**heads, **maps, "causal": public(causal)}


def random_heads(heads: int, tiles: int, tile: int, dim: int = 4) -> dict[str, Input]:
    q, k, v = (sample((heads, tiles, tile, dim), bits, seed=s) for s, bits in enumerate((5, 5, 6)))
    return attended(q, k, v)


# --- honest -----------------------------------------------------------------------------------------------------------
SHAPES = [(1, 1, 1), (3, 1, 3), (1, 3, 2)]


@by_argument
@pytest.mark.parametrize("heads, tiles, tile", SHAPES)
def test_of_all_shapes(heads: int, tiles: int, tile: int, argument: LookupArgument) -> None:
    hiding = (heads, tiles) == (3, 1)
    check_op(zkattn(tile), random_heads(heads, tiles, tile), samples=2, hiding=hiding, argument=argument)


SEGMENTS: dict[str, dict[str, Any]] = {
    "two low ones": {"bits": (2, 3, 4, 4), "low": 2, "high": 0, "theta": (4, 6)},
    "one high one": {"bits": (3, 5, 5), "low": 1, "high": 1, "theta": (6,)},
    "low, middle and high": {"bits": (2, 4, 4, 4), "low": 1, "high": 1, "theta": (4, 6)},
    "no low one": {"bits": (4, 4, 5), "low": 0, "high": 0, "theta": (3, 4, 6)},
    "one table": {"bits": (4, 9), "low": 1, "high": 0, "theta": (8,)},
    "a first one from the scores": {"bits": ("auto", 5, 5), "low": 1, "high": 0, "theta": (4, 6), "step_bits": 6},
    "a first one of no bits": {"bits": ("auto", 6, 7), "low": 1, "high": 0, "theta": (4, 6), "step_bits": 9},
}


@pytest.mark.parametrize("name", SEGMENTS)
def test_of_all_segments(name: str) -> None:
    argument = ARGUMENTS[list(SEGMENTS).index(name) % 2]
    check_op(zkattn(2, **SEGMENTS[name]), random_heads(1, 1, 2), samples=1, hiding=False, argument=argument)


CASES = {
    "all scores equal": (3, 0, 5),
    "largest": (15, 15, 31),
    "smallest": (-16, -16, -32),
    "scores at the lower end": (15, -16, -32),
}


@pytest.mark.parametrize("values", CASES.values(), ids=CASES)
def test_at_the_ends(values: tuple[int, int, int]) -> None:
    q, k, v = (np.full((1, 1, 2, 4), x) for x in values)
    check_op(zkattn(2), attended(q, k, v), samples=1, hiding=False, argument=TLookup())


def test_refuses_a_spread_beyond_the_segments() -> None:
    import torch

    q = torch.full((1, 2, 4), 15)
    k = torch.stack([q[:, 0], -q[:, 0]], dim=1)
    with pytest.raises(RangeError, match="segment_bits"):
        zkattn(2, bits=(3, 3, 4)).forward({"q": q, "k": k, "v": q})


@pytest.mark.parametrize("segments", SEGMENTS.values(), ids=SEGMENTS)
def test_forward_against_a_slow_reference(segments: dict[str, Any]) -> None:
    import torch

    op = zkattn(6, **segments)
    q, k, v = (sample((2, 6, 4), bits, seed=s) for s, bits in enumerate((5, 5, 6)))
    made = op.forward({"q": torch.tensor(q), "k": torch.tensor(k), "v": torch.tensor(v)})
    assert made["y"].tolist() == [[slow_row(op, q[h], k[h], v[h], i) for i in range(6)] for h in range(2)]


def slow_row(op: ZkAttention, q: Integers, k: Integers, v: Integers, i: int) -> list[int]:
    """One query's output, one key after the other, in Python numbers."""
    g = op.segments
    scores = [int(q[i] @ k[j]) for j in range(i + 1)]
    step = 1 << g.cut
    mu = max(math.ceil(Fraction(2 * z - step * (g.cut > 0), 2 * step)) for z in scores)
    weights = []
    for z in scores:
        rest, weight = step * mu + step // 2 - z, 1
        assert 0 <= rest < 1 << sum(g.bits)
        for n, bits in enumerate(g.bits):
            digit = (rest >> g.offset(n)) % (1 << bits)
            if n in g.middle:
                nats = digit * 2.0 ** (g.offset(n) - g.fraction) / math.sqrt(g.head_dim)
                weight *= math.floor(2 ** g.theta[n - g.low] * math.exp(-nats) + 0.5)
            elif n >= g.low and digit:
                weight = 0
        weights.append(weight)
    reciprocal = (1 << op.reciprocal) // sum(weights)
    mix = [sum(w * int(v[j, d]) for j, w in enumerate(weights)) for d in range(4)]
    return [math.floor(Fraction(m * reciprocal, 1 << op.reciprocal) + Fraction(1, 2)) for m in mix]


# --- accuracy ---------------------------------------------------------------------------------------------------------
def test_the_bound_of_the_papers_settings_is_that_of_the_default() -> None:
    """K = 5 times 16 bits at 2^64 are the same functions as the default's three segments, where scores start at 2^-23
    nats; and the released K = 3 one, for the record."""
    paper = Segments((16,) * 5, 3, 0, (5, 11), 64, 128)
    ours = Segments.of(ZkAttentionConfig(), 20, 128)
    assert ours.bits == (4, 16, 16)
    assert error_bound(paper, 2048).published == pytest.approx(error_bound(ours, 2048).published, rel=1e-4)
    assert error_bound(paper, 2048).published == pytest.approx(0.24994, rel=1e-4)
    released = Segments((8, 20, 20), 1, 0, (18, 22), 32, 128)
    assert error_bound(released, 2048).published == pytest.approx(6.1e-5, rel=1e-2)


@pytest.mark.parametrize("theta", [(5, 11), (11, 11), (8, 14)])
@pytest.mark.parametrize("keys", [1, 8, 300])
def test_weights_keep_the_bound(theta: tuple[int, int], keys: int) -> None:
    """The L1 distance of a row's weights from the exact softmax of its integer scores."""
    import torch

    config = ZkAttentionConfig(segment_bits=("auto", 12, 10), theta_bits=theta, step_bits=13)
    op = ZkAttention(AttentionSettings(16, 12, 3, 8, 8, 16, 6, AttentionConfig(zkattn=config)), keys)
    g, rng = op.segments, np.random.default_rng(keys)
    for spread in (1, 100, 20000):
        scores = rng.integers(-spread, spread + 1, keys)
        half = 1 << g.cut >> 1
        above = torch.tensor(-((half - scores) >> g.cut))
        weights = op._weights(op._split(above.max() - above)).numpy() / 2**g.weight_bits
        exact = np.exp((scores - scores.max()) * g.nats(0))
        distance = np.abs(weights / weights.sum() - exact / exact.sum()).sum()
        assert distance <= op.error_bound(keys).built


# --- cheats: everything behind the lie follows, the statement too -----------------------------------------------------
@dataclass
class Attack:
    broken: list[str]
    guards: list[str]
    reason: str


def attack(argument: LookupArgument, op: ZkAttention, inputs: Mapping[str, Input], lies: Tamper) -> Attack:
    """`lies` by tensor; the row sums' reciprocals and the outputs follow, and the statement says what came out."""
    import torch

    flat = {r: torch.tensor(np.ascontiguousarray(i.flat())) for r, i in inputs.items()}
    made = {r: np.asarray(t.numpy(), dtype=np.int64) for r, t in op.forward(flat).items()}
    bench = Bench(op, inputs, 8, made, argument)
    tamper = {"op.reciprocal": follow_total(op), "op.y": requantised("op.acc", op.reciprocal), **lies}
    given = bench.given()
    system = bench.system(bench.claims(bench.witness(given, tamper), ("virtual", "committed")))
    broken = unsatisfied(system, Witness(system, tools().kernels, given, tamper))
    attacker = Attacker()
    proof = prove_system(system, given, bench.setup(), tamper=tamper, channel=attacker)
    hidden = prove_system(system, given, bench.setup(hiding=True), tamper=tamper, channel=Attacker())
    assert rejection(system, hidden, bench.setup(hiding=True))
    return Attack(broken, attacker.guards, rejection(system, proof, bench.setup()))


def follow_total(op: ZkAttention) -> Callable[[Array, Witness], Array]:
    def lie(array: Array, witness: Witness) -> Array:
        total = cells(witness, "op.total").astype(np.int64)
        return (1 << op.reciprocal) // np.where(total > 0, total, 1)

    return lie


def add(delta: int, *at: int) -> Callable[[Array, Witness], Array]:
    """delta at one cell; without a cell, everywhere."""

    def lie(array: Array, witness: Witness) -> Array:
        out = np.array(array, dtype=np.int64)
        out[at if at else ...] += delta
        return out

    return lie


INPUTS = random_heads(1, 1, 4)
OP = zkattn(4)  # B_L = 2^3, tables of 2^5 entries
GUARD = {"tlookup": "lookups", "logup_gkr": "definitions"}


def made(role: str) -> Integers:
    import torch

    flat = {r: torch.tensor(np.ascontiguousarray(i.flat())) for r, i in INPUTS.items()}
    return np.asarray(OP.forward(flat)[role].numpy(), dtype=np.int64)


def steps() -> Integers:
    """floor(x / B_L)."""
    return made("x1") + 32 * made("x2")


def resplit(moved: Integers) -> Tamper:
    """Segments of other steps, inside the mask."""
    mask = np.tril(np.ones((4, 4), dtype=np.int64))
    return {"op.x1": lambda a, w: (moved & 31) * mask, "op.x2": lambda a, w: (moved >> 5) * mask}


@by_argument
def test_a_segment_below_zero_and_one_more_in_the_next(argument: LookupArgument) -> None:
    """x1 - 32, x2 + 1: the sum is what it was, and no remainder moves. Only the segment's own lookup notices."""
    a = attack(argument, OP, INPUTS, {"op.x1": add(-32, 0, 0, 2, 1), "op.x2": add(1, 0, 0, 2, 1)})
    assert a.broken == ["op.table1"]
    assert a.reason == a.guards[0] == GUARD[argument.name]


@by_argument
def test_a_segment_beyond_its_base_and_one_less_in_the_next(argument: LookupArgument) -> None:
    high = tuple(int(i) for i in np.argwhere(made("x2") > 0)[0])
    a = attack(argument, OP, INPUTS, {"op.x1": add(32, *high), "op.x2": add(-1, *high)})
    assert a.broken == ["op.table1"]
    assert a.reason == a.guards[0] == GUARD[argument.name]


@by_argument
@pytest.mark.parametrize("delta", [1, -1])
def test_a_segment_paid_by_the_low_ones(delta: int, argument: LookupArgument) -> None:
    """x1 off by one is x off by B_L: the remainder below it leaves its range."""
    at = tuple(int(i) for i in np.argwhere((steps() % 32 > 0) & (steps() % 32 < 31))[0])
    a = attack(argument, OP, INPUTS, {"op.x1": add(delta, *at)})
    assert a.broken == ["op.low.0"]
    assert a.reason == a.guards[0] == "lookups"


@by_argument
def test_a_shift_above_the_maximum(argument: LookupArgument) -> None:
    """mu + 1 and every segment with it: a valid decomposition, weights too small. No cell of the row is at the top."""
    a = attack(argument, OP, INPUTS, {"op.mu": add(1, 0, 0, 2), **resplit(steps() + np.array([0, 0, 1, 0])[:, None])})
    assert a.broken == ["op.maximum.0"]
    assert a.reason == a.guards[0] == "lookups"


@by_argument
def test_a_shift_below_the_maximum(argument: LookupArgument) -> None:
    """mu - 1: the largest score lies above the shift; its first segment becomes -1."""
    moved, mask = steps() - np.array([0, 0, 1, 0])[:, None], np.tril(np.ones((4, 4), dtype=np.int64))
    first, second = np.where(moved < 0, moved, moved & 31) * mask, np.where(moved < 0, 0, moved >> 5) * mask
    lies = {"op.x1": lambda a, w: first, "op.x2": lambda a, w: second}
    a = attack(argument, OP, INPUTS, {"op.mu": add(-1, 0, 0, 2), **lies})
    assert "op.table1" in a.broken and "op.low.0" not in a.broken
    assert a.reason == a.guards[0] == GUARD[argument.name]


@by_argument
def test_a_wrong_row_sum(argument: LookupArgument) -> None:
    a = attack(argument, OP, INPUTS, {"op.total": add(5, 0, 0, 3)})
    assert a.broken == ["op.total"] and a.guards == [a.reason] == ["op.total"]


@by_argument
@pytest.mark.parametrize("delta", [1, -1])
def test_a_wrong_reciprocal(delta: int, argument: LookupArgument) -> None:
    honest = follow_total(OP)
    a = attack(argument, OP, INPUTS, {"op.reciprocal": lambda x, w: honest(x, w) + delta})
    assert a.broken[0] == ("op.reciprocal.low.0" if delta > 0 else "op.reciprocal.high.0")
    assert a.reason == a.guards[0] == "lookups"


@by_argument
def test_a_reciprocal_below_an_exact_one(argument: LookupArgument) -> None:
    """The first row has one key: its sum divides the power of two, and the remainder of one less would be the sum."""
    honest = follow_total(OP)
    a = attack(argument, OP, INPUTS, {"op.reciprocal": lambda x, w: add(-1, 0, 0, 0)(honest(x, w), w)})
    assert a.broken == ["op.reciprocal.high.0"]
    assert a.reason == a.guards[0] == "lookups"


@by_argument
def test_an_output_with_a_remainder_out_of_range(argument: LookupArgument) -> None:
    """zkLLM's code checks the remainder but not the output (A.6): here both are."""
    a = attack(
        argument, OP, INPUTS, {"op.y": lambda x, w: add(1, 0, 0, 3, 0)(requantised("op.acc", OP.reciprocal)(x, w), w)}
    )
    assert a.broken == ["op.y.rest.0"]
    assert a.reason == a.guards[0] == "lookups"


def test_a_masked_position_let_in() -> None:
    """Weights are committed here. A key from the future weighs in with all its segments' values."""
    names = ["op.y1", "op.y2"]
    a = attack(
        TLookup(), OP, INPUTS, {n: add(1 << t, 0, 0, 1, 3) for n, t in zip(names, OP.segments.theta, strict=True)}
    )
    assert a.broken == ["op.y1.masked", "op.y2.masked"]
    assert a.reason == a.guards[0] == "op.y1.masked"


def test_a_masked_maximum() -> None:
    """Flags at a masked cell, so that a row's count is right although its shift is too large."""
    moved = {"op.mu": add(1, 0, 0, 1), **resplit(steps() + np.array([0, 1, 0, 0])[:, None])}
    a = attack(TLookup(), OP, INPUTS, {**moved, "op.zero1": add(1, 0, 0, 1, 3), "op.zero2": add(1, 0, 0, 1, 3)})
    assert a.broken == ["op.zero1.masked", "op.zero2.masked"]
    assert a.reason == a.guards[0] == "op.zero1.masked"


def test_a_masked_position_let_in_as_a_virtual_value() -> None:
    a = attack(LogupGkr(), OP, INPUTS, {"op.y1": add(16, 0, 0, 1, 3), "op.y2": add(64, 0, 0, 1, 3)})
    assert a.broken == ["op.table1", "op.table2"]
    assert a.reason == a.guards[0] == f"{OP.segments.table(2).name} values"


@by_argument
@pytest.mark.parametrize("role", ["y1", "y2", "zero1", "zero2"])
def test_a_wrong_table_value(role: str, argument: LookupArgument) -> None:
    a = attack(argument, OP, INPUTS, {f"op.{role}": add(1, 0, 0, 3, 1)})
    assert f"op.table{role[-1]}" in a.broken and a.reason == a.guards[0]


# --- configuration ----------------------------------------------------------------------------------------------------
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no middle": (
        {"segment_bits": [8, 8], "low": 1, "high": 1, "theta_bits": []},
        "leave none between low 1 and high 1",
    ),
    "theta": ({"segment_bits": [8, 8], "low": 1, "theta_bits": [5, 11]}, "theta_bits needs 1 entries"),
    "auto": ({"segment_bits": [8, "auto", 8]}, "only the first segment may be"),
    "auto without low": ({"segment_bits": ["auto", 8], "low": 0}, "only the first segment may be"),
    "wide weights": ({"theta_bits": [16, 16]}, "leave 64-bit integers"),
    "a float": ({"segment_bits": [4.5, 8, 8]}, "segment_bits"),
    "too many bits": ({"segment_bits": [4, 21, 8]}, "segment_bits"),
    "unknown key": ({"bases": [4]}, "unknown key"),
}


@pytest.mark.parametrize("section, problem", BAD.values(), ids=BAD)
def test_a_bad_section_is_refused(section: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as e:
        configuration.parse({"model": {"attention": {"name": "zkattn", "zkattn": section}}}, "x.yaml")
    assert "model.attention.zkattn" in str(e.value)


def test_the_baseline_is_complete_and_survives_a_round_trip() -> None:
    baseline = configuration.load(BASELINE)
    assert (baseline.strategy.name, baseline.lookup, baseline.model.attention.name) == (
        "per_layer",
        "tlookup",
        "zkattn",
    )
    assert configuration.parse(baseline.model_dump(mode="json"), "header") == baseline
    assert baseline.model.attention.zkattn == ZkAttentionConfig()
    check_parts(baseline, build_registry())


def test_segments_wider_than_the_tables_are_refused() -> None:
    config = small()
    wide = replace_model(config, table_bits=9)
    with pytest.raises(ConfigError, match=r"segment_bits: 10 and model.table_bits: 9 do not go together"):
        check_parts(wide, build_registry())


# --- end to end -------------------------------------------------------------------------------------------------------
def replace_model(config: Config, **changes: Any) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=changes)})


def small() -> Config:
    """The baseline with narrow tables."""
    baseline = configuration.load(BASELINE)
    section = ZkAttentionConfig(segment_bits=("auto", 10, 10), step_bits=12)
    attention = baseline.model.attention.model_copy(update={"zkattn": section})
    config = replace_model(
        baseline, weight_bits=12, activation_bits=12, hidden_bits=16, table_bits=10, attention=attention
    )
    return config.model_copy(update={"calibration": config.calibration.model_copy(update={"tokens": 256})})


def checkpoint(directory: Path) -> Path:
    """A random LLaMA of two layers with a tokenizer of its own."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    directory.mkdir()
    text = "the quick brown fox jumps over the lazy dog; then it sleeps, and dreams of a proof. " * 40
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator([text], trainers.BpeTrainer(vocab_size=270, initial_alphabet=alphabet))
    tokenizer.save(str(directory / "tokenizer.json"))
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=tokenizer.get_vocab_size(),
            hidden_size=32,
            intermediate_size=40,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(directory)
    for name in ("calibration.txt", "heldout.txt"):
        (directory / name).write_text(text)
    return directory


@pytest.mark.slow
def test_commit_prove_verify(tmp_path: Path) -> None:
    model = checkpoint(tmp_path / "model")
    committed = api.commit(model, small(), tmp_path / "commitment")
    assert committed.perplexity_integer == pytest.approx(committed.perplexity_float, rel=0.1)
    answer, public_file = tmp_path / "answer.zkp", tmp_path / "commitment" / "public.zkc"
    proved = api.prove(tmp_path / "commitment", "the quick", 4, answer)
    accepted = api.verify(answer, public_file, prompt="the quick", expect_text=proved.text)
    assert accepted.zero_knowledge and accepted.text == proved.text
    data = bytearray(answer.read_bytes())
    data[len(data) // 2] ^= 1
    answer.write_bytes(bytes(data))
    with pytest.raises(ProofRejected):
        api.verify(answer, public_file)
