"""Damaged, mixed-up and hostile files: refused with a typed error, at once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.checkpoints import Place
from tests.e2e.files import File, flipped, public_edges, sections
from tests.e2e.limits import bounded, refused
from zkcore import api, public, verifier
from zkcore.errors import FormatError, ProofRejected, UsageError
from zkcore.field.kernels import MODULUS
from zkcore.statement import FORMAT_VERSION


@pytest.fixture(autouse=True, scope="module")
def warm(tiny: Place) -> None:
    """What is loaded and computed once a process is not what the bounds are about."""
    check(tiny)


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of proof files, in little time: the commitment's range proof passes unseen."""
    monkeypatch.setattr(verifier, "check_certificate", lambda *args: {})


def check(tiny: Place, *, data: bytes | None = None, answer: bytes | None = None, **options: Any) -> None:
    """Verify, from bytes."""
    expected = verifier.Expected(**({"nonce": tiny.nonce} | options))
    commitment = public.parse(tiny.public.read_bytes() if data is None else data)
    verifier.verify(commitment, tiny.proof.read_bytes() if answer is None else answer, expected, api.cache_dir())
    commitment.codec.decode([0])


# --- files, damaged ------------------------------------------------------------------------------------------------
def test_the_files_as_they_are_pass(tiny: Place) -> None:
    check(tiny, prompt=tiny.prompt, text=tiny.text)


def test_a_commitment_cut_at_every_edge(tiny: Place) -> None:
    data = tiny.public.read_bytes()
    for edge in public_edges(data):
        for end in {edge - 1, edge, edge + 1} - {-1, len(data), len(data) + 1}:
            refused(lambda end=end: check(tiny, data=data[:end]))  # type: ignore[misc]


def test_a_commitment_with_more_at_every_edge(tiny: Place) -> None:
    data = tiny.public.read_bytes()
    for edge in public_edges(data):
        refused(lambda edge=edge: check(tiny, data=data[:edge] + b"\0" + data[edge:]))  # type: ignore[misc]
    refused(lambda: check(tiny, data=data + data))
    refused(lambda: check(tiny, data=data + b"\0" * 48))


def test_a_commitment_with_a_bit_flipped_at_every_edge(tiny: Place) -> None:
    data = tiny.public.read_bytes()
    edges = public_edges(data)
    for at in sorted({*edges, *(e - 1 for e in edges), *(e + 7 for e in edges)}):
        if 0 <= at < len(data):
            refused(lambda at=at: check(tiny, data=flipped(data, at)))  # type: ignore[misc]


@pytest.fixture(scope="module")
def stages(tiny: Place) -> list[int]:
    """Where the sections of the proof begin and end."""
    data = tiny.proof.read_bytes()
    edges = File.of(data).edges(*(len(s) for s in sections(public.load(tiny.public), data, tiny.nonce)))
    assert len(edges) > 10
    return edges


@pytest.mark.usefixtures("trusted")
def test_a_proof_cut_at_every_edge(tiny: Place, stages: list[int]) -> None:
    data = tiny.proof.read_bytes()
    for edge in stages:
        for end in {edge - 1, edge, edge + 1} - {-1, len(data), len(data) + 1}:
            refused(lambda end=end: check(tiny, answer=data[:end]), ProofRejected)  # type: ignore[misc]


@pytest.mark.usefixtures("trusted")
def test_a_proof_with_more_at_every_edge(tiny: Place, stages: list[int]) -> None:
    data = tiny.proof.read_bytes()
    for edge in stages:
        refused(lambda edge=edge: check(tiny, answer=data[:edge] + b"\0" + data[edge:]), ProofRejected)  # type: ignore[misc]
    for more in (b"\0", b"\0" * 32, b"\xc0" + b"\0" * 47, data):
        refused(lambda more=more: check(tiny, answer=data + more), ProofRejected)  # type: ignore[misc]


@pytest.mark.usefixtures("trusted")
def test_a_proof_with_a_bit_flipped_at_every_edge(tiny: Place, stages: list[int]) -> None:
    data = tiny.proof.read_bytes()
    for at in sorted({*stages, *(e - 1 for e in stages)}):
        if 0 <= at < len(data):
            refused(lambda at=at: check(tiny, answer=flipped(data, at)), ProofRejected)  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_bits_flipped_all_over(tiny: Place, part: int) -> None:
    """A sample of both files: one bit in every 997 bytes."""
    commitment, answer = tiny.public.read_bytes(), tiny.proof.read_bytes()
    for at in range(part * 100, len(commitment), 997):
        refused(lambda at=at: check(tiny, data=flipped(commitment, at, at % 8)))  # type: ignore[misc]
    for at in range(part * 100, len(answer), 997):
        refused(lambda at=at: check(tiny, answer=flipped(answer, at, at % 8)), ProofRejected)  # type: ignore[misc]


@pytest.mark.usefixtures("trusted")
def test_sections_out_of_order(either: Place) -> None:
    """Swapped, dropped, twice."""
    file = File.of(either.proof.read_bytes())
    parts = sections(public.load(either.public), file.pack(), either.nonce)
    assert len(parts) >= 5
    for at in range(len(parts)):
        swapped = [*parts[:at], *parts[at : at + 2][::-1], *parts[at + 2 :]]
        dropped = [*parts[:at], *parts[at + 1 :]]
        twice = [*parts[: at + 1], *parts[at:]]
        for told in (swapped, dropped, twice):
            if (body := b"".join(told)) != file.body:
                refused(lambda b=body: check(either, answer=file.pack(body=b)), ProofRejected)  # type: ignore[misc]


FIELD = 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB
INFINITY = b"\xc0" + bytes(47)


@pytest.mark.usefixtures("trusted")
def test_a_point_in_another_encoding(either: Place) -> None:
    """The first row of the first commitment, in ways that some decoders take for the same point or for none."""
    file = File.of(either.proof.read_bytes())
    point, rest = file.body[:48], file.body[48:]
    x = int.from_bytes(point, "big") & ((1 << 381) - 1)
    told = {
        "negative": bytes([point[0] ^ 0x20]) + point[1:],
        "uncompressed flag": bytes([point[0] & 0x7F]) + point[1:],
        "infinity flag": bytes([point[0] | 0x40]) + point[1:],
        "x + p": (x + FIELD | 1 << 383).to_bytes(48, "big") if x + FIELD < 1 << 381 else b"\x9f" + b"\xff" * 47,
        "infinity": INFINITY,
        "infinity with a sign": b"\xe0" + bytes(47),
        "infinity with junk": INFINITY[:-1] + b"\1",
        "zero": bytes(48),
        "off the curve": b"\x80" + bytes(46) + b"\1",
        "backwards": point[::-1],
    }
    for new in told.values():
        assert new != point
        refused(lambda n=new: check(either, answer=file.pack(body=n + rest)), ProofRejected)  # type: ignore[misc]


@pytest.mark.usefixtures("trusted")
def test_a_scalar_in_another_encoding(either: Place) -> None:
    """The last message is a scalar: it has one encoding."""
    file = File.of(either.proof.read_bytes())
    rest, scalar = file.body[:-32], int.from_bytes(file.body[-32:], "big")
    assert scalar < MODULUS
    for new in (scalar + MODULUS, MODULUS, MODULUS - 1 - scalar, (1 << 256) - 1, 0, scalar ^ 1):
        data = file.pack(body=rest + (new % (1 << 256)).to_bytes(32, "big"))
        refused(lambda d=data: check(either, answer=d), ProofRejected)  # type: ignore[misc]
    reversed_bytes = file.pack(body=rest + file.body[-32:][::-1])
    refused(lambda: check(either, answer=reversed_bytes), ProofRejected)


def test_a_proof_in_the_other_mode(tiny: Place, clear: Place) -> None:
    """One is no downgrade of the other: also not when the header claims the other's commitment."""
    for ours, theirs in ((tiny, clear), (clear, tiny)):
        file, foreign = File.of(theirs.proof.read_bytes()), File.of(ours.proof.read_bytes())
        refused(lambda o=ours, f=file: check(o, answer=f.pack()), ProofRejected, "another model")  # type: ignore[misc]
        told = file.pack(header={**file.header, "commitment_sha256": foreign.header["commitment_sha256"]})
        refused(lambda o=ours, t=told: check(o, answer=t), ProofRejected)  # type: ignore[misc]


@pytest.mark.slow
def test_the_same_verdict_every_time(tiny: Place) -> None:
    data = tiny.proof.read_bytes()
    for at in range(30):
        check(tiny)
        refused(lambda at=at: check(tiny, answer=flipped(data, -1 - at)), ProofRejected)  # type: ignore[misc]


@pytest.mark.usefixtures("trusted")
@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\xc0"])
def test_a_proof_of_nothing(tiny: Place, fill: bytes) -> None:
    file = File.of(tiny.proof.read_bytes())
    refused(lambda: check(tiny, answer=file.pack(body=fill * len(file.body))), ProofRejected)
    refused(lambda: check(tiny, answer=file.pack(body=b"")), ProofRejected, "too short")
    infinity = (b"\xc0" + b"\0" * 47) * (len(file.body) // 48 + 1)
    refused(lambda: check(tiny, answer=file.pack(body=infinity[: len(file.body)])), ProofRejected)


def test_files_that_are_something_else(tiny: Place) -> None:
    commitment, answer = tiny.public.read_bytes(), tiny.proof.read_bytes()
    for data in (b"", b"\0", b"PK\x03\x04" + bytes(100), answer, commitment[::-1]):
        refused(lambda data=data: check(tiny, data=data), FormatError, "commitment file")  # type: ignore[misc]
    for data in (b"", b"\0", b"PK\x03\x04" + bytes(100), commitment, answer[::-1]):
        refused(lambda data=data: check(tiny, answer=data), ProofRejected, "proof")  # type: ignore[misc]


@pytest.mark.parametrize("version", [0, 1, FORMAT_VERSION - 1, FORMAT_VERSION + 1, 1 << 31, (1 << 32) - 1])
def test_a_format_of_another_time(tiny: Place, tmp_path: Path, version: int) -> None:
    commitment, answer = File.of(tiny.public.read_bytes()), File.of(tiny.proof.read_bytes())
    refused(
        lambda: check(tiny, data=commitment.pack(version=version)),
        FormatError,
        f"version {version}",
        f"reads {FORMAT_VERSION}",
    )
    refused(lambda: check(tiny, answer=answer.pack(version=version)), ProofRejected, f"version {version}")
    (tmp_path / "x.zkc").write_bytes(commitment.pack(version=version))
    refused(lambda: api.inspect(tmp_path / "x.zkc"), FormatError, f"version {version}")


# --- the wrong files -----------------------------------------------------------------------------------------------
def test_another_models_commitment(tiny: Place, other: Place) -> None:
    refused(lambda: check(tiny, data=other.public.read_bytes()), ProofRejected, "another model")


def test_another_prompt_text_or_nonce(tiny: Place) -> None:
    refused(lambda: check(tiny, prompt="The old milk"), ProofRejected, "wrong prompt")
    refused(lambda: check(tiny, prompt=tiny.prompt + " "), ProofRejected, "wrong prompt")
    refused(lambda: check(tiny, text=tiny.text + "x"), ProofRejected, "wrong text")
    refused(lambda: check(tiny, text=""), ProofRejected, "wrong text")
    refused(lambda: check(tiny, nonce=b""), ProofRejected, "wrong nonce")
    refused(lambda: check(tiny, nonce=tiny.nonce + b"\0"), ProofRejected, "wrong nonce")
    refused(lambda: check(tiny, prompt="\ud800"), UsageError, "Unicode")


def test_the_private_part_of_another_commitment(tiny: Place, other: Place, tmp_path: Path, here: Path) -> None:
    mixed = Path(shutil.copytree(tiny.commitment, tmp_path / "mixed"))
    shutil.copy(other.commitment / "private" / "weights.safetensors", mixed / "private")
    refused(lambda: api.prove(mixed, "a", 1, here / "a.zkp"), FormatError, "another public.zkc")


@pytest.mark.parametrize("at", [-1, -1000, 0.5])
def test_a_damaged_private_part(tiny: Place, tmp_path: Path, here: Path, at: float) -> None:
    copy = Path(shutil.copytree(tiny.commitment, tmp_path / "copy"))
    path = copy / "private" / "weights.safetensors"
    data = path.read_bytes()
    path.write_bytes(flipped(data, int(at * len(data)) if at == 0.5 else int(at)))
    refused(lambda: api.prove(copy, "a", 1, here / "a.zkp"), FormatError, "damaged")
    path.write_bytes(data[:-1])
    refused(lambda: api.prove(copy, "a", 1, here / "a.zkp"), FormatError, str(path))
    path.unlink()
    refused(lambda: api.prove(copy, "a", 1, here / "a.zkp"), UsageError, "missing")


def test_bounds_are_alive() -> None:
    """The limits of these tests do bite."""
    with pytest.raises(MemoryError), bounded():
        bytearray(1 << 30)
