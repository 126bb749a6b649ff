"""Every element of a proof is changed: afterwards, under the honest run's challenges, and while the prover goes on.
Which checks read it, and does it reach the challenge after it?

                reject, and a check reads it      caught
                accepted, no check reads it       DEAD
                rejected, no check reads it       UNREAD: only the hash notices
                the challenge after it stays      UNBOUND

That no check reads an element is found by changing it under foreknown challenges: all checks are polynomials in it, so
a random change leaves all of them satisfied with probability degree / r, or always.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from zkcore.field.kernels import MODULUS
from zkcore.testing.attack_kit import trace
from zkcore.testing.attack_kit.budget import Budget
from zkcore.testing.attack_kit.log import Element
from zkcore.testing.attack_kit.outcome import CAUGHT, DEAD, HOLE, UNBOUND, UNREAD, Outcome
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.attack_kit.trace import Script, Trace, forge, replay
from zkcore.testing.toolbox import tools
from zkcore.transcript.wire import SCALAR_BYTES

MODE = {False: "clear", True: "hiding"}


def changed_afterwards(subject: Subject, hiding: bool, budget: Budget) -> Iterator[Outcome]:
    honest = replay(subject, trace.honest(subject, hiding).proof, hiding)
    for element in _chosen(honest, budget.elements):
        yield _judge(subject, hiding, honest, element)


def _chosen(honest: Trace, most: int) -> Iterator[Element]:
    """Something of every kind of message, then from everywhere."""
    kinds = {e.label.split(" ")[0]: e for e in honest.elements}
    own = list(kinds.values())
    rest = [e for e in honest.elements if e not in own]
    yield from trace.spread(own, most)
    yield from trace.spread(rest, max(0, most - len(own)))


def _judge(subject: Subject, hiding: bool, honest: Trace, element: Element) -> Outcome:
    proof = changed(honest.proof, element)
    drawn = replay(subject, proof, hiding)
    known = replay(subject, proof, hiding, foreknown=honest.challenges)
    family = f"message, {MODE[hiding]}"
    attack = f"{element.label}: the {'scalar' if element.size == SCALAR_BYTES else 'point'} at byte {element.start}"
    read = known.residuals or (known.reason not in ("", *known.residuals) and known.reason)
    if not read:
        return Outcome(family, attack, UNREAD if drawn.reason else DEAD, "no check depends on it")
    if not drawn.reason:
        return Outcome(family, attack, HOLE, "accepted, although a check reads it")
    later = honest.challenges[element.before :]
    if later and drawn.challenges[element.before : element.before + 1] == later[:1]:
        return Outcome(family, attack, UNBOUND, "the challenge after it does not change")
    return Outcome(family, attack, CAUGHT, known.reason)


def changed(proof: bytes, element: Element) -> bytes:
    """Another scalar, or another point of the group."""
    at, end = element.start, element.start + element.size
    return proof[:at] + _other(proof[at:end]) + proof[end:]


def _other(data: bytes) -> bytes:
    by = int.from_bytes(hashlib.sha512(data).digest(), "big") % MODULUS
    if len(data) == SCALAR_BYTES:
        return ((int.from_bytes(data, "big") + by) % MODULUS).to_bytes(SCALAR_BYTES, "big")
    kernels, generators = tools().kernels, tools().generators
    points = np.concatenate([kernels.decode(data), generators.take("blind", 1), generators.take("message", 1)])
    return kernels.encode(kernels.msm(points, kernels.from_scalars([1, by, by ^ 1])).reshape(1, 12))


def continued(subject: Subject, hiding: bool, budget: Budget) -> Iterator[Outcome]:
    """One number of a message is another one, and the prover goes on as if it were right."""
    honest = trace.honest(subject, hiding)
    most = budget.messages if not hiding else budget.messages // 4
    for turn, event in enumerate(trace.spread(honest.messages(), most)):
        slot = turn % event.size
        told = forge(subject, Script({event.key: {slot: 1 + turn}}), hiding)
        reason = replay(subject, told.proof, hiding).reason
        attack = f"{event.key[0]} {event.key[1]}: number {slot} is another one, and the prover goes on"
        yield Outcome(f"message, going on, {MODE[hiding]}", attack, CAUGHT if reason else HOLE, reason)


def spliced(subject: Subject, hiding: bool, budget: Budget) -> Iterator[Outcome]:
    """An element, or all that follows it, of another proof of the same."""
    one, two = (trace.honest(subject, hiding, seed) for seed in (1, 2))
    for e in trace.spread(one.elements, budget.elements // 4):
        end = e.start + e.size
        for what, proof in (
            ("this element", one.proof[: e.start] + two.proof[e.start : end] + one.proof[end:]),
            ("all from here", one.proof[: e.start] + two.proof[e.start :]),
        ):
            if proof in (one.proof, two.proof):
                continue
            reason = replay(subject, proof, hiding).reason
            attack = f"{e.label} at byte {e.start}: {what} is another proof's"
            yield Outcome(f"splice, {MODE[hiding]}", attack, CAUGHT if reason else HOLE, reason)
