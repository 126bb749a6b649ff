"""Graphs that could be proved but would mean something else: the builder refuses them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zkcore.errors import GraphError, UsageError
from zkcore.graph.builder import Builder
from zkcore.graph.public import Dense
from zkcore.graph.system import freeze
from zkcore.graph.tensor import Tensor
from zkcore.graph.vmap import Axis, Stack
from zkcore.relation import Table, range_table
from zkcore.testing.toolbox import HIDING, Setup, commit_weights, prove_system, verify_system

SQUARE = Table("square", 4, ((0, 3), (0, 9)), lambda: [np.arange(4), np.arange(4) ** 2])


def small() -> tuple[Builder, Tensor, Tensor]:
    """A weight and a committed tensor, both of four signed bytes."""
    build = Builder(8)
    return build, build.weight("w", (4,), -128, 127), build.committed("y", (4,), -128, 127)


def masked() -> tuple[Builder, Tensor, Tensor]:
    """The committed tensor's interval is proved inside a mask only."""
    build, _, y = small()
    mask = build.public("mask", Dense(np.array([1, 1, 0, 1]), 0, 1))
    build.nonneg("y.range", "i", y["i"] + 128, 8, (mask, "i"))
    build.zero("w.zero", "i", build.tensors["w"]["i"])
    return build, y, mask


def test_overflow_of_products() -> None:
    build, w, _ = small()
    x = w
    with pytest.raises(GraphError, match="2\\^253"):
        for k in range(8):
            x = build.einsum(f"x{k}", "i,i->i", x, x)


@pytest.mark.parametrize("use", ["nonneg", "zero", "linear", "lookup"])
def test_overflow_of_sums(use: str) -> None:
    build, w, _ = small()
    expr = (1 << 250) * w["i"]
    uses: dict[str, Any] = {
        "nonneg": lambda: build.nonneg("n", "i", expr, 8),
        "zero": lambda: build.zero("n", "i", expr),
        "linear": lambda: build.linear("n", "i", expr),
        "lookup": lambda: build.lookup("n", range_table(8), "i", [expr]),
    }
    with pytest.raises(GraphError, match="wrap around"):
        uses[use]()


def test_a_promise_that_nobody_keeps() -> None:
    """zkLLM's hole: the remainder is in range, the quotient is anything."""
    build, w, y = small()
    build.requantise(y, "i", build.einsum("square", "i,i->i", w, w), 7, ranged=False)
    with pytest.raises(GraphError, match="no lookup proves.*'y'"):
        build.finish()


@pytest.mark.parametrize("bits, offset", [(9, 128), (8, 0), (8, 129)])
def test_a_promise_kept_too_loosely(bits: int, offset: int) -> None:
    build, _, y = small()
    build.nonneg("y.range", "i", y["i"] + offset, bits)
    with pytest.raises(GraphError, match="no lookup proves"):
        build.finish()


def test_a_promise_kept_for_twice_the_tensor() -> None:
    build, _, y = small()
    build.nonneg("y.range", "i", 2 * y["i"] + 128, 8)
    with pytest.raises(GraphError, match="no lookup proves"):
        build.finish()


def test_definitions_that_reach_no_check() -> None:
    build, w, y = small()
    build.nonneg("y.range", "i", y["i"] + 128, 8)
    build.einsum("loose", "i,i->i", w, y)
    with pytest.raises(GraphError, match="loose: no check depends on it"):
        build.finish()


def test_a_tensor_that_no_relation_reads() -> None:
    build, _, y = small()
    build.nonneg("y.range", "i", y["i"] + 128, 8)
    with pytest.raises(GraphError, match=r"no relation reads: \['w'\]"):
        build.finish()


def test_reads_outside_a_mask() -> None:
    build, y, mask = masked()
    build.finish()
    inside = build.einsum("inside", "i,i->i", y, mask)
    build.nonneg("more", "i", inside["i"] + 128, 8)
    build.nonneg("masked", "i", y["i"] + 128, 8, (mask, "i"))
    build.finish()
    build.nonneg("outside", "i", y["i"] * 3 + 400, 16)
    with pytest.raises(GraphError, match="outside.* reads y outside mask"):
        build.finish()


@pytest.mark.parametrize("use", ["zero", "linear"])
def test_adding_a_mask_is_not_reading_inside_it(use: str) -> None:
    build, y, mask = masked()
    expr = y["i"] + mask["i"]
    if use == "zero":
        build.zero("sum", "i", expr)
    else:
        build.nonneg("sum.range", "i", build.linear("sum", "i", expr)["i"] + 128, 9)
    with pytest.raises(GraphError, match="sum.* reads y outside mask"):
        build.finish()


@pytest.mark.parametrize("use", ["zero", "linear"])
def test_broadcasts(use: str) -> None:
    build, w, _ = small()
    v = build.weight("v", (3, 4), -1, 0)
    with pytest.raises(GraphError, match="broadcast"):
        getattr(build, use)("s", "ji", v["ji"] + w["i"])


@pytest.mark.parametrize("spec", ["ii->i", "ii->", "ij->ii", "ij->k"])
def test_letters_that_make_no_sense(spec: str) -> None:
    build = Builder(8)
    x = build.weight("x", (3, 3), -1, 0)
    with pytest.raises(GraphError, match="twice|no factor has"):
        build.einsum("e", spec, x)


def test_axes_that_disagree() -> None:
    build, w, _ = small()
    v = build.weight("v", (3, 5), -1, 0)
    with pytest.raises(GraphError, match="axis i has"):
        build.einsum("e", "i,ji->j", w, v)


@pytest.mark.parametrize("values", [(0, 2), (-1, 1)])
def test_masks_of_other_numbers(values: tuple[int, int]) -> None:
    build, _, y = small()
    mask = build.public("mask", Dense(np.array([*values, 0, 1]), *values))
    with pytest.raises(GraphError, match="zeros and ones"):
        build.nonneg("y.range", "i", y["i"] + 128, 8, (mask, "i"))


def test_masks_that_the_verifier_cannot_read() -> None:
    build, w, y = small()
    mask = build.committed("mask", (4,), 0, 1)
    with pytest.raises(GraphError, match="must be public"):
        build.nonneg("y.range", "i", y["i"] + 128, 8, (mask, "i"))


def test_two_of_one_name() -> None:
    build, w, _ = small()
    with pytest.raises(GraphError, match="declared twice"):
        build.weight("w", (4,), 0, 1)
    build.zero("z", "i", w["i"])
    with pytest.raises(GraphError, match="two relations of this name"):
        build.zero("z", "i", w["i"])


def test_tables_of_one_name_but_other_contents() -> None:
    build, _, y = small()
    build.lookup("a", SQUARE, "i", [y["i"]])
    other = Table("square", 4, ((0, 3), (0, 9)), lambda: [np.arange(4), np.arange(4)])
    with pytest.raises(GraphError, match="another table is already called square"):
        build.lookup("b", other, "i", [y["i"]])


def test_public_tensors_of_one_name_but_other_contents() -> None:
    build, other = Builder(8), Builder(8)
    first = build.public("scale", Dense(np.array([1, 2]), 0, 2))
    assert build.public("scale", Dense(np.array([1, 2]), 0, 2)) is first
    other.public("scale", Dense(np.array([2, 1]), 0, 2))
    with pytest.raises(GraphError, match="another public tensor"):
        build.public("scale", other.publics["scale"])
    with pytest.raises(GraphError, match="another public tensor"):
        Stack(other, build, Axis("l", 2, "layers.", {})).declare()


def test_a_stack_of_blocks_with_another_table_or_relation_of_a_name() -> None:
    """The lookup argument would take one table for the other."""
    other = Table("square", 4, ((0, 3), (0, 9)), lambda: [np.arange(4), np.arange(4)])
    for table, zero, what in ((other, "z", "already called square"), (SQUARE, "layers.z", "two relations")):
        (target, w, y), (block, v, x) = small(), small()
        target.lookup("a", SQUARE, "i", [y["i"]])
        target.zero(zero, "i", w["i"])
        block.lookup("b", table, "i", [x["i"]])
        block.zero("z", "i", v["i"])
        stack = Stack(block, target, Axis("l", 2, "layers.", {}))
        stack.declare()
        with pytest.raises(GraphError, match=what):
            stack.relate()


@pytest.mark.parametrize("rows", [[1, 2, 3, 4], [0, 1, 2], [0, 2, 1, 3], [0, 1, 2, 2], [0, 1, 2, 3, 4]])
def test_tables_whose_first_column_does_not_count(rows: list[int]) -> None:
    """The verifier evaluates it as consecutive integers."""
    build, _, y = small()
    table = Table("other", 4, ((0, 3),), lambda: [np.array(rows)])
    with pytest.raises(GraphError, match="must count from 0"):
        build.lookup("a", table, "i", [y["i"]])


def test_defining_lookups_whose_index_is_not_committed() -> None:
    build, w, y = small()
    virtual = build.einsum("v", "i,i->i", w, y)
    for index in (virtual["i"], y["i"] + w["i"]):
        with pytest.raises(GraphError, match="must be a committed tensor"):
            build.lookup("f", SQUARE, "i", [index], defines={"g": 1})


def test_no_number_has_negative_bits() -> None:
    build, w, _ = small()
    with pytest.raises(GraphError, match="no number lies"):
        build.nonneg("n", "i", w["i"], -1)


def test_the_plain_scheme_hides_nothing() -> None:
    build, w, y = small()
    build.nonneg("y.range", "i", y["i"] + 128, 8)
    build.zero("tie", "i", y["i"] - w["i"])
    system, given = freeze(build), {"w": np.arange(4), "y": np.arange(4)}
    setup = Setup(hiding=True)
    with pytest.raises(UsageError, match="hides nothing"):
        commit_weights(system, given, setup)
    weights = commit_weights(system, given)
    with pytest.raises(UsageError, match="hides nothing"):
        prove_system(system, given, setup, weights=weights)
    with pytest.raises(UsageError, match="hides nothing"):
        verify_system(system, b"", setup, weights=weights)
    hidden = commit_weights(system, given, HIDING)
    verify_system(system, prove_system(system, given, HIDING, weights=hidden), HIDING, weights=hidden)
    with pytest.raises(GraphError, match="without a commitment"):
        prove_system(system, given)
