"""Parts that do not go together are refused, the pair and the ways out by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from zkcore.commitment.hyrax import Hyrax
from zkcore.commitment.plain import Plain
from zkcore.compatibility import check
from zkcore.config import parse
from zkcore.errors import ConfigError
from zkcore.ops.attention import Attention
from zkcore.ops.zkattn import ZkAttention
from zkcore.registry import Offer, Registry
from zkcore.strategy.per_layer import PerLayer
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.tlookup import TLookup


class Whole(PerLayer):
    """A strategy with needs."""

    needs_virtual_outputs = True
    batching = ("one",)


class Thrifty(ZkAttention):
    needs_virtual_outputs = True


def registry(more: Iterable[Offer] = ()) -> Registry:
    offers = [
        Offer("lookup argument", "tlookup", "zkcore", TLookup),
        Offer("lookup argument", "logup_gkr", "zkcore", LogupGkr),
        Offer("strategy", "per_layer", "zkcore", PerLayer),
        Offer("strategy", "whole", "x", Whole),
        Offer("strategy", "cutting", "x", Cutting),
        Offer("attention op", "attention", "zkcore", Attention),
        Offer("attention op", "thrifty", "x", Thrifty),
        Offer("attention op", "zkattn", "zkcore", ZkAttention),
        Offer("commitment scheme", "hyrax", "zkcore", Hyrax),
        Offer("commitment scheme", "plain", "x", Plain),
    ]
    return Registry([*offers, *more], [])


def problems(data: dict[str, Any]) -> tuple[str, ...]:
    try:
        check(parse(data, "x.yaml"), registry())
    except ConfigError as e:
        return e.problems
    return ()


class Cutting(PerLayer):
    """A strategy that folds."""

    runs = True


GOOD: list[dict[str, Any]] = [
    {},
    {"lookup": "tlookup"},
    {"strategy": {"name": "whole"}},
    {"strategy": {"name": "cutting", "folded_layers": 3}},
    {"strategy": {"batching": "each_layer"}, "lookup": "tlookup"},
    {"commitment": {"name": "plain"}, "zero_knowledge": False},
    {"model": {"table_bits": 8}},
    {"model": {"attention": {"name": "zkattn"}}},
]


@pytest.mark.parametrize("data", GOOD)
def test_what_goes_together(data: dict[str, Any]) -> None:
    assert problems(data) == ()


def test_a_strategy_that_needs_virtual_values() -> None:
    [problem] = problems({"strategy": {"name": "whole"}, "lookup": "tlookup"})
    assert problem == (
        "strategy.name: whole and lookup: tlookup do not go together: whole needs function values that stay virtual, "
        "tlookup commits them. Choose lookup: logup_gkr, or strategy.name: cutting or per_layer"
    )


def test_an_op_that_needs_virtual_values() -> None:
    [problem] = problems({"model": {"attention": {"name": "thrifty"}}, "lookup": "tlookup"})
    assert "model.attention.name: thrifty and lookup: tlookup" in problem
    assert problem.endswith("Choose lookup: logup_gkr, or model.attention.name: attention or zkattn")


def test_a_setting_that_a_strategy_would_ignore() -> None:
    [problem] = problems({"strategy": {"name": "whole", "batching": "each_layer"}})
    assert problem == (
        "strategy.batching: each_layer and strategy.name: whole do not go together. "
        "Choose strategy.batching: one, or strategy.name: cutting or per_layer"
    )


def test_runs_of_a_strategy_that_folds_nothing() -> None:
    [problem] = problems({"strategy": {"name": "per_layer", "folded_layers": 4}})
    assert problem == (
        "strategy.folded_layers: 4 and strategy.name: per_layer do not go together: nothing is folded. "
        "Choose strategy.folded_layers: all, or strategy.name: cutting"
    )


def test_a_scheme_that_hides_nothing() -> None:
    [problem] = problems({"commitment": {"name": "plain"}})
    assert "commitment.name: plain and zero_knowledge: true" in problem
    assert problem.endswith("Choose commitment.name: hyrax, or zero_knowledge: false")


def test_a_segment_without_a_table() -> None:
    [problem] = problems({"model": {"table_bits": 12, "attention": {"name": "zkattn"}}})
    assert "model.attention.zkattn.segment_bits: 16 and model.table_bits: 12" in problem
    assert problem.endswith("Choose segments of at most 12 bits, or model.table_bits: 16")


def test_all_problems_at_once() -> None:
    data = {
        "strategy": {"name": "whole", "batching": "each_layer"},
        "lookup": "tlookup",
        "commitment": {"name": "plain"},
        "model": {"table_bits": 8, "attention": {"name": "zkattn"}},
    }
    assert len(problems(data)) == 4
