"""zkcore.commit, zkcore.prove, zkcore.verify, zkcore.inspect: what the command line does, from Python."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zkcore import proof as files
from zkcore.config import Config
from zkcore.config import load as load_config
from zkcore.errors import UsageError
from zkcore.report.progress import QuietReporter, Reporter, StageTime


@dataclass(frozen=True)
class CommitResult:
    parameters: int
    commitment_bytes: int
    perplexity_float: float
    perplexity_integer: float
    top1_agreement: float
    stages: list[StageTime]
    sections: list[tuple[str, int]]
    zero_knowledge: bool


@dataclass(frozen=True)
class ProveResult:
    prompt: str
    text: str
    tokens: int
    proof_bytes: int
    stages: list[StageTime]
    sections: list[tuple[str, int]]
    zero_knowledge: bool


@dataclass(frozen=True)
class Accepted:
    """An accepted statement, as text."""

    prompt: str
    text: str
    tokens: int
    model: str
    plugins: list[tuple[str, str]]
    stages: list[StageTime]
    zero_knowledge: bool


def cache_dir() -> Path:
    """Where generators are kept between runs; what is read from there is checked against digests in the source."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "zkcore"


def commit(
    model_dir: Path,
    config: Path | Config,
    out: Path,
    *,
    calibrate: Path | None = None,
    heldout: Path | None = None,
    report: Reporter | None = None,
) -> CommitResult:
    """Commit to a Hugging Face checkpoint: writes `out`/public.zkc (share it) and `out`/private (keep it)."""
    _need("torch", "transformers", "safetensors")
    from zkcore import committer

    reporter = report or QuietReporter()
    chosen = config if isinstance(config, Config) else load_config(config)
    texts = _text(calibrate, model_dir, "calibration.txt"), _text(heldout, model_dir, "heldout.txt")
    done = committer.commit(Path(model_dir), chosen, Path(out), texts, cache_dir(), reporter)
    reporter.close()
    a = done.accuracy
    return CommitResult(
        done.parameters,
        done.commitment_bytes,
        a.perplexity_float,
        a.perplexity_integer,
        a.top1_agreement,
        list(reporter.stages),
        list(done.sections),
        chosen.zero_knowledge,
    )


def prove(
    commitment: Path,
    prompt: str,
    max_new_tokens: int,
    out: Path,
    *,
    nonce: bytes = b"",
    report: Reporter | None = None,
) -> ProveResult:
    """Continue a prompt and write one proof of the answer."""
    _need("torch", "safetensors")
    from zkcore import prover

    reporter = report or QuietReporter()
    files.check_writable(Path(out))
    reporter.stage("load")
    owner = prover.Owner.load(Path(commitment))
    codec = owner.public.codec
    tokens = codec.encode(prompt)
    reporter.stage("generate")
    sequence = owner.generate(tokens, max_new_tokens, lambda n: reporter.stage("generate", f"token {n}"))
    made = prover.prove(owner, sequence, nonce, cache_dir(), _stages(reporter))
    reporter.stage("write")
    files.write(files.Written(Path(out), made.data))
    reporter.close()
    stages = _worked(reporter.stages, made.work)
    sections = [("header", made.header_bytes), *((name, w["bytes"]) for name, w in made.work.items())]
    text, count = codec.decode(sequence.generated), len(sequence.generated)
    hiding = owner.public.setup.parts.config.zero_knowledge
    return ProveResult(prompt, text, count, len(made.data), stages, sections, hiding)


def verify(
    proof: Path,
    commitment: Path,
    *,
    prompt: str | None = None,
    expect_text: str | None = None,
    nonce: bytes = b"",
    report: Reporter | None = None,
) -> Accepted:
    """Check a proof against a commitment file; raises ProofRejected."""
    from zkcore import public, verifier

    reporter = report or QuietReporter()
    reporter.stage("read")
    model = public.load(Path(commitment))
    data = files.read(Path(proof), "proof")
    expected = verifier.Expected(prompt, expect_text, nonce)
    done = verifier.verify(model, data, expected, cache_dir(), _stages(reporter))
    accepted = done.statement
    reporter.close()
    return Accepted(
        model.codec.decode(accepted.prompt),
        model.codec.decode(accepted.output),
        len(accepted.output),
        f"{model.setup.architecture.family} {accepted.model.commitment_sha256[:16]}",
        list(accepted.model.plugins),
        _worked(reporter.stages, done.work),
        bool(accepted.model.config["zero_knowledge"]),
    )


def inspect(file: Path) -> dict[str, Any]:
    """What a configuration, commitment or proof file says, without checking it."""
    from zkcore import inspection

    return inspection.describe(Path(file))


def _stages(reporter: Reporter) -> Callable[[str], None]:
    return lambda name: reporter.stage(name)


def _worked(stages: list[StageTime], work: Mapping[str, Mapping[str, int]]) -> list[StageTime]:
    """With the bytes and the operations that the driver counted."""
    known = [(s, dict(work.get(s.name, {}))) for s in stages]
    return [StageTime(s.name, s.seconds, w.pop("bytes", 0), w) for s, w in known]


def _need(*packages: str) -> None:
    from importlib.util import find_spec

    # Many small integer operations: threads that spin between them only take the cores from one another.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if missing := [p for p in packages if find_spec(p) is None]:
        raise UsageError(f"this needs {', '.join(missing)}: pip install 'zkcore[prove]'")


def _text(path: Path | None, model_dir: Path, name: str) -> str:
    """The file given, the one beside the checkpoint, or the one that ships."""
    from importlib.resources import files as resources

    chosen = path or Path(model_dir) / name
    if path is None and not chosen.exists():
        return resources("zkcore.models").joinpath("default_text.txt").read_text(encoding="utf-8")
    try:
        return chosen.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as e:
        raise UsageError(f"{chosen}: {e}") from None
