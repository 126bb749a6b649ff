"""An answer and its model's ranges are decided together: neither may hide behind the other, nor be left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.checkpoints import Place
from zkcore import api, public, verifier
from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS
from zkcore.transcript.equations import Equations


def off_by_one(data: bytes) -> bytes:
    """The last number of a transcript is the inner product's answer for blinders: only a group equation reads it."""
    last = (int.from_bytes(data[-32:], "big") + 1) % MODULUS
    return data[:-32] + last.to_bytes(32, "big")


@pytest.mark.parametrize("answer", [False, True])
@pytest.mark.parametrize("ranges", [False, True])
def test_what_only_a_group_equation_reads(tiny: Place, answer: bool, ranges: bool) -> None:
    commitment, proof = tiny.public.read_bytes(), tiny.proof.read_bytes()
    model = public.parse(off_by_one(commitment) if ranges else commitment)
    data, expected = off_by_one(proof) if answer else proof, verifier.Expected(nonce=tiny.nonce)
    if not answer and not ranges:
        assert verifier.EQUATIONS in verifier.verify(model, data, expected, api.cache_dir()).work
        return
    with pytest.raises(ProofRejected, match="witness row"):
        verifier.verify(model, data, expected, api.cache_dir())


def test_undecided_equations_would_let_both_through(tiny: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the test above rests on: nothing else looks at these bytes."""
    monkeypatch.setattr(Equations, "decide", lambda self: None)
    model = public.parse(off_by_one(tiny.public.read_bytes()))
    answer = off_by_one(tiny.proof.read_bytes())
    verifier.verify(model, answer, verifier.Expected(nonce=tiny.nonce), api.cache_dir())


def test_ranges_are_checked_once_for_many_answers(tiny: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And for this very object alone."""
    model, expected = public.load(tiny.public), verifier.Expected(nonce=tiny.nonce)
    certified = verifier.certify(model, api.cache_dir())
    checked = list[int]()
    monkeypatch.setattr(verifier, "check_certificate", lambda *args: checked.append(1) or {})
    for _ in range(2):
        verifier.verify(model, tiny.proof.read_bytes(), expected, api.cache_dir(), certified=certified)
    assert not checked
    again = public.load(tiny.public)
    with pytest.raises(TypeError, match="another commitment"):
        verifier.verify(again, tiny.proof.read_bytes(), expected, api.cache_dir(), certified=certified)


def test_false_ranges_are_not_certified(tiny: Place, tmp_path: Path) -> None:
    with pytest.raises(ProofRejected, match="witness row"):
        verifier.certify(public.parse(off_by_one(tiny.public.read_bytes())), api.cache_dir())
