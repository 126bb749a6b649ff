"""What is counted obeys the mathematics of each argument."""

from __future__ import annotations

from collections import Counter
from math import prod

import pytest

from tests.ablation.conftest import Arm
from zkcore.estimation import group
from zkcore.estimation.run import Counted, count
from zkcore.graph.system import System
from zkcore.polynomial.point import num_vars, total_vars
from zkcore.relation import Relation

ROW = 48  # bytes of a message of up to eight numbers


def _system(arm: Arm) -> System:
    return arm.owner.public.setup.system(arm.sequence)


def _counted(arm: Arm) -> Counted:
    return count(arm.owner.public.setup, _system(arm))


def _checked(system: System) -> list[Relation]:
    """Lookups that are checked by fractions. One that defines a tensor is proved with that tensor's claims."""
    return [r for r in system.relations if r.kind == "lookup" and not r.outs]


def _tables(system: System) -> int:
    """Rows of all tables, once a group."""
    return sum(t.size for _, t in {(r.group, r.table) for r in _checked(system)} if t)


def _trees(system: System) -> dict[str, int]:
    """Leaves by group: padded cells and padded tables."""
    leaves: Counter[str] = Counter()
    for r in _checked(system):
        leaves[r.group] += 1 << total_vars(system.domain(r))
    for g, t in {(r.group, r.table) for r in _checked(system)}:
        leaves[g] += 1 << total_vars((t.size,)) if t else 0
    return leaves


@pytest.mark.parametrize("name", ["default", "each layer", "clear", "folding"])
def test_logup_gkr_commits_no_inverses(arms: dict[str, Arm], name: str) -> None:
    """Only a multiplicity per table row, and one pushforward per function column."""
    if name not in arms:
        pytest.skip("not installed")
    system, kinds = _system(arms[name]), dict(_counted(arms[name]).committed)
    assert kinds.pop("multiplicity") == _tables(system)
    assert 0 < kinds.pop("pushforward") <= 3 * _tables(system)
    assert sum(kinds.values()) == system.committed_values()


@pytest.mark.parametrize("name", ["tlookup", "baseline"])
def test_tlookup_commits_an_inverse_per_lookup_and_table_row(arms: dict[str, Arm], name: str) -> None:
    system, kinds = _system(arms[name]), dict(_counted(arms[name]).committed)
    assert kinds.pop("multiplicity") == _tables(system)
    assert kinds.pop("inverse") == system.lookups() + _tables(system)
    assert sum(kinds.values()) == system.committed_values()


def test_function_outputs_are_virtual_or_committed(arms: dict[str, Arm]) -> None:
    """e, zero and the activation: committed only where the argument cannot keep them virtual."""
    default, tlookup = _system(arms["default"]), _system(arms["tlookup"])
    extra = {t.name for t in tlookup.of_kind("committed")} - {t.name for t in default.of_kind("committed")}
    assert {n.rsplit(".", 1)[1] for n in extra} == {"e", "zero", "act"}
    assert tlookup.committed_values() - default.committed_values() == sum(prod(tlookup.tensors[n].shape) for n in extra)


@pytest.mark.parametrize("name", ["default", "each layer", "clear", "folding"])
def test_fraction_trees_cost_what_the_formula_says(arms: dict[str, Arm], name: str) -> None:
    """Field products for N leaves in a tree of 2^n: 3 N build it, N/2 prepare its inner layers, N read the leaves in
    the last layer's first round and first binding; in all layers there are 2^n pairs, each with 9 products in its
    round (three points, three products) and 4 in its binding. Within 10%."""
    if name not in arms:
        pytest.skip("not installed")
    expected = sum(4.5 * n + 13 * (1 << num_vars(n)) for n in _trees(_system(arms[name])).values())
    assert arms[name].work("lookups")["field_mults"] == pytest.approx(expected, rel=0.1)


def test_trees_take_quadratically_many_rounds(arms: dict[str, Arm]) -> None:
    """n (n - 1) / 2 rounds, n messages of children and two of the root; multiplicities and evaluations are the rest."""
    for name in ("default", "each layer"):
        system, work = _system(arms[name]), arms[name].work("lookups")
        sizes = [num_vars(leaves) for leaves in _trees(system).values()]
        tree = sum(ROW * (n * (n - 1) // 2 + n + 2) for n in sizes)
        assert tree < work["bytes"] < tree + ROW * (_tables(system) // 16 + len(system.relations))
    assert arms["each layer"].work("lookups")["bytes"] > arms["default"].work("lookups")["bytes"]


def test_inverses_cost_full_size_commitments(arms: dict[str, Arm]) -> None:
    """A row of full-size scalars by the bucket method. Within 10%."""
    system = _system(arms["tlookup"])
    width = 1 << arms["tlookup"].owner.public.setup.parts.scheme.log_width
    values = system.lookups() + _tables(system)
    each = group.bucket_sums(1, width, 1 << group.SCALAR_BITS - 1) / width
    masked = sum(_masked(system))
    adds = arms["tlookup"].work("lookups")["group_adds"]
    assert adds == pytest.approx(each * (values - masked), rel=0.1)
    assert adds > 10 * arms["default"].work("lookups")["group_adds"]


def _masked(system: System) -> list[int]:
    """Cells whose inverse is zero."""
    masked = [r for r in system.relations if r.kind == "lookup" and r.mask]
    shares = [1 - float(system.publics[r.mask].array().mean()) for r in masked if r.mask]
    return [round(share * prod(system.domain(r))) for share, r in zip(shares, masked, strict=True)]


def test_zero_knowledge_changes_no_polynomial_work(arms: dict[str, Arm]) -> None:
    """But that the hidden numbers of a round enter a linear form: 4 degree + 3 products for its coefficients, where in
    the clear their sum is no work of the engine's."""
    hiding, clear = arms["default"], arms["clear"]
    trees = _trees(_system(hiding)).values()
    for stage in ("lookups", "backward", "definitions"):
        assert hiding.work(stage)["small_mults"] == clear.work(stage)["small_mults"], stage
        forms = hiding.work(stage)["field_mults"] - clear.work(stage)["field_mults"]
        assert 0 < forms <= (4 * 3 + 3) * hiding.work(stage)["bytes"] // ROW, stage
        if stage == "lookups":
            assert forms == sum((4 * 3 + 3) * n * (n - 1) // 2 for n in map(num_vars, trees))
    assert clear.work("blind")["group_adds"] == clear.work("blind")["bytes"] == 0
    assert clear.work("backward")["group_adds"] == 0 < hiding.work("backward")["group_adds"]


def test_folding_needs_fewer_messages(arms: dict[str, Arm]) -> None:
    """One block instead of two: each op says its value once. Rounds are not fewer: all layers share them anyway,
    and a block has one more variable."""
    if "folding" not in arms:
        pytest.skip("not installed")
    default, folding = _counted(arms["default"]), _counted(arms["folding"])
    assert folding.messages < default.messages
    per_layer, stacked = (arms[n].work("backward")["bytes"] for n in ("default", "folding"))
    assert stacked < per_layer
    assert folding.lookups == default.lookups


def test_each_layer_has_an_opening_of_its_own(arms: dict[str, Arm]) -> None:
    """A group is opened once: 2^log_width entries folded by one inner-product argument."""
    one, each = arms["default"].work("open")["bytes"], arms["each layer"].work("open")["bytes"]
    system = _system(arms["each layer"])
    groups = {t.group for kind in ("weight", "committed") for t in system.of_kind(kind)}
    assert len(groups) >= arms["each layer"].owner.public.setup.graph(arms["each layer"].sequence).layers
    assert each == pytest.approx(len(groups) * one, rel=0.25)
