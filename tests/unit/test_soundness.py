"""The soundness ledger against sums done by hand."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.attacks.kit import LOG_WIDTH, TOOLS, Case, matmul, ranged, side_by_side, symmetric, two_tables
from zkcore import soundness
from zkcore.field.kernels import MODULUS
from zkcore.soundness import Term
from zkcore.transcript.channel import DryChannel
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.wire import Error


def stated(case: Case, hiding: bool = False) -> dict[str, tuple[int, int]]:
    """By term: challenges, and the sum of their bad values."""
    t = Transcript(DryChannel(), TOOLS, b"", hiding=hiding)
    case.run(t, None)
    return {x.name: (x.challenges, int(x.total * MODULUS)) for x in soundness.terms(t.stated_errors)}


OPENING = (1 + LOG_WIDTH, 1 + 2 * LOG_WIDTH)  # of two claims
PRODUCT = (LOG_WIDTH + 2, 4 * LOG_WIDTH + 2)
EQUATIONS = {"equations": (1, 1)}


def test_a_lookup_by_hand() -> None:
    """Four numbers in a table of four rows: eight fractions of one column, so eight leaves and a tree of three layers,
    whose sumchecks have 0, 1 and 2 rounds of degree 3."""
    tree = {"fraction tree": (6, 6), "sumcheck": (3, 9)}
    assert stated(ranged()) == {"lookup": (2, 8 + 8), **tree, "opening": OPENING, "inner product": PRODUCT, **EQUATIONS}


def test_a_product_by_hand() -> None:
    """[3, 2] x [2, 2]: a zero check of 2 + 1 variables, one summed variable of degree 2, one claim to open."""
    found = stated(matmul())
    opening = (LOG_WIDTH, 2 * LOG_WIDTH)
    assert found == {"zero": (3, 3), "sumcheck": (1, 2), "opening": opening, "inner product": PRODUCT, **EQUATIONS}


def test_a_merge_by_hand() -> None:
    """Two claims about a [2, 2] tensor: gamma, then two rounds of degree 2; after it a round of degree 2 for the
    product; the transpose has none."""
    found = stated(symmetric())
    assert found["claims"] == (1, 1)
    assert found["sumcheck"] == (2 + 1, 2 * 2 + 2)


def test_claims_side_by_side_by_hand() -> None:
    """Three claims about products of 1, 2 and 3 variables: gamma, then as many rounds as the largest has, of the
    highest degree."""
    found = stated(side_by_side())
    assert found["claims"] == (1, 2)
    assert found["sumcheck"] == (3, 3 * 3)


def test_inverses_by_hand() -> None:
    """Tables of 4 and 16 rows, 4 and 2 cells: 26 fractions, counted twice, for gamma and for beta; six equations; a
    joint cube of 4 variables, of degree 3."""
    found = stated(two_tables())
    assert found["lookup"] == (2 + 1 + 4, 4 * 26 + (6 - 1) + 4)
    assert found["sumcheck"] == (4, 12)


def test_the_blind_argument_by_hand() -> None:
    """Fold and matrix batch: 2 each. m constraints: 1 + 3 a variable. Grid positions: 3 a variable."""
    case = matmul()
    t = Transcript(DryChannel(), TOOLS, b"")
    case.run(t, None)
    m, places = t.constraints, len(t._ledger.refs) * t._ledger.width
    x, y = (m - 1).bit_length(), (places - 1).bit_length()
    found = {e.name: (e.challenges, int(e.total * MODULUS)) for e in soundness.terms(t.stated_errors)}
    assert (m, x, y) == (3, 2, 6)
    assert found["blind"] == (2 + 2 * x + y, 2 + 2 + 4 * x + 3 * y)


@pytest.mark.parametrize(
    ("error", "expected"),
    [(Fraction(1, 2), "1.0"), (Fraction(3, 8), "1.4"), (Fraction(1), "0.0"), (Fraction(1, MODULUS), "254.8")],
)
def test_bits_are_rounded_down(error: Fraction, expected: str) -> None:
    assert soundness.bits(error) == expected


def test_terms_add_up() -> None:
    found = soundness.terms([Error("a", 3, 2), Error("b", 5), Error("a", 1), Error("c", 0, 7)])
    r = MODULUS
    assert found == [Term("a", 3, Fraction(7, r), Fraction(3, r)), Term("b", 1, Fraction(5, r), Fraction(5, r))]
    assert soundness.together(found) == Term("all", 4, Fraction(12, r), Fraction(5, r))


@pytest.mark.parametrize("hiding", [False, True])
@pytest.mark.parametrize("case", [matmul, symmetric, ranged, two_tables])
def test_every_challenge_has_an_error(case: object, hiding: bool) -> None:
    """What is drawn and what is stated agree in number: no challenge is forgotten."""
    made = case()  # type: ignore[operator]
    t = made.forge(hiding=hiding).t
    own = [e for e in t.stated_errors if e.term != "equations"]  # the last one: coefficients of the group equations
    assert len(t.stated_errors) == len(own) + 1
    assert sum(len(v) for v in t.drawn.values()) == sum(e.times for e in own)
