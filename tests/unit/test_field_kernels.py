"""The engine's polynomial half against plain integers, bit for bit, and against the laws its callers rely on."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zkcore import _engine
from zkcore.field.kernels import MODULUS, Column, FieldArray, FieldKernels, Forms, IntArray, Sumcheck, Term
from zkcore.field.native_field import NativeField
from zkcore.field.reference import ReferenceField
from zkcore.field.room import TreePlan
from zkcore.subprotocols.fraction_tree import Run

NATIVE: FieldKernels = NativeField()
REFERENCE: FieldKernels = ReferenceField()

INTEGER_TYPES = [np.int8, np.int16, np.int32, np.int64]
KINDS = ["int8", "int16", "int32", "int64", "field"]
ODD_LENGTHS = [1, 2, 3, 7, 8, 9, 31, 32, 33, 127, 129]

EDGES = [0, 1, 2, MODULUS - 1, MODULUS - 2, MODULUS >> 1, (1 << 64) - 1, 1 << 64, (1 << 128) - 1, 1 << 192]
edge_scalars = st.one_of(st.sampled_from(EDGES), st.integers(0, MODULUS - 1))


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20240108)


def scalars(rng: random.Random, count: int) -> list[int]:
    """One in four is an edge case."""
    return [rng.choice(EDGES) if rng.random() < 0.25 else rng.randrange(MODULUS) for _ in range(count)]


def column(rng: random.Random, kind: str, count: int) -> Column:
    """Extremes of the type among ordinary values."""
    if kind == "field":
        return REFERENCE.from_scalars(scalars(rng, count))
    info = np.iinfo(kind)
    low, high = int(info.min), int(info.max)
    special = [low, low + 1, -1, 0, 1, high - 1, high]
    values = [rng.choice(special) if rng.random() < 0.5 else rng.randint(low, high) for _ in range(count)]
    return np.array(values, dtype=kind)


def as_field(values: Column) -> FieldArray:
    return cast(FieldArray, values) if values.dtype == np.uint64 else REFERENCE.from_ints(cast(IntArray, values))


def to_ints(values: Column) -> list[int]:
    return REFERENCE.to_scalars(as_field(values))


def assert_same(actual: FieldArray, expected: FieldArray) -> None:
    assert actual.dtype == np.uint64
    assert actual.shape == expected.shape
    np.testing.assert_array_equal(actual, expected)


def at_point(values: Column, point: Sequence[int]) -> int:
    """The multilinear extension, by binding one variable after the other."""
    table = to_ints(values)
    for r in point:
        half = len(table) // 2
        table = [(table[i] + r * (table[half + i] - table[i])) % MODULUS for i in range(half)]
    return table[0]


def eq(a: Sequence[int], b: Sequence[int]) -> int:
    product = 1
    for x, y in zip(a, b, strict=True):
        product = product * (x * y + (1 - x) * (1 - y)) % MODULUS
    return product


# ---- conversions


@pytest.mark.parametrize("dtype", INTEGER_TYPES)
@pytest.mark.parametrize("shape", [(0,), (1,), (5,), (3, 7), (2, 1, 1025)])
def test_from_ints(rng: random.Random, dtype: type, shape: tuple[int, ...]) -> None:
    values = cast(IntArray, column(rng, np.dtype(dtype).name, int(np.prod(shape))).reshape(shape))
    assert_same(NATIVE.from_ints(values), REFERENCE.from_ints(values))


@given(st.lists(edge_scalars, max_size=20))
def test_scalars_survive_the_round_trip(values: list[int]) -> None:
    array = NATIVE.from_scalars(values)
    assert_same(array, REFERENCE.from_scalars(values))
    assert NATIVE.to_scalars(array) == values


@given(st.binary(min_size=128, max_size=128))
def test_from_wide_bytes(data: bytes) -> None:
    assert_same(NATIVE.from_wide_bytes(data), REFERENCE.from_wide_bytes(data))


def test_from_wide_bytes_extremes() -> None:
    data = bytes(64) + b"\xff" * 64 + MODULUS.to_bytes(64, "little") + (MODULUS * MODULUS).to_bytes(64, "little")
    assert NATIVE.to_scalars(NATIVE.from_wide_bytes(data)) == [0, ((1 << 512) - 1) % MODULUS, 0, 0]


# ---- whole columns


@pytest.mark.parametrize("variables", range(12))
def test_eq_table(rng: random.Random, variables: int) -> None:
    point, scale = scalars(rng, variables), rng.randrange(MODULUS)
    assert_same(NATIVE.eq_table(point), REFERENCE.eq_table(point))
    assert_same(NATIVE.eq_table(point, scale), REFERENCE.eq_table(point, scale))


@given(st.lists(edge_scalars, max_size=6))
def test_eq_table_adds_up_to_one(point: list[int]) -> None:
    assert sum(NATIVE.to_scalars(NATIVE.eq_table(point))) % MODULUS == 1


CONTRACT_SHAPES = [
    *[(1, n, 1) for n in (1, 2, 3, 127, 129, 4099)],
    *[(outer, k, inner) for outer in (1, 3) for k in (1, 5, 33) for inner in (1, 2, 255, 257)],
    (65, 7, 1),
    (1, 1100, 9),
    (2, 0, 3),
    (0, 3, 2),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", CONTRACT_SHAPES, ids=str)
def test_contract(rng: random.Random, kind: str, shape: tuple[int, int, int]) -> None:
    outer, k, inner = shape
    values, weights = column(rng, kind, outer * k * inner), REFERENCE.from_scalars(scalars(rng, k))
    result = NATIVE.contract(values, outer, inner, weights)
    assert_same(result, REFERENCE.contract(values, outer, inner, weights))
    assert_same(result, NATIVE.contract(as_field(values), outer, inner, weights))


@pytest.mark.parametrize("kind", KINDS)
def test_contracting_extremes_does_not_overflow(kind: str) -> None:
    n = 5000
    extreme = np.full(n, np.iinfo(kind).min, dtype=kind) if kind != "field" else NATIVE.from_scalars([MODULUS - 1] * n)
    weights = NATIVE.from_scalars([MODULUS - 1] * n)
    expected = -n * to_ints(extreme[:1])[0] % MODULUS
    assert NATIVE.to_scalars(NATIVE.contract(extreme, 1, 1, weights)) == [expected]
    assert NATIVE.dot(extreme, weights) == expected
    assert NATIVE.dot(extreme, extreme) == n * to_ints(extreme[:1])[0] ** 2 % MODULUS


@pytest.mark.parametrize("left", KINDS)
@pytest.mark.parametrize("right", KINDS)
@pytest.mark.parametrize("length", [0, 1, 3, 33, 129])
def test_dot_and_multiply(rng: random.Random, left: str, right: str, length: int) -> None:
    a, b = column(rng, left, length), column(rng, right, length)
    assert NATIVE.dot(a, b) == REFERENCE.dot(a, b)
    assert_same(NATIVE.multiply(a, b), REFERENCE.multiply(a, b))


def test_dot_over_many_threads(rng: random.Random) -> None:
    a, b = column(rng, "int32", 20_001), column(rng, "int64", 20_001)
    expected = sum(x * y for x, y in zip(a.tolist(), b.tolist(), strict=True)) % MODULUS
    assert NATIVE.dot(a, b) == expected


@pytest.mark.parametrize("length", ODD_LENGTHS)
def test_combine(rng: random.Random, length: int) -> None:
    terms = [(c, column(rng, kind, length)) for c, kind in zip(scalars(rng, 8), [*KINDS, *KINDS], strict=False)]
    constant = rng.randrange(MODULUS)
    result = NATIVE.combine(terms, constant, length)
    assert_same(result, REFERENCE.combine(terms, constant, length))
    assert_same(result, NATIVE.combine([(c, as_field(x)) for c, x in terms], constant, length))
    assert_same(NATIVE.combine([], constant, length), REFERENCE.combine([], constant, length))


def test_coefficients_may_be_negative() -> None:
    values = np.arange(5, dtype=np.int16)
    assert NATIVE.to_scalars(NATIVE.combine([(-1, values)], -1, 5)) == [MODULUS - 1 - i for i in range(5)]


@pytest.mark.parametrize("length", [0, 1, 3, 129, 4095, 4096, 4097, 9000])
def test_batch_inverse(rng: random.Random, length: int) -> None:
    values = REFERENCE.from_scalars(scalars(rng, length))
    inverses = NATIVE.batch_inverse(values)
    if length < 200:
        assert_same(inverses, REFERENCE.batch_inverse(values))
    products = NATIVE.to_scalars(NATIVE.multiply(values, inverses))
    assert products == [int(v != 0) for v in NATIVE.to_scalars(values)]


def test_batch_inverse_keeps_the_shape(rng: random.Random) -> None:
    values = REFERENCE.from_scalars(scalars(rng, 6)).reshape(2, 3, 4)
    assert_same(NATIVE.batch_inverse(values), REFERENCE.batch_inverse(values))


@pytest.mark.parametrize(("count", "size"), [(0, 3), (1, 1), (7, 3), (33, 1), (100, 1000), (5000, 17)])
def test_scatter_add(rng: random.Random, count: int, size: int) -> None:
    index = np.array([rng.choice([0, size - 1, rng.randrange(size)]) for _ in range(count)], dtype=np.int64)
    values = REFERENCE.from_scalars(scalars(rng, count))
    assert_same(NATIVE.scatter_add(index, values, size), REFERENCE.scatter_add(index, values, size))


# ---- linear forms


Written = tuple[int, list[int], list[int]]


def laid(forms: Sequence[Written]) -> Forms:
    out = Forms()
    for form in forms:
        out.add(*form)
    return out


def some_forms(rng: random.Random, size: int) -> Forms:
    """About every other number is a form, over up to four before it, which may be none and may repeat."""
    chosen = [node for node in range(size) if rng.random() < 0.5]
    counts = {node: rng.randrange(5) if node else 0 for node in chosen}
    return laid([(n, scalars(rng, k), [rng.randrange(n) for _ in range(k)]) for n, k in counts.items()])


@pytest.mark.parametrize("size", [0, 1, 2, 3, 40, 300])
def test_linear_forms(rng: random.Random, size: int) -> None:
    forms, numbers, weights = some_forms(rng, size), *(REFERENCE.from_scalars(scalars(rng, size)) for _ in range(2))
    native, reference = NATIVE.linear_forms(size, forms), REFERENCE.linear_forms(size, forms)
    before = numbers.tobytes(), weights.tobytes()
    run, back = native.run(numbers), native.transposed(weights)
    assert_same(run, reference.run(numbers))
    assert_same(back, reference.transposed(weights))
    assert NATIVE.dot(weights, run) == NATIVE.dot(back, numbers)
    assert before == (numbers.tobytes(), weights.tobytes())
    some = np.array(rng.sample(range(size), size // 7), dtype=np.int64)
    np.testing.assert_array_equal(native.reached(some), reference.reached(some))


@pytest.mark.parametrize("rounds", [0, 1, 2, 9])
@pytest.mark.parametrize("degree", [1, 2, 3, 16])
def test_fold_rounds(rng: random.Random, rounds: int, degree: int) -> None:
    challenges = [rng.choice([0, 1, 2, rng.randrange(MODULUS)]) for _ in range(rounds)]
    weights = NATIVE.fold_rounds(challenges, degree)
    assert weights == REFERENCE.fold_rounds(challenges, degree)
    assert len(weights) == rounds * degree + 1


@pytest.mark.parametrize("degree", [-1, 0, 17])
def test_fold_rounds_of_no_degree(degree: int) -> None:
    with pytest.raises(ValueError, match="degree"):
        NATIVE.fold_rounds([1], degree)


def test_linear_forms_by_hand() -> None:
    """v = 2 a + 3 b, w = 5 v - v."""
    forms = NATIVE.linear_forms(4, laid([(2, [2, 3], [0, 1]), (3, [5, MODULUS - 1], [2, 2])]))
    assert NATIVE.to_scalars(forms.run(NATIVE.from_scalars([7, 11, 99, 99]))) == [7, 11, 47, 188]
    assert NATIVE.to_scalars(forms.transposed(NATIVE.from_scalars([1, 0, 1, 10]))) == [83, 123, 0, 0]


@pytest.mark.parametrize("kernels", [NATIVE, REFERENCE], ids=["native", "reference"])
def test_what_linear_forms_are_over(kernels: FieldKernels) -> None:
    """By name, whatever the coefficient; what another form reads does not count."""
    forms = kernels.linear_forms(6, laid([(2, [0], [0]), (4, [1, 1], [2, 2]), (5, [1], [1])]))
    for nodes, expected in (
        ([4], [1, 0, 1, 0, 1, 0]),
        ([3], [0, 0, 0, 1, 0, 0]),
        ([5, 2], [1, 1, 1, 0, 0, 1]),
        ([], [0] * 6),
    ):
        assert forms.reached(np.array(nodes, dtype=np.int64)).tolist() == [bool(x) for x in expected]


@pytest.mark.parametrize(
    ("size", "forms"),
    [
        (2, [(2, [1], [0])]),
        (2, [(-1, [], [])]),
        (2, [(1, [1], [1])]),
        (3, [(1, [1], [2])]),
        (2, [(1, [1], [-1])]),
        (3, [(2, [], []), (1, [], [])]),
        (2, [(1, [], []), (1, [], [])]),
        (2, [(1, [MODULUS], [0])]),
        (2, [(1, [-1], [0])]),
    ],
)
@pytest.mark.parametrize("kernels", [NATIVE, REFERENCE], ids=["native", "reference"])
def test_linear_forms_that_are_none(kernels: FieldKernels, size: int, forms: list[Written]) -> None:
    with pytest.raises(ValueError):
        kernels.linear_forms(size, laid(forms))


@pytest.mark.parametrize(("coefficients", "sources"), [([1, 1], [0]), ([1], [0, 0]), ([], [0])])
def test_a_linear_form_has_a_coefficient_for_each_number(coefficients: list[int], sources: list[int]) -> None:
    with pytest.raises(ValueError, match="a coefficient"):
        Forms().add(1, coefficients, sources)


@pytest.mark.parametrize("kernels", [NATIVE, REFERENCE], ids=["native", "reference"])
@pytest.mark.parametrize("part", ["nodes", "starts", "coefficients", "sources"])
def test_linear_forms_whose_parts_do_not_agree(kernels: FieldKernels, part: str) -> None:
    forms = laid([(1, [1, 1], [0, 0]), (2, [1], [1])])
    getattr(forms, part).append(2)
    with pytest.raises(ValueError):
        kernels.linear_forms(9, forms)


@pytest.mark.parametrize("node", [-1, 3])
def test_only_numbers_that_are_there_reach_others(node: int) -> None:
    with pytest.raises(ValueError):
        NATIVE.linear_forms(3, laid([(2, [1], [0])])).reached(np.array([node]))


@pytest.mark.parametrize("kernels", [NATIVE, REFERENCE], ids=["native", "reference"])
def test_linear_forms_want_all_numbers(kernels: FieldKernels) -> None:
    forms = kernels.linear_forms(3, laid([(2, [1], [0])]))
    for verb in (forms.run, forms.transposed):
        for count in (2, 4):
            with pytest.raises(ValueError):
                verb(REFERENCE.from_scalars([1] * count))


# ---- sumcheck


def run_sumcheck(
    tables: Sequence[Column], terms: Sequence[Term], degree: int, eq_point: Sequence[int] | None, rng: random.Random
) -> None:
    """Both engines side by side, and the verifier's checks on what they say."""
    native = NATIVE.sumcheck(tables, terms, degree, eq_point)
    reference = REFERENCE.sumcheck(tables, terms, degree, eq_point)
    claim = direct_sum(tables, terms, eq_point)
    point = []
    for _ in range(len(to_ints(tables[0])).bit_length() - 1):
        values = native.round()
        assert values == reference.round()
        assert values == native.round(), "a round changes nothing"
        challenge = rng.choice(scalars(rng, 3))
        claim = next_claim(values, claim, challenge)
        point.append(challenge)
        native.bind(challenge)
        reference.bind(challenge)
    finals = native.finals()
    assert finals == reference.finals() == [at_point(table, point) for table in tables]
    factor = 1 if eq_point is None else eq(eq_point, point)
    assert claim == factor * combine_terms(terms, finals) % MODULUS
    for call in (native.round, lambda: native.bind(1)):
        with pytest.raises(RuntimeError):
            call()


def combine_terms(terms: Sequence[Term], values: Sequence[int]) -> int:
    total = 0
    for coefficient, factors in terms:
        product = coefficient
        for j in factors:
            product = product * values[j] % MODULUS
        total += product
    return total % MODULUS


def direct_sum(tables: Sequence[Column], terms: Sequence[Term], eq_point: Sequence[int] | None) -> int:
    lists = [to_ints(table) for table in tables]
    weights = [1] * len(lists[0]) if eq_point is None else to_ints(REFERENCE.eq_table(eq_point))
    rows = zip(*lists, strict=True)
    return sum(w * combine_terms(terms, row) for w, row in zip(weights, rows, strict=True)) % MODULUS


def next_claim(values: Sequence[int], claim: int, challenge: int) -> int:
    """The round polynomial at the challenge, from its values at 0, 2, 3, ... and s(0) + s(1) = claim."""
    samples = [values[0], (claim - values[0]) % MODULUS, *values[1:]]
    total = 0
    for i, value in enumerate(samples):
        numerator, denominator = 1, 1
        for j in range(len(samples)):
            if j != i:
                numerator = numerator * (challenge - j) % MODULUS
                denominator = denominator * (i - j) % MODULUS
        total += value * numerator * pow(denominator, -1, MODULUS)
    return total % MODULUS


TERM_SETS: dict[str, list[Term]] = {
    "one table": [(1, (0,))],
    "product": [(1, (0, 1))],
    "square": [(3, (1, 1))],
    "fourth power": [(MODULUS - 1, (1, 1, 1, 1))],
    "unit terms": [(1, (0, 1)), (1, (2,)), (1, (1, 2, 2))],
    "mixed": [(5, (0,)), (1, (0, 1)), (MODULUS - 2, (2, 1, 0)), (7, (3, 0, 1, 2)), (1, (3, 3)), (9, ())],
}
KIND_SETS = [("field",) * 4, ("int8",) * 4, ("int32",) * 4, ("int64", "int16", "field", "int8"), ("int32", "field") * 2]


@pytest.mark.parametrize("with_eq", [False, True])
@pytest.mark.parametrize("kinds", KIND_SETS, ids="-".join)
@pytest.mark.parametrize("terms", TERM_SETS.values(), ids=TERM_SETS.keys())
def test_sumcheck(rng: random.Random, terms: list[Term], kinds: tuple[str, ...], with_eq: bool) -> None:
    for variables in (0, 1, 4):
        tables = [column(rng, kind, 2**variables) for kind in kinds]
        run_sumcheck(tables, terms, 5, scalars(rng, variables) if with_eq else None, rng)


@pytest.mark.parametrize("degree", [2, 3, 4, 6])
@pytest.mark.parametrize("with_eq", [False, True])
def test_sumcheck_at_any_degree_that_is_high_enough(rng: random.Random, degree: int, with_eq: bool) -> None:
    tables = [column(rng, "field", 8), column(rng, "int8", 8)]
    run_sumcheck(tables, [(4, (0,)), (1, (1,))], degree, scalars(rng, 3) if with_eq else None, rng)


def test_long_sumchecks(rng: random.Random) -> None:
    """Several blocks, threads and both halves of the split eq table."""
    tables = [column(rng, "field", 2**11), column(rng, "int16", 2**11)]
    run_sumcheck(tables, [(1, (0, 1)), (MODULUS - 1, (1, 1))], 3, scalars(rng, 11), rng)
    run_sumcheck(tables, [(1, (0, 1)), (MODULUS - 1, (1, 1))], 2, None, rng)


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64"])
def test_integer_tables_give_what_their_field_elements_give(rng: random.Random, kind: str) -> None:
    tables = [column(rng, kind, 2**7) for _ in range(4)]
    terms: list[Term] = [(1, (0, 1, 2, 3)), (3, (0, 0)), (1, (1,))]
    for point in (None, scalars(rng, 7)):
        ints = NATIVE.sumcheck(tables, terms, 6, point)
        fields = NATIVE.sumcheck([as_field(t) for t in tables], terms, 6, point)
        assert transcript(ints, 7) == transcript(fields, 7)


def transcript(state: Sumcheck, rounds: int) -> list[list[int]]:
    out = []
    for i in range(rounds):
        out.append(state.round())
        state.bind(MODULUS // (i + 3))
    return [*out, state.finals()]


def test_binding_without_asking_for_rounds(rng: random.Random) -> None:
    table, point = column(rng, "field", 32), scalars(rng, 5)
    state = NATIVE.sumcheck([table], [(1, (0,))], 2, scalars(rng, 5))
    for r in point:
        state.bind(r)
    assert state.finals() == [at_point(table, point)]


def test_sumcheck_leaves_its_inputs_alone(rng: random.Random) -> None:
    tables = [column(rng, "field", 64), column(rng, "int8", 64)]
    copies = [t.copy() for t in tables]
    transcript(NATIVE.sumcheck(tables, [(1, (0, 1))], 2), 6)
    for table, copy in zip(tables, copies, strict=True):
        np.testing.assert_array_equal(table, copy)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_sumcheck_laws(data: st.DataObject) -> None:
    variables = data.draw(st.integers(0, 3))
    small = st.sampled_from([-(2**31), 2**31 - 1, -1, 0, 1]) | st.integers(-(2**31), 2**31 - 1)
    size = 2**variables
    tables: list[Column] = [
        NATIVE.from_scalars(data.draw(st.lists(edge_scalars, min_size=size, max_size=size))),
        np.array(data.draw(st.lists(small, min_size=size, max_size=size)), dtype=np.int32),
    ]
    factors = st.lists(st.integers(0, 1), max_size=4).map(tuple)
    terms = data.draw(st.lists(st.tuples(edge_scalars, factors), min_size=1, max_size=4))
    point = data.draw(st.none() | st.lists(edge_scalars, min_size=variables, max_size=variables))
    run_sumcheck(tables, terms, 5, point, random.Random(data.draw(st.integers(0, 99))))


# ---- fraction tree


def leaf_values(runs: Sequence[Run], log_size: int) -> tuple[list[int], list[int]]:
    p: list[int] = []
    q: list[int] = []
    for run in runs:
        p += to_ints(run.numerator)
        q += to_ints(REFERENCE.combine(run.denominator, run.constant, len(to_ints(run.numerator))))
    unused = 2**log_size - len(p)
    return p + [0] * unused, q + [1] * unused


def verify_tree(runs: Sequence[Run], log_size: int, rng: random.Random) -> None:
    """The verifier of fractional GKR (eprint 2023/1284, section 3), down to the leaves."""
    tree = NATIVE.fraction_tree(runs, log_size)
    assert tree.root() == REFERENCE.fraction_tree(runs, log_size).root()
    p_claim, q_claim = tree.root()
    leaves = leaf_values(runs, log_size)
    check_sum_of_fractions(leaves, p_claim, q_claim)
    point: list[int] = []
    for depth in range(log_size):
        batch = rng.choice(scalars(rng, 2))
        layer = tree.layer(depth, point, batch)
        claim = (p_claim + batch * q_claim) % MODULUS
        bound = []
        for _ in range(depth):
            r = rng.choice(scalars(rng, 2))
            claim = next_claim(layer.round(), claim, r)
            layer.bind(r)
            bound.append(r)
        p0, p1, q0, q1 = layer.finals()
        assert claim == eq(point, bound) * ((p0 + batch * q0) * q1 + p1 * q0) % MODULUS
        r = rng.randrange(MODULUS)
        p_claim, q_claim = (p0 + r * (p1 - p0)) % MODULUS, (q0 + r * (q1 - q0)) % MODULUS
        point = [*bound, r]
    for values, claim in zip(leaves, (p_claim, q_claim), strict=True):
        assert at_point(REFERENCE.from_scalars(values), point) == claim


def check_sum_of_fractions(leaves: tuple[list[int], list[int]], p: int, q: int) -> None:
    if 0 in leaves[1]:
        assert q == 0
        return
    total = sum(n * pow(d, -1, MODULUS) for n, d in zip(*leaves, strict=True)) % MODULUS
    assert p * pow(q, -1, MODULUS) % MODULUS == total


def some_runs(rng: random.Random, sizes: Sequence[int]) -> list[Run]:
    """Numerators and denominators of every kind in turn."""
    runs = []
    for i, size in enumerate(sizes):
        terms = [(c, column(rng, KINDS[(i + k) % 5], size)) for k, c in enumerate(scalars(rng, i % 4))]
        runs.append(Run(column(rng, KINDS[(i + 3) % 5], size), rng.randrange(1, MODULUS), terms))
    return runs


TREES = [
    ([], 0),
    ([1], 0),
    ([], 3),
    ([1], 1),
    ([2], 1),
    ([1, 1], 2),
    ([4, 1], 3),
    ([1, 2, 4, 1], 3),
    ([8, 2, 4, 1, 16], 5),
    ([8, 2, 4, 1, 2], 6),
    ([1], 7),
    ([64, 1], 7),
    ([64, 32, 32], 7),
    ([3, 5, 1], 4),
    ([128, 64, 8], 8),
    ([1024, 256, 1], 11),
]


# All layers held, some, the first only; the others made again in one round and in many.
PLANS = [TreePlan(30), TreePlan(1), TreePlan(3, 40, 0), TreePlan(1, 1, 0)]


@pytest.mark.parametrize(("sizes", "log_size"), TREES, ids=str)
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_fraction_tree(
    rng: random.Random, monkeypatch: pytest.MonkeyPatch, sizes: list[int], log_size: int, plan: TreePlan
) -> None:
    monkeypatch.setattr(NATIVE, "tree_plan", lambda tree: plan)
    verify_tree(some_runs(rng, sizes), log_size, rng)


@pytest.mark.parametrize("numerators", [[0] * 8, [1] * 8, [0, -1, 0, 0, 127, -128, 0, 1]])
def test_small_numerators(rng: random.Random, numerators: list[int]) -> None:
    values = column(rng, "int16", 8)
    verify_tree([Run(np.array(numerators, dtype=np.int8), 77, [(rng.randrange(MODULUS), values)])], 4, rng)


def test_zero_denominators_are_kept(rng: random.Random) -> None:
    verify_tree([Run(np.ones(4, dtype=np.int8), 5, [(MODULUS - 5, np.array([0, 1, 2, 3], dtype=np.int8))])], 3, rng)


def test_equal_multisets_cancel(rng: random.Random) -> None:
    """The lookup identity: sum 1/(x - a_i) = sum m_j/(x - t_j)."""
    table = np.arange(-8, 8, dtype=np.int8)
    reads = np.array([rng.randrange(-8, 8) for _ in range(32)], dtype=np.int32)
    counts = np.array([int((reads == t).sum()) for t in table], dtype=np.int64)
    x = rng.randrange(MODULUS)
    runs = [Run(np.ones(32, dtype=np.int8), x, [(-1, reads)]), Run(-counts, x, [(-1, table)])]
    p, q = NATIVE.fraction_tree(runs, 6).root()
    assert p == 0
    assert q != 0


def test_layers_agree_with_the_reference_and_repeat(rng: random.Random) -> None:
    runs = some_runs(rng, [16, 2, 4])
    native, reference = NATIVE.fraction_tree(runs, 5), REFERENCE.fraction_tree(runs, 5)
    for depth in (4, 0, 2, 4, 1, 3):
        point, batch = scalars(rng, depth), rng.randrange(MODULUS)
        expected = transcript(reference.layer(depth, point, batch), depth)
        assert transcript(native.layer(depth, point, batch), depth) == expected


def test_a_layer_outlives_its_tree(rng: random.Random) -> None:
    runs = some_runs(rng, [8, 8])
    expected = transcript(REFERENCE.fraction_tree(runs, 4).layer(3, [2, 3, 4], 5), 3)
    layer = NATIVE.fraction_tree(runs, 4).layer(3, [2, 3, 4], 5)
    runs.clear()
    assert transcript(layer, 3) == expected


@pytest.mark.parametrize("size", [0, 1, 5, 16])
def test_layers_may_be_asked_for_in_any_order_and_again(rng: random.Random, size: int) -> None:
    """Though a layer takes its nodes with it."""
    runs, log_size = some_runs(rng, [size]) if size else [], 4
    native, reference = NATIVE.fraction_tree(runs, log_size), REFERENCE.fraction_tree(runs, log_size)
    for depth in (2, 0, 3, 1, 2, 2, 0):
        point, batch = [rng.randrange(MODULUS) for _ in range(depth)], rng.randrange(MODULUS)
        wanted = transcript(reference.layer(depth, point, batch), depth)
        assert transcript(native.layer(depth, point, batch), depth) == wanted
    assert native.root() == reference.root()


# ---- threads, counters


@pytest.fixture
def restore_threads() -> Iterator[None]:
    yield
    _engine.set_threads(0)


@pytest.mark.parametrize("threads", [1, 2, 3, 7])
def test_thread_count_does_not_show(restore_threads: None, threads: int) -> None:
    def everything() -> list[object]:
        rng = random.Random(5)
        before = _engine.field_counters()
        a, b = column(rng, "int8", 2**13), as_field(column(rng, "field", 2**13))
        index = np.array([rng.randrange(99) for _ in range(2**13)], dtype=np.int64)
        tree = NATIVE.fraction_tree([Run(a, 3, [(7, b)])], 14)
        return [
            NATIVE.contract(a, 2, 2, b[: 2**11]).tobytes(),
            NATIVE.batch_inverse(b).tobytes(),
            NATIVE.scatter_add(index, b, 99).tobytes(),
            NATIVE.dot(a, b),
            transcript(NATIVE.sumcheck([a, b], [(1, (0, 1)), (2, (1, 1))], 3, scalars(rng, 13)), 13),
            transcript(tree.layer(13, scalars(rng, 13), 9), 13),
            {name: count - before[name] for name, count in _engine.field_counters().items()},
        ]

    _engine.set_threads(1)
    expected = everything()
    _engine.set_threads(threads)
    assert everything() == expected


def counted(call: Callable[[], object]) -> tuple[int, int]:
    before = _engine.field_counters()
    call()
    after = _engine.field_counters()
    return after["field_mults"] - before["field_mults"], after["small_mults"] - before["small_mults"]


def test_field_counters_count_products(rng: random.Random) -> None:
    a, b = column(rng, "field", 128), column(rng, "int8", 128)
    assert counted(lambda: NATIVE.multiply(a, a)) == (128, 0)
    assert counted(lambda: NATIVE.dot(b, a)) == (0, 128)
    fields = NATIVE.sumcheck([a, a], [(1, (0, 1))], 2)
    assert counted(fields.round) == (2 * 64, 0)
    assert counted(lambda: fields.bind(3)) == (2 * 64, 0)
    forms = NATIVE.linear_forms(128, laid([(5, [1, 2], [0, 3]), (6, [3], [5])]))
    assert counted(lambda: forms.run(a)) == counted(lambda: forms.transposed(a)) == (3, 0)
    ints = NATIVE.sumcheck([a, b], [(1, (0, 1))], 2)
    assert counted(ints.round) == (0, 2 * 64)
    assert counted(lambda: ints.bind(3)) == (64, 2 * 64)


# ---- errors

FIELD = REFERENCE.from_scalars([1, 2, 3, 4])
INTS = np.arange(4, dtype=np.int32)
POINT = [1, 2]


@pytest.mark.parametrize(
    "call",
    [
        lambda: NATIVE.from_scalars([MODULUS]),
        lambda: NATIVE.from_scalars([-1]),
        lambda: NATIVE.from_scalars([1 << 256]),
        lambda: NATIVE.from_wide_bytes(bytes(63)),
        lambda: NATIVE.to_scalars(np.zeros((2, 3), dtype=np.uint64)),
        lambda: NATIVE.eq_table([0] * 64),
        lambda: NATIVE.contract(INTS, 1, 1, FIELD[:3]),
        lambda: NATIVE.contract(INTS, 1 << 40, 1 << 40, FIELD),
        lambda: NATIVE.dot(INTS, FIELD[:3]),
        lambda: NATIVE.dot(INTS[::2], FIELD[:2]),
        lambda: NATIVE.combine([(1, INTS)], 0, 3),
        lambda: NATIVE.multiply(INTS, INTS[:2]),
        lambda: NATIVE.scatter_add(np.array([0, 4]), FIELD[:2], 4),
        lambda: NATIVE.scatter_add(np.array([-1, 0]), FIELD[:2], 4),
        lambda: NATIVE.scatter_add(np.array([0]), FIELD[:2], 4),
        lambda: NATIVE.sumcheck([], [], 1),
        lambda: NATIVE.sumcheck([INTS[:3]], [(1, (0,))], 1),
        lambda: NATIVE.sumcheck([INTS, FIELD[:2]], [(1, (0,))], 1),
        lambda: NATIVE.sumcheck([INTS], [(1, (1,))], 1),
        lambda: NATIVE.sumcheck([INTS], [(1, (-1,))], 1),
        lambda: NATIVE.sumcheck([INTS], [(1, (0, 0))], 1),
        lambda: NATIVE.sumcheck([INTS], [(1, (0,))], 1, POINT),
        lambda: NATIVE.sumcheck([INTS], [(1, (0,))], 0),
        lambda: NATIVE.sumcheck([INTS], [(1, (0,))], 2, [1]),
        lambda: NATIVE.sumcheck([INTS], [(1, (0,))], 2, [1, MODULUS]),
        lambda: NATIVE.sumcheck([INTS], [(1, (0,))], 1).bind(MODULUS),
        lambda: NATIVE.fraction_tree([Run(INTS, 1, [])], 1),
        lambda: NATIVE.fraction_tree([Run(INTS, 1, [(1, FIELD[:2])])], 2),
        lambda: NATIVE.fraction_tree([], -1),
        lambda: NATIVE.fraction_tree([], 99),
        lambda: NATIVE.fraction_tree([Run(INTS, 1, [])], 2).layer(2, POINT, 1),
        lambda: NATIVE.fraction_tree([Run(INTS, 1, [])], 2).layer(1, POINT, 1),
    ],
)
def test_bad_values(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: NATIVE.from_ints(FIELD),  # type: ignore[arg-type]
        lambda: NATIVE.from_ints(np.zeros(3)),  # type: ignore[arg-type]
        lambda: NATIVE.from_ints(np.zeros(3, dtype=np.uint8)),  # type: ignore[arg-type]
        lambda: NATIVE.from_ints(np.zeros(3, dtype=">i4")),
        lambda: NATIVE.from_ints([1, 2]),  # type: ignore[arg-type]
        lambda: NATIVE.to_scalars(INTS),  # type: ignore[arg-type]
        lambda: NATIVE.contract(INTS, 1, 1, INTS),  # type: ignore[arg-type]
        lambda: NATIVE.scatter_add(INTS, FIELD, 4),  # type: ignore[arg-type]
        lambda: NATIVE.sumcheck([np.ones(4)], [(1, (0,))], 1),  # type: ignore[list-item]
    ],
)
def test_bad_types(call: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        call()


def test_finals_before_the_end() -> None:
    with pytest.raises(RuntimeError):
        NATIVE.sumcheck([INTS], [(1, (0,))], 1).finals()
