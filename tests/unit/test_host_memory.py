"""A memory limit on a CPU: the process stays below it, the proof is the same, and one that is too small is refused."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from mmap import mmap
from pathlib import Path

import pytest

from tests.unit.peak import MIB
from tests.unit.same_proofs import KINDS, small
from zkcore import memory
from zkcore.commitment import columns
from zkcore.errors import OutOfMemory
from zkcore.field import devices, host, native
from zkcore.field.kernels import Limited
from zkcore.field.room import GIB, Tree, TreePlan, tree_plan
from zkcore.graph import footprint
from zkcore.testing import same_bytes

ROOT = Path(__file__).parents[2]
# MiB: the limit of a proof, beside what the process held before; by how much it must stay below; and by how much the
# same proof without a limit exceeds it.
ROOM, MARGIN, OVER = 170, 8, 16


@cache
def proved(strategy: str, limit: int) -> tuple[int, int, str]:
    """In a process of its own: MiB before, MiB at the most, and the proof's digest or why there is none."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.unit.peak", strategy, str(limit)]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    before, most, said = done.stdout.strip().split(" ", 2)
    return int(before), int(most), said


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("strategy", ["per_layer", "folding"])
def test_a_proof_stays_below_its_limit(strategy: str) -> None:
    before, free, expected = proved(strategy, 0)
    limit = before + ROOM
    _, most, made = proved(strategy, limit)
    assert made == expected
    assert most <= limit - MARGIN < limit + OVER <= free


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("strategy", ["per_layer", "folding"])
def test_a_limit_below_what_is_held_is_refused_before_anything_is_computed(strategy: str) -> None:
    before, _, _ = proved(strategy, 0)
    held, most, said = proved(strategy, before + 20)
    assert said.startswith("refused memory_limit: 0 GiB do not suffice for this, 1 would: about ")
    assert most < held + 16


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_proof_however_little_is_held_of_a_tree(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first layer is stored, and the others are made again until four entries are left; ternary rows have no
    sums to be added from, and one row's buckets are there at a time."""
    limited, seen = host.HostKernels(1), list[Tree]()
    monkeypatch.setattr(limited, "tree_plan", lambda tree: seen.append(tree) or TreePlan(1, 4, 1))
    monkeypatch.setattr(columns, "plan", lambda points, variables, room: columns.Plan(3, False))
    model, strategy, argument = small(kind)
    system, given = model.prepare(strategy, model.answer((3, 1, 4, 1, 5)), argument.virtual_outputs)
    try:
        made = same_bytes.prove(limited, system, given, argument)
    finally:
        host.HostKernels(1 << 50)
    assert bool(seen) == (kind not in ("tlookup", "zkattn"))
    assert made == same_bytes.prove(native.load(), system, given, argument)


def test_what_is_taken_is_what_the_process_holds() -> None:
    limited = devices.choose("cpu", 7).kernels
    assert isinstance(limited, Limited)
    assert limited.limit == 7 * GIB
    before = limited.taken()
    assert before == pytest.approx(memory.resident(), rel=0.1)
    with mmap(-1, 64 * MIB) as held:  # pages of its own, whatever the process has freed before
        for at in range(0, len(held), 4096):
            held[at] = 1
        assert limited.taken() - before > 60 * MIB
    assert limited.taken() - before < 8 * MIB  # it went back to the system
    assert limited.taken() <= memory.peak()


def test_without_proc_the_peak_is_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **options: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    assert memory.resident() == memory.peak()


def test_a_tree_that_does_not_fit_beside_the_rest_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    limited, tree = host.HostKernels(4 * GIB), Tree(1 << 26, 26, stretches=False)
    monkeypatch.setattr(memory, "resident", lambda: 2 * GIB)
    plan = limited.tree_plan(tree)
    assert 1 < plan.stored < 25
    assert tree.peak(plan) <= 4 * GIB * 31 // 32 - 2 * GIB
    monkeypatch.setattr(memory, "resident", lambda: 4 * GIB - 1)
    with pytest.raises(OutOfMemory, match="memory_limit: a tree of 67108864 lookups needs .* MiB beside what is kept"):
        tree_plan(limited, tree)


def test_a_refusal_names_a_limit_that_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken, the rows of an opening, and the largest weight count."""
    model, strategy, argument = small("plain")
    system, _ = model.prepare(strategy, model.answer((3, 1, 4, 1, 5)), argument.virtual_outputs)
    monkeypatch.setattr(memory, "resident", lambda: 2 * GIB)
    with pytest.raises(OutOfMemory, match="2 GiB do not suffice for this, 3 would: about .* beside 2.0 that are taken"):
        footprint.given_room(system, host.HostKernels(2 * GIB), 2 * GIB // 10)
    assert footprint.given_room(system, host.HostKernels(3 * GIB), 3 * GIB // 10) is not None
    wide = footprint.least(system, 1 << 20) - footprint.least(system)
    assert wide > GIB
    with pytest.raises(OutOfMemory, match="3 GiB do not suffice for this, 4 would"):
        footprint.given_room(system, host.HostKernels(3 * GIB), 3 * GIB // 10, 1 << 20)


@pytest.mark.parametrize("stretches", [True, False])
def test_the_host_makes_no_stretches(stretches: bool) -> None:
    tree = Tree(5_000_000, 23, stretches)
    plan = tree.plan(32 * MIB)
    assert tree.peak(plan) <= 32 * MIB
    assert (plan.chunk == 0) != stretches
