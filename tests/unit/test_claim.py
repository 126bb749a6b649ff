"""The book of claims: each is discharged exactly once."""

from __future__ import annotations

import pytest

from zkcore.claim import Claim, ClaimLedger
from zkcore.errors import GraphError

HERE, THERE = ((1, 2), (3,)), ((1,), (2, 3))


def test_claims_are_taken_once_in_order() -> None:
    ledger = ClaimLedger()
    for place, value in ((HERE, 5), (THERE, 6)):
        ledger.add(Claim("t", place, value))
    ledger.add(Claim("u", HERE, 7))
    assert [(c.place, c.value) for c in ledger.take("t")] == [(HERE, 5), (THERE, 6)]
    assert ledger.take("t") == []
    assert ledger.get("t", HERE) is None
    assert ledger.get("u", HERE) == 7


def test_what_stands_at_the_end_is_an_error() -> None:
    ledger = ClaimLedger()
    ledger.assert_empty()
    ledger.add(Claim("t", HERE, 0))
    with pytest.raises(GraphError, match="undischarged"):
        ledger.assert_empty()
    ledger.take("t")
    ledger.assert_empty()


def test_no_claim_after_the_others_were_discharged() -> None:
    ledger = ClaimLedger()
    ledger.take("t")
    with pytest.raises(GraphError, match="after its claims"):
        ledger.add(Claim("t", HERE, 5))


def test_a_second_claim_at_one_place_cannot_hide_the_first() -> None:
    ledger = ClaimLedger()
    ledger.add(Claim("t", HERE, 5))
    for value in (5, 6):
        with pytest.raises(GraphError, match="second claim"):
            ledger.add(Claim("t", HERE, value))
    assert [c.value for c in ledger.take("t")] == [5]
