"""Small proofs with every intermediate value, read by an independent reader. Written anew with ZKCORE_BLESS=1."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.attacks.kit import TOOLS, Case, Coins, matmul, small, symmetric
from tests.e2e.checkpoints import Place
from tests.vectors import reader
from zkcore import public
from zkcore.claim import Claim, ClaimLedger
from zkcore.field.kernels import MODULUS
from zkcore.models.family import Sequence
from zkcore.transcript.sponge import Sponge
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.values import Value

HERE = Path(__file__).parent
CASES: dict[str, Callable[[], Case]] = {"matmul": matmul, "symmetric": symmetric, "small": small}
NAMES = [(name, mode) for name in CASES for mode in ("clear", "hiding")]


def record(name: str, mode: str) -> dict[str, Any]:
    """What crosses, is drawn and is claimed, in order; blinders are fixed."""
    steps: list[dict[str, Any]] = []
    absorb, challenge, add = Sponge.absorb, Sponge.challenge, ClaimLedger.add
    case, channel = CASES[name]().committed(seed=5), Coins(3)

    def absorbing(self: Sponge, label: str, data: bytes) -> None:
        if label not in ("mode", "statement", "challenge"):
            steps.append({"absorb": label, "data": data.hex()})
        absorb(self, label, data)

    def drawing(self: Sponge, label: str) -> int:
        drawn = challenge(self, label)
        steps.append({"challenge": label, "value": hex(drawn)})
        return drawn

    def claiming(self: ClaimLedger, claim: Claim) -> None:
        value = claim.value.number if isinstance(claim.value, Value) else claim.value
        place = [[hex(x) for x in axis] for axis in claim.place]
        steps.append({"claim": claim.tensor, "place": place, "value": hex((value or 0) % MODULUS)})
        add(self, claim)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sponge, "absorb", absorbing)
        patch.setattr(Sponge, "challenge", drawing)
        patch.setattr(ClaimLedger, "add", claiming)
        t = Transcript(channel, TOOLS, case.statement(), hiding=mode == "hiding")
        case.run(t, case.witness())
    tensors = {n: np.asarray(a).tolist() for n, a in case.given.items()}
    return {
        "mode": mode,
        "statement": case.statement().hex(),
        "system": json.loads(case.system.describe()),
        "tensors": tensors,
        "steps": steps,
        "proof": bytes(channel.proof).hex(),
    }


def path(name: str, mode: str) -> Path:
    return HERE / f"{name}_{mode}.json"


def stored(name: str, mode: str) -> dict[str, Any]:
    return dict(json.loads(path(name, mode).read_text()))


@pytest.mark.parametrize(("name", "mode"), NAMES)
def test_the_vectors_are_what_the_prover_makes(name: str, mode: str) -> None:
    made = record(name, mode)
    if os.environ.get("ZKCORE_BLESS"):
        path(name, mode).write_text(json.dumps(made, indent=0) + "\n")
    assert made == stored(name, mode)


@pytest.mark.parametrize(("name", "mode"), NAMES)
def test_the_reader_draws_the_same_challenges(name: str, mode: str) -> None:
    vector, crossed, drawn = stored(name, mode), b"", 0
    for step, challenge in reader.steps(vector):
        if challenge is not None:
            assert hex(challenge) == step["value"], step["challenge"]
            drawn += 1
        elif step.get("absorb", "adopt") != "adopt":
            crossed += bytes.fromhex(step["data"])
    assert drawn > 5
    assert crossed.hex() == vector["proof"], "messages stand one after the other, nothing between them"


@pytest.mark.parametrize("name", CASES)
def test_the_reader_agrees_with_the_claims(name: str) -> None:
    """Claims about committed tensors are values of their extensions, in the variable order that FORMAT.md states."""
    vector, checked = stored(name, "clear"), 0
    shapes = {t[0]: t[1] for t in vector["system"]["tensors"]}
    for step in vector["steps"]:
        if step.get("claim") in vector["tensors"]:
            place = [[int(x, 16) for x in axis] for axis in step["place"]]
            found = reader.extension(vector["tensors"][step["claim"]], shapes[step["claim"]], place)
            assert hex(found) == step["value"]
            checked += 1
    assert checked


def test_the_reader_follows_a_sumcheck() -> None:
    """matmul, clear: the zero check's claim, one round, and the product of the two factors at the new point."""
    vector = stored("matmul", "clear")
    claims = {s["claim"]: int(s["value"], 16) for s in vector["steps"] if "claim" in s}
    at = next(i for i, s in enumerate(vector["steps"]) if s.get("absorb") == "round")
    data = bytes.fromhex(vector["steps"][at]["data"])
    values = [reader.scalar(data[i : i + 32]) for i in range(0, len(data), 32)]
    drawn = int(vector["steps"][at + 1]["value"], 16)
    final = reader.after_round(values, claims["acc"], drawn)
    place = next(s["place"] for s in vector["steps"] if s.get("claim") == "acc")
    from tests.attacks.kit import X

    row = [int(x, 16) for x in place[0]]
    x = reader.extension(X.tolist(), X.shape, [row, [drawn]])
    assert final == x * claims["w"] % reader.R


def test_the_reader_decodes_every_point() -> None:
    vector = stored("matmul", "hiding")
    points = ("commit", "adopt", "evaluations", "pin", "products", "mask", "cross", "error")
    seen = 0
    for step in vector["steps"]:
        label = step.get("absorb", "")
        if label.split(" ")[0] in points and label not in ("mask scale", "error row") or label.endswith(" halving"):
            data = bytes.fromhex(step["data"])
            for i in range(0, len(data), 48):
                reader.point(data[i : i + 48])
                seen += 1
    assert seen > 20


def test_the_reader_reads_real_files(tiny: Place) -> None:
    """A commitment and an answer, up to the statement that is absorbed."""
    ours = public.load(tiny.public)
    theirs = reader.commitment(tiny.public.read_bytes(), len(ours.rows))
    assert theirs.rows == ours.rows
    assert theirs.range_proof == ours.certificate
    assert theirs.model == ours.statement.encode()
    proof = reader.container(tiny.proof.read_bytes())
    assert proof.magic == b"ZKCPROOF"
    prompt, output = tuple(proof.header["prompt"]), tuple(proof.header["output"])
    system = ours.system(Sequence((*prompt, *output), len(prompt))).describe()
    from zkcore.statement import Statement

    nonce, opening = bytes.fromhex(proof.header["nonce"]), proof.header["opening"]
    expected = Statement(ours.statement, prompt, output, hashlib.sha256(system).hexdigest(), nonce, opening)
    assert reader.answer_statement(theirs.model, proof.header, system) == expected.encode()


@pytest.mark.parametrize("data", [b"ZKCPROOF" + bytes(8), b"ZKCPROOF\0\0\0\2\0\0\0\2{ }"])
def test_the_reader_refuses_other_encodings(data: bytes) -> None:
    with pytest.raises(ValueError, match="version|canonical|Expecting"):
        reader.container(data)
