"""Extensions of arrays whose axes are no powers of two, against the sum over their cells."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product
from math import prod

import numpy as np
import pytest

from zkcore.field import native
from zkcore.field.kernels import MODULUS, ContractsAll, FieldArray, FieldKernels, Fold
from zkcore.field.native import NativeKernels
from zkcore.field.reference import ReferenceField
from zkcore.graph.arrays import shape_of
from zkcore.polynomial import multilinear
from zkcore.polynomial.multilinear import Cells
from zkcore.polynomial.point import Point, eq, index_point, num_vars, padded

KERNELS: dict[str, FieldKernels] = {"native": native.load(), "reference": ReferenceField()}
SHAPES = [(), (1,), (2,), (3,), (7,), (3, 5), (1, 4), (4, 1, 3), (2, 3, 2), (5, 2, 1, 3)]
engines = pytest.mark.parametrize("engine", KERNELS)
kinds = pytest.mark.parametrize("kind", ["int8", "int32", "int64", "field"])


def make(rng: random.Random, shape: tuple[int, ...], kind: str) -> tuple[Cells, dict[tuple[int, ...], int]]:
    """An array and its cells as scalars."""
    cells = list(product(*map(range, shape)))
    if kind == "field":
        values = [rng.randrange(MODULUS) for _ in cells]
        array: Cells = ReferenceField().from_scalars(values).reshape(*shape, 4)
    else:
        low, high = int(np.iinfo(kind).min), int(np.iinfo(kind).max)
        values = [rng.choice([low, high, rng.randint(low, high)]) for _ in cells]
        array = np.array(values, dtype=kind).reshape(shape)  # type: ignore[assignment]
    return array, dict(zip(cells, values, strict=True))


def points(rng: random.Random, shape: tuple[int, ...]) -> list[Point]:
    return [tuple(rng.randrange(MODULUS) for _ in range(num_vars(n))) for n in shape]


def weight(place: list[Point], cell: tuple[int, ...], shape: tuple[int, ...]) -> int:
    return prod(eq(p, index_point(i, num_vars(n))) for p, i, n in zip(place, cell, shape, strict=True)) % MODULUS


@engines
@kinds
@pytest.mark.parametrize("shape", SHAPES)
def test_evaluate(engine: str, kind: str, shape: tuple[int, ...]) -> None:
    rng = random.Random(str(shape))
    array, cells = make(rng, shape, kind)
    place = points(rng, shape)
    expected = sum(v * weight(place, c, shape) for c, v in cells.items()) % MODULUS
    assert multilinear.evaluate(KERNELS[engine], array, place) % MODULUS == expected


def test_many_evaluations_are_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each as by itself; a point's eq table is made once, of the last few points."""
    k, rng = native.load(), random.Random(5)
    shapes = [(3, 5), (), (4, 7), (3, 5), (6,), (), (3, 5)]
    kept, place = multilinear.EqTables(k), {n: p for n in range(1, 9) for p in points(rng, (n,))}
    wanted = [(make(rng, s, kind)[0], [place[n] for n in s], False) for s in shapes for kind in ("int8", "field")]
    alone = [multilinear.evaluate(k, *w) % MODULUS for w in wanted]
    read, made, to_scalars, eq_table = list[int](), list[int](), k.to_scalars, k.eq_table
    monkeypatch.setattr(k, "to_scalars", lambda a: read.append(len(a)) or to_scalars(a))
    monkeypatch.setattr(k, "eq_table", lambda p: made.append(len(p)) or eq_table(p))
    assert [v % MODULUS for v in multilinear.evaluate_all(k, wanted, kept)] == alone
    assert len(read) == 1 and len(made) == len({place[n] for s in shapes for n in s})
    assert multilinear.evaluate_all(k, [], kept) == [] and len(read) == 1
    for i in range(multilinear.EqTables.KEPT):
        kept((i, i))
    made.clear()
    kept((0, 0)), kept(place[3])
    assert made == [2]


class Together(NativeKernels):
    """As a GPU does it: many folds in one call."""

    def __init__(self) -> None:
        self.calls = list[list[int]]()  # entries of each array

    def contract_all(self, arrays: Sequence[tuple[Cells, Sequence[Fold]]]) -> FieldArray:
        self.calls.append([prod(shape_of(a)) for a, _ in arrays])
        out = []
        for array, folds in arrays:
            for outer, count, inner, weights in folds:
                array = self.contract(array, outer, inner, weights[:count])
            out.append(array)
        return np.concatenate(out)


def test_several_arrays_are_folded_in_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones, so that no many are held for it; each as by itself, in the order of what is wanted."""
    monkeypatch.setattr(multilinear._Evaluations, "ENTRIES", 64)
    k, rng, alone = Together(), random.Random(6), native.load()
    shapes = [(3, 5), (), *[(2,)] * 7, (4, 7), (64,), (1,), (), (3, 5)]
    wanted = [(make(rng, s, kind)[0], points(rng, s), False) for s in shapes for kind in ("int8", "field")]
    assert isinstance(k, ContractsAll) and not isinstance(alone, ContractsAll)
    expected = [multilinear.evaluate(alone, *w) % MODULUS for w in wanted]
    assert [v % MODULUS for v in multilinear.evaluate_all(k, wanted)] == expected
    assert sum(map(len, k.calls)) == 2 * (len(shapes) - 2)
    assert max(map(len, k.calls)) == multilinear._Evaluations.ARRAYS
    assert all(sum(own[:-1]) < 64 for own in k.calls)
    trits = np.array([[1, 0, -1], [0, 1, 1]], dtype=np.int8)
    before, place = len(k.calls), points(rng, (2, 3))
    assert multilinear.evaluate(k, trits, place, True) == multilinear.evaluate(alone, trits, place, True)
    assert len(k.calls) == before  # by additions alone
    array = make(rng, (3, 5, 2), "int32")[0]
    some = dict(zip("ac", points(rng, (3, 2)), strict=True))
    (got, left), (same, _) = (multilinear.bind(own, array, "abc", some) for own in (k, alone))
    assert left == "b" and got.shape == (5, 4) and (got == same).all() and len(k.calls) == before + 1


@engines
@kinds
def test_evaluate_at_a_cell_is_the_entry(engine: str, kind: str) -> None:
    shape = (3, 2)
    array, cells = make(random.Random(1), shape, kind)
    for cell, value in cells.items():
        place = [index_point(i, num_vars(n)) for i, n in zip(cell, shape, strict=True)]
        assert multilinear.evaluate(KERNELS[engine], array, place) == value % MODULUS
    assert multilinear.evaluate(KERNELS[engine], array, [index_point(3, 2), (0,)]) == 0  # padding


@kinds
def test_stored_padding_counts(kind: str) -> None:
    """An array may store cells beyond the real size (an attacker's does): they are part of the extension."""
    rng = random.Random(2)
    array, cells = make(rng, (4, 2), kind)
    place = points(rng, (3, 2))
    expected = sum(v * weight(place, c, (4, 2)) for c, v in cells.items()) % MODULUS
    assert multilinear.evaluate(KERNELS["native"], array, place) == expected


@engines
@kinds
@pytest.mark.parametrize("bound", ["", "a", "b", "c", "ab", "ac", "bc", "abc", "cz"])
def test_bind(engine: str, kind: str, bound: str) -> None:
    """What is left, evaluated at the rest of the place, is the whole's value there."""
    k, rng, shape = KERNELS[engine], random.Random(bound), (3, 2, 5)
    array, _ = make(rng, shape, kind)
    place = dict(zip("abc", points(rng, shape), strict=True))
    left, axes = multilinear.bind(k, array, "abc", {x: place.get(x, (7,)) for x in bound})
    assert axes == "".join(x for x in "abc" if x not in bound)
    assert left.shape[: len(axes)] == tuple(n for x, n in zip("abc", shape, strict=True) if x in axes)
    whole = multilinear.evaluate(k, array, list(place.values()))
    assert multilinear.evaluate(k, left, [place[x] for x in axes]) == whole


def test_bind_of_a_view_that_is_not_contiguous() -> None:
    rng = random.Random(3)
    array, _ = make(rng, (3, 4), "int64")
    place = points(rng, (4, 3))
    k = KERNELS["native"]
    assert multilinear.evaluate(k, array.T, place) == multilinear.evaluate(k, array, place[::-1])


@engines
@pytest.mark.parametrize("shape", SHAPES)
def test_eq_over(engine: str, shape: tuple[int, ...]) -> None:
    k, rng = KERNELS[engine], random.Random(4)
    place = points(rng, shape)
    table = k.to_scalars(multilinear.eq_over(k, place))
    assert table == [weight(place, c, shape) for c in product(*map(range, padded(shape)))]
