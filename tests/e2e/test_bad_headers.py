"""Headers that a stranger wrote: they are read strictly, and nothing large is built from them."""

from __future__ import annotations

import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.checkpoints import CONFIG, Place, write_checkpoint
from tests.e2e.files import File, KeyPath, leaves, put
from tests.e2e.limits import bounded, refused
from zkcore import api, committer, prover, public, verifier
from zkcore.commitment.layout import count_rows
from zkcore.errors import ConfigError, FormatError, PluginError, ProofRejected, ZkcoreError
from zkcore.models.family import Sequence
from zkcore.statement import canonical, digest

SOME: list[Any] = [1 << 64, 10**6, 60, 0, -1, None, True, "x", []]
MORE: list[Any] = [1 << 31, 1 << 40, 10**30, -(1 << 40), "", 1.5, {}, [[]], "NaN", "-1", "1e99999999", "\ud800"]


@pytest.fixture(scope="module")
def files(tiny: Place) -> tuple[File, File]:
    """The commitment and the proof, taken apart; both were read once."""
    api.verify(tiny.proof, tiny.public, nonce=tiny.nonce)
    return File.of(tiny.public.read_bytes()), File.of(tiny.proof.read_bytes())


def verify(data: bytes, answer: bytes, nonce: bytes) -> None:
    verifier.verify(public.parse(data), answer, verifier.Expected(nonce=nonce), api.cache_dir())


# --- one encoding --------------------------------------------------------------------------------------------------
def respelt(header: dict[str, Any]) -> dict[str, bytes]:
    """Encodings of the same content, and some of no content."""
    text = canonical(header)
    first, *rest = header.items()
    return {
        "spaces": json.dumps(header, sort_keys=True).encode(),
        "another order": json.dumps(dict([*rest, first]), separators=(",", ":")).encode(),
        "a key twice": text[:-1] + b"," + canonical(dict([first]))[1:],
        "a trailing newline": text + b"\n",
        "a leading space": b" " + text,
        "a byte order mark": b"\xef\xbb\xbf" + text,
        "utf-16": text.decode().encode("utf-16"),
        "not ASCII": text.replace(b'"nonce"', '"nönce"'.encode()).replace(b'"llama"', '"llämä"'.encode()),
        "not UTF-8": text[:5] + b"\xff" + text[5:],
        "NaN": text[:-1] + b',"x":NaN}',
        "Infinity": text[:-1] + b',"x":-Infinity}',
        "a large number": text[:-1] + b',"x":' + b"9" * 5000 + b"}",
        "an escaped letter": text.replace(b'"', b'"\\u0061', 1).replace(b"\\u0061a", b"\\u0061", 1),
        "a list": b"[" + text + b"]",
        "a number": b"7",
        "nothing": b"",
        "nested lists": b"[" * 100_000,
        "nested objects": b'{"a":' * 100_000,
        "nested and closed": b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        "many small lists": b'{"a":[' + b"[]," * 1_000_000 + b"[]]}",
    }


@pytest.mark.parametrize("how", list(respelt({"a": 1})))
def test_only_the_canonical_encoding_is_read(tiny: Place, files: tuple[File, File], how: str, tmp_path: Path) -> None:
    commitment, answer = files
    for file, name in ((commitment, "commitment file"), (answer, "proof")):
        data = file.pack(header=respelt(file.header)[how])
        (tmp_path / "x").write_bytes(data)
        refused(lambda data=data: api.inspect(tmp_path / "x"), FormatError, name)  # type: ignore[misc]
    data = commitment.pack(header=respelt(commitment.header)[how])
    refused(lambda: verify(data, answer.pack(), tiny.nonce), FormatError, "commitment file")
    data = answer.pack(header=respelt(answer.header)[how])
    refused(lambda: verify(commitment.pack(), data, tiny.nonce), ProofRejected, "malformed proof file")


@pytest.mark.parametrize("size", [1 << 22, 1 << 24, (1 << 32) - 1])
def test_a_header_size_that_lies(tiny: Place, files: tuple[File, File], size: int) -> None:
    for file in files:
        data = file.pack()
        data = data[:12] + size.to_bytes(4, "big") + data[16:]
        refused(lambda data=data: verify(data, files[1].pack(), tiny.nonce), FormatError)  # type: ignore[misc]
        refused(lambda data=data: verify(files[0].pack(), data, tiny.nonce), ProofRejected)  # type: ignore[misc]


# --- strange values ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("values", [SOME, pytest.param(MORE, marks=pytest.mark.slow)], ids=["some", "more"])
def test_any_value_in_any_place_of_a_commitment(clear: Place, tmp_path: Path, values: list[Any]) -> None:
    """Most are refused when the file is read; what is then built from the others is small, or refused as well."""
    commitment, answer = File.of(clear.public.read_bytes()), File.of(clear.proof.read_bytes())
    tried = read = 0
    for path, value in leaves(commitment.header):
        for new in values:
            if canonical(new) == canonical(value):
                continue
            data, tried = commitment.edited(path, new), tried + 1
            if _readable(data):
                read += 1
                refused(lambda data=data: verify(data, answer.pack(), clear.nonce))  # type: ignore[misc]
                (tmp_path / "x").write_bytes(data)
                with bounded(), suppress(ZkcoreError):
                    api.inspect(tmp_path / "x")
    assert tried > 500
    assert read > 10


def _readable(data: bytes) -> bool:
    try:
        with bounded():
            public.parse(data)
    except ZkcoreError:
        return False
    return True


@pytest.mark.parametrize(
    ("path", "value", "kind"),
    [
        (("architecture", "layers"), 1 << 31, FormatError),
        (("architecture", "layers"), 4096, FormatError),
        (("architecture", "vocab_size"), 1 << 40, ZkcoreError),
        (("architecture", "vocab_size"), 1 << 24, FormatError),
        (("architecture", "hidden"), 1 << 33, ZkcoreError),
        (("architecture", "hidden"), 1 << 20, FormatError),
        (("architecture", "ffn"), 1 << 22, FormatError),
        (("architecture", "heads"), 1 << 12, FormatError),
        (("architecture", "head_dim"), 1 << 30, ZkcoreError),
        (("architecture", "head_dim"), 1 << 10, FormatError),
        (("architecture", "max_positions"), 1 << 60, ZkcoreError),
        (("architecture", "epsilon"), "1" * 5000, ZkcoreError),
        (("architecture", "rope", "theta"), "0.5", ZkcoreError),
        (("architecture", "rope", "theta"), "1e-9", ZkcoreError),
        (("architecture", "rope", "type"), "yarn", ZkcoreError),
        (("architecture", "eos"), list(range(500_000)), ZkcoreError),
        (("config", "commitment", "log_width"), 60, ConfigError),
        (("config", "commitment", "log_width"), "auto", FormatError),
        (("config", "commitment", "log_width"), 20, ZkcoreError),
        (("config", "model", "attention", "tile"), 1 << 40, ConfigError),
        (("config", "model", "table_bits"), 40, ConfigError),
        (("config", "model", "table_bits"), 8, FormatError),
        (("quantisation", "index_bits"), 40, FormatError),
        (("quantisation", "reciprocal"), 1 << 40, FormatError),
        (("quantisation", "bits", "weight_bits"), 8, FormatError),
        (("plugins",), [["zkcore", "0"]], FormatError),
        (("plugins",), [], FormatError),
        (("plugins", 0, 1), "99.0", FormatError),
        (("config", "plugins"), ["missing"], PluginError),
        (("config", "plugins"), ["x"] * 100_000, ZkcoreError),
        (("config", "lookup"), "another", PluginError),
        (("config", "commitment", "name"), "another", PluginError),
        (("config", "strategy", "name"), "another", PluginError),
        (("architecture", "family"), "another", PluginError),
        (("architecture", "activation"), "another", PluginError),
        (("tokenizer", 0), 1 << 40, FormatError),
        (("tokenizer", 0), True, FormatError),
        (("tokenizer", 1), "0" * 64, FormatError),
        (("rows_sha256",), "0" * 64, FormatError),
    ],
    ids=lambda v: ".".join(map(str, v)) if isinstance(v, tuple) else "",
)
def test_a_commitment_that_asks_for_too_much(
    tiny: Place, files: tuple[File, File], path: KeyPath, value: Any, kind: type[ZkcoreError], tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(files[0].edited(path, value))
    refused(lambda: api.verify(tiny.proof, tmp_path / "x", nonce=tiny.nonce, prompt=tiny.prompt), kind)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Path:
    """A commitment to a model of a long context."""
    place = tmp_path_factory.mktemp("long")
    model = write_checkpoint(place / "model", max_position_embeddings=1 << 20)
    (model / "config.yaml").write_text(CONFIG + "zero_knowledge: false\n")
    api.commit(model, model / "config.yaml", place / "commitment")
    api.prove(place / "commitment", "The old", 1, place / "a.zkp")
    return place


@pytest.mark.parametrize(("prompt", "output"), [(5000, 1), (1, 20_000), (64_000, 1), (1_000_000, 1), (1000, 900_000)])
def test_tokens_are_written_down_quickly(long: Path, tmp_path: Path, prompt: int, output: int) -> None:
    """A system of many tokens takes gigabytes; a file of some hundred kilobytes cannot prove it, and makes nobody build
    it."""
    file, model = File.of((long / "a.zkp").read_bytes()), long / "commitment" / "public.zkc"
    header = {**file.header, "prompt": [0] * prompt, "output": [0] * output}
    (tmp_path / "x").write_bytes(file.pack(header=header))
    refused(lambda: api.verify(tmp_path / "x", model), ProofRejected, "too short")
    refused(lambda: api.inspect(tmp_path / "x", model), ProofRejected, "too short")
    assert api.verify(long / "a.zkp", model).tokens == 1


def test_longer_sequences_commit_to_more(long: Path) -> None:
    """Beginnings need no more bytes than the whole, which is what the check above rests on; and rows are counted as
    they will be sent, or fewer."""
    model = public.load(long / "commitment" / "public.zkc")
    sizes = []
    for length in (2, 3, 17, 64, 65, 200):
        sequence = Sequence((0,) * length, length - 1)
        shapes = [t.shape for t in model.system(sequence).of_kind("committed")]
        sizes.append(model._committed_bytes(sequence))
        assert sizes[-1] <= 48 * count_rows(shapes, model.setup.parts.scheme.log_width)
    assert sizes == sorted(sizes)


def test_nothing_is_left_to_defaults(tiny: Place, files: tuple[File, File]) -> None:
    commitment, answer = files
    for path, _ in leaves(commitment.header):
        header = put(commitment.header, path, None)
        inner = header
        for key in path[:-1]:
            inner = inner[key]
        if isinstance(inner, dict):
            del inner[path[-1]]
            data = commitment.pack(header=header)
            refused(lambda data=data: verify(data, answer.pack(), tiny.nonce), ZkcoreError)  # type: ignore[misc]
    for more in ({"more": 1}, {"": None}):
        data = commitment.pack(header={**commitment.header, **more})
        refused(lambda data=data: verify(data, answer.pack(), tiny.nonce), FormatError, "keys")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("prompt", [1] * 1_000_000, "too long"),
        ("prompt", [1] * 3_000_000, "header"),
        ("prompt", [1] * 128, "too long"),
        ("prompt", [], "malformed"),
        ("prompt", "abc", "malformed"),
        ("prompt", None, "malformed"),
        ("prompt", {"0": 1}, "malformed"),
        ("prompt", [280], "vocabulary"),
        ("prompt", [-1], "vocabulary"),
        ("prompt", [1 << 64], "vocabulary"),
        ("prompt", [True], "vocabulary"),
        ("prompt", [1.0], "vocabulary"),
        ("prompt", ["1"], "vocabulary"),
        ("prompt", [[1]], "vocabulary"),
        ("output", [], "malformed"),
        ("output", [280], "vocabulary"),
        ("output", [5] * 125, "too long"),
        ("nonce", "", "nonce"),
        ("nonce", None, "nonce"),
        ("nonce", 7, "nonce"),
        ("nonce", "66726F6D2074686520636C69656E74", "nonce"),
        ("opening", "deferred", ""),
        ("opening", "none", "opening"),
        ("opening", None, "opening"),
        ("commitment_sha256", "0" * 64, "another model"),
        ("commitment_sha256", None, "another model"),
        ("more", 1, "keys"),
    ],
    ids=lambda v: repr(v)[:16] if not isinstance(v, list) else f"{len(v)} tokens",
)
def test_a_proof_header_that_says_something_else(
    tiny: Place, files: tuple[File, File], key: str, value: Any, said: str
) -> None:
    data = files[1].pack(header={**files[1].header, key: value})
    refused(lambda: verify(files[0].pack(), data, tiny.nonce), ProofRejected, said)


def test_a_proof_header_that_leaves_something_out(tiny: Place, files: tuple[File, File]) -> None:
    for key in files[1].header:
        header = {k: v for k, v in files[1].header.items() if k != key}
        data = files[1].pack(header=header)
        refused(lambda data=data: verify(files[0].pack(), data, tiny.nonce), ProofRejected, "keys")  # type: ignore[misc]


@pytest.mark.parametrize("bomb", ["zeros", "cut", "followed", "not zlib", "another"])
def test_a_tokenizer_that_is_none(files: tuple[File, File], bomb: str, tmp_path: Path, tiny: Place) -> None:
    commitment = files[0]
    length = commitment.header["tokenizer"][0]
    honest, rest = commitment.body[:length], commitment.body[length:]
    packed = {
        "zeros": zlib.compress(bytes(1 << 28), 9),
        "cut": honest[:-1],
        "followed": honest + b"x",
        "not zlib": b"{}",
        "another": zlib.compress(b"{}"),
    }[bomb]
    data = File(
        commitment.magic, commitment.version, put(commitment.header, ("tokenizer", 0), len(packed)), packed + rest
    ).pack()
    (tmp_path / "x").write_bytes(data)
    refused(lambda: public.parse(data).codec, FormatError, "tokenizer")
    refused(lambda: api.verify(tiny.proof, tmp_path / "x", prompt="a", nonce=tiny.nonce), FormatError, "tokenizer")


# --- an owner who lies in the header and proves the weights' ranges all the same -----------------------------------
@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("norm",), 1),
        (("norm",), 128),
        (("reciprocal",), 1),
        (("reciprocal",), 128),
        (("escale",), 128),
        (("index_bits",), 1),
        (("hidden",), 128),
        (("hidden",), -128),
        (("epsilon",), 1 << 128),
        (("activations", "q"), 128),
        (("activations", "q"), -128),
        (("activations", "act"), 128),
        (("weights", "down"), 128),
        (("weights", "o"), -128),
    ],
    ids=str,
)
def test_an_owner_of_an_impossible_model(tiny: Place, files: tuple[File, File], path: KeyPath, value: int) -> None:
    """Its range proof is valid: what the numbers lead to is refused all the same."""
    commitment, answer = files
    data = commitment.edited(("quantisation", *path), value)
    owner = prover.Owner.load(tiny.commitment)
    lying = public.parse(data)
    statement = lying.statement
    arranged = lying.setup.arrange({n: w.numpy() for n, w in owner.weights.items()})
    tools = committer.toolbox(api.cache_dir())
    certificate = committer._certificate(lying.setup, tools, statement, lying.rows, owner.secrets, arranged)
    data = data[: len(data) - len(lying.certificate)] + certificate
    verifier.certify(public.parse(data), api.cache_dir())
    refused(lambda: verify(data, answer.pack(), tiny.nonce), ZkcoreError)


def test_a_long_answer_costs_little_to_refuse(tiny: Place, files: tuple[File, File]) -> None:
    """The longest that the model allows, with an empty proof."""
    sequence = Sequence((5,) * 128, 1)
    header = {**files[1].header, "prompt": list(sequence.tokens[:1]), "output": list(sequence.generated)}
    refused(lambda: verify(files[0].pack(), files[1].pack(header=header, body=b""), tiny.nonce), ProofRejected)


def test_the_files_of_these_tests_are_rebuilt_as_they_were(tiny: Place, files: tuple[File, File]) -> None:
    assert files[0].pack() == tiny.public.read_bytes()
    assert files[1].pack() == tiny.proof.read_bytes()
    assert digest(public.parse(files[0].pack()).rows) == files[1].header["commitment_sha256"]
