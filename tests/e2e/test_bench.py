"""`zkcore bench`, on shapes so small that nothing is learnt but that it works."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from zkcore import api
from zkcore.bench import e2e, engine, machine, synthetic
from zkcore.bench.verbs import GROUPS
from zkcore.cli import bench
from zkcore.config import parse
from zkcore.field import devices, native
from zkcore.field.kernels import Kernels
from zkcore.report.progress import QuietReporter
from zkcore.testing.torch_kernels import TorchKernels

TINY = {
    "model_type": "llama",
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 23,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
}
MODEL = {"table_bits": 8, "activation_bits": 12, "weight_bits": 12, "attention": {"tile": 16}}
ROOT = Path(__file__).parents[2]
LARGE = sorted([*(ROOT / "benchmarks" / "large").glob("*.yaml"), *(ROOT / "configs").glob("large*.yaml")])
CONFIG = {"commitment": {"log_width": 6}, "strategy": {"batching": "layer_trees"}, "model": MODEL}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthetic, "SHAPES", {"tiny": TINY})


@pytest.mark.parametrize("kernels", [native.load(), TorchKernels()], ids=["numpy", "torch"])
def test_every_verb_is_measured(kernels: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "LONG", 0.0)
    seen: list[str] = []
    done = engine.run(machine.Machine(kernels), 14, "", seen.append)
    assert seen == list(GROUPS)
    assert all(row.rate > 0 and row.bound > 0 for row in done.rows)
    verbs = " ".join(row.verb for row in done.rows)
    for verb in ("eq_table", "contract int16", "sumcheck eq a b", "LogUp-GKR", "commit_rows int16", "msm"):
        assert verb in verbs
    [*_, last] = bench.verb_table(done).columns
    assert len(list(last.cells)) == len(done.rows)


@pytest.mark.parametrize("arrays", ["numpy", "torch"])
@pytest.mark.parametrize("memory_limit", [None, 1])
def test_the_whole_life_of_a_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrays: str, memory_limit: int | None
) -> None:
    """`verify` raises if the proof is not accepted."""
    if arrays == "torch":
        held = devices.Chosen(TorchKernels(), None if memory_limit is None else 1000)
        host, wanted = devices.choose, []
        monkeypatch.setattr(devices, "choose", lambda d, m=None: wanted.append(d) or (host(d) if d == "cpu" else held))
    config = parse({**CONFIG, "device": "cpu" if arrays == "numpy" else "cuda", "memory_limit": memory_limit}, "test")
    done = e2e.run("tiny", 20, 2, config, tmp_path, tmp_path, QuietReporter())
    assert done.proof_bytes == (tmp_path / "answer.zkp").stat().st_size
    assert {s.name for s in done.stages["proof"]} >= {"forward", "commit", "lookups", "open", "write"}
    assert done.projected["proof"] == pytest.approx(done.seconds("proof") * 3 / 2)
    text = bench.summary(done)
    assert "made-up weights" in text
    assert "NOT MEASURED" in text
    accepted = api.verify(tmp_path / "answer.zkp", tmp_path / "public.zkc")
    assert accepted.prompt == accepted.text == ""  # its tokenizer has no words


@pytest.mark.parametrize("file", LARGE, ids=lambda p: p.stem)
def test_what_is_measured_on_large_models_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """The configurations of benchmarks/large, on two layers of a model whose heads share keys."""
    monkeypatch.setattr(synthetic, "SHAPES", {"tiny": {**TINY, "num_key_value_heads": 1}})
    given = yaml.safe_load(file.read_text(encoding="utf-8"))
    model = {**MODEL, "hidden_bits": 16, **given.get("model", {})}
    model["attention"] = {**MODEL["attention"], **model["attention"]}
    config = parse({**given, "commitment": {"log_width": 6}, "model": model, "device": "cpu"}, file.name)
    done = e2e.run("tiny", 20, 2, config, tmp_path, tmp_path, QuietReporter())
    assert {"model", "proof", "verify"} == set(done.stages)
    if "ternary" in file.stem:
        made = synthetic.weights(synthetic.Shape.of("tiny", 2, config).setup, torch.device("cpu"))
        assert made["layers.0.down"].dtype == torch.int8
        assert sorted(made["layers.0.down"].unique().tolist()) == [-1, 0, 1]
