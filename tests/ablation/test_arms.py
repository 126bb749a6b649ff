"""Arms agree where they must, and none can be taken for another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations

import pytest

from tests.ablation.conftest import SAME_MODEL, Arm
from tests.e2e.files import File
from zkcore import api, verifier
from zkcore.errors import ProofRejected
from zkcore.public import PublicFile
from zkcore.statement import digest


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The range proof passes unseen: it would reject most of what follows before the answer's proof can."""
    monkeypatch.setattr(verifier, "check_certificate", lambda *args: {})


def _verify(commitment: PublicFile, proof: bytes) -> None:
    verifier.verify(commitment, proof, verifier.Expected(), api.cache_dir())


def _reason(commitment: PublicFile, proof: bytes) -> str:
    """Why it is rejected; empty if it is not."""
    try:
        _verify(commitment, proof)
    except ProofRejected as e:
        return e.reason
    return ""


def _pairs(arms: dict[str, Arm]) -> Iterator[tuple[str, Arm, Arm]]:
    for (a, own), (b, other) in permutations(arms.items(), 2):
        yield f"{a} under {b}", own, other


def test_the_same_integer_model_gives_the_same_answer(arms: dict[str, Arm]) -> None:
    same = [arms[name] for name in SAME_MODEL if name in arms]
    assert {a.sequence for a in same} == {arms["default"].sequence}
    assert len({a.owner.public.setup.quantisation.model_dump_json() for a in same}) == 1


def test_every_proof_is_accepted_under_its_own_commitment(arms: dict[str, Arm]) -> None:
    for arm in arms.values():
        _verify(arm.owner.public, arm.proof.data)


def test_no_proof_is_accepted_under_another_commitment(arms: dict[str, Arm]) -> None:
    for pair, own, other in _pairs(arms):
        assert _reason(other.owner.public, own.proof.data) == "wrong commitment", pair


@pytest.mark.usefixtures("trusted")
def test_nor_with_a_header_that_names_the_other_commitment(arms: dict[str, Arm]) -> None:
    """What rejects it now is the proof, not its label."""
    for pair, own, other in _pairs(arms):
        there = digest(other.owner.public.rows)
        grafted = File.of(own.proof.data).edited(("commitment_sha256",), there)
        assert _reason(other.owner.public, grafted) not in ("", "wrong commitment"), pair


@pytest.mark.usefixtures("trusted")
def test_nor_under_its_own_commitment_with_another_configuration(arms: dict[str, Arm]) -> None:
    """The configuration is part of the statement, whatever it changes."""
    for pair, own, other in _pairs(arms):
        setup = replace(own.owner.public.setup, parts=other.owner.public.setup.parts)
        scales = setup.quantisation.model_copy(update={"bits": setup.parts.config.model})
        changed = replace(own.owner.public, setup=replace(setup, quantisation=scales))
        assert _reason(changed, own.proof.data), pair


def test_nor_does_the_range_proof_accept_another_configuration(arms: dict[str, Arm]) -> None:
    for pair, own, other in _pairs(arms):
        setup = replace(own.owner.public.setup, parts=other.owner.public.setup.parts)
        with pytest.raises(ProofRejected):
            verifier.certify(replace(own.owner.public, setup=setup), api.cache_dir())
            pytest.fail(pair)
