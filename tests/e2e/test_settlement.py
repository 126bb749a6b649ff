"""`prove --accumulate`, `settle`, `verify --settlement`: from files to verdicts, and what is wrong with the files."""

from __future__ import annotations

import os
import shutil
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from tests.e2e.checkpoints import Place
from tests.e2e.files import File, flipped
from tests.e2e.limits import refused
from zkcore import accumulator, api, public, settlement
from zkcore import proof as files
from zkcore.accumulator import Accumulator, Carried
from zkcore.cli import main
from zkcore.commitment.deferred import Instance, Secret
from zkcore.errors import FormatError, NotSettled, ProofRejected, UsageError, WitnessError
from zkcore.settlement import Entry
from zkcore.statement import FORMAT_VERSION, digest

PROMPTS = ("The old mill", "In spring the water")
GIVEN = "accepted given a settled accumulator"
ACCUMULATOR = "keep/open.zka"


@dataclass(frozen=True)
class Settled:
    """Two answers in an accumulator: how it was before it was settled, how it is now, and the settlement."""

    place: Place
    answers: tuple[Path, Path]
    open: Path
    closed: Path
    settlement: Path


def made(place: Place, root: Path) -> Settled:
    answers = (root / "a.zkp", root / "b.zkp")
    for prompt, out in zip(PROMPTS, answers, strict=True):
        done = api.prove(place.commitment, prompt, 2, out, accumulate=root / ACCUMULATOR, estimate=True)
        assert done.estimate is not None
        assert done.estimate.message_bytes + done.estimate.header_bytes == done.proof_bytes
    shutil.copy(root / ACCUMULATOR, root / "open.zka")
    done_settling = api.settle(root / ACCUMULATOR, place.public, root / "s.zks", answers=answers)
    assert done_settling.answers == 2
    return Settled(place, answers, root / "open.zka", root / ACCUMULATOR, root / "s.zks")


@pytest.fixture(scope="module")
def clearly(clear: Place, tmp_path_factory: pytest.TempPathFactory) -> Settled:
    return made(clear, tmp_path_factory.mktemp("settled"))


@pytest.fixture(scope="module")
def hidden(tiny: Place, tmp_path_factory: pytest.TempPathFactory) -> Settled:
    return made(tiny, tmp_path_factory.mktemp("settled"))


@pytest.fixture(params=["clearly", pytest.param("hidden", marks=pytest.mark.slow)])
def both(request: pytest.FixtureRequest) -> Settled:
    found: Settled = request.getfixturevalue(request.param)
    return found


def check(s: Settled, of: int = 0, settled: Path | None = None) -> api.Accepted:
    return api.verify(s.answers[of], s.place.public, prompt=PROMPTS[of], settlement=settled)


# --- the whole way -------------------------------------------------------------------------------------------------
def test_each_answer_is_accepted_with_the_settlement(both: Settled) -> None:
    for of in (0, 1):
        assert check(both, of, both.settlement).prompt.startswith(PROMPTS[of][:3])


def test_answers_of_one_settlement_are_verified_together(both: Settled, capfd: pytest.CaptureFixture[str]) -> None:
    """The settlement is checked once; one answer that is not in it, and none is accepted."""
    public_file = str(both.place.public)
    accepted = api.verify_together(both.answers, both.place.public, both.settlement)
    assert [a.prompt for a in accepted] == [check(both, of, both.settlement).prompt for of in (0, 1)]
    command = ["--quiet", "verify", *map(str, both.answers), "--commitment", public_file]
    for more, code in (
        (["--settlement", str(both.settlement)], 0),
        (["--settlement", str(both.settlement), str(both.place.proof), "--nonce", both.place.nonce.decode()], 1),
        (["--settlement", str(both.settlement), "--prompt", PROMPTS[0]], 2),
        ([], 2),
    ):
        with pytest.raises(SystemExit) as done:
            main([*command, *more])
        assert done.value.code == code
        assert ("accepted" in capfd.readouterr().out) == (code == 0)


def test_of_several_answers_the_one_that_fails_is_named(
    clearly: Settled, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Wherever it stands; of a single one there is no doubt."""
    good, data = clearly.answers[0], clearly.answers[1].read_bytes()
    bad, public_file = tmp_path / "bad.zkp", clearly.place.public
    bad.write_bytes(flipped(data, len(data) - 1))
    for proofs in ([good, bad], [bad, good], [good, good, bad]):
        refused(lambda p=proofs: api.verify_together(p, public_file, clearly.settlement), ProofRejected, f"{bad}: ")  # type: ignore[misc]
    error = refused(lambda: api.verify(bad, public_file, settlement=clearly.settlement), ProofRejected)
    assert str(bad) not in str(error)
    files = [str(good), str(bad), "--commitment", str(public_file), "--settlement", str(clearly.settlement)]
    with pytest.raises(SystemExit) as done:
        main(["--quiet", "verify", *files])
    assert done.value.code == 1
    assert f"rejected: {bad}: " in capfd.readouterr().err.replace("\n", "")


def test_without_it_an_answer_is_not_accepted(both: Settled) -> None:
    error = refused(lambda: check(both), NotSettled, GIVEN, digest(both.answers[0].read_bytes()), seconds=5)
    assert str(error).startswith(GIVEN)


def test_what_is_wrong_with_an_answer_is_said_before_its_settlement(both: Settled, tmp_path: Path) -> None:
    data = both.answers[0].read_bytes()
    for at in range(len(File.of(data).pack(body=b"")), len(data), len(data) // 7):
        (tmp_path / "x").write_bytes(flipped(data, at))
        refused(lambda: api.verify(tmp_path / "x", both.place.public), ProofRejected, seconds=5)
    refused(lambda: api.verify(both.answers[0], both.place.public, prompt="Another"), ProofRejected, "prompt")


def test_an_answer_that_claims_to_be_complete(both: Settled, tmp_path: Path) -> None:
    """The mode is in the statement: a header that says otherwise is about another proof."""
    for path, told in ((both.answers[0], "complete"), (both.place.proof, "deferred")):
        (tmp_path / "x").write_bytes(File.of(path.read_bytes()).edited(("opening",), told))
        nonce = both.place.nonce if path == both.place.proof else b""
        refused(lambda n=nonce: api.verify(tmp_path / "x", both.place.public, nonce=n), ProofRejected, seconds=5)  # type: ignore[misc]


def test_exit_codes(clearly: Settled, capfd: pytest.CaptureFixture[str]) -> None:
    verify = ("--quiet", "verify", str(clearly.answers[0]), "--commitment", str(clearly.place.public))
    for more, code, out in (
        ((), 4, ""),
        (("--settlement", str(clearly.settlement)), 0, "accepted"),
        (("--settlement", str(clearly.open)), 1, ""),
        (("--settlement", "/nowhere"), 2, ""),
    ):
        with pytest.raises(SystemExit) as done:
            main([*verify, *more])
        said = capfd.readouterr()
        assert done.value.code == code
        assert said.out.splitlines()[:1] == ([out] if out else [])
        assert ("accepted" in said.err) == (code == 4)
        assert code != 4 or said.err.startswith(GIVEN)


def test_a_complete_answer_needs_no_settlement(clearly: Settled) -> None:
    place = clearly.place
    verify = lambda: api.verify(place.proof, place.public, nonce=place.nonce, settlement=clearly.settlement)  # noqa: E731
    refused(verify, UsageError, "complete", seconds=5)


def test_inspect_shows_what_is_public(clearly: Settled) -> None:
    for path, kind in (
        (clearly.open, "accumulator"),
        (clearly.closed, "accumulator"),
        (clearly.settlement, "settlement"),
    ):
        shown = api.inspect(path)
        assert shown["kind"] == kind
        assert [a["answer"] for a in shown["Answers"]] == [digest(p.read_bytes()) for p in clearly.answers]
    assert api.inspect(clearly.open)["settled"] == "no"
    assert api.inspect(clearly.closed)["settled"] == digest(clearly.settlement.read_bytes())


# --- the settlement file -------------------------------------------------------------------------------------------
def test_every_part_of_a_settlement_counts(both: Settled, tmp_path: Path) -> None:
    data = both.settlement.read_bytes()
    for at in range(0, len(data), max(1, len(data) // 60)):
        (tmp_path / "x").write_bytes(flipped(data, at))
        refused(lambda: settle_check(both, tmp_path / "x"), ProofRejected)
    for cut in (data[:-1], data + b"\0", data[: len(data) // 2], b""):
        (tmp_path / "x").write_bytes(cut)
        refused(lambda: settle_check(both, tmp_path / "x"), ProofRejected)


def settle_check(s: Settled, path: Path) -> None:
    """Only the settlement: the answer is the same every time."""
    model = public.load(s.place.public)
    entry = accumulator.load(s.open, model).carried[0].entry
    settlement.judge(model, path.read_bytes(), api.cache_dir()).require(model, entry)


def test_the_entry_in_the_accumulator_is_the_verifiers(both: Settled) -> None:
    settle_check(both, both.settlement)


def test_a_settlement_of_another_model(clearly: Settled, hidden: Settled) -> None:
    refused(
        lambda: settle_check(clearly, hidden.settlement), ProofRejected, "zero_knowledge: expected False, found True"
    )


def test_the_settlement_of_other_answers(clearly: Settled, tmp_path: Path) -> None:
    """Each of its answers is accepted with it, and no other one: not even the same again."""
    api.prove(clearly.place.commitment, PROMPTS[0], 2, tmp_path / "c.zkp", accumulate=tmp_path / "own.zka")
    other = replace(clearly, answers=(tmp_path / "c.zkp", clearly.answers[1]))
    refused(lambda: check(other, settled=clearly.settlement), ProofRejected, "not in this settlement")
    assert check(clearly, settled=clearly.settlement).tokens == 2


# --- the accumulator file ------------------------------------------------------------------------------------------
@pytest.fixture
def kept(clearly: Settled, tmp_path: Path) -> Path:
    """A copy that is still open."""
    return Path(shutil.copy(clearly.open, tmp_path / "open.zka"))


def settling(s: Settled, path: Path, **options: list[Path]) -> None:
    api.settle(path, s.place.public, path.with_name("out.zks"), **options)


def said_about(s: Settled, path: Path, kind: type[UsageError], *said: str) -> None:
    """Whether it is to be settled, or an answer is to be added. Nothing is written."""
    before = path.read_bytes()
    refused(lambda: settling(s, path), kind, str(path), *said)
    prove = lambda: api.prove(s.place.commitment, "Hi", 1, path.with_name("x.zkp"), accumulate=path)  # noqa: E731
    refused(prove, kind, str(path), *said)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_it_is_for_its_owners_eyes_only(clearly: Settled) -> None:
    for path in (clearly.open, clearly.closed):
        if path != clearly.open:  # a copy
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(File.of(clearly.closed.read_bytes()).body) == 0, "secrets are kept when they are no longer needed"


def test_one_of_another_model(other: Place, clearly: Settled, tmp_path: Path) -> None:
    model, found = public.load(other.public), public.load(clearly.place.public)
    carried = accumulator.load(clearly.open, found).carried
    path = tmp_path / "other.zka"
    files.write(
        Accumulator(path, settlement.plain(model.statement), tuple(c.entry.answer for c in carried), carried).file()
    )
    said_about(clearly, path, UsageError, "another model", "config.zero_knowledge: expected False, found True")
    same = settlement.plain(found.statement) | {"commitment_sha256": model.statement.commitment_sha256}
    files.write(Accumulator(path, same, ("0" * 64,), carried[:1]).file())
    commitments = (found.statement.commitment_sha256, model.statement.commitment_sha256)
    said_about(clearly, path, UsageError, "commitment_sha256: expected {}, found {}".format(*commitments))


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("plugins", [["folding", "9.9"], ["zkcore", "1"]], "plugins: expected [['zkcore', "),
        ("config", {}, "config."),
        ("quantisation", {}, "quantisation."),
        ("format_version", 1, f"format_version: expected {FORMAT_VERSION}, found 1"),
        ("tokenizer_sha256", "0", "tokenizer_sha256: expected "),
    ],
)
def test_one_of_another_version_or_configuration(
    clearly: Settled, kept: Path, key: str, value: object, said: str
) -> None:
    file = File.of(kept.read_bytes())
    kept.write_bytes(file.edited(("model", key), value))
    said_about(clearly, kept, UsageError, "another model or configuration", said, "found")


def test_one_that_is_settled(clearly: Settled, kept: Path) -> None:
    shutil.copy(clearly.closed, kept)
    told = digest(clearly.settlement.read_bytes())
    said_about(clearly, kept, UsageError, "expected one that is open, found it already settled", told)


def test_one_with_an_answer_missing(clearly: Settled, kept: Path) -> None:
    file = File.of(kept.read_bytes())
    half = len(file.body) // 2
    for body in (file.body[:half], file.body[half:], b"", file.body[:-1], file.body + b"\0", file.body * 2):
        kept.write_bytes(file.pack(body=body))
        said_about(clearly, kept, FormatError, "an answer is missing, or it is cut: expected 2 answers", "found")
    kept.write_bytes(file.pack(header={**file.header, "answers": file.header["answers"][:1]}))
    said_about(clearly, kept, FormatError, "expected 1 answers", "found 2")


def test_one_that_lacks_the_answer_asked_for(clearly: Settled, kept: Path, tmp_path: Path) -> None:
    wanted = [*clearly.answers, clearly.place.proof]
    missing, there = digest(wanted[2].read_bytes())[:16], digest(wanted[0].read_bytes())[:16]
    refused(lambda: settling(clearly, kept, answers=wanted), UsageError, f"expected {missing}, found {there}")
    assert not (tmp_path / "out.zks").exists()


@pytest.mark.parametrize("damage", ["flipped", "empty", "a proof", "no list", "twice", "keys", "digest"])
def test_one_that_is_damaged(clearly: Settled, kept: Path, damage: str) -> None:
    file, answers = File.of(kept.read_bytes()), list(File.of(kept.read_bytes()).header["answers"])
    made = {
        "flipped": flipped(file.pack(), len(file.pack()) - 9),
        "empty": b"",
        "a proof": clearly.answers[0].read_bytes(),
        "no list": file.edited(("answers",), "none"),
        "twice": file.edited(("answers",), [answers[0]] * 2),
        "keys": file.edited(("more",), 1) if "more" in file.header else file.pack(header={**file.header, "more": 1}),
        "digest": file.edited(("sha256",), "0" * 64),
    }[damage]
    kept.write_bytes(made)
    said_about(clearly, kept, FormatError)


def carried(seed: int, width: int) -> Carried:
    words = np.random.default_rng(seed).integers(0, 1 << 60, (width, 4)).astype(np.uint64)
    instance = Instance(bytes([seed]) * 48, bytes(48), (seed,) * (width.bit_length() - 1))
    return Carried(Entry(digest(bytes([seed])), instance), Secret(words, seed, 2, 3))


def test_two_answers_at_one_time(clearly: Settled, tmp_path: Path) -> None:
    """Neither is lost."""
    model, path = public.load(clearly.place.public), tmp_path / "busy.zka"
    width = 1 << model.setup.parts.scheme.log_width
    start = threading.Barrier(8)

    def add(seed: int) -> None:
        start.wait()
        accumulator.add(path, model, carried(seed, width), files.Written(tmp_path / f"{seed}.zkp", b"x"))

    threads = [threading.Thread(target=add, args=(seed,)) for seed in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    found = accumulator.load(path, model)
    assert sorted(found.answers) == sorted(digest(bytes([s])) for s in range(8))
    for c in found.carried:
        whole = carried(next(s for s in range(8) if digest(bytes([s])) == c.entry.answer), width)
        assert c.entry == whole.entry
        assert (c.secret.vector == whole.secret.vector).all()
        assert replace(c.secret, vector=whole.secret.vector) == whole.secret
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["busy.zka", *(f"{s}.zkp" for s in range(8))])


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """The disk is full, or the n-th file cannot be put in its place."""
    honest, count = os.replace, 0

    def replacing(*args: str) -> None:
        nonlocal count
        count += 1
        if count > request.param:
            raise OSError(28, "No space left on device")
        honest(*args)

    monkeypatch.setattr(os, "replace", replacing)
    yield


@pytest.mark.parametrize("failing", [0, 1], indirect=True)
@pytest.mark.usefixtures("failing")
def test_what_cannot_be_written_is_not_half_written(clearly: Settled, kept: Path) -> None:
    """The accumulator is the old one or the new one; an answer never comes without its place in it."""
    model, before = public.load(clearly.place.public), kept.read_bytes()
    width = 1 << model.setup.parts.scheme.log_width
    proof = files.Written(kept.with_name("new.zkp"), b"x")
    refused(lambda: accumulator.add(kept, model, carried(1, width), proof), UsageError, "cannot be written")
    assert len(accumulator.load(kept, model).answers) == (2 if kept.read_bytes() == before else 3)
    assert [p.name for p in kept.parent.iterdir()] == [kept.name]


def test_one_answer_is_added_once(clearly: Settled, kept: Path) -> None:
    model = public.load(clearly.place.public)
    twice = accumulator.load(kept, model).carried[0]
    written = files.Written(kept.with_name("x"), b"")
    refused(lambda: accumulator.add(kept, model, twice, written), UsageError, "in it already")


def test_one_file_is_not_two(clearly: Settled, kept: Path) -> None:
    before, place = kept.read_bytes(), clearly.place
    prove = lambda: api.prove(place.commitment, "Hi", 1, kept, accumulate=kept)  # noqa: E731
    refused(prove, UsageError, str(kept), "--out")
    refused(lambda: api.settle(kept, place.public, kept.parent / "." / kept.name), UsageError, "--out")
    assert kept.read_bytes() == before


def test_a_witness_error_leaves_no_trace(clearly: Settled, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from zkcore import prover

    def failed(*args: object, **options: object) -> None:
        raise WitnessError("a guard")

    before = kept.read_bytes()
    monkeypatch.setattr(prover, "prove", failed)
    with pytest.raises(WitnessError):
        api.prove(clearly.place.commitment, "Hi", 1, kept.with_name("x.zkp"), accumulate=kept)
    assert kept.read_bytes() == before
