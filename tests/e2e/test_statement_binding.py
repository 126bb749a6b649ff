"""A proof is about one statement. Change any field of it, alone, and the proof is no longer accepted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.e2e.checkpoints import Place
from tests.e2e.files import File, leaves, put, sections
from tests.e2e.limits import refused
from zkcore import api, prover, public, verifier
from zkcore.errors import FormatError, ProofRejected, ZkcoreError
from zkcore.public import PublicFile
from zkcore.statement import ModelStatement, Statement, canonical

MAPPINGS = ("config", "architecture", "quantisation")


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commitment's range proof, which binds the model's statement as well, passes unseen."""
    monkeypatch.setattr(verifier, "check_certificate", lambda *args: {})


@pytest.fixture(scope="module")
def commitment(tiny: Place) -> PublicFile:
    return public.load(tiny.public)


def judge(tiny: Place, commitment: PublicFile, answer: bytes | None = None, nonce: bytes | None = None) -> Statement:
    expected = verifier.Expected(nonce=tiny.nonce if nonce is None else nonce)
    data = tiny.proof.read_bytes() if answer is None else answer
    return verifier.verify(commitment, data, expected, api.cache_dir()).statement


def another(value: Any) -> Any:
    """A value of the same type."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str() if len(value) == 64:
            return hashlib.sha256(value.encode()).hexdigest()
        case str():
            return value + "1"
        case bytes():
            return value + b"\0"
        case tuple() if value and isinstance(value[0], int):
            return (*value[:-1], value[-1] ^ 1)
        case tuple() | list():
            return type(value)([*value, ["another", "1"]])
        case None:
            return 0
    raise TypeError(type(value))


# --- every field, from the dataclasses -----------------------------------------------------------------------------
MODEL_FIELDS = [f.name for f in fields(ModelStatement) if f.name not in MAPPINGS]
ANSWER_FIELDS = [f.name for f in fields(Statement) if f.name != "model"]


def test_the_fields_are_all_there_is() -> None:
    """A new field of a kind that these tests do not know must be added to them."""
    assert {f.name for f in fields(ModelStatement)} == {*MODEL_FIELDS, *MAPPINGS}
    assert all(str(f.type).startswith("Mapping") for f in fields(ModelStatement) if f.name in MAPPINGS)


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("name", [*ANSWER_FIELDS, *(f"model.{n}" for n in MODEL_FIELDS)])
def test_a_statement_that_differs_in_one_field(
    tiny: Place, commitment: PublicFile, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = judge(tiny, commitment)

    def differing(*args: Any) -> Statement:
        made = Statement(*args)
        assert made == honest
        outer, _, inner = name.rpartition(".")
        part: Any = getattr(made, outer) if outer else made
        part = replace(part, **{inner: another(getattr(part, inner))})
        return replace(made, model=part) if outer else part

    monkeypatch.setattr(public, "Statement", differing)
    refused(lambda: judge(tiny, commitment), ProofRejected)


@pytest.mark.usefixtures("trusted")
def test_a_statement_that_differs_in_one_leaf(either: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configuration, architecture and quantisation, leaf by leaf; nothing else of the verifier's work differs."""
    commitment = public.load(either.public)
    honest, tried = judge(either, commitment), 0
    monkeypatch.setattr(public, "Statement", lambda *args: now)
    for mapping in MAPPINGS:
        content: Mapping[str, Any] = getattr(honest.model, mapping)
        for path, value in leaves(content):
            changed = replace(honest.model, **{mapping: put(content, path, another(value))})
            now = replace(honest, model=changed)
            refused(lambda: judge(either, commitment), ProofRejected)
            tried += 1
    assert tried > 60


def test_a_commitment_file_that_differs_in_one_leaf(either: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an attacker would do it: a file that says something else. Where it can be read at all, the range proof and the
    answer's proof each reject it for themselves."""
    file, read = File.of(either.public.read_bytes()), []
    for path, value in leaves(file.header):
        changed = _readable(file.edited(path, another(value)))
        if changed is None:
            continue
        read.append(path[0])
        refused(lambda changed=changed: judge(either, changed), ProofRejected)  # type: ignore[misc]
        with monkeypatch.context() as context:
            context.setattr(verifier, "check_certificate", lambda *args: {})
            refused(lambda changed=changed: judge(either, changed), (ProofRejected, FormatError))  # type: ignore[misc]
    assert len(read) > 20
    assert {*read} >= {"config", "architecture", "quantisation", "tokenizer"}


def _readable(data: bytes) -> PublicFile | None:
    try:
        return public.parse(data)
    except ZkcoreError:
        return None


# --- another run's parts -------------------------------------------------------------------------------------------
def proved(place: Place, prompt: str, nonce: bytes) -> bytes:
    owner = prover.Owner.load(place.commitment)
    return prover.prove(owner, owner.generate(owner.public.codec.encode(prompt), 3), nonce, api.cache_dir()).data


@pytest.mark.usefixtures("trusted")
def test_parts_of_another_proof(tiny: Place, other: Place, commitment: PublicFile) -> None:
    """Section by section, and all sections under another header. Even those of a second proof of the same statement:
    what a prover says hangs together."""
    ours = File.of(tiny.proof.read_bytes())
    own = sections(commitment, ours.pack(), tiny.nonce)
    donors = {
        "the same statement": (commitment, proved(tiny, tiny.prompt, tiny.nonce), tiny.nonce),
        "another prompt": (commitment, proved(tiny, tiny.prompt[::-1], tiny.nonce), tiny.nonce),
        "another nonce": (commitment, proved(tiny, tiny.prompt, b"another"), b"another"),
        "another model": (public.load(other.public), other.proof.read_bytes(), other.nonce),
    }
    for name, (judged, answer, nonce) in donors.items():
        foreign = sections(judged, answer, nonce)
        assert len(foreign) == len(own)
        for at, part in enumerate(foreign):
            body = b"".join([*own[:at], part, *own[at + 1 :]])
            if part:
                refused(lambda b=body: judge(tiny, commitment, ours.pack(body=b)), ProofRejected)  # type: ignore[misc]
        if name != "the same statement":
            whole = ours.pack(body=b"".join(foreign))
            refused(lambda w=whole: judge(tiny, commitment, w), ProofRejected)  # type: ignore[misc]


@pytest.mark.usefixtures("trusted")
def test_a_proof_does_not_answer_a_second_nonce(tiny: Place, commitment: PublicFile) -> None:
    file = File.of(tiny.proof.read_bytes())
    for nonce in (b"", b"another", tiny.nonce + b"\0", tiny.nonce[:-1]):
        renamed = file.pack(header={**file.header, "nonce": nonce.hex()})
        refused(lambda n=nonce: judge(tiny, commitment, nonce=n), ProofRejected, "nonce")  # type: ignore[misc]
        refused(lambda r=renamed, n=nonce: judge(tiny, commitment, r, n), ProofRejected)  # type: ignore[misc]


@pytest.mark.usefixtures("trusted")
def test_every_token_is_bound(tiny: Place, commitment: PublicFile) -> None:
    file = File.of(tiny.proof.read_bytes())
    for key in ("prompt", "output"):
        for at, token in enumerate(file.header[key]):
            data = file.edited((key, at), (token + 1) % 280)
            refused(lambda data=data: judge(tiny, commitment, data), ProofRejected)  # type: ignore[misc]
    prompt, output = file.header["prompt"], file.header["output"]
    moved = {**file.header, "prompt": prompt + output[:1], "output": output[1:]}
    shorter = {**file.header, "output": output[:-1]}
    longer = {**file.header, "output": [*output, output[-1]]}
    for header in (moved, shorter, longer):
        refused(lambda h=header: judge(tiny, commitment, file.pack(header=h)), ProofRejected)  # type: ignore[misc]


def test_rows_and_range_proof_of_another_model(tiny: Place, other: Place) -> None:
    """Same shape, other weights: rows and range proof cannot be moved from one file to the other."""
    ours, theirs = (File.of(p.public.read_bytes()) for p in (tiny, other))
    read, foreign = public.load(tiny.public), public.load(other.public)
    header = {**ours.header, "rows_sha256": theirs.header["rows_sha256"]}
    parts = {"tokenizer": read.tokenizer, "rows": read.rows, "certificate": read.certificate}
    swapped = {
        "rows": ours.pack(header=header, body=b"".join({**parts, "rows": foreign.rows}.values())),
        "certificate": ours.pack(body=b"".join({**parts, "certificate": foreign.certificate}.values())),
    }
    for data in swapped.values():
        refused(lambda data=data: verifier.certify(public.parse(data), api.cache_dir()), ProofRejected)  # type: ignore[misc]
    with pytest.raises(ProofRejected):
        judge(tiny, public.parse(swapped["rows"]))


# --- the encoding --------------------------------------------------------------------------------------------------
Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
Mappings = st.dictionaries(st.text(max_size=4), Json, max_size=3)
Tokens = st.lists(st.integers(0, 1 << 40), max_size=4).map(tuple)
Names = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=4)), max_size=3).map(tuple)
Models = st.builds(ModelStatement, st.integers(), Mappings, Names, Mappings, Mappings, st.text(), st.text())
Statements = st.builds(Statement, Models, Tokens, Tokens, st.text(), st.binary(max_size=8), st.text(max_size=8))


def decoded(data: bytes) -> Statement:
    """What the encoding says. That it can be read back means that no two statements share one."""
    size = int.from_bytes(data[:8], "big")
    model, rest = json.loads(data[8 : 8 + size]), json.loads(data[8 + size :])
    assert model.pop("kind") == "model"
    assert rest.pop("kind") == "answer"
    model["plugins"] = tuple(tuple(p) for p in model["plugins"])
    names = {"system_sha256": rest["system"], "prompt": tuple(rest["prompt"]), "output": tuple(rest["output"])}
    names["opening"] = rest["opening"]
    return Statement(ModelStatement(**model), nonce=bytes.fromhex(rest["nonce"]), **names)


@settings(max_examples=50, deadline=None)
@given(Statements)
def test_the_encoding_can_be_read_back(statement: Statement) -> None:
    assert decoded(statement.encode()) == statement


@settings(max_examples=50, deadline=None)
@given(Json, Json)
def test_one_encoding_for_each_value(one: Any, two: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(two, sort_keys=True)  # 1 and True differ
    assert (canonical(one) == canonical(two)) == same


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_json_has_no_encoding(value: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical(value)


def test_a_statement_is_no_model_statement() -> None:
    """An answer's statement and that of a range proof never collide: the first starts with a length."""
    model = ModelStatement(1, {}, (), {}, {}, "", "")
    assert Statement(model, (), (), "").encode()[:8] == len(model.encode()).to_bytes(8, "big")
    assert int.from_bytes(b"weight r", "big") > 1 << 60
