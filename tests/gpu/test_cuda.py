"""Every verb on the GPU against the same verb on the CPU, bit for bit: odd sizes, extremes, points at infinity."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pytest

from zkcore.field import cuda
from zkcore.field.joint import JoinsSumchecks, KnownSum
from zkcore.field.kernels import MODULUS, Column, ContractsAll, Fold, Forms, Points, Term
from zkcore.field.native import NativeKernels
from zkcore.field.room import TreePlan
from zkcore.subprotocols.fraction_tree import Run

REASON = cuda.missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=REASON or "")]

HOST = NativeKernels()
KINDS = ["int8", "int16", "int32", "int64", "field"]
SMALL = ["int8", "int16"]
EDGES = [0, 1, 2, MODULUS - 1, MODULUS - 2, MODULUS >> 1, (1 << 64) - 1, 1 << 64, (1 << 128) - 1, 1 << 192]


@pytest.fixture(scope="module")
def device() -> Iterator[cuda.CudaKernels]:
    yield cuda.load()


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20240611)


def scalars(rng: random.Random, count: int) -> list[int]:
    return [rng.choice(EDGES) if rng.random() < 0.25 else rng.randrange(MODULUS) for _ in range(count)]


def column(rng: random.Random, kind: str, count: int) -> Column:
    """A few values of every sort and many random ones, extremes of the type among them."""
    draw = np.random.default_rng(rng.randrange(2**32))
    if kind == "field":
        some = HOST.from_scalars(scalars(rng, min(count, 500)) or [0])
        return cast(Column, np.ascontiguousarray(some[draw.integers(0, len(some), count)]))
    info = np.iinfo(kind)
    values = draw.integers(info.min, info.max, count, dtype=np.dtype(kind).type, endpoint=True)
    special = np.array([info.min, info.min + 1, -1, 0, 0, 1, info.max - 1, info.max], dtype=kind)
    return cast(Column, np.where(draw.random(count) < 0.3, special[draw.integers(0, 8, count)], values))


def same(got: Any, expected: np.ndarray[Any, Any]) -> None:
    array = cuda.load().to_host(got)
    assert array.dtype == expected.dtype
    assert array.shape == expected.shape
    np.testing.assert_array_equal(array, expected)


# ---- columns
@pytest.mark.parametrize("kind", KINDS[:4])
@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (3, 7), (2, 1, 1025)])
def test_from_ints(device: cuda.CudaKernels, rng: random.Random, kind: str, shape: tuple[int, ...]) -> None:
    values = cast(Any, column(rng, kind, int(np.prod(shape)))).reshape(shape)
    same(device.from_ints(values), HOST.from_ints(values))


def test_scalars_survive_the_round_trip(device: cuda.CudaKernels, rng: random.Random) -> None:
    values = [*EDGES, *scalars(rng, 9)]
    assert device.to_scalars(device.from_scalars(values)) == values


@pytest.mark.parametrize("variables", [0, 1, 5, 8, 9, 10, 12])
def test_eq_table(device: cuda.CudaKernels, rng: random.Random, variables: int) -> None:
    point, scale = scalars(rng, variables), rng.randrange(MODULUS)
    same(device.eq_table(point), HOST.eq_table(point))
    same(device.eq_table(point, scale), HOST.eq_table(point, scale))


CONTRACT_SHAPES = [
    *[(1, n, 1) for n in (1, 3, 127, 257, 4099)],
    *[(outer, k, inner) for outer in (1, 3) for k in (1, 33) for inner in (1, 2, 255, 257)],
    *[(65, 7, 1), (1, 1100, 9), (2, 0, 3), (0, 3, 2)],
    *[(1, 32, 64), (1, 33, 72), (2, 95, 136), (1, 700, 264), (64, 64, 1), (70, 128, 1), (131, 192, 1)],
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", CONTRACT_SHAPES, ids=str)
def test_contract(device: cuda.CudaKernels, rng: random.Random, kind: str, shape: tuple[int, int, int]) -> None:
    outer, k, inner = shape
    values, weights = column(rng, kind, outer * k * inner), HOST.from_scalars(scalars(rng, k))
    same(device.contract(values, outer, inner, weights), HOST.contract(values, outer, inner, weights))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(1, 5000, 1), (1, 1500, 64), (64, 1536, 1)], ids=str)
def test_contracting_extremes(device: cuda.CudaKernels, kind: str, shape: tuple[int, int, int]) -> None:
    outer, k, inner = shape
    weights = HOST.from_scalars([MODULUS - 1] * k)
    if kind == "field":
        values: Column = HOST.from_scalars([MODULUS - 1] * (outer * k * inner))
    else:
        values = cast(Column, np.full(outer * k * inner, np.iinfo(kind).min, dtype=kind))
    same(device.contract(values, outer, inner, weights), HOST.contract(values, outer, inner, weights))


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
@pytest.mark.parametrize("length", [0, 1, 33, 513])
def test_dot_and_multiply(device: cuda.CudaKernels, rng: random.Random, left: str, right: str, length: int) -> None:
    a, b = column(rng, left, length), column(rng, right, length)
    assert device.dot(a, b) == HOST.dot(a, b)
    same(device.multiply(a, b), HOST.multiply(a, b))


@pytest.mark.parametrize("length", [1, 7, 129, 700])
@pytest.mark.parametrize("count", [0, 1, 8, 30])
def test_combine(device: cuda.CudaKernels, rng: random.Random, length: int, count: int) -> None:
    terms = [(c, column(rng, KINDS[i % 5], length)) for i, c in enumerate(scalars(rng, count))]
    same(device.combine(terms, -7, length), HOST.combine(terms, -7, length))


@pytest.mark.parametrize("length", [0, 1, 3, 129, 4097])
def test_batch_inverse(device: cuda.CudaKernels, rng: random.Random, length: int) -> None:
    values = cast(Any, column(rng, "field", length))
    same(device.batch_inverse(values), HOST.batch_inverse(values))


SCATTERED = [(0, 3), (1, 1), (33, 1), (100, 1000), (5000, 17), (2**20 + 77, 40000), (2**20, 3)]


@pytest.mark.parametrize(("count", "size"), SCATTERED)
def test_scatter_add(device: cuda.CudaKernels, rng: random.Random, count: int, size: int) -> None:
    """Crowded targets among them; from 2^20 values on they are sorted."""
    index = np.array([rng.choice([0, size - 1, rng.randrange(size)]) for _ in range(count)], dtype=np.int64)
    values = cast(Any, column(rng, "field", count))
    same(device.scatter_add(index, values, size), HOST.scatter_add(index, values, size))


@pytest.mark.parametrize("wrong", [-1, 4])
def test_scatter_add_refuses_an_index_outside(device: cuda.CudaKernels, wrong: int) -> None:
    with pytest.raises(ValueError, match="outside"):
        device.scatter_add(np.array([0, wrong]), HOST.from_scalars([1, 2]), 4)


def test_linear_forms(device: cuda.CudaKernels, rng: random.Random) -> None:
    forms = Forms()
    for n in range(9, 200, 3):
        forms.add(n, scalars(rng, 3), [rng.randrange(n) for _ in range(3)])
    numbers = cast(Any, column(rng, "field", 200))
    there, here = device.linear_forms(200, forms), HOST.linear_forms(200, forms)
    same(there.run(numbers), here.run(numbers))
    same(there.transposed(numbers), here.transposed(numbers))
    some = np.array([100, 57])
    np.testing.assert_array_equal(there.reached(some), here.reached(some))


# ---- sumcheck
def follow(got: Any, expected: Any, rounds: int, rng: random.Random) -> None:
    """Both states side by side; some rounds are asked for twice, some not at all."""
    for _ in range(rounds):
        asked = rng.choice([0, 1, 1, 1, 2])
        for _ in range(asked):
            assert got.round() == expected.round()
        challenge = scalars(rng, 1)[0]
        got.bind(challenge)
        expected.bind(challenge)
    assert got.finals() == expected.finals()
    with pytest.raises(RuntimeError):
        got.round()


TERM_SETS: dict[str, list[Term]] = {
    "one table": [(1, (0,))],
    "product": [(1, (0, 1))],
    "square": [(3, (1, 1))],
    "fourth power": [(MODULUS - 1, (1, 1, 1, 1))],
    "fifth power": [(3, (0, 1, 2, 3, 3))],
    "shared": [(1, (0, 1)), (1, (2,)), (1, (1, 2, 2))],
    "mixed": [(5, (0,)), (1, (0, 1)), (MODULUS - 2, (2, 1, 0)), (7, (3, 0, 1, 2)), (1, (3, 3)), (9, ())],
    "constant": [(4, ())],
    "later": [(1, (0, 1)), (5, (2,)), (1, (2, 3))],
}
KIND_SETS = [("field",) * 4, ("int8",) * 4, ("int32",) * 4, ("int64", "int16", "field", "int8"), ("int16", "field") * 2]


@pytest.mark.parametrize("with_eq", [False, True])
@pytest.mark.parametrize("kinds", KIND_SETS, ids="-".join)
@pytest.mark.parametrize("terms", TERM_SETS.values(), ids=TERM_SETS.keys())
def test_sumcheck(
    device: cuda.CudaKernels, rng: random.Random, terms: list[Term], kinds: tuple[str, ...], with_eq: bool
) -> None:
    for variables in (0, 1, 4, 10):
        tables = [column(rng, kind, 2**variables) for kind in kinds]
        point = scalars(rng, variables) if with_eq else None
        args = tables, terms, 6, point
        follow(device.sumcheck(*args), HOST.sumcheck(*args), variables, rng)


def test_many_tables(device: cuda.CudaKernels, rng: random.Random) -> None:
    tables = [column(rng, KINDS[j % 5], 64) for j in range(80)]
    terms: list[Term] = [(1, (2 * j, 2 * j + 1)) for j in range(40)]
    follow(device.sumcheck(tables, terms, 2), HOST.sumcheck(tables, terms, 2), 6, rng)


def test_contract_all(device: cuda.CudaKernels, rng: random.Random) -> None:
    """Arrays of several axes, whole and in part; more weights may be there than are used."""
    arrays: list[tuple[Any, list[Fold]]] = []
    expected = []
    for kind, shape in [("int16", (4, 300, 7)), ("field", (1, 5, 3)), ("int8", (513, 2, 1)), ("int64", (3, 1, 4096))]:
        a, b, c = shape
        held = column(rng, kind, a * b * c)
        weights = [column(rng, "field", n + extra) for n, extra in ((b, 3), (a, 0), (c, 1))]
        whole: list[Fold] = [(a, b, c, weights[0]), (1, a, c, weights[1]), (1, c, 1, weights[2])]
        for folds in (whole, whole[:1]):
            left = held
            for outer, count, inner, own in folds:
                left = HOST.contract(left, outer, inner, own[:count])
            expected.append(left)
            arrays.append((device.to_device(held), [(*f[:3], device.to_device(f[3])) for f in folds]))
    assert isinstance(device, ContractsAll)
    same(device.contract_all(arrays), np.concatenate(expected))
    same(device.contract_all(arrays[:1]), expected[0])
    table, (outer, count, inner, own) = arrays[0][0], arrays[0][1][0]
    for wrong in ([(outer, count + 1, inner, own)], [(outer, count, inner, own[: count - 1])], []):
        with pytest.raises((ValueError, IndexError)):
            device.contract_all([(table, wrong)])


@pytest.mark.parametrize("with_eq", [False, True])
def test_sumchecks_side_by_side(device: cuda.CudaKernels, rng: random.Random, with_eq: bool) -> None:
    """Of a few sizes and degrees; the claims need not be those of the tables."""
    made: list[list[KnownSum]] = [[], []]
    for variables, degree in [(0, 2), (1, 3), (4, 2), (10, 4), (10, 3)]:
        tables = [column(rng, kind, 2**variables) for kind in ("field", "int16", "int8")]
        terms: list[Term] = [(3, tuple(range(degree - 1))), (7, (2,))]
        point, claim = scalars(rng, variables) if with_eq else None, rng.randrange(MODULUS)
        for k, own in zip((device, HOST), made, strict=True):
            own.append(KnownSum(k.sumcheck(tables, terms, degree, point), claim, degree))
    assert isinstance(device, JoinsSumchecks) and isinstance(HOST, JoinsSumchecks)
    got, expected = device.side_by_side(made[0], 5), HOST.side_by_side(made[1], 5)
    for challenge in scalars(rng, 10):
        assert got.round() == expected.round()
        got.bind(challenge)
        expected.bind(challenge)
    assert (got.claims(), got.finals()) == (expected.claims(), expected.finals())


def test_inputs_stay_as_they_are(device: cuda.CudaKernels, rng: random.Random) -> None:
    tables = [device.to_device(column(rng, kind, 64)) for kind in ("field", "int8")]
    before = [device.to_host(t).copy() for t in tables]
    state = device.sumcheck(tables, [(1, (0, 1))], 2)
    for _ in range(6):
        state.round()
        state.bind(5)
    for table, copy in zip(tables, before, strict=True):
        same(table, copy)


# ---- fraction tree
def some_runs(rng: random.Random, sizes: Sequence[int], kinds: Sequence[str] = KINDS) -> list[Run]:
    """Numerators and denominators of every kind in turn."""
    runs, n = [], len(kinds)
    for i, size in enumerate(sizes):
        terms = [(c, column(rng, kinds[(i + k) % n], size)) for k, c in enumerate(scalars(rng, i % 4))]
        runs.append(Run(column(rng, kinds[(i + 3) % n], size), rng.randrange(1, MODULUS), terms))
    return runs


TREES = [
    *[([], 0), ([1], 0), ([], 3), ([1], 3), ([2, 1], 2), ([1, 1, 1], 2), ([4, 2, 1], 3), ([3, 2], 3), ([5, 4, 3], 4)],
    *[([128, 64, 32, 7], 8), ([300, 211], 10), ([1024, 512, 256, 128], 11), ([2500, 1024, 700], 13)],
]
# All layers held, some, the first only; the others made again in one round and in many, in stretches of 256 parents.
PLANS = [TreePlan(30), TreePlan(1), TreePlan(3, 300, 1), TreePlan(1, 1, 1 << 12)]


@pytest.mark.parametrize(("sizes", "log_size"), TREES, ids=str)
@pytest.mark.parametrize("plan", PLANS, ids=str)
@pytest.mark.parametrize("kinds", [KINDS, KINDS[:3]], ids=["all", "short"])
def test_fraction_tree(
    device: cuda.CudaKernels,
    rng: random.Random,
    monkeypatch: pytest.MonkeyPatch,
    sizes: list[int],
    log_size: int,
    plan: TreePlan,
    kinds: list[str],
) -> None:
    """Layers in the protocol's order, where each claim follows from the layer before. Columns of at most 32 bits have
    kernels of their own."""
    runs = some_runs(rng, sizes, kinds)
    monkeypatch.setattr(device, "tree_plan", lambda tree: plan)
    got, expected = device.fraction_tree(runs, log_size), HOST.fraction_tree(runs, log_size)
    assert got.root() == expected.root()
    point: list[int] = []
    for depth in range(log_size):
        batch = scalars(rng, 1)[0]
        a, b = got.layer(depth, point, batch), expected.layer(depth, point, batch)
        at = scalars(rng, depth)
        for r in at:
            assert a.round() == b.round()
            a.bind(r)
            b.bind(r)
        assert a.finals() == b.finals()
        point = [*at, scalars(rng, 1)[0]]


@pytest.mark.parametrize("numerator", ["int8", "int32", "field"])
@pytest.mark.parametrize("batch", [0, 3, MODULUS - 2**70])
def test_leaves_read_by_pairs(device: cuda.CudaKernels, rng: random.Random, numerator: str, batch: int) -> None:
    """Few short columns of runs that begin evenly; some have more columns, and the last runs are odd."""
    runs = []
    for i, size in enumerate([2048, 1024, 512, 256, 128, 64, 8, 4, 6, 1]):
        terms = [(c, column(rng, KINDS[(i + k) % 3], size)) for k, c in enumerate(scalars(rng, i % 5))]
        runs.append(Run(column(rng, numerator, size), rng.randrange(1, MODULUS), terms))
    for log_size in (12, 13):
        got, expected = device.fraction_tree(runs, log_size), HOST.fraction_tree(runs, log_size)
        assert got.root() == expected.root()
        point = scalars(rng, log_size - 1)
        layers = (tree.layer(log_size - 1, point, batch) for tree in (got, expected))
        follow(*layers, log_size - 1, rng)


def test_layers_in_any_order(device: cuda.CudaKernels, rng: random.Random) -> None:
    runs = some_runs(rng, [64, 32, 5])
    got, expected = device.fraction_tree(runs, 7), HOST.fraction_tree(runs, 7)
    for depth in (3, 6, 6, 0, 5, 3, 1):
        point, batch = scalars(rng, depth), rng.randrange(MODULUS)
        follow(got.layer(depth, point, batch), expected.layer(depth, point, batch), depth, rng)


# ---- curve
def points(count: int) -> Points:
    """Equal, opposite and infinite ones among them."""
    out = HOST.hash_to_curve(b"zkcore tests", b"gpu", 0, count)
    minus = HOST.fold_points(out, HOST.from_scalars([MODULUS - 1]))
    for i in range(3, count, 7):
        out[i] = out[i - 1]
    for i in range(5, count, 11):
        out[i] = minus[i - 1]
    out[8::13] = 0
    return out


@pytest.mark.parametrize("count", [0, 1, 2, 31, 300])
def test_msm(device: cuda.CudaKernels, rng: random.Random, count: int) -> None:
    bases, weights = points(count), HOST.from_scalars(scalars(rng, count))
    same(device.msm(bases, weights), HOST.msm(bases, weights))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("rows", "width"), [(0, 3), (1, 1), (2, 0), (3, 33), (5, 260)])
def test_commit_rows(device: cuda.CudaKernels, rng: random.Random, kind: str, rows: int, width: int) -> None:
    bases, blinder = points(width + 2), points(1)
    values = cast(Any, column(rng, kind, rows * width))
    values = values.reshape(rows, width, 4) if kind == "field" else values.reshape(rows, width)
    blinds = HOST.from_scalars([0, *scalars(rng, rows)][:rows])
    got = device.commit_rows(bases, values, blinds, device.fixed_base(blinder))
    same(got, HOST.commit_rows(bases, values, blinds, HOST.fixed_base(blinder)))


@pytest.mark.parametrize("value", [0, 1, -128, 127])
def test_rows_of_one_value(device: cuda.CudaKernels, value: int) -> None:
    """All points in one bucket."""
    bases, blinder, blinds = points(700), points(1), HOST.from_scalars([3])
    rows = np.full((1, 700), value, dtype=np.int8)
    got = device.commit_rows(bases, rows, blinds, device.fixed_base(blinder))
    same(got, HOST.commit_rows(bases, rows, blinds, HOST.fixed_base(blinder)))


@pytest.mark.parametrize(("k", "n"), [(1, 5), (2, 64), (3, 1), (4, 33)])
def test_fold_points(device: cuda.CudaKernels, rng: random.Random, k: int, n: int) -> None:
    bases, weights = points(k * n), HOST.from_scalars(scalars(rng, k))
    same(device.fold_points(bases, weights), HOST.fold_points(bases, weights))


# ---- sizes that fill the device
@pytest.mark.parametrize("kind", SMALL)
def test_large_contract(device: cuda.CudaKernels, rng: random.Random, kind: str) -> None:
    values, weights = column(rng, kind, 2**21), HOST.from_scalars(scalars(rng, 2**11))
    for shape in ((1, 2**10), (2**10, 1), (4, 2**8)):
        same(device.contract(values, *shape, weights), HOST.contract(values, *shape, weights))


def test_large_sumcheck(device: cuda.CudaKernels, rng: random.Random) -> None:
    tables = [column(rng, kind, 2**17) for kind in ("field", "int16", "int8")]
    point = scalars(rng, 17)
    for terms, degree, eq in (([(1, (0, 1))], 2, None), ([(3, (1, 2)), (1, (0, 1))], 3, point)):
        follow(device.sumcheck(tables, terms, degree, eq), HOST.sumcheck(tables, terms, degree, eq), 17, rng)


@pytest.mark.parametrize("kinds", [KINDS, KINDS[:3]], ids=["all", "short"])
def test_large_tree(
    device: cuda.CudaKernels, rng: random.Random, monkeypatch: pytest.MonkeyPatch, kinds: list[str]
) -> None:
    test_fraction_tree(device, rng, monkeypatch, [2**16, 2**15, 2**14, 99], 17, TreePlan(30), kinds)


@pytest.mark.parametrize(("kind", "rows", "width"), [("int8", 9, 2**13), ("int16", 2, 2**17), ("field", 1, 2**15)])
def test_large_rows(device: cuda.CudaKernels, rng: random.Random, kind: str, rows: int, width: int) -> None:
    bases = np.ascontiguousarray(np.tile(points(1024), (width // 1024, 1)))
    blinder, blinds = points(1), HOST.from_scalars(scalars(rng, rows))
    values = cast(Any, column(rng, kind, rows * width)).reshape(rows, width, *([4] if kind == "field" else []))
    got = device.commit_rows(bases, values, blinds, device.fixed_base(blinder))
    same(got, HOST.commit_rows(bases, values, blinds, HOST.fixed_base(blinder)))


def test_transfers_are_counted(device: cuda.CudaKernels) -> None:
    values = np.arange(100, dtype=np.int16)
    before = device.counters()["transfer_bytes"]
    there = device.to_device(values)
    assert device.counters()["transfer_bytes"] == before + 200
    device.from_ints(there)
    assert device.counters()["transfer_bytes"] == before + 200
