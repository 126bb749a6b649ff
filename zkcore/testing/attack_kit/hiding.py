"""What zero knowledge needs and can be counted: nothing shown twice, and a blinder for all that is shown.

Two proofs of the same with the same witness share no element but zeros (see tests/attacks/test_zero_knowledge.py for
which scalars are zero in every proof). And blinders are at least as many as points and slots and one: the mask of the
folded witness has a number for every slot and a scale of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from zkcore.testing.attack_kit.budget import Budget
from zkcore.testing.attack_kit.outcome import CAUGHT, LEAK, Outcome
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.attack_kit.trace import Trace, honest
from zkcore.transcript.wire import POINT_BYTES

ZERO = bytes(32)
FAMILY = "zero knowledge"


def shared(subject: Subject, budget: Budget) -> Iterator[Outcome]:
    one, two = (honest(subject, True, seed) for seed in (1, 2))
    first, second = _elements(one), _elements(two)
    for label in dict.fromkeys(e.label for e in one.elements):
        mine = {v for v, e in zip(first, one.elements, strict=True) if e.label == label and v != ZERO}
        common = len(mine & set(second))
        attack = f"{label}: is anything in two proofs?"
        yield Outcome(FAMILY, attack, LEAK if common else CAUGHT, f"{common} shared" if common else "nothing shared")
    yield _twice(one, first)
    points = sum(e.size == POINT_BYTES for e in one.elements)
    drawn, needed = one.blinders, points + one.slots + subject.transcripts
    counted = f"{drawn} blinders for {points} points, {one.slots} slots and a mask's scale"
    yield Outcome(FAMILY, "as many blinders as there is to hide", CAUGHT if drawn >= needed else LEAK, counted)


def _twice(one: Trace, elements: list[bytes]) -> Outcome:
    points = [v for v, e in zip(elements, one.elements, strict=True) if e.size == POINT_BYTES]
    twice = len(points) - len(set(points))
    said = f"{twice} points twice" if twice else "all differ"
    return Outcome(FAMILY, "no point is in one proof twice", LEAK if twice else CAUGHT, said)


def _elements(made: Trace) -> list[bytes]:
    return [made.proof[e.start : e.start + e.size] for e in made.elements]
