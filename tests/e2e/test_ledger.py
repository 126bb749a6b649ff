"""The soundness ledger of real files, as `inspect` shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.checkpoints import Place
from tests.e2e.files import File
from zkcore import api, public, soundness
from zkcore.errors import FormatError
from zkcore.field.kernels import MODULUS

TITLE = "Soundness: chance that a false statement passes, as bits"


def terms(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {row["term"]: row for row in content[TITLE]}


def test_of_a_proof(tiny: Place) -> None:
    """Every part of the protocol is in it, and nothing is better than what it rests on."""
    content = api.inspect(tiny.proof, tiny.public)
    found = terms(content)
    parts = {"lookup", "fraction tree", "sumcheck", "claims", "definitions", "opening", "inner product"}
    assert set(found) == {*parts, "blind", "equations", "all"}
    assert all(200 < float(row["bits, all"]) <= float(row["bits, worst one"]) < 255 for row in found.values())
    assert found["all"]["challenges"] == sum(row["challenges"] for name, row in found.items() if name != "all")
    assert "about 120 bits" in content["Strength"]["commitments are binding"]
    assert content["Assumptions"] and content["Not proved"]


def test_a_clear_one_hides_nothing(clear: Place) -> None:
    content = api.inspect(clear.proof, clear.public)
    assert "blind" not in terms(content)
    assert content["Strength"]["hiding"] == "none: clear mode"


def test_of_a_commitment(tiny: Place) -> None:
    """For an answer of 64 tokens; a shorter one has fewer lookups, and so less error."""
    long, short = terms(api.inspect(tiny.public)), terms(api.inspect(tiny.proof, tiny.public))
    assert float(long["lookup"]["bits, all"]) < float(short["lookup"]["bits, all"])


def test_of_a_settlement(tiny: Place) -> None:
    """By hand: batching of n claims, two a column round; and the inner product's."""
    setup = public.load(tiny.public).setup
    width = setup.parts.scheme.log_width
    for n in (1, 5):
        found = {t.name: int(t.total * MODULUS) for t in soundness.terms(soundness.settlement_errors(setup, n))}
        assert found["opening"] == n - 1 + 2 * width


@pytest.mark.parametrize("tokens", [[1 << 40], ["x"], [True], [0] * 200, {}])
def test_tokens_of_no_model(tiny: Place, tmp_path: Path, tokens: object) -> None:
    path = tmp_path / "x.zkp"
    path.write_bytes(File.of(tiny.proof.read_bytes()).edited(("output",), tokens))
    with pytest.raises(FormatError):
        api.inspect(path, tiny.public)
