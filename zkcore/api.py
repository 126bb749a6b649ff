"""zkcore.commit, .prove, .verify, .inspect and .estimate: what the command line does, from Python."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zkcore import memory
from zkcore import proof as files
from zkcore.config import Config
from zkcore.config import load as load_config
from zkcore.errors import UsageError
from zkcore.report.counted import Counted, worked
from zkcore.report.progress import QuietReporter, Reporter, StageTime
from zkcore.results import Accepted, CommitResult, EstimateResult, ProveResult, SettleResult
from zkcore.statement import COMPLETE, DEFERRED, digest

if TYPE_CHECKING:
    from zkcore.estimation.estimate import Estimate
    from zkcore.models.family import Sequence as Tokens
    from zkcore.public import PublicFile
    from zkcore.setup import Setup
    from zkcore.verifier import Accepted as Judged
    from zkcore.verifier import Expected, Named


def cache_dir() -> Path:
    """Where generators are kept between runs; what is read from there is checked against digests in the source."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "zkcore"


@memory.enough(memory.COMMIT)
def commit(
    model_dir: Path,
    config: Path | Config,
    out: Path,
    *,
    calibrate: Path | None = None,
    heldout: Path | None = None,
    overwrite: bool = False,
    report: Reporter | None = None,
) -> CommitResult:
    """Commit to a Hugging Face checkpoint: writes `out`/public.zkc (share it) and `out`/private (keep it). A commitment
    that is there is not written over, unless told to `overwrite` it."""
    need("torch", "transformers", "safetensors")
    from zkcore import committer
    from zkcore.models.text import beside

    reporter = report or QuietReporter()
    chosen = config if isinstance(config, Config) else load_config(config)
    _note_device(chosen, reporter)
    committer.check_place(Path(out), overwrite)
    texts = beside(calibrate, model_dir, "calibration.txt"), beside(heldout, model_dir, "heldout.txt")
    counted = Counted(reporter)
    done = committer.commit(Path(model_dir), chosen, Path(out), texts, cache_dir(), counted)
    reporter.close()
    a = done.accuracy
    return CommitResult(
        done.parameters,
        done.commitment_bytes,
        a.perplexity_float,
        a.perplexity_integer,
        a.top1_agreement,
        counted.close(),
        list(done.sections),
        chosen.zero_knowledge,
    )


@memory.enough(memory.PROVE)
def prove(
    commitment: Path,
    prompt: str,
    max_new_tokens: int,
    out: Path,
    *,
    nonce: bytes = b"",
    estimate: bool = False,
    accumulate: Path | None = None,
    checkpoint: Path | None = None,
    report: Reporter | None = None,
) -> ProveResult:
    """Continue a prompt and write one proof of the answer. `estimate`: predict what it takes first. `accumulate`: leave
    the opening to the settlement of this accumulator; the file is made if it is not there. `checkpoint`: a directory
    that keeps answer and forward pass until the proof is written, and from which the same call goes on."""
    need("torch", "safetensors")
    from zkcore import accumulator, prover, resumption

    reporter = report or QuietReporter()
    files.check_writable(Path(out))
    reporter.stage("load")
    owner = prover.Owner.load(Path(commitment))
    if accumulate:
        accumulator.check(Path(accumulate), owner.public, Path(out))
    _note_device(owner.public.setup.parts.config, reporter)
    codec = owner.public.codec
    tokens = codec.encode(prompt)
    opening = DEFERRED if accumulate else COMPLETE
    request = resumption.Request(owner.public.sha256, tokens, max_new_tokens, nonce, opening)
    kept = resumption.begin(checkpoint, request, lambda what: reporter.note(f"resumed: {what} is in {checkpoint}"))
    reporter.stage("generate")
    sequence = kept.sequence(
        lambda: owner.generate(tokens, max_new_tokens, lambda n: _token(reporter, n, max_new_tokens))
    )
    expected = _expected(owner.public.setup, sequence, nonce, reporter, bool(accumulate)) if estimate else None
    reporter.expect({s.name: s.seconds for s in expected.stages} if expected else {})
    made = prover.prove(owner, sequence, nonce, cache_dir(), reporter.stage, defer=bool(accumulate), stages=kept)
    reporter.stage("write")
    written = files.Written(Path(out), made.data)
    if accumulate and made.carried:
        accumulator.add(Path(accumulate), owner.public, made.carried, written)
    else:
        files.write(written)
    kept.over()
    reporter.close()
    stages = worked(reporter.stages, made.work)
    sections = [("header", made.header_bytes), *((name, w["bytes"]) for name, w in made.work.items())]
    text, count = codec.decode(sequence.generated), len(sequence.generated)
    hiding = owner.public.setup.parts.config.zero_knowledge
    return ProveResult(prompt, text, count, len(made.data), stages, sections, hiding, memory.peak(), expected)


def verify(
    proof: Path,
    commitment: Path,
    *,
    prompt: str | None = None,
    expect_text: str | None = None,
    nonce: bytes = b"",
    settlement: Path | None = None,
    report: Reporter | None = None,
) -> Accepted:
    """Check a proof against a commitment file; raises ProofRejected. An answer that was proved for an accumulator is
    accepted with its `settlement`; without, NotSettled is raised."""
    from zkcore import verifier

    expected = verifier.Expected(prompt, expect_text, nonce)
    [accepted] = _verified([proof], commitment, expected, settlement, report or QuietReporter())
    return accepted


def verify_together(
    proofs: Sequence[Path],
    commitment: Path,
    settlement: Path,
    *,
    nonce: bytes = b"",
    report: Reporter | None = None,
) -> list[Accepted]:
    """Check several answers and, once, the settlement they share; raises ProofRejected if any is not accepted."""
    from zkcore import verifier

    return _verified(proofs, commitment, verifier.Expected(nonce=nonce), settlement, report or QuietReporter())


@memory.enough(memory.VERIFY)
def _verified(
    proofs: Sequence[Path], commitment: Path, expected: Expected, settlement: Path | None, reporter: Reporter
) -> list[Accepted]:
    from zkcore import public

    reporter.stage("read")
    answers = [(str(p), files.read(Path(p), "proof", files.MAX_PROOF)) for p in proofs]
    return check(public.load(Path(commitment)), answers, expected, settlement, reporter)


def check(
    model: PublicFile, answers: Sequence[Named], expected: Expected, settlement: Path | None, reporter: Reporter
) -> list[Accepted]:
    """Of files that are read already: their names and contents."""
    from zkcore import verifier
    from zkcore.settlement import judge

    settled = None
    if settlement:
        data = files.read(Path(settlement), "settlement")
        reporter.stage("settlement")
        settled = judge(model, data, cache_dir())
    done = verifier.verify_all(model, answers, expected, cache_dir(), reporter.stage, settled)
    reporter.close()
    return [_accepted(model, d, reporter.stages) for d in done]


def _accepted(model: PublicFile, done: Judged, stages: list[StageTime]) -> Accepted:
    accepted = done.statement
    return Accepted(
        model.codec.show(accepted.prompt),
        model.codec.decode(accepted.output),
        len(accepted.output),
        f"{model.setup.architecture.family} {accepted.model.commitment_sha256[:16]}",
        list(accepted.model.plugins),
        worked(stages, done.work),
        bool(accepted.model.config["zero_knowledge"]),
    )


@memory.enough(memory.SETTLE)
def settle(
    file: Path,
    commitment: Path,
    out: Path,
    *,
    answers: Sequence[Path] = (),
    report: Reporter | None = None,
) -> SettleResult:
    """Prove at once what all answers of an accumulator left open. `commitment`: the model's public.zkc. `answers`:
    proof files that must be among them."""
    from zkcore import accumulator, public, settlement

    reporter = report or QuietReporter()
    reporter.stage("read")
    model = public.load(Path(commitment))
    wanted = [digest(files.read(Path(a), "proof", files.MAX_PROOF)) for a in answers]
    reporter.stage("settle")
    made = accumulator.settle(
        Path(file), model, Path(out), lambda carried: settlement.prove(model, carried, cache_dir()), wanted
    )
    reporter.close()
    return SettleResult(made[0], len(made[1]), reporter.stages, model.setup.parts.config.zero_knowledge)


@memory.enough(memory.ESTIMATE)
def estimate(
    what: str | Path,
    config: Path | Config | None,
    seq_len: int,
    new_tokens: int = 1,
    *,
    calibrate: Path | None = None,
    assume: bool = False,
    report: Reporter | None = None,
) -> EstimateResult:
    """What a proof about `seq_len` tokens, `new_tokens` of them generated, will take. `what`: a commitment, a
    checkpoint (calibrated as `commit` does, unless `assume`), or the name of a well-known shape."""
    need()
    from zkcore.estimation import estimate as estimates
    from zkcore.estimation import sources
    from zkcore.models.text import beside
    from zkcore.setup import toolbox

    reporter = report or QuietReporter()
    chosen = load_config(config) if isinstance(config, Path) else config
    reporter.stage("read")
    text = None if assume or not Path(what).is_dir() else beside(calibrate, Path(what), "calibration.txt")
    source = sources.find(str(what), chosen, text)
    sequence, limit = source.sequence(seq_len, new_tokens), estimates.limit(source.setup.parts.config)
    reporter.stage("calibrate")
    machine = estimates.machine(toolbox(cache_dir()))
    reporter.stage("count")
    answer = estimates.answer(source.setup, sequence, machine)
    model = estimates.model(source, machine)
    reporter.close()
    return EstimateResult(source.name, seq_len, new_tokens, source.assumed, answer, model, limit)


def inspect(file: Path, commitment: Path | None = None) -> dict[str, Any]:
    """What a configuration, commitment or proof file says, without checking it. `commitment`: of a proof, for its
    soundness ledger."""
    from zkcore import inspection

    return inspection.describe(Path(file), commitment)


def _token(reporter: Reporter, count: int, most: int) -> None:
    reporter.stage("generate", f"token {count}/{most}", count, most)


def _note_device(config: Config, reporter: Reporter) -> None:
    from zkcore.field import devices

    if note := devices.choose(config.device, config.memory_limit).note:
        reporter.note(note)


def _expected(setup: Setup, sequence: Tokens, nonce: bytes, reporter: Reporter, defer: bool) -> Estimate:
    from zkcore.estimation import estimate as estimates
    from zkcore.setup import toolbox

    reporter.stage("estimate")
    return estimates.answer(setup, sequence, estimates.machine(toolbox(cache_dir())), nonce, defer=defer, loaded=True)


def need(*packages: str) -> None:
    """Raises UsageError if any is not installed."""
    # Many small integer operations: threads that spin between them only take the cores from one another.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if missing := [p for p in packages if not _installed(p)]:
        raise UsageError(f"this needs {', '.join(missing)}: pip install 'zkcore[prove]'")


def _installed(package: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(package) is not None
    except ImportError:
        return False
