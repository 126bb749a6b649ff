"""Many sumchecks as one: the engine's rounds against those in Python, whose sums are checked in
tests/conformance/test_tlookup.py."""

from __future__ import annotations

import random
from math import prod

import numpy as np
import pytest

from zkcore.field.joint import JoinsSumchecks, Joint, KnownSum
from zkcore.field.kernels import MODULUS, FieldKernels, Term
from zkcore.field.native_field import NativeField
from zkcore.field.reference import ReferenceField
from zkcore.subprotocols.side_by_side import ClaimedSideBySide, joint
from zkcore.testing.torch_kernels import TorchKernels

DEGREES: dict[int, list[Term]] = {1: [(3, (0,))], 2: [(1, (0, 1)), (5, (2,))], 3: [(MODULUS - 1, (0, 1, 2)), (2, (1,))]}
MIXES = [[(1, 0)], [(2, 3)], [(1, 4), (3, 2)], [(3, 1), (2, 5), (2, 0), (1, 5), (3, 3), (2, 5)]]


def parts(k: FieldKernels, mix: list[tuple[int, int]], weighted: bool) -> list[tuple[KnownSum, int]]:
    """`mix`: degree and variables of each."""
    rng, draw, out = random.Random(str(mix)), np.random.default_rng(len(mix)), []
    for degree, n in mix:
        tables = [draw.integers(-99, 99, 1 << n) for _ in range(3)]
        point = [rng.randrange(MODULUS) for _ in range(n)] if weighted else None
        weights = k.eq_table(point) if point is not None else k.from_scalars([1] * (1 << n))
        cells = [sum(c * prod(int(tables[i][x]) for i in f) for c, f in DEGREES[degree]) for x in range(1 << n)]
        claim = k.dot(weights, k.from_scalars([c % MODULUS for c in cells]))
        out.append(
            (KnownSum(k.sumcheck(tables, DEGREES[degree], degree + weighted, point), claim, degree + weighted), n)
        )
    return out


def told(own: Joint, mix: list[tuple[int, int]]) -> list[list[int]]:
    """All that it says."""
    rng, out = random.Random(7), []
    for _ in range(max(n for _, n in mix)):
        out.append(own.round())
        own.bind(rng.choice([0, 1, rng.randrange(MODULUS)]))
    return [*out, own.claims(), own.finals()]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_the_engine_joins_as_python_does(mix: list[tuple[int, int]], weighted: bool) -> None:
    native, reference = NativeField(), ReferenceField()
    degree = max(d for d, _ in mix) + weighted
    assert isinstance(native, JoinsSumchecks) and not isinstance(reference, JoinsSumchecks)
    plain = joint(reference, parts(reference, mix, weighted), degree)
    assert isinstance(plain, ClaimedSideBySide)
    said = told(joint(native, parts(native, mix, weighted), degree), mix)
    assert said == told(plain, mix)
    assert all(len(values) == degree for values in said[:-2])


@pytest.mark.parametrize("mix", MIXES[1:], ids=str)
def test_the_first_round_adds_up(mix: list[tuple[int, int]]) -> None:
    """s(0) + s(1) is the sum of all parts' sums, s(1) by interpolation through other points."""
    k = NativeField()
    own, degree = parts(k, mix, False), max(d for d, _ in mix)
    said = joint(k, own, degree + 2).round()  # more points than any part needs
    at = [0, *range(2, degree + 2)]
    values = dict(zip([0, *range(2, degree + 3)], said, strict=True))
    one = 0
    for i in at:
        weight = 1
        for j in at:
            if i != j:
                weight = weight * (1 - j) * pow(i - j, -1, MODULUS) % MODULUS
        one += weight * values[i]
    assert (values[0] + one - sum(p.claim for p, _ in own)) % MODULUS == 0


def test_what_the_engine_refuses() -> None:
    k = NativeField()
    [(one, _)] = parts(k, [(2, 2)], False)
    with pytest.raises(ValueError, match="exceeds"):
        k.side_by_side([one], 1)
    with pytest.raises(ValueError, match="not that of the prover"):
        k.side_by_side([KnownSum(one.sumcheck, one.claim, 1)], 3)
    with pytest.raises(ValueError, match="degree"):
        k.side_by_side([one], 17)
    with pytest.raises(RuntimeError, match="after round"):
        k.side_by_side([one], 2).bind(1)
    other = parts(ReferenceField(), [(2, 2)], False)[0][0]
    with pytest.raises(TypeError, match="this engine"):
        k.side_by_side([other], 2)
    assert not isinstance(TorchKernels(), JoinsSumchecks)
