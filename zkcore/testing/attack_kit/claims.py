"""Lies that are carried on: each guard that would notice is satisfied by correcting a message before it.

walk        C1-C3 of the catalogue. From a lie, the first broken guard is repaired by the numbers that cross between the
            last challenge and the guard: its residual is affine in each of them, so two runs tell the correction. Where
            no number can repair it, the guard stands, and the verifier must say so.
equivocate  two numbers err against each other, so that their combination by a known challenge is right. With that
            challenge foreknown the pair is accepted; drawn after them it must not be, also when solved anew.
late        a commitment to one thing, a proof about another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from zkcore.field.kernels import MODULUS
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.witness import Tamper, Witness
from zkcore.testing.attack_kit import trace
from zkcore.testing.attack_kit.budget import Budget
from zkcore.testing.attack_kit.log import CHALLENGE, CHECK, COLUMN, MESSAGE, Event, Key
from zkcore.testing.attack_kit.outcome import CAUGHT, HOLE, Outcome
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.attack_kit.systems import Case
from zkcore.testing.attack_kit.trace import Script, Trace, forge, replay
from zkcore.testing.toolbox import Kept, Lie, commit_weights, plus, tools
from zkcore.transcript.wire import Rows

Slot = tuple[str, Key, int]  # message or column, which, and which of its numbers
CELLS = 2  # of a column that are tried
NEAR = 4  # messages before a guard
BATCH = 6  # pairs of evaluations that are tried against each other
EARLIER = 6  # numbers before the last challenge that are tried, too


# --- walking past guards ----------------------------------------------------------------------------------------------
def walks(subject: Subject, budget: Budget) -> Iterator[Outcome]:
    for case in subject.falsehoods:
        for first in (False, True):
            yield _walk(subject.falsely(case), Script(tamper=case.tamper), case.what, budget.steps, first)
        yield from _moved(subject.falsely(case), case)
    honest = trace.honest(subject)
    for event in trace.spread(honest.messages(), budget.walks):
        yield _walk(
            subject, Script({event.key: {0: 1}}), f"a false number in {event.key[0]} {event.key[1]}", budget.steps
        )


def _walk(subject: Subject, script: Script, lie: str, steps: int, earliest: bool = False) -> Outcome:
    """The lie itself is not taken back."""
    family, passed, made, told = "claim", 0, forge(subject, script), script
    while made.residuals and passed < steps:
        better = _repaired(subject, script, made, told, earliest)
        if better is None:
            break
        script, made, passed = *better, passed + 1
    reason = replay(subject, made.proof).reason
    attack = f"{lie}, corrected past {passed} guards"
    return Outcome(family, attack, CAUGHT if reason else HOLE, reason or "no guard is left")


def _moved(subject: Subject, case: Case) -> Iterator[Outcome]:
    """L2 of the catalogue: a column that counts rows of a table counts one of them as a row behind the last. On small
    systems, whose tables are made for it."""
    if subject.model is not None:
        return
    honest, sizes = (
        forge(subject, Script(tamper=case.tamper)),
        {r.table.size for r in subject.system.relations if r.table},
    )
    for event in honest.events:
        name, size = event.key[0], event.size
        room = (1 << (size - 1).bit_length()) > size
        if event.kind != COLUMN or name in subject.system.tensors or not room or size not in sizes:
            continue
        made = [forge(subject, Script(tamper={**case.tamper, name: _move(i, size)})) for i in range(size)]
        reasons = [replay(subject, m.proof).reason for m in made]
        attack = f"{case.what}, counted behind the last row of {name}"
        yield Outcome("claim", attack, CAUGHT if all(reasons) else HOLE, reasons[0] if all(reasons) else "accepted")


def _move(row: int, size: int) -> Lie:
    def lie(array: Array, witness: Witness) -> Array:
        if arrays.is_field(array):  # it counts nothing
            return array
        cells = [*arrays.to_objects(witness.kernels, array)[:size], *[0] * ((1 << (size - 1).bit_length()) - size)]
        cells[row], cells[size] = cells[row] - 1, cells[size] + 1
        return arrays.from_objects(witness.kernels, np.array(cells, dtype=object))

    return lie


def _repaired(
    subject: Subject, script: Script, made: Trace, lie: Script, earliest: bool
) -> tuple[Script, Trace] | None:
    """With one more number corrected, so that the first broken guard holds, and all before it."""
    at = _first_broken(made.events)
    guard, residual = made.events[at].key, made.events[at].value
    for slot in _free(subject, made.events[:at], earliest):
        if slot[0] == MESSAGE and slot[2] in lie.messages.get(slot[1], {}):
            continue
        other = forge(subject, _told(script, slot, 1))
        change = (residual - other.residuals.get(guard, 0)) % MODULUS
        if not change:
            continue
        better = _told(script, slot, residual * pow(change, -1, MODULUS) % MODULUS)
        after = forge(subject, better)
        if not after.residuals or _first_broken(after.events) > at:
            return better, after
    return None


def towards(subject: Subject, honest: Trace, guard: str) -> Iterator[Outcome]:
    """Lies in the last numbers before a guard is asked, nearest first."""
    at = next(i for i, e in enumerate(honest.events) if e.kind == CHECK and e.key[0] == guard)
    near = [e for e in honest.events[:at] if e.kind == MESSAGE][: -NEAR - 1 : -1]
    for event in near:
        for slot in range(event.size):
            made = forge(subject, _told(Script(), (MESSAGE, event.key, slot), 1))
            reason = replay(subject, made.proof).reason
            yield Outcome("guards", f"a false {_name((MESSAGE, event.key, slot))}", CAUGHT if reason else HOLE, reason)


def _first_broken(events: list[Event]) -> int:
    return next(i for i, e in enumerate(events) if e.kind == CHECK and e.value)


def _free(subject: Subject, events: list[Event], earliest: bool) -> list[Slot]:
    """Numbers that crossed after the last challenge: first columns committed in mid-protocol, since these end a lie.
    Then some from before it: if these still suit, the challenge did not depend on them."""
    last = max((i for i, e in enumerate(events) if e.kind == CHALLENGE), default=-1)
    after = [s for e in reversed(events[last + 1 :]) for s in _slots(subject, e)]
    before = [s for e in reversed(events[: last + 1]) for s in _slots(subject, e)]
    after = after[::-1] if earliest else after
    return sorted(after, key=lambda s: s[0] != COLUMN) + before[:EARLIER]


def _slots(subject: Subject, event: Event) -> list[Slot]:
    """Columns of the statement's own tensors are no such numbers: they are lied about as tensors."""
    if event.kind == MESSAGE:
        return [(MESSAGE, event.key, i) for i in range(event.size)]
    if event.kind == COLUMN and event.key[0] not in subject.system.tensors:
        return [(COLUMN, event.key, i) for i in range(min(event.size, CELLS))]
    return []


def _told(script: Script, slot: Slot, delta: int) -> Script:
    kind, key, at = slot
    if kind == COLUMN:
        before = script.tamper.get(key[0])
        return replace(script, tamper={**script.tamper, key[0]: _then(before, plus(delta, at))})
    mine = dict(script.messages.get(key, {}))
    mine[at] = (mine.get(at, 0) + delta) % MODULUS
    return replace(script, messages={**script.messages, key: mine})


def _then(first: Lie | None, second: Lie) -> Lie:
    if first is None:
        return second

    def lie(array: Array, witness: Witness) -> Array:
        return second(first(array, witness), witness)

    return lie


# --- errors that cancel -----------------------------------------------------------------------------------------------
def equivocations(subject: Subject, budget: Budget) -> Iterator[Outcome]:
    honest = trace.honest(subject)
    slots = [(MESSAGE, e.key, i) for e in honest.messages() for i in range(e.size)]
    chosen = list(trace.spread(slots, budget.kernels))
    opened = [s for s in slots if s[1][0] == "evaluations"]
    pairs = [*_parallel(subject, honest, chosen), *_batched(subject, honest, opened)]
    for one, two, ratio in pairs:
        yield _cancelling(subject, honest, one, two, ratio)


def _parallel(subject: Subject, honest: Trace, slots: list[Slot]) -> Iterator[tuple[Slot, Slot, int]]:
    """Pairs that break the same guards in proportion, under the honest challenges."""
    broken = {s: forge(subject, replace(_told(Script(), s, 1), foreknown=honest.challenges)).residuals for s in slots}
    for one, two in combinations(slots, 2):
        a, b = broken[one], broken[two]
        if a and a.keys() == b.keys():
            key = next(iter(a))
            if all((a[k] * b[key] - b[k] * a[key]) % MODULUS == 0 for k in a):
                yield one, two, -a[key] * pow(b[key], -1, MODULUS) % MODULUS


def _batched(subject: Subject, honest: Trace, slots: list[Slot]) -> Iterator[tuple[Slot, Slot, int]]:
    """Pairs whose errors cancel when they are combined by a challenge, or by nothing. For guards that are equations of
    points: these do not tell by how much they fail."""
    if not subject.bare:
        return
    first = {e.key[0]: e.value for e in reversed(honest.events) if e.kind == CHALLENGE}
    factors = [1, *dict.fromkeys(first.values())]
    together = [p for p in combinations(slots, 2) if p[0][1] == p[1][1]]
    for one, two in trace.spread(together, BATCH):
        for rho in factors:
            for ratio in dict.fromkeys((-rho % MODULUS, -pow(rho, -1, MODULUS) % MODULUS)):
                script = replace(_told(_told(Script(), one, 1), two, ratio), foreknown=honest.challenges)
                if not forge(subject, script).residuals:
                    yield one, two, ratio


def _cancelling(subject: Subject, honest: Trace, one: Slot, two: Slot, ratio: int) -> Outcome:
    """`foreknown` the pair must be accepted, or it is no attack; drawn, it must not be."""
    script = _told(_told(Script(), one, 1), two, ratio)
    known = forge(subject, replace(script, foreknown=honest.challenges))
    attack = f"{_name(one)} and {_name(two)} err against each other"
    if replay(subject, known.proof, foreknown=honest.challenges).reason:
        return Outcome("equivocation", attack, CAUGHT, "an equation: they do not cancel in all of them")
    for _ in range(4):
        made = forge(subject, script)
        reason = replay(subject, made.proof).reason
        if not reason:
            return Outcome("equivocation", attack, HOLE, "the challenge that combines them is known before them")
        solved = {(a, b): r for a, b, r in _parallel(subject, made, [one, two])}
        if (one, two) not in solved:
            break
        script = _told(_told(Script(), one, 1), two, solved[one, two])
    return Outcome("equivocation", attack, CAUGHT, "the challenge after them")


def _name(slot: Slot) -> str:
    return f"{slot[1][0]} {slot[1][1]}.{slot[2]}"


# --- commitments to something else ------------------------------------------------------------------------------------
def late(subject: Subject, budget: Budget) -> Iterator[Outcome]:
    honest = trace.honest(subject)
    columns = [e.key[0] for e in honest.events if e.kind == COLUMN]
    for name in trace.spread(columns, budget.tensors // 4):
        other = forge(subject, Script(tamper={name: plus(1)}))
        label = f"commit {name}"
        if len(other.crossed(label)) != len(honest.crossed(label)) or not honest.crossed(label):
            continue
        made = forge(subject, Script(swaps={label: other.crossed(label)}))
        reason = replay(subject, made.proof).reason
        yield Outcome("late commitment", f"{name}: committed as another", CAUGHT if reason else HOLE, reason)
    for name in trace.spread([t.name for t in subject.system.of_kind("weight")], budget.tensors // 4):
        yield _other_weights(subject, name)


def _other_weights(subject: Subject, name: str) -> Outcome:
    """Commit to A, prove with A'."""
    true = subject.weights(False)
    tamper: Tamper = {name: plus(1)}
    witness = Witness(subject.system, tools().kernels, subject.given, tamper)
    changed: Mapping[str, Array] = {**subject.given, name: witness.array(name)}
    if arrays.is_field(changed[name]):
        return Outcome("late commitment", name, CAUGHT, "it is no integer any more")
    inside = commit_weights(subject.system, changed, subject.setup(False))[name].secret.inside
    secret = true[name].secret
    kept = {**true, name: Kept(true[name].public, Rows(secret.refs, inside, secret.blinds))}
    cheat = replace(subject.with_weights(False, kept), given=changed)
    reason = replay(subject, forge(cheat, Script()).proof).reason
    return Outcome("late commitment", f"{name}: proved with other weights", CAUGHT if reason else HOLE, reason)
