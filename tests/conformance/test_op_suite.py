"""The suite judges ops: here it must find what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from zkcore.errors import GraphError
from zkcore.graph.builder import Builder
from zkcore.graph.public import CausalTiles, OneHot
from zkcore.graph.tensor import Output
from zkcore.graph.tensor import committed as of_bits
from zkcore.ops.attention import Attention, AttentionSettings
from zkcore.ops.requantise import Requantise
from zkcore.ops.rmsnorm import RmsNorm
from zkcore.testing import attacks, direct, op_suite
from zkcore.testing.op_suite import Nonconformant, activation, check_op, public, sample

TIES = np.array([[-48, -16, 0, 16, 48], [-2048, 2031, 15, 17, -17]])
X = {"x": activation(TIES, 12)}


class HalfDown(Requantise):
    def forward(self, inputs: Any) -> Any:
        return {"y": (inputs["x"] + 15) >> 5}


class Sideways(Requantise):
    """Forward and relations each make sense, but not together: the virtual output is another one."""

    def outputs(self, inputs: Any) -> Mapping[str, Output]:
        return {**super().outputs(inputs), "twice": Output(inputs["x"].shape)}

    def forward(self, inputs: Any) -> Any:
        return {**super().forward(inputs), "twice": 2 * inputs["x"] + 1}

    def relations(self, build: Builder, inputs: Any, outputs: Any) -> None:
        super().relations(build, inputs, outputs)
        build.linear("twice", "ab", 2 * inputs["x"]["ab"])


class Unranged(Requantise):
    """zkLLM's hole: the remainder is in range, the quotient is anything."""

    def relations(self, build: Builder, inputs: Any, outputs: Any) -> None:
        build.requantise(outputs["y"], "ab", inputs["x"], self.shift, ranged=False)


class Loose(Requantise):
    """The remainder may be twice as large: two quotients fit."""

    def relations(self, build: Builder, inputs: Any, outputs: Any) -> None:
        y = outputs["y"]
        build.nonneg("y.range", "ab", y["ab"] - y.lo, self.bits)
        build.nonneg("y.rest", "ab", inputs["x"]["ab"] + 32 - 32 * y["ab"], 6)


class Forgetful(Requantise):
    def forward(self, inputs: Any) -> Any:
        return {}


class Transposed(Requantise):
    def outputs(self, inputs: Any) -> Mapping[str, Output]:
        return {"y": of_bits(inputs["x"].shape[::-1], self.bits)}


@dataclass(frozen=True)
class Moody(Requantise):
    """States another system every time."""

    name: str = "moody"

    def relations(self, build: Builder, inputs: Any, outputs: Any) -> None:
        super().relations(build, inputs, outputs)
        Moody.count = getattr(Moody, "count", 0) + 1
        build.nonneg(f"again{Moody.count}", "ab", outputs["y"]["ab"] + 128, 8)


class Indescribable(Requantise):
    def describe(self) -> list[object]:
        return [object()]


FAULTS: dict[type[Requantise], str] = {
    HalfDown: "violates",
    Sideways: "disagree",
    Unranged: "no lookup proves",
    Loose: "satisfies all relations",
    Forgetful: "does not make",
    Transposed: "promises|axis",
    Moody: "two different systems",
    Indescribable: "describe",
}


@pytest.mark.parametrize("op, fault", FAULTS.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_a_faulty_op_is_found(op: type[Requantise], fault: str) -> None:
    with pytest.raises((Nonconformant, GraphError), match=fault):
        check_op(op(5, 8), X, hiding=False)


def test_an_intact_op_passes() -> None:
    report = check_op(Requantise(5, 8), X)
    assert report.guards["op.y"] == {"op.y.rest.0"}
    assert report.proof_bytes and report.committed_values and report.lookups


def test_a_sample_beyond_its_bits_is_refused() -> None:
    with pytest.raises(Nonconformant, match="leaves 8 bits"):
        activation(np.array([128]), 8)


class Unnormalised(RmsNorm):
    """The inverse root is bounded from above only."""

    def relations(self, build: Builder, inputs: Any, outputs: Any) -> None:
        _generously(build, "inverse.high", lambda: super(Unnormalised, self).relations(build, inputs, outputs))


class Unpinned(Attention):
    """No score need equal the row's maximum."""

    def relations(self, build: Builder, inputs: Any, outputs: Any) -> None:
        _generously(build, "maximum", lambda: super(Unpinned, self).relations(build, inputs, outputs))


def _generously(build: Builder, name: str, state: Callable[[], None]) -> None:
    """State relations, but let the named one hold 1 (2^20) below where it should."""
    strict = build.nonneg

    def nonneg(given: str, letters: str, expr: Any, bits: int, mask: Any = None) -> None:
        slack = (1 << 20) if given == name else 0
        strict(given, letters, expr + slack, max(bits, 21) + 1 if slack else bits, mask)

    build.nonneg = nonneg  # type: ignore[method-assign]
    state()


def test_a_hole_that_only_shows_when_everything_follows() -> None:
    """Alone, a false inverse root meets the norm's own requantisation; with a norm to match, nothing is left."""
    op, x = Unnormalised(10, 1, 3, 12), {"x": activation(sample((1, 3, 5), 8), 8, positions=0)}
    check_op(op, x, hiding=False)
    with pytest.raises(Nonconformant, match="op.inverse -1.*satisfies all relations"):
        check_op(op, x, hiding=False, follow={"y": attacks.rmsnorm(op, "op.")["y"]})


def test_a_maximum_that_is_not_attained() -> None:
    settings = AttentionSettings(4, 8, 3, 8, 8, 16, 6)
    inputs = {n: activation(sample((1, 1, 3, 4), 5, seed=k), 5, positions=1) for k, n in enumerate("qkv")}
    row = OneHot((0,), (1,), 1, 1)
    inputs |= {"row_of": public(row), "col_of": public(row), "causal": public(CausalTiles(1, 3))}
    follow = attacks.attention(settings, "op.")
    report = check_op(Attention(settings, 3), inputs, hiding=False, follow=follow)
    assert {"op.maximum.0", "op.exp"} <= report.guards["op.mu"]
    with pytest.raises(Nonconformant, match="op.mu .1.*satisfies all relations"):
        check_op(Unpinned(settings, 3), inputs, hiding=False, follow=follow)


def test_padding_that_is_wrongly_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor called clean whose padding a prover can fill: the suite compares the word with the deed."""
    define = Builder._define
    monkeypatch.setattr(Builder, "_define", lambda self, n, s, lo, hi, clean: define(self, n, s, lo, hi, True))
    with pytest.raises(Nonconformant, match="called clean"):
        check_op(RmsNorm(10, 1, 3, 12), {"x": activation(sample((1, 3, 5), 8), 8, positions=0)}, hiding=False)


@dataclass(frozen=True)
class Untrue(CausalTiles):
    """Half of its closed forms belong to another mask."""

    wrong: str = ""

    def evaluate(self, place: Any) -> int | None:
        return (super().evaluate(place) or 0) + (self.wrong == "evaluate")

    def paired(self, place: Any, other: Any) -> int | None:
        return (super().paired(place, other) or 0) + (self.wrong == "paired")

    def array(self) -> Any:
        return super().array() * (2 if self.wrong == "interval" else 1)


@pytest.mark.parametrize("wrong", ["evaluate", "paired", "interval"])
def test_a_public_tensor_that_is_not_what_it_says(wrong: str) -> None:
    op_suite.check_public(Untrue(2, 3))
    with pytest.raises(Nonconformant, match=wrong):
        op_suite.check_public(Untrue(2, 3, wrong=wrong))


def test_an_interval_that_is_too_narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(op_suite, "unsatisfied", lambda system, witness: [])
    define = Builder._define
    monkeypatch.setattr(Builder, "_define", lambda self, n, s, lo, hi, clean: define(self, n, s, lo, hi // 64, clean))
    with pytest.raises(Nonconformant, match="leave"):
        check_op(RmsNorm(10, 1, 3, 12), {"x": activation(np.full((1, 1, 5), -128), 8, positions=0)}, hiding=False)


def test_direct_evaluation_names_what_is_broken() -> None:
    bench = op_suite.Bench(Requantise(5, 8), X, 8, {"y": (X["x"].array + 16) >> 5})
    honest = bench.witness(bench.given())
    assert direct.unsatisfied(honest.system, honest) == []
    lying = bench.witness(bench.given(), {"op.y": lambda array, witness: array + 1})
    assert direct.unsatisfied(lying.system, lying) == ["op.y.rest.0"]
