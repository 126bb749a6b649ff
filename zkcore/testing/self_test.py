"""Does this installation reject what is false? A few hundred bad proofs of small systems, made on the spot: a verifier
that accepts one must not be used, whatever is broken: a build of the engine, a library, an edited file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from zkcore.commitment.hyrax import Hyrax
from zkcore.errors import ProofRejected
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.subprotocols.tlookup import TLookup
from zkcore.testing.attack_kit import messages, systems
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.attack_kit.trace import Script, forge, replay, spread
from zkcore.testing.toolbox import verify_system

LOG_WIDTH, CHANGED = 2, 24


@dataclass(frozen=True)
class Bad:
    what: str
    rejected: bool


def run() -> Iterator[Bad]:
    """Raises ProofRejected if a good proof is not accepted."""
    for argument in (LogupGkr(), TLookup()):
        for hiding in (False, True):
            yield from _one(_subject(argument), hiding)


def _subject(argument: LookupArgument) -> Subject:
    truth, *false = systems.lookups(argument.virtual_outputs)
    name = f"{argument.name}, small lookups"
    return Subject(name, name, truth.system, truth.given, Hyrax(LOG_WIDTH), argument, falsehoods=false)


def _one(subject: Subject, hiding: bool) -> Iterator[Bad]:
    mode, good = messages.MODE[hiding], forge(subject, Script(), hiding)
    verify_system(subject.system, good.proof, subject.setup(hiding), weights=subject.weights(hiding))
    for element in spread(good.elements, CHANGED):
        proof = messages.changed(good.proof, element)
        yield Bad(f"{subject.name}, {mode}: {element.label} changed", _rejected(subject, proof, hiding))
    for what, proof in {
        "cut": good.proof[:-1],
        "extended": good.proof + b"\0",
        "empty": b"",
        "zeros": bytes(len(good.proof)),
        "ones": b"\xff" * len(good.proof),
    }.items():
        yield Bad(f"{subject.name}, {mode}: {what}", _rejected(subject, proof, hiding))
    for case in subject.falsehoods:
        liar = replace(subject.falsely(case), _weights={})
        told = forge(liar, Script(tamper=case.tamper), hiding)
        yield Bad(f"{subject.name}, {mode}: {case.what}", _rejected(liar, told.proof, hiding))
        yield Bad(f"{subject.name}, {mode}: another statement's proof", _rejected(liar, good.proof, hiding))


def _rejected(subject: Subject, proof: bytes, hiding: bool) -> bool:
    """By the verifier as it is, not by one that takes notes; any exception but its own is an error."""
    if not replay(subject, proof, hiding).reason:
        return False
    try:
        verify_system(subject.system, proof, subject.setup(hiding), weights=subject.weights(hiding))
    except ProofRejected:
        return True
    return False
