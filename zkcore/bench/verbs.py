"""What is measured of the engine's verbs: `log` sets the sizes, 26 fills a GPU.

A case's products (of field elements) and bytes are per item: what the verb could not do without.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from zkcore.bench.machine import POINT, Machine
from zkcore.field.eq_kernels import SumsEq

ADDITION = 6.4  # products of Fq: a batched affine addition with its share of an inversion
FQ_PRODUCTS = 27.3 / 67.2  # rate of Fq products over that of Fr products
VALUE = ADDITION / FQ_PRODUCTS  # one batched affine addition, in products of Fr


@dataclass
class Case:
    """`took`: seconds, where they were measured already."""

    name: str
    items: float
    unit: str
    run: Callable[[], object]
    products: float = 0.0
    bytes: float = 0.0
    note: str = ""
    took: float | None = None


def nothing() -> None:
    """Of a case that was measured already."""


def columns(m: Machine, log: int) -> Iterator[Case]:
    k, n = m.k, 1 << log
    a, b, short = m.fields(n), m.fields(n), m.ints("int16", n)
    yield Case("from_ints int16", n, "entries", lambda: k.from_ints(short), 0.3, 34)
    yield Case("eq_table", n, "entries", lambda: k.eq_table(POINT[:log]), 1, 32)
    yield Case("multiply field field", n, "entries", lambda: k.multiply(a, b), 1, 96)
    yield Case("multiply int16 field", n, "entries", lambda: k.multiply(short, b), 1.3, 66)
    terms = [(POINT[0], short), (POINT[1], short), (POINT[2], a)]
    yield Case("combine 2 int16, 1 field", n, "entries", lambda: k.combine(terms, 5, n), 1.4, 68)
    yield Case("combine 2 fields", n, "entries", lambda: k.combine([(POINT[0], a), (POINT[1], b)], 0, n), 2, 96)
    yield Case("dot field field", n, "entries", lambda: k.dot(a, b), 0.57, 64)
    yield Case("batch_inverse", n, "entries", lambda: k.batch_inverse(a), 3, 160)
    some = n >> 2
    spread = m.below(1 << 16, some)
    crowd = spread * m.below(2, some)
    for name, index in (("spread", spread), ("half to one", crowd)):
        if isinstance(k, SumsEq):
            run = partial(k.eq_by_row, index, 0, 1 << 16, None, [POINT[: log - 2]])
            yield Case(f"eq_by_row to 2^16, {name}", some, "cells", run, 0, 8)
        else:
            run = partial(k.scatter_add, index, a[:some], 1 << 16)
            yield Case(f"scatter_add to 2^16, {name}", some, "entries", run, 0, 40)


def folds(m: Machine, log: int) -> Iterator[Case]:
    k, rows, width = m.k, 1 << log // 2 + 1, 1 << log - log // 2 + 3
    signs, own = m.trits(rows, width), m.fields(rows)
    ternary = partial(k.contract_ternary, signs, 1, width, own)
    yield Case("contract_ternary of columns", rows * width, "entries", ternary, 0.0, 1)
    for kind, size in (("int8", 1), ("int16", 2), ("int32", 4), ("field", 32)):
        r = rows if kind != "field" else rows >> 4
        matrix = m.fields(r * width) if kind == "field" else m.ints(kind, r, width)
        products = 0.57 if kind == "field" else 0.0 if size < 4 else 8 / 112
        for name, shape, count in (("of rows", (1, width), r), ("of columns", (r, 1), width)):
            run = partial(k.contract, matrix, *shape, m.fields(count))
            yield Case(f"contract {kind} {name}", r * width, "entries", run, products, size)


def whole_sumcheck(m: Machine, tables: list[Any], degree: int, point: list[int] | None) -> None:
    state = m.k.sumcheck(tables, [(1, tuple(range(len(tables))))], degree, point)
    for i in range(len(tables[0]).bit_length() - 1):
        state.round()
        state.bind(POINT[i])
    state.finals()


def second_round(m: Machine, tables: list[Any], degree: int, point: list[int] | None) -> float:
    """Seconds that binding the first challenge and the round after it take."""
    times = []
    for _ in range(4):
        state = m.k.sumcheck(tables, [(1, tuple(range(len(tables))))], degree, point)
        state.round()
        m.wait()
        start = time.perf_counter()
        state.bind(POINT[0])
        state.round()
        times.append(time.perf_counter() - start)
    return min(times)


def sumchecks(m: Machine, log: int) -> Iterator[Case]:
    n, point = 1 << log, POINT[:log]
    a, b, x, y = m.fields(n), m.fields(n), m.ints("int16", n), m.ints("int16", n)
    for name, tables, degree, eq, products, size in (
        ("a b", [a, b], 2, None, 144 / 112, 96.0),
        ("eq a b", [a, b], 3, point, (4 * 112 + 2 * 112 + 2 * 64) / 112 / 4, 96.0),
        ("eq a b of int16", [x, y], 3, point, (4 * 28 + 2 * 112 + 2 * 64) / 112 / 4, 36.0),
    ):
        took = second_round(m, tables, degree, eq)
        yield Case(f"bind+evaluate {name}", n, "indices", nothing, products, size, took=took)
    run = whole_sumcheck
    yield Case("sumcheck a b, all rounds", n, "indices", lambda: run(m, [a, b], 2, None), 2 * 144 / 112 + 1.7, 320)
    yield Case("sumcheck eq a b, all rounds", n, "indices", lambda: run(m, [a, b], 3, point), 2 * 1.79 + 2.4, 320)
    yield Case("sumcheck eq a b of int16, all rounds", n, "indices", lambda: run(m, [x, y], 3, point), 3.3, 140)


@dataclass
class Leaves:
    numerator: Any
    constant: int
    denominator: list[tuple[int, Any]]

    @staticmethod
    def of(m: Machine, log: int) -> Leaves:
        """As a lookup of two columns has them."""
        ones = m.k.space.zeros((1 << log,), "int8")
        ones[:] = 1
        return Leaves(ones, POINT[0], [(POINT[c], m.ints("int16", 1 << log)) for c in (1, 2)])


def tree_times(m: Machine, leaves: Leaves, log: int) -> tuple[float, float]:
    """Seconds to build it, and to prove all layers as well."""
    m.wait()
    start = time.perf_counter()
    tree = m.k.fraction_tree([leaves], log)
    built = time.perf_counter()
    point: list[int] = []
    for depth in range(log):
        layer = tree.layer(depth, point, POINT[depth])
        for i in range(depth):
            layer.round()
            layer.bind(POINT[i + 1])
        layer.finals()
        point = [*POINT[1 : depth + 1], POINT[depth + 2]]
    return built - start, time.perf_counter() - start


def _tree_times(to: list[tuple[float, float]], m: Machine, leaves: Leaves, log: int) -> None:
    to.append(tree_times(m, leaves, log))


def trees(m: Machine, log: int) -> Iterator[Case]:
    for size in (log - 6, log - 2, log + 2):
        leaves, times = Leaves.of(m, size), list[tuple[float, float]]()
        tree_times(m, leaves, size)
        note = m.peak(partial(_tree_times, times, m, leaves, size))
        [(build, whole)] = times
        count, lookups = float(1 << size), f"LogUp-GKR 2^{size}, build and all layers"
        yield Case(f"fraction tree 2^{size}, build", count, "leaves", nothing, 200 / 112, 70, took=build)
        yield Case(lookups, count, "lookups", nothing, 9.3, 450, note, whole)


def some_points(m: Machine, count: int) -> Any:
    bases = m.k.hash_to_curve(b"zkcore benchmark", b"gpu", 0, 16)
    return m.k.commit_rows(bases, m.ints("int8", count, 16), m.fields(count), m.k.fixed_base(bases[:1]))


def commitments(m: Machine, log: int) -> Iterator[Case]:
    k, most = m.k, log - 6  # the widest row
    bases = some_points(m, 1 << most)
    blinder = k.fixed_base(bases[:1])
    for kind, less in (("int8", 0), ("int16", 0), ("int32", 2)):
        for width in range(most - 8, most + 1, 2 if kind == "int16" else 4):
            if kind == "int32" and width != most:
                continue
            rows = log - less - width
            values, blinds = m.ints(kind, 1 << rows, 1 << width), m.fields(1 << rows)
            run = partial(k.commit_rows, bases, values, blinds, blinder)
            additions = 2 if kind == "int32" else 1
            name, note = f"commit_rows {kind} 2^{rows} x 2^{width}", f"bound: {additions} batched additions a value"
            yield Case(name, float(1 << rows + width), "values", run, VALUE * additions, note=note)
    yield from ternary_commitments(m, log, bases, blinder)
    for size in (most - 4, most):
        msm = partial(k.msm, bases[: 1 << size], m.fields(1 << size))
        yield Case(f"msm 2^{size}", 1 << size, "points", msm, 16 * VALUE)
    two = k.from_scalars(POINT[:2])
    fold = partial(k.fold_points, bases, two)
    yield Case(f"fold_points 2^{most} to 2^{most - 1}", 1 << most - 1, "points", fold, 3000 / FQ_PRODUCTS)


def ternary_commitments(m: Machine, log: int, bases: Any, blinder: Any) -> Iterator[Case]:
    """Of one tensor, of one in the widest rows, of all layers' of a kind, of few rows, and with what is made once."""
    k, most = m.k, log - 6
    note = "bound: one batched addition for five weights"
    shapes = ((log - most + 8, most - 8), (log - most + 4, most - 4), (log - most, most), (max(0, log - 14), most))
    few = () if m.gpu else ((4, most), (3, most), (1, most), (0, most))
    for rows, width in dict.fromkeys((*shapes, *few)):
        signs, blinds = m.trits(1 << rows, 1 << width), m.fields(1 << rows)
        run = partial(k.commit_ternary, bases, signs, blinds, blinder)
        weights = float(1 << rows + width)
        yield Case(f"commit_ternary 2^{rows} x 2^{width}", weights, "weights", run, VALUE / 5, note=note)
    one, blind = m.trits(1, 1 << most), m.fields(1)

    shifts = itertools.count(1)

    def anew() -> None:
        first = next(shifts) % len(bases)
        k.commit_ternary(k.space.concatenate([bases[first:], bases[:first]]), one, blind, blinder)

    yield Case(f"commit_ternary 1 x 2^{most}, new generators", 1 << most, "weights", anew, VALUE * 116 / 5)


GROUPS: Mapping[str, Callable[[Machine, int], Iterator[Case]]] = {
    "columns": columns,
    "folds": folds,
    "sumchecks": sumchecks,
    "trees": trees,
    "commitments": commitments,
}
