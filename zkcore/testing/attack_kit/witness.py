"""Lies about tensors, re-proved. Two integer references decide what is false: the relations, cell by cell and without
any proof (zkcore.testing.direct), and the forward pass, which is written apart from the relations.

alone     one tensor is another, whatever else follows from the relations. If a relation fails, the proof must; if none
          does and a value that somebody reads differs, the relations do not pin it: that is a hole, too.
followed  a forward pass with the lie: all later ops go on from it, and the claim is the token it leads to. Only the
          lying op's own relations can be in the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.graph.tensor import Tensor
from zkcore.graph.witness import Witness
from zkcore.polynomial.point import padded
from zkcore.testing.attack_kit import trace
from zkcore.testing.attack_kit.budget import Budget
from zkcore.testing.attack_kit.outcome import CAUGHT, HARMLESS, HOLE, UNCOVERED, Outcome
from zkcore.testing.attack_kit.subject import Subject
from zkcore.testing.attack_kit.trace import Script, forge, replay
from zkcore.testing.direct import depending_on, unsatisfied
from zkcore.testing.op_bench import inside
from zkcore.testing.toolbox import Lie, plus, tools

FAMILY = "witness"
CUT = 64  # so much that it is not rounded away


def alone(subject: Subject, budget: Budget, broken: set[str]) -> Iterator[Outcome]:
    """`broken` takes in the relations that some lie breaks."""
    names = [t.name for t in subject.system.tensors.values() if t.kind in ("committed", "virtual")]
    mine = [n for n in names if subject.concerns(n)]
    honest = _witness(subject, {})
    for turn, name in enumerate(trace.spread(mine, budget.tensors)):
        tensor = subject.system.tensors[name]
        for what, lie in _lies(honest, tensor, budget.cells, turn):
            yield _judge(subject, honest, f"{name}: {what}", {name: lie}, broken)
        if tensor.kind == "committed":
            touched = depending_on(subject.system, name)
            for what, lie in _hints(honest, tensor, budget.hints):
                if not unsatisfied(subject.system, _witness(subject, {name: lie}), touched):
                    yield _judge(subject, honest, f"{name}: {what}", {name: lie}, broken)
    soiled = {n: _soiled(subject.system.tensors[n]) for n in mine if subject.system.tensors[n].kind == "committed"}
    if soiled:
        yield _judge(subject, honest, "all committed padding: filled", soiled, broken)


def unreached(subject: Subject, budget: Budget, broken: set[str]) -> Iterator[Outcome]:
    """Relations that no lie broke so far get lies of their own, which the reference judges; one that still holds is
    covered by nothing."""
    honest = _witness(subject, {})
    for relation in subject.system.relations:
        if not subject.concerns(relation.name) or relation.name in broken:
            continue
        for name in dict.fromkeys([*relation.outs, *(n for n, _ in relation.reads())]):
            tensor = subject.system.tensors[name]
            if tensor.kind == "public" or relation.name in broken:
                continue
            lie, what = plus(1 << 24, _selected(honest, tensor)), f"{name}: far off, for {relation.name}"
            wrong = unsatisfied(subject.system, _witness(subject, {name: lie}), depending_on(subject.system, name))
            broken |= set(wrong)
            if not wrong:
                yield _judge(subject, honest, what, {name: lie}, broken)
        if relation.name not in broken:
            yield Outcome(FAMILY, relation.name, UNCOVERED, "no lie breaks this relation")


def followed(subject: Subject, budget: Budget) -> Iterator[Outcome]:
    """And with the lie itself taken back, so that only what ties one op's output to the next one's input is in the
    way."""
    if subject.model is None:
        return
    made = subject.model.made()
    names = [n for n in made if subject.concerns(n)]
    for turn, name in enumerate(trace.spread(names, budget.follow)):
        at = (turn * 7919) % made[name].numel()
        for delta in (1, -1)[: 1 + (budget.cells > 1)]:
            if lied := subject.model.lied(name, partial(_nudged, at=at, delta=delta)):
                yield _judge_followed(subject, *lied, f"{name}: {delta:+} at {at}, and all ops go on from it")
    for name in [n for n in subject.model.handed_on() if subject.concerns(n)]:
        for tensor, system, given in subject.model.cut(name, partial(_nudged, at=-1, delta=CUT)):
            attack = f"{name}: another one, all ops go on from it, {tensor} is as before"
            yield _judge_followed(subject, system, given, attack)


def _judge_followed(subject: Subject, system: System, given: Mapping[str, Array], attack: str) -> Outcome:
    liar = replace(subject, system=system, given=given)
    reason = replay(liar, forge(liar, Script()).proof).reason
    if reason:
        return Outcome("witness, followed", attack, CAUGHT, reason)
    if wrong := unsatisfied(liar.system, _witness(liar, {})):
        return Outcome("witness, followed", attack, HOLE, f"breaks {', '.join(wrong)}, and is accepted")
    honest = subject.model.prepare(subject.model.answer())[1] if subject.model else {}
    if all(np.array_equal(given[n], honest[n]) for n in honest):
        return Outcome("witness, followed", attack, HARMLESS, "the lie is about no tensor of the system")
    return Outcome("witness, followed", attack, HOLE, "it satisfies all relations")


def _nudged(array: Any, at: int, delta: int) -> Any:
    flat = array.flatten().clone()
    flat[at] += delta
    return flat.reshape(array.shape)


# --- one lie ----------------------------------------------------------------------------------------------------------
def _witness(subject: Subject, tamper: Mapping[str, Lie]) -> Witness:
    return Witness(subject.system, tools().kernels, subject.given, tamper)


def _judge(subject: Subject, honest: Witness, attack: str, tamper: Mapping[str, Lie], broken: set[str]) -> Outcome:
    lied = _witness(subject, tamper)
    wrong = unsatisfied(subject.system, lied, depending_on(subject.system, *tamper))
    broken |= set(wrong)
    reason = replay(subject, forge(subject, Script(tamper=tamper)).proof).reason
    if reason:
        return Outcome(FAMILY, attack, CAUGHT, reason)
    if wrong:
        return Outcome(FAMILY, attack, HOLE, f"breaks {', '.join(wrong)}, and is accepted")
    if differ := _different(subject.system, honest, lied):
        return Outcome(FAMILY, attack, HOLE, f"no relation pins {differ}: another value satisfies all of them")
    return Outcome(FAMILY, attack, HARMLESS, "no cell that is read changed")


def _different(system: System, one: Witness, two: Witness) -> str:
    """A tensor that differs where it has a meaning; empty if none does."""
    for tensor in system.tensors.values():
        a, b = (_cells(w, tensor) for w in (one, two))
        if (a != b)[inside(one, tensor)].any():
            return tensor.name
    return ""


def _cells(witness: Witness, tensor: Tensor) -> Array:
    cells = arrays.to_objects(witness.kernels, witness.array(tensor.name))
    return cells[tuple(slice(0, n) for n in tensor.shape)]


def _lies(honest: Witness, tensor: Tensor, cells: int, turn: int) -> Iterator[tuple[str, Lie]]:
    where = np.flatnonzero(inside(honest, tensor))
    if not len(where):
        return
    for k in range(cells):
        at = int(where[[0, -1, len(where) // 2, (turn * 31 + k) % len(where)][(turn + k) % 4]])
        yield f"+1 at {at}", _at(tensor, {at: 1})
    if cells > 1:
        value, first = int(_cells(honest, tensor).reshape(-1)[where[0]]), int(where[0])
        yield f"above its interval at {first}", _at(tensor, {first: tensor.hi + 1 - value})
        yield f"below its interval at {first}", _at(tensor, {first: tensor.lo - 1 - value})


def _hints(honest: Witness, tensor: Tensor, most: int) -> Iterator[tuple[str, Lie]]:
    """Other values that relations may fail to tell from the true one: what they say about these, the reference decides
    without a proof. Is one accepted by all relations, it is proved in earnest."""
    where = [int(c) for c in np.flatnonzero(inside(honest, tensor))]
    for at in trace.spread(where, most):
        for delta in (1, -1):
            yield f"{delta:+} at {at}", _at(tensor, {at: delta})
    values, mask = _cells(honest, tensor), inside(honest, tensor)
    for axis, size in enumerate(tensor.shape):
        step = int(np.prod(tensor.shape[axis + 1 :]))
        pairs = [(c, c + step) for c in where if c // step % size + 1 < size and c + step in where]
        for one, two in trace.spread(pairs, most // 4):
            yield f"+1 at {one}, -1 at {two}", _at(tensor, {one: 1, two: -1})
        rolled = np.roll(values, 1, axis)
        if (rolled != values)[mask].any():
            yield f"shifted along axis {axis}", _become(rolled)


def _at(tensor: Tensor, deltas: Mapping[int, int]) -> Lie:
    """At cells of the real box: arrays may be padded."""

    def lie(array: Array, witness: Witness) -> Array:
        values = arrays.to_objects(witness.kernels, array).copy()
        for at, delta in deltas.items():
            values[np.unravel_index(at, tensor.shape)] += delta
        return arrays.from_objects(witness.kernels, values)

    return lie


def _become(values: Array) -> Lie:
    return lambda array, witness: arrays.from_objects(witness.kernels, values)


def _soiled(tensor: Tensor) -> Lie:
    def lie(array: Array, witness: Witness) -> Array:
        out = np.full(padded(tensor.shape), 3, dtype=object)
        inner = tuple(slice(0, n) for n in tensor.shape)
        out[inner] = arrays.to_objects(witness.kernels, array)[inner]
        return arrays.from_objects(witness.kernels, out)

    return lie


def _selected(honest: Witness, tensor: Tensor) -> int:
    """A flat cell of the tensor that has a meaning."""
    where = np.flatnonzero(inside(honest, tensor))
    return int(where[0]) if len(where) else 0
