"""What a prover with little memory plans to hold: of a fraction tree, of an opening, of a whole system."""

from __future__ import annotations

import gc
import random

import numpy as np
import pytest
import torch

from tests.unit.same_proofs import small
from zkcore.commitment import columns
from zkcore.errors import OutOfMemory
from zkcore.field import native
from zkcore.field.room import ENTRY_BYTES, GRAIN, Tree, TreePlan
from zkcore.graph import footprint
from zkcore.graph.witness import Witness
from zkcore.testing import same_bytes
from zkcore.testing.torch_kernels import TorchKernels

GIB = 1 << 30
LARGE = Tree(870_990_000, 30)  # two layers of LLaMA-2-13B at 2,048 tokens


@pytest.mark.parametrize("leaves", [0, 1, 2, 3, 11, 16, 1000])
def test_the_parents_of_a_layer_are_those_above_used_nodes(leaves: int) -> None:
    tree, nodes = Tree(leaves, 10), leaves
    for depth in range(10, 0, -1):
        assert tree.used(depth) == (nodes + 1) // 2
        nodes = (nodes + 1) // 2


def test_without_a_limit_all_is_stored() -> None:
    assert LARGE.plan(None) == TreePlan(30)
    assert LARGE.peak(TreePlan(30)) > 50 * GIB


@pytest.mark.parametrize("gib", [0.25, 1, 2.5, 5, 10, 20, 40, 60])
@pytest.mark.parametrize("tree", [LARGE, Tree(1 << 29, 29), Tree((1 << 28) + 1, 29), Tree(3, 2), Tree(1, 0)], ids=str)
def test_a_tree_takes_no_more_than_its_room(tree: Tree, gib: float) -> None:
    room = int(gib * GIB)
    plan = tree.plan(room)
    assert tree.peak(plan) <= room
    assert tree.least() <= max(room, tree.peak(tree.plan(None)))


def test_less_room_is_fewer_layers() -> None:
    stored = [LARGE.plan(gib * GIB).stored for gib in range(1, 80)]
    assert stored == sorted(stored)
    assert (stored[0], stored[-1]) == (23, 29)


def test_there_is_a_least() -> None:
    least = LARGE.least()
    assert GIB // 16 < least < GIB // 4
    assert LARGE.peak(LARGE.plan(least // 8)) > least // 8


def test_a_small_tree_is_made_in_one_stretch() -> None:
    tree = Tree(64, 6)
    assert tree.peak(tree.plan(1 << 20)) == tree.peak(TreePlan(6)) == (1 + 2 + 4 + 8 + 16) * ENTRY_BYTES
    assert tree.used(6) < GRAIN


@pytest.mark.parametrize(
    ("points", "room", "rounds", "vectors"),
    [
        (512, None, 0, True),
        (512, 50, 0, True),  # tables of 32 GiB, and as much again as half of them
        (512, 49, 1, True),
        (512, 26, 1, True),
        (512, 25, 2, True),
        (512, 17, 2, False),
        (512, 2, 6, False),
        (512, 1, 19, False),  # less than there must be beside: as little as can be
        (7, 2, 0, True),
    ],
)
def test_what_is_held_of_an_opening(points: int, room: int | None, rounds: int, vectors: bool) -> None:
    assert columns.plan(points, 20, room and room * GIB) == columns.Plan(rounds, vectors)


def test_a_limit_that_cannot_be_kept_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model, strategy, argument = small("trees")
    system, _ = model.prepare(strategy, model.answer((3, 1, 4, 1, 5)), argument.virtual_outputs)
    needed = footprint.least(system) + footprint.passing(system)
    assert 0 < footprint.passing(system) < needed
    over = footprint.given_room(system, TorchKernels(limit=4 * GIB), 0)
    assert over == 4 * GIB * 31 // 32 - needed
    with pytest.raises(OutOfMemory, match=r"memory_limit: 0 GiB do not suffice for this, 1 would.*tree_layers"):
        footprint.given_room(system, TorchKernels(limit=needed - 1), 0)
    monkeypatch.setattr(footprint, "least", lambda system, width: 10 * GIB)
    with pytest.raises(OutOfMemory, match="8 GiB do not suffice for this, 11 would: about 10.0 for"):
        footprint.given_room(system, TorchKernels(limit=8 * GIB), 8 * GIB // 10)
    assert footprint.given_room(system, TorchKernels(limit=11 * GIB), 11 * GIB // 10) is not None
    for kernels in (native.load(), TorchKernels()):
        assert footprint.given_room(system, kernels, 0) is None


def test_random_trees_keep_to_their_room() -> None:
    rng = random.Random(1)
    for _ in range(300):
        log_size = rng.randrange(1, 31)
        tree = Tree(rng.randrange(1, (1 << log_size) + 1), log_size)
        room = rng.randrange(4, 999) * GIB // 16
        assert tree.peak(tree.plan(room)) <= room


def dead_in_cycles() -> list[object]:
    """What a collection would find now, and what hangs on it: numpy's arrays do not take part in collections."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return [*gc.garbage, *gc.get_referents(*gc.garbage)]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def test_what_is_dead_in_cycles_is_found() -> None:
    held: list[object] = [np.zeros(3)]
    held.append(held)
    gc.collect()
    assert not [o for o in dead_in_cycles() if isinstance(o, np.ndarray)]
    del held
    assert len([o for o in dead_in_cycles() if isinstance(o, np.ndarray)]) == 1


def test_what_a_proof_has_held_goes_with_it() -> None:
    """At once, and not when somebody collects garbage: it is most of a GPU's memory."""
    model, strategy, argument = small("plain")
    system, given = model.prepare(strategy, model.answer((3, 1, 4, 1, 5)), argument.virtual_outputs)
    gc.collect()
    gc.disable()
    try:
        for kernels in (native.load(), TorchKernels(limit=1)):
            same_bytes.prove(kernels, system, given, argument)
            assert not [o for o in gc.get_objects() if type(o) is Witness]
        assert not [o for o in dead_in_cycles() if isinstance(o, (np.ndarray, torch.Tensor))]
    finally:
        gc.enable()
