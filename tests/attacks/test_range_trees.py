"""The range proof of a large model has several lookup trees: each of them proves its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.checkpoints import CONFIG, write_checkpoint
from zkcore import api, committer, evaluation, public, setup, verifier
from zkcore.errors import ProofRejected
from zkcore.evaluation import Accuracy
from zkcore.setup import Setup
from zkcore.transcript.channel import ProverChannel


def test_small_models_have_one_tree_and_large_ones_about_32() -> None:
    assert setup.trees([]) == []
    assert set(setup.trees([1 << 20] * 16)) == {""}
    assert setup.trees([1 << 20] * 17) == [""] * 16 + ["1"]
    many = setup.trees([1 << 22] * 1000)
    assert many == sorted(many, key=lambda tree: int(tree or 0))
    assert 25 <= len(set(many)) <= 32


def test_a_lookup_is_never_cut() -> None:
    assert setup.trees([5, 1 << 26, 7, 8]) == ["", "1", "2", "2"]


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees as small as a small model's lookups."""
    monkeypatch.setattr(setup, "TREE_CELLS", 1 << 11)


class Shameless(ProverChannel):
    """Goes on where an honest owner stops."""

    met: list[str] = []

    def violated(self, guard: str) -> None:
        self.met.append(guard)


def commit(place: Path, more: str = "") -> public.PublicFile:
    model = write_checkpoint(place / "model", seed=5)
    (place / "config.yaml").write_text(CONFIG + more)
    api.commit(model, place / "config.yaml", place / "made")
    return public.load(place / "made" / "public.zkc")


@pytest.mark.parametrize("more", ["", "strategy: {batching: each_layer}\n"])
def test_many_trees_are_accepted_and_belong_to_the_format(
    many: None, more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generator_cache: Path
) -> None:
    made = commit(tmp_path, more)
    groups = {r.group for r in made.setup.certificate().relations}
    assert "" in groups and "9" in groups
    verifier.certify(made, api.cache_dir())
    monkeypatch.setattr(setup, "TREE_CELLS", 1 << 24)
    with pytest.raises(ProofRejected):
        verifier.certify(made, api.cache_dir())


@pytest.mark.parametrize("name", ["embed", "layers.0.gate", "layers.1.down"])
def test_a_weight_outside_its_interval_is_rejected_by_its_own_tree(
    many: None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generator_cache: Path
) -> None:
    """The owner re-proves: rows and range proof are about the same weights."""
    honest, written = committer.quantised, dict[str, Any]()

    def cheating(chosen: Setup, real: Any) -> Any:
        out = honest(chosen, real)
        out[name].flatten()[3] = chosen.weights()[name].hi + 1
        written["relations"] = chosen.certificate().relations
        return out

    Shameless.met.clear()
    for part, fake in (
        ("quantised", cheating),
        ("ProverChannel", Shameless),
        ("_write", lambda out, data, *rest: written.update(data=data)),
        ("_kept", lambda *a: {}),
    ):
        monkeypatch.setattr(committer, part, fake)
    monkeypatch.setattr(evaluation, "compare", lambda *a: Accuracy(1, 1.0, 1.0, 1.0))  # such a model need not run
    model = write_checkpoint(tmp_path / "model", seed=5)
    (tmp_path / "config.yaml").write_text(CONFIG + "zero_knowledge: false\n")
    api.commit(model, tmp_path / "config.yaml", tmp_path / "made")
    [group] = [r.group for r in written["relations"] if r.name == f"{name}.range.0"]
    assert Shameless.met == [f"lookups {group}".strip()]
    with pytest.raises(ProofRejected) as caught:
        verifier.certify(public.parse(written["data"]), api.cache_dir())
    assert caught.value.reason == f"lookups {group}".strip()
