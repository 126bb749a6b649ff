"""Provers that lie about one tensor of a whole model, recompute everything after the lie, claim whatever token it leads
to, and RE-PROVE.

Each lie must break exactly the relations it is said to break, and be rejected: in clear with their guard, in zero
knowledge by the argument over all constraints. With exactly these guards taken away the same lie is accepted: so the
attack is real, and nothing else stood in its way.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
import torch

from zkcore.config import AttentionConfig, ModelConfig, StrategyConfig
from zkcore.field.kernels import MODULUS
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.model import ModelGraph
from zkcore.graph.public import Dense, Select
from zkcore.graph.system import System, freeze
from zkcore.graph.witness import Witness
from zkcore.models import passes
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.family import Sequence
from zkcore.models.llama import llama
from zkcore.models.quantisation import Quantisation
from zkcore.models.rope import RopeSpec
from zkcore.plugins import build_registry
from zkcore.polynomial.point import padded
from zkcore.strategy.per_layer import PerLayer
from zkcore.testing import attacks
from zkcore.testing.attacks import Lies
from zkcore.testing.direct import unsatisfied
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Lie,
    Setup,
    commit_weights,
    plus,
    prove_system,
    rejection,
    tools,
    without,
)

FINISH = {
    "constraints",
    "matrices",
    "error row",
    "witness row",
    "opening",
}  # all that a verifier can say in hiding mode

# --- a model of two layers, four heads in two groups, most sizes no powers of two -------------------------------------
LLAMA = DecoderArchitecture(
    family="llama",
    vocab_size=23,
    layers=2,
    max_positions=64,
    hidden=12,
    heads=4,
    kv_heads=2,
    head_dim=6,
    ffn=10,
    activation="silu",
    epsilon="1e-05",
    tied=False,
    rope=RopeSpec(),
)
NUMBERS = Quantisation(
    bits=ModelConfig(
        weight_bits=8,
        activation_bits=10,
        hidden_bits=14,
        logit_bits=24,
        table_bits=8,
        rope_fraction=8,
        attention=AttentionConfig(tile=16, exp_fraction=8, step_bits=4),
    ),
    hidden=8,
    activations={"attention_in": 6, "q": 4, "k": 4, "v": 5, "mlp_in": 6, "gate": 5, "act": 5, "mid": 4, "final": 6},
    weights=dict.fromkeys(("q", "k", "v", "o", "gate", "up", "down", "head", "final_gain"), 6),
    norm=20,
    epsilon=2,
    index_bits=8,
    escale=5,
    reciprocal=20,
)
PROMPT = (3, 1, 4, 1, 5, 9)
Arrays = dict[str, Array]


def build(tokens: tuple[int, ...], shape: DecoderArchitecture, config: StrategyConfig) -> tuple[ModelGraph, System]:
    """One token follows the prompt."""
    graph = llama().graph(shape, NUMBERS, build_registry(()), Sequence(tokens, len(tokens) - 1))
    return graph, PerLayer(config).expand(graph, NUMBERS.bits.table_bits)


@cache
def graph_of(tokens: tuple[int, ...]) -> tuple[ModelGraph, System]:
    return build(tokens, LLAMA, StrategyConfig())


@cache
def model() -> Arrays:
    return random_weights(graph_of((*PROMPT, 0))[0])


def random_weights(graph: ModelGraph) -> Arrays:
    rng, out = np.random.default_rng(3), {}
    for name, w in graph.weights().items():
        scale = 180 if name == "embed" else 64 / w.shape[0] ** 0.5
        out[name] = np.clip(np.rint(rng.normal(size=w.shape) * scale), w.lo, w.hi).astype(np.int64)
    return out


def logits(weights: Arrays, lies: Lies, prompt: tuple[int, ...] = PROMPT) -> Array:
    graph, system = graph_of((*prompt, 0))
    tamper = attacks.lying(attacks.followers(system, graph), lies)
    witness = Witness(system, tools().kernels, attacks.blank(system, weights), tamper)
    return witness.array("logits.y")[0]


@dataclass(frozen=True, eq=False)
class Case:
    """What a prover with these lies wants to have accepted."""

    system: System
    given: Arrays
    tamper: Lies

    def witness(self, system: System | None = None) -> Witness:
        return Witness(system or self.system, tools().kernels, self.given, self.tamper)

    def outcome(self, setup: Setup, system: System | None = None) -> tuple[set[str], str]:
        """The guards the prover met, and why the verifier rejects: empty if it accepts."""
        system, attacker = system or self.system, Attacker()
        weights = commit_weights(system, self.given, setup)
        proof = prove_system(system, self.given, setup, weights=weights, tamper=self.tamper, channel=attacker)
        return set(attacker.guards), rejection(system, proof, setup, weights=weights)


def case(lies: Lies, token: int | None = None, weights: Arrays | None = None) -> Case:
    """Without a `token`, the statement follows the lie."""
    weights = weights or model()
    answer = token if token is not None else int(logits(weights, lies).argmax())
    graph, system = graph_of((*PROMPT, answer))
    return Case(system, attacks.blank(system, weights), attacks.lying(attacks.followers(system, graph), lies))


def reasons(system: System, relations: Iterable[str]) -> set[str]:
    """How guards are called in clear mode. The root of a tree speaks for all its lookups."""
    known, out = {r.name: r for r in system.relations}, set[str]()
    for name in relations:
        r = known[name]
        defines = {"definitions", f"{r.table.name} values"} if r.table else {name}
        out |= {"lookups"} if r.kind == "lookup" and not r.outs else defines
    return out


def relieved(system: System, relations: Iterable[str]) -> tuple[System, Setup]:
    """The system and the setup without these guards."""
    defining = {r.name for r in system.relations if r.outs}
    names = set(relations)
    return without(system, *(names - defining)), CLEAR.overlooking(*reasons(system, names & defining))


def check_rejected_exactly_by(c: Case, relations: set[str]) -> None:
    assert set(unsatisfied(c.system, c.witness())) == relations
    allowed = reasons(c.system, relations)
    met, reason = c.outcome(CLEAR)
    assert met and met <= allowed and reason in met
    assert c.outcome(HIDING)[1] in FINISH
    system, setup = relieved(c.system, relations)
    assert c.outcome(setup, system) == (set(), "")
    for kept in relations if len(relations) > 1 else ():
        system, setup = relieved(c.system, relations - {kept})
        assert c.outcome(setup, system)[1] in reasons(c.system, {kept})


# --- lies -------------------------------------------------------------------------------------------------------------
def put(value: int, *at: int) -> Lie:
    """One cell, mod r."""

    def lie(array: Array, witness: Witness) -> Array:
        values = arrays.to_objects(witness.kernels, array).copy()
        values[at] = value - MODULUS if value > MODULUS // 2 else value
        return arrays.from_objects(witness.kernels, values)

    return lie


def wrapped_quotient(array: Array, witness: Witness) -> Array:
    """Position 0 of the last layer's stream, which nobody reads: another remainder that is in range, and the quotient
    that goes with it mod r."""
    shift = NUMBERS.activations["mid"] + NUMBERS.weights["down"] - NUMBERS.hidden
    base = int(witness.array("layers.1.attention_residual.y")[0, 0, 0])
    total = int(witness.array("layers.1.down_acc.y")[0, 0, 0]) + (1 << shift - 1)
    other = (total + 1) % (1 << shift)
    return put((base + (total - other) * pow(1 << shift, -1, MODULUS)) % MODULUS, 0, 0, 0)(array, witness)


def another_heads_keys(array: Array, witness: Witness) -> Array:
    q, k = (witness.array(f"layers.0.attention.{n}_tiles") for n in "qk")
    return np.einsum("htid,htjd->htij", q, np.roll(k, 2, axis=0))


def another_positions_rotation(array: Array, witness: Witness) -> Array:
    x, half = witness.array("layers.0.q_acc.y"), LLAMA.head_dim // 2
    cos, sin = (np.roll(witness.array(n), 1, axis=1) for n in ("cos", "sin"))
    return x * cos + np.concatenate([-x[..., half:], x[..., :half]], axis=-1) * sin


def another_layers_weights(array: Array, witness: Witness) -> Array:
    return np.einsum("Iim,mhd->hIid", witness.array("layers.1.attention_in.y"), witness.array("layers.0.q"))


def a_row_of_the_past(array: Array, witness: Witness) -> Array:
    """Position 4 attends as position 2 does."""
    out = array.copy()
    out[:, :, 4] = array[:, :, 2]
    return out


def in_place_of(name: str) -> Lie:
    return lambda array, witness: witness.array(name)


def unasked_word(array: Array, witness: Witness) -> Array:
    """Position 1 reads another token than the statement says."""
    out = array.copy()
    out[0, 1] = witness.array("embed")[17]
    return out


A, M, STREAM = "layers.0.attention.", "layers.0.mlp.", "layers.0.mlp_residual.y"
LIES: dict[str, tuple[Lies, set[str]]] = {
    "requantised one too high": ({"layers.0.q.y": plus(1)}, {"layers.0.q.y.rest.0"}),
    "requantised one too low": ({"layers.0.v.y": plus(-1, 7)}, {"layers.0.v.y.rest.0"}),
    "residual one too high": ({STREAM: plus(1, 3)}, {f"{STREAM}.rest.0"}),
    "quotient wrapped around the field": (
        {"layers.1.mlp_residual.y": wrapped_quotient},
        {"layers.1.mlp_residual.y.range.0"},
    ),
    "inverse root one too large": (
        {"layers.0.attention_in.inverse": plus(1)},
        {"layers.0.attention_in.inverse.low.0"},
    ),
    "inverse root one too small": (
        {"layers.1.mlp_in.inverse": plus(-1, 2)},
        {"layers.1.mlp_in.inverse.high.0"},
    ),
    "last inverse root one too small": ({"final.inverse": plus(-1)}, {"final.inverse.high.0"}),
    "masked position let in": ({f"{A}e": put(256, 0, 0, 0, 3)}, {f"{A}exp"}),
    "visible position left out": ({f"{A}e": put(0, 1, 0, 5, 2)}, {f"{A}exp"}),
    "exp one too large": ({f"{A}e": plus(1)}, {f"{A}exp"}),
    "exp one too small": ({f"{A}e": plus(-1)}, {f"{A}exp"}),
    "maximum one too large": ({f"{A}mu": plus(1, 4)}, {f"{A}maximum.0"}),
    "maximum one too small": ({f"{A}mu": plus(-1, 4)}, {f"{A}exp"}),
    "zero flag raised": ({f"{A}mu": plus(1, 4), f"{A}zero": put(1, 0, 0, 4, 0)}, {f"{A}exp"}),
    "reciprocal one too large": ({f"{A}reciprocal": plus(1)}, {f"{A}reciprocal.low.0"}),
    "reciprocal one too small": ({f"{A}reciprocal": plus(-1)}, {f"{A}reciprocal.high.0"}),
    "another row of the softmax": ({f"{A}e": a_row_of_the_past}, {f"{A}exp"}),
    "another head's keys": ({f"{A}scores": another_heads_keys}, {f"{A}scores"}),
    "another position's rotation": ({"layers.0.q_rope.y": another_positions_rotation}, {"layers.0.q_rope.y"}),
    "another layer's weights": ({"layers.1.q_acc.y": another_layers_weights}, {"layers.1.q_acc.y"}),
    "silu one too large": ({f"{M}act": plus(1)}, {f"{M}table"}),
    "silu one too small": ({f"{M}act": plus(-1, 8)}, {f"{M}table"}),
    "gate one too high": ({f"{M}gate": plus(1)}, {f"{M}gate.rest.0"}),
    "another prompt": ({"embedding.y": unasked_word}, {"embedding.y"}),
    "attention skipped": (
        {"layers.0.attention_residual.y": in_place_of("embedding.y")},
        {"layers.0.attention_residual.y.rest.0"},
    ),
    "layer skipped": (
        {"layers.1.attention_residual.y": in_place_of(STREAM), "layers.1.mlp_residual.y": in_place_of(STREAM)},
        {"layers.1.attention_residual.y.rest.0", "layers.1.mlp_residual.y.rest.0"},
    ),
    "logit one too high": ({"logits.y": plus(1, 11)}, {"logits.y"}),
}


@pytest.mark.parametrize("lies, relations", LIES.values(), ids=LIES)
def test_lie(lies: Lies, relations: set[str]) -> None:
    check_rejected_exactly_by(case(lies), relations)


def test_the_truth() -> None:
    """What followers make is what the ops' forward passes make, and it is accepted."""
    c = case({})
    graph, system = graph_of((*PROMPT, int(logits(model(), {}).argmax())))
    store = passes.witness(graph, {n: torch.from_numpy(a) for n, a in model().items()})
    for name, values in PerLayer(StrategyConfig()).given(system, store).items():
        assert np.array_equal(c.witness().array(name), values), name
    assert unsatisfied(c.system, c.witness()) == []
    assert c.outcome(CLEAR) == c.outcome(HIDING) == (set(), "")


@pytest.mark.parametrize("trees", ["one", "each_layer"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_truth_in_two_tiles(trees: str, tied: bool) -> None:
    """18 positions in tiles of 16; a masked cell of the second diagonal tile is no more open than one of the first."""
    config = StrategyConfig.model_validate({"batching": trees})
    shape, prompt = LLAMA.model_copy(update={"tied": tied}), tuple(k * 7 % 23 for k in range(18))
    graph, system = build((*prompt, 0), shape, config)
    weights, follow = random_weights(graph), attacks.followers(system, graph)
    honest = Witness(system, tools().kernels, attacks.blank(system, weights), follow)
    graph, system = build((*prompt, int(honest.array("logits.y")[0].argmax())), shape, config)
    c = Case(system, attacks.blank(system, weights), follow)
    assert c.outcome(CLEAR) == (set(), "")
    lies = {f"{A}e": put(1, 0, 2, 0, 1)}
    assert replace(c, tamper=attacks.lying(follow, lies)).outcome(CLEAR)[1].endswith("values")


def test_lies_that_pay() -> None:
    """Some of these lies change the answer."""
    honest = int(logits(model(), {}).argmax())
    paid = [name for name, (lies, _) in LIES.items() if int(logits(model(), lies).argmax()) != honest]
    assert "attention skipped" in paid


# --- the token --------------------------------------------------------------------------------------------------------
def ranked() -> list[int]:
    """Tokens, best first."""
    values = logits(model(), {})
    return sorted(range(len(values)), key=lambda v: (-int(values[v]), v))


def test_second_best_token() -> None:
    check_rejected_exactly_by(case({}, ranked()[1]), {"argmax.gap.0"})


def test_second_best_token_with_a_negative_limb() -> None:
    """The difference is negative; its top limb may be, too, if nobody looks."""
    best, token = ranked()[:2]
    values = logits(model(), {})
    gap = int(values[token]) - int(values[best]) - (best < token)
    lies = {f"argmax.gap.{k}": put(limb, 0, best) for k, limb in ((8, (gap >> 8) % 256), (16, gap >> 16))}
    check_rejected_exactly_by(case(lies, token), {"argmax.gap.16.range"})


def test_tie_goes_to_the_lowest_id() -> None:
    best = ranked()[0]
    low, high = sorted((best, (best + 5) % LLAMA.vocab_size))
    weights = {**model(), "head": model()["head"].copy()}
    weights["head"][low] = weights["head"][high] = model()["head"][best]
    assert case({}, low, weights).outcome(CLEAR) == (set(), "")
    check_rejected_exactly_by(case({}, high, weights), {"argmax.gap.0"})


def test_one_proof_two_statements() -> None:
    """An honest proof says nothing about another token, another prompt or another model."""
    token = ranked()[0]
    c = case({}, token)
    weights = commit_weights(c.system, c.given)
    proof = prove_system(c.system, c.given, weights=weights, tamper=c.tamper)
    assert rejection(c.system, proof, weights=weights) == ""
    for tokens in ((*PROMPT, ranked()[1]), (*PROMPT[:-1], 8, token)):
        assert rejection(graph_of(tokens)[1], proof, weights=weights)
    other = {**model(), "layers.0.q": plus(1)(model()["layers.0.q"], c.witness())}
    assert rejection(c.system, proof, weights=commit_weights(c.system, other))


# --- what is public, and what is committed ----------------------------------------------------------------------------
def test_prover_who_reads_other_tokens() -> None:
    """All relations hold for the one-hot rows that the prover uses; the statement has others."""
    c = case({"tokens": lambda array, witness: np.roll(array, 1, axis=1)})
    assert unsatisfied(c.system, c.witness()) == []
    assert c.outcome(CLEAR) == ({"embedding.y"}, "embedding.y")
    assert c.outcome(HIDING)[1] in FINISH
    assert c.outcome(CLEAR.overlooking("embedding.y")) == (set(), "")


@pytest.mark.parametrize("name", ["embed", "layers.0.q", "layers.1.down", "head"])
def test_one_weight_changed(name: str) -> None:
    """Everything follows from the other weight, but the commitment does not."""
    c = case({name: plus(1, 5)})
    assert unsatisfied(c.system, c.witness()) == []
    assert c.outcome(CLEAR) == ({"opening"}, "opening")
    assert c.outcome(HIDING)[1] in FINISH
    assert c.outcome(CLEAR.overlooking("opening")) == (set(), "")


def test_masked_steps_are_free() -> None:
    """t has no meaning at masked cells, and no reader: whatever stands there, nothing else changes."""
    c = case({f"{A}t": put(10**9, 0, 0, 0, 3)})
    assert c.outcome(CLEAR) == c.outcome(HIDING) == (set(), "")
    assert np.array_equal(c.witness().array("logits.y")[0], logits(model(), {}))


# --- padding ----------------------------------------------------------------------------------------------------------
def soiled(array: Array, value: int = 5) -> Array:
    """The same real cells, with something in all the padding."""
    out = np.full(padded(array.shape), value, dtype=np.int64)
    out[tuple(slice(0, n) for n in array.shape)] = array
    return out


def dirty(name: str) -> Lies:
    return {name: lambda array, witness: soiled(array)}


PADDED = {  # a committed tensor, the weight it meets, the relation that sums over both
    "hidden size": ("layers.0.attention_in.y", "layers.0.q", "layers.0.q_acc.y"),
    "head size": ("layers.0.attention.y", "layers.0.o", "layers.0.o_acc.y"),
    "feed-forward size": ("layers.1.mlp.y", "layers.1.down", "layers.1.down_acc.y"),
    "hidden size, at the end": ("final.y", "head", "logits.y"),
}


@pytest.mark.parametrize("activation, weight, reader", PADDED.values(), ids=PADDED)
def test_sums_over_committed_padding(activation: str, weight: str, reader: str) -> None:
    """Padding is committed, so a prover may fill it; no sum may read it."""
    weights = {**model(), weight: soiled(model()[weight])}
    assert not np.array_equal(logits(weights, dirty(activation)), logits(model(), {}))
    check_rejected_exactly_by(case(dirty(activation), weights=weights), {reader})


@pytest.mark.parametrize("name", ["q", "k"])
def test_scores_over_padded_heads(name: str) -> None:
    """Both factors are activations: this one needs no accomplice in the weights."""
    lies = {**dirty("layers.0.q.y"), **dirty("layers.0.k.y")}
    check_rejected_exactly_by(case(lies), {f"{A}scores"})
    alone = case(dirty(f"layers.0.{name}.y"))
    assert alone.outcome(CLEAR)[1] == ""
    assert np.array_equal(alone.witness().array("logits.y")[0][:23], logits(model(), {}))


def test_padding_behind_a_public_selection() -> None:
    """A public factor keeps its own axes' padding clean, and no other axis'."""
    build = Builder(8)
    pick = build.public("pick", Select((2,), (1, 4)))
    x = build.committed("x", (1, 4, 3), -128, 127)
    build.nonneg("x.range", "Iim", x["Iim"] + 128, 8)
    picked = build.einsum("picked", "pIi,Iim->pm", pick, x)
    y = build.einsum("y", "pm,mv->pv", picked, build.weight("w", (3, 5), -128, 127))
    rng = np.random.default_rng(0)
    given = {"x": soiled(rng.integers(-9, 9, (1, 4, 3))), "w": soiled(rng.integers(-9, 9, (3, 5)))[:, :5]}
    claimed = (given["x"][0, 2] @ given["w"])[None]
    said = build.public("claimed", Dense(claimed, int(claimed.min()), int(claimed.max())))
    build.zero("tie", "pv", y["pv"] - said["pv"])
    c = Case(freeze(build), given, {})
    assert unsatisfied(c.system, c.witness()) == ["y"]
    assert c.outcome(CLEAR)[1] == "y"
    picked.clean = True
    assert c.outcome(CLEAR) == (set(), "")
