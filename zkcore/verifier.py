"""Checking an answer: a pure function of two files. Rejects by raising; torch and transformers are never imported."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from zkcore import proof as files
from zkcore.backward import Work
from zkcore.errors import FormatError, NotSettled, ProofRejected, UsageError, ZkcoreError
from zkcore.memory import uncollected
from zkcore.models.family import Sequence as Tokens
from zkcore.progress import Progress, silent, within
from zkcore.public import PublicFile, building
from zkcore.settlement import Entry, Settled
from zkcore.setup import toolbox
from zkcore.statement import COMPLETE, DEFERRED, Statement, digest
from zkcore.transcript.channel import VerifierChannel
from zkcore.transcript.equations import Equations
from zkcore.transcript.transcript import Toolbox, Transcript

RANGES, EQUATIONS = "weight ranges", "equations"  # stages
Named = tuple[str, bytes]  # a proof, and what to call it
GIVEN = "accepted given a settled accumulator"


@dataclass(frozen=True)
class Expected:
    """What the client knows: the prompt it sent, the text it got, the nonce it chose. None: not checked."""

    prompt: str | None = None
    text: str | None = None
    nonce: bytes = b""


@dataclass(frozen=True)
class Certified:
    """The weights of `commitment`, this very object, lie in their intervals: checked. Only `certify` makes one."""

    commitment: PublicFile
    work: dict[str, Work]


@dataclass(frozen=True)
class Accepted:
    """`work`: what each stage of the driver took."""

    statement: Statement
    work: dict[str, Work]


@dataclass(frozen=True)
class Examined:
    """Not a verdict. `open`: what a settlement must still prove; None if the proof is complete."""

    statement: Statement
    work: dict[str, Work]
    open: Entry | None


def verify(
    commitment: PublicFile,
    proof: bytes,
    expected: Expected,
    cache_dir: Path | None,
    progress: Progress = silent,
    *,
    settled: Settled | None = None,
    certified: Certified | None = None,
) -> Accepted:
    """The accepted statement, or ProofRejected. An answer that was proved for an accumulator is accepted if it is
    `settled`; without, NotSettled. `certified`: the model's ranges were checked before, once for many answers; else
    they are checked together with this one."""
    found = examine(commitment, proof, expected, cache_dir, progress, certified)
    if found.open is None and settled is not None:
        raise UsageError("the answer's proof is complete, it is in no settlement: verify it without one")
    if found.open is not None:
        if settled is None:
            raise NotSettled(f"{GIVEN}, which must have the answer {found.open.answer}")
        settled.require(commitment, found.open)
    return Accepted(found.statement, found.work)


def verify_all(
    commitment: PublicFile,
    proofs: Sequence[Named],
    expected: Expected,
    cache_dir: Path | None,
    progress: Progress = silent,
    settled: Settled | None = None,
) -> list[Accepted]:
    """As `verify`, for answers of one model: its ranges are checked once. If there are several, what is raised says
    which of them it is about."""
    several = len(proofs) > 1
    certified, out = certify(commitment, cache_dir, progress) if several else None, list[Accepted]()
    for name, proof in proofs:
        try:
            out.append(verify(commitment, proof, expected, cache_dir, progress, settled=settled, certified=certified))
        except ZkcoreError as e:
            e.about = name if several else ""
            raise
    return out


@uncollected()
def examine(
    commitment: PublicFile,
    proof: bytes,
    expected: Expected,
    cache_dir: Path | None,
    progress: Progress = silent,
    certified: Certified | None = None,
) -> Examined:
    """All of an answer's proof but what it left to a settlement; raises ProofRejected."""
    if certified is not None and certified.commitment is not commitment:
        raise TypeError("the ranges of another commitment were checked")
    try:
        container = files.unpack(proof, files.PROOF_MAGIC, "proof")
    except FormatError as e:
        raise ProofRejected("malformed proof file", str(e)) from None
    sequence = _sequence(container.header, commitment)
    _expect(commitment, sequence, container.header, expected)
    setup, tools = commitment.setup, _gathering(cache_dir)
    work = {} if certified else {RANGES: check_certificate(commitment, tools, progress)}
    system = commitment.system(sequence, len(container.body))
    statement = commitment.answer(sequence, system, expected.nonce, container.header["opening"])
    channel = VerifierChannel(container.body)
    t = Transcript(channel, tools, statement.encode(), hiding=setup.parts.config.zero_knowledge)
    driver = setup.parts.driver(setup.adopt(t, commitment.rows), progress, defer=statement.opening == DEFERRED)
    driver.run(system, t, None)
    work |= {**driver.work, EQUATIONS: _decide(tools, progress)}
    left = Entry(digest(proof), driver.pending.instance()) if driver.pending else None
    return Examined(statement, work, left)


@uncollected()
def certify(commitment: PublicFile, cache_dir: Path | None, progress: Progress = silent) -> Certified:
    """Check a model's ranges by themselves, for the answers to come; raises ProofRejected."""
    tools = _gathering(cache_dir)
    work = {RANGES: check_certificate(commitment, tools, progress)}
    return Certified(commitment, {**work, EQUATIONS: _decide(tools, progress)})


def _gathering(cache_dir: Path | None) -> Toolbox:
    """The certificate and the answer speak of the same rows and generators: their group equations become one."""
    tools = toolbox(cache_dir)
    return replace(tools, together=Equations(tools.kernels, tools.generators))


def _decide(tools: Toolbox, progress: Progress) -> Work:
    """Without it nothing is accepted that hangs on a commitment."""
    progress(EQUATIONS)
    before = tools.kernels.counters()
    if tools.together is None:
        raise TypeError("nothing was gathered")
    tools.together.decide()
    return {"bytes": 0, "hashed_bytes": 0, **{k: n - before[k] for k, n in tools.kernels.counters().items()}}


def check_certificate(commitment: PublicFile, tools: Toolbox, progress: Progress = silent) -> Work:
    """The weights lie in their intervals: proved once, by the owner, in the commitment file. Returns what it took. If
    `tools` gather group equations, these are not decided here."""
    setup = commitment.setup
    progress(RANGES)
    channel = VerifierChannel(commitment.certificate)
    t = Transcript(channel, tools, commitment.statement.ranges(), hiding=setup.parts.config.zero_knowledge)
    driver = setup.parts.driver(setup.adopt(t, commitment.rows), within(progress, RANGES))
    driver.run(building(setup.certificate), t, None)
    stages = list(driver.work.values())
    return {what: sum(stage[what] for stage in stages) for what in stages[0]}


def _sequence(header: dict[str, Any], commitment: PublicFile) -> Tokens:
    """The header's tokens, within the model's bounds."""
    if set(header) != {"commitment_sha256", "prompt", "output", "nonce", "opening"}:
        raise ProofRejected("malformed proof file", "unknown or missing header keys")
    if header["commitment_sha256"] != digest(commitment.rows):
        raise ProofRejected("wrong commitment", "the proof is about another model")
    if header["opening"] not in (COMPLETE, DEFERRED):
        raise ProofRejected("malformed proof file", f"opening must be {COMPLETE} or {DEFERRED}")
    prompt, output, a = header["prompt"], header["output"], commitment.setup.architecture
    for name, tokens in (("prompt", prompt), ("output", output)):
        if not isinstance(tokens, list) or not tokens:
            raise ProofRejected("malformed proof file", f"{name} must be a list of tokens")
        if not all(type(t) is int and 0 <= t < a.vocab_size for t in tokens):
            raise ProofRejected("token out of vocabulary", name)
    if len(prompt) + len(output) > a.max_positions:
        raise ProofRejected("sequence too long", f"the model has {a.max_positions} positions")
    return Tokens((*prompt, *output), len(prompt))


def _expect(commitment: PublicFile, sequence: Tokens, header: dict[str, Any], expected: Expected) -> None:
    if header["nonce"] != expected.nonce.hex():
        raise ProofRejected("wrong nonce")
    if (
        expected.prompt is not None
        and commitment.codec.encode(expected.prompt) != sequence.tokens[: sequence.prompt_length]
    ):
        raise ProofRejected("wrong prompt", "the proof answers another prompt")
    if expected.text is not None and commitment.codec.decode(sequence.generated) != expected.text:
        raise ProofRejected("wrong text", "the proof is about another answer")
