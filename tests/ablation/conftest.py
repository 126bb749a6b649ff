"""One small model and one prompt, proved under several configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

from tests.e2e.checkpoints import CONFIG, write_checkpoint
from zkcore import api, prover
from zkcore.models.family import Sequence
from zkcore.prover import Owner, Proof

PROMPT, TOKENS = "The old mill stands where two streams", 4
ZKATTN = "name: zkattn, zkattn: {segment_bits: [auto, 12, 12], step_bits: 15}"
CONFIGS = {
    "default": CONFIG,
    "each layer": CONFIG + "strategy: {batching: each_layer}\n",
    "clear": CONFIG + "zero_knowledge: false\n",
    "clear, each layer": CONFIG + "zero_knowledge: false\nstrategy: {batching: each_layer}\n",
    "tlookup": CONFIG + "lookup: tlookup\n",
    "baseline": CONFIG.replace("attention: {tile: 16}", f"attention: {{tile: 16, {ZKATTN}}}") + "lookup: tlookup\n",
    "folding": CONFIG + "plugins: [folding]\nstrategy: {name: folding}\n",
}
SAME_MODEL = [name for name in CONFIGS if name != "baseline"]  # zkattn is another integer model
INSTALLED = {e.name for e in metadata.entry_points(group="zkcore")}


@dataclass(frozen=True)
class Arm:
    owner: Owner
    sequence: Sequence
    proof: Proof

    def work(self, stage: str) -> Mapping[str, int]:
        return self.proof.work[stage]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("ablation"), seed=3)


@pytest.fixture(scope="session")
def arms(model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Arm]:
    """Plugins that are not installed are left out."""
    there = {name: text for name, text in CONFIGS.items() if name != "folding" or "folding" in INSTALLED}
    return {name: _arm(model, text, tmp_path_factory.mktemp("arm")) for name, text in there.items()}


def _arm(model: Path, text: str, place: Path) -> Arm:
    (place / "config.yaml").write_text(text)
    api.commit(model, place / "config.yaml", place / "made")
    owner = Owner.load(place / "made")
    sequence = owner.generate(owner.public.codec.encode(PROMPT), TOKENS)
    return Arm(owner, sequence, prover.prove(owner, sequence, b"", api.cache_dir()))
