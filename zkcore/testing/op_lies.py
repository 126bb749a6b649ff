"""Lies about an op: each is re-proved, and must be rejected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.graph.witness import Tamper, Witness
from zkcore.polynomial.point import padded
from zkcore.relation import Integers
from zkcore.testing.direct import unsatisfied
from zkcore.testing.op_bench import (
    SCOPE,
    Bench,
    Nonconformant,
    inside,
    run_op,
)
from zkcore.testing.toolbox import (
    Attacker,
    Lie,
    commit_weights,
    plus,
    prove_system,
    rejection,
    tools,
)

if TYPE_CHECKING:
    pass


@dataclass
class Report:
    """`guards`: the relations that a lie about a tensor breaks, by tensor."""

    guards: dict[str, set[str]] = field(default_factory=dict)
    committed_values: int = 0
    lookups: int = 0
    proof_bytes: int = 0


def check_padding(bench: Bench) -> None:
    """Garbage in all committed padding: what is called clean stays zero there, and real cells do not change."""
    honest = bench.witness(bench.given())
    dirty = {n: _soiled(a, honest.system.tensors[n].shape) for n, a in bench.given().items()}
    witness = bench.witness(dirty)
    for tensor in witness.system.tensors.values():
        cells = arrays.to_objects(witness.kernels, witness.array(tensor.name))
        cells[tuple(slice(0, n) for n in tensor.shape)] = 0
        if tensor.clean and cells.any():
            raise Nonconformant(f"{tensor.name} is called clean, but committed padding reaches its padding")
    claims, truth = bench.claims(witness), bench.claims(honest)
    system = bench.system(claims)
    _, reason = _attack(bench, system, dirty, None)
    if not reason and any((claims[n] != truth[n]).any() for n in truth):
        raise Nonconformant("garbage in committed padding changes an output, and is accepted")


def _soiled(array: Array, shape: tuple[int, ...]) -> Array:
    out = np.full(padded(shape), 3, dtype=np.int64)
    out[tuple(slice(0, n) for n in shape)] = array
    return out


def check_lies(bench: Bench, report: Report, samples: int, follow: Mapping[str, Lie]) -> None:
    """+1 and -1 in cells of every committed output, +1 in one cell of whatever else the op makes."""
    given = bench.given()
    honest = bench.witness(given)
    outputs = [t.name for t in bench.outputs().values() if t.kind == "committed"]
    for name in [n for n in honest.system.tensors if n.startswith(SCOPE)]:
        later = outputs[outputs.index(name) + 1 :] if name in outputs else outputs
        behind = {n: follow[n] for n in later if n in follow}
        if follow and not behind:
            continue
        cells = np.flatnonzero(inside(honest, honest.system.tensors[name]))
        for at in _some(cells, samples if name in outputs else 1):
            for delta in (1, -1) if name in outputs else (1,):
                tamper = {**behind, name: plus(delta, at)}
                guards = _check_rejected(bench, given, tamper, f"{name} {delta:+} at {at}")
                report.guards.setdefault(name, set()).update(guards)


def _some(cells: Array, count: int) -> list[int]:
    """First, last and some between."""
    if len(cells) <= count:
        return [int(c) for c in cells]
    if count == 1:
        return [int(cells[len(cells) // 2])]
    inner = np.random.default_rng(len(cells)).choice(cells[1:-1], max(0, count - 2), replace=False)
    return [int(cells[0]), int(cells[-1]), *(int(c) for c in inner)]


def check_other_inputs(bench: Bench) -> None:
    """Outputs that belong to other inputs (each one shifted along each of its axes) are not accepted for these."""
    for role, axis, shifted in _neighbours(bench):
        other = replace(bench, made=run_op(bench.op, {**{r: i.flat() for r, i in bench.inputs.items()}, role: shifted}))
        if all(np.array_equal(other.made[r], bench.made[r]) for r in bench.made):
            continue
        given = {**other.given(), **{r: i.array for r, i in bench.inputs.items() if i.kind != "public"}}
        virtual = {r: t for r, t in bench.outputs().items() if t.kind == "virtual" and r in other.made}
        claims = {t.name: other.made[r].reshape(t.shape) for r, t in virtual.items()}
        system = bench.system({**bench.claims(bench.witness(given)), **claims})
        _reject(bench, system, given, None, f"outputs for {role} shifted along axis {axis}")


def _neighbours(bench: Bench) -> Iterator[tuple[str, int, Integers]]:
    for role, i in bench.inputs.items():
        if i.kind == "public":
            continue
        for axis in range(i.flat().ndim):
            yield role, axis, np.roll(i.flat(), 1, axis)


def _check_rejected(bench: Bench, given: Mapping[str, Array], tamper: Tamper, lie: str) -> set[str]:
    system = bench.system(bench.claims(bench.witness(given, tamper)))
    return _reject(bench, system, given, tamper, lie)


def _reject(bench: Bench, system: System, given: Mapping[str, Array], tamper: Tamper | None, lie: str) -> set[str]:
    broken = set(unsatisfied(system, Witness(system, tools().kernels, given, tamper)))
    guards, reason = _attack(bench, system, given, tamper)
    if not broken:
        raise Nonconformant(f"{lie}: it satisfies all relations")
    if not reason or reason not in guards:
        raise Nonconformant(f"{lie}: breaks {sorted(broken)}, and is rejected as {reason!r}")
    return broken


def _attack(bench: Bench, system: System, given: Mapping[str, Array], tamper: Tamper | None) -> tuple[set[str], str]:
    """The guards that a cheating prover met, and the verifier's reason."""
    weights, attacker = commit_weights(system, given), Attacker()
    proof = prove_system(system, given, bench.setup(), weights=weights, tamper=tamper, channel=attacker)
    return set(attacker.guards), rejection(system, proof, bench.setup(), weights=weights)
