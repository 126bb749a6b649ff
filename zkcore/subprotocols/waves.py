"""Claims flow from outputs to inputs in waves: what waits for no other relation is reduced at once.

A relation is ready when every relation that reads its output has been reduced: then all claims about it stand. What is
committed ends a chain, so the layers of a model do not wait for each other, and a wave goes through all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from zkcore.claim import Claim
from zkcore.polynomial.point import total_vars
from zkcore.relation import Relation
from zkcore.subprotocols import einsum, joint
from zkcore.subprotocols.einsum import Product
from zkcore.subprotocols.merge import Merge
from zkcore.subprotocols.session import At, Session, Wanted
from zkcore.transcript.rounds import weighted

SMALL = 20  # variables: claims about outputs of no more are merged first, which costs less than claims on factors
MANY = 8  # claims that go through a relation side by side


def reduce(session: Session, told: Callable[[int, int], None]) -> None:
    """Claims about the outputs of all einsums and linears become claims about what is committed, public, or defined by
    a lookup. `told`: how many of how many relations are done."""
    waiting = [r for r in reversed(session.system.relations) if r.kind in ("einsum", "linear")]
    readers = Counter(n for r in waiting for n in _inputs(r))
    most, held = len(waiting), dict[str, list[Claim]]()
    limit = session.system.joint_entries()
    while waiting:
        told(most - len(waiting), most)
        ready = [r for r in waiting if not readers[r.outs[0]]]
        for r in ready:
            if r.outs[0] not in held:
                held[r.outs[0]] = session.ledger.take(r.outs[0])
        done = _direct(session, ready, held) or _wave(session, ready, held, limit)
        for r in done:
            readers.subtract(_inputs(r))
        names = {r.name for r in done}
        waiting = [r for r in waiting if r.name not in names]


def _inputs(relation: Relation) -> list[str]:
    return list(dict.fromkeys(n for n, _ in relation.reads()))


def _direct(session: Session, ready: Sequence[Relation], held: dict[str, list[Claim]]) -> list[Relation]:
    """Those that take no rounds, now: sums of tensors at one point, and products without a summed axis."""
    done = [r for r in ready if _variables(session, r) == 0 and not _merged_first(session, r, held[r.outs[0]])]
    claims = [(r, c) for r in done for c in held[r.outs[0]]]
    session.values([w for r, c in claims for w in _wanted(session, r, c)])
    for r, claim in claims:
        if r.kind == "linear":
            value = session.only(r, _at(r, claim))
            session.t.require_zero(weighted([(1, value), (-1, claim.value)]), r.name)
        else:
            session.t.require_product(session.values(_wanted(session, r, claim)), claim.value, r.name)
    return done


def _variables(session: Session, relation: Relation) -> int:
    return 0 if relation.kind == "linear" else session.plan(relation).variables


def _at(relation: Relation, claim: Claim) -> At:
    """A claim's place, and nothing for axes of one cell that are summed."""
    letters = relation.spec if relation.kind == "linear" else relation.factors()[1]
    empty: dict[str, tuple[int, ...]] = {x: () for _, axes in relation.reads() for x in axes}
    return {**empty, **dict(zip(letters, claim.place, strict=True))}


def _wanted(session: Session, relation: Relation, claim: Claim) -> list[Wanted]:
    return einsum.factors_at(session, relation, _at(relation, claim))


def _wave(session: Session, ready: Sequence[Relation], held: dict[str, list[Claim]], limit: int) -> list[Relation]:
    """Merges only leave a claim for the next wave."""
    steps, done = list[joint.Step](), list[Relation]()
    for r in ready:
        claims = held[r.outs[0]]
        if _merged_first(session, r, claims):
            steps.append(Merge(session, claims))
            continue
        done.append(r)
        plan = session.plan(r)
        steps += [Product(session, r, plan, own) for own in einsum.together(session, r, claims)]
    for some in _cut(steps, limit):
        for step, found in zip(some, joint.run(session, some), strict=True):
            if isinstance(step, Merge):
                held[step.name] = [step.merged(found.point, found.values[0])]
    return done


def _merged_first(session: Session, relation: Relation, claims: Sequence[Claim]) -> bool:
    """Are these claims made one before they go through the relation? Those of a set count as one."""
    linear = relation.kind == "linear"
    sets = len(claims) if linear else len(einsum.together(session, relation, claims))
    return sets > MANY or sets > 1 and total_vars(session.system.tensors[relation.outs[0]].shape) <= SMALL


def _cut(steps: Sequence[joint.Step], limit: int) -> Iterator[list[joint.Step]]:
    """Steps of like sizes together."""
    some, entries = list[joint.Step](), 0
    for step in sorted(steps, key=lambda s: -s.variables):
        if some and entries + step.entries > limit:
            yield some
            some, entries = [], 0
        some.append(step)
        entries += step.entries
    if some:
        yield some
