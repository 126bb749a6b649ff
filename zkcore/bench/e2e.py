"""The whole life of a proof, timed: commit to a model, forward pass, proof, file, and verification of that file.

Weights are made up (zkcore.bench.synthetic); everything else is what `commit`, `prove` and `verify` run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import tokenizers
import torch

from zkcore import proof as files
from zkcore import prover, public, verifier
from zkcore.bench import synthetic
from zkcore.committer import Tokenizer, publish
from zkcore.config import Config
from zkcore.field import devices
from zkcore.field.kernels import Kernels
from zkcore.graph.arrays import taken
from zkcore.graph.forward import Run
from zkcore.memory import peak
from zkcore.models import passes
from zkcore.models.family import Sequence
from zkcore.models.text import TextCodec
from zkcore.report.counted import Counted
from zkcore.report.progress import Reporter, StageTime
from zkcore.setup import Setup, toolbox

PARTS = ("model", "proof", "verify")


@dataclass(frozen=True)
class Result:
    """`stages`: by part of the proof's life. `memory`: bytes at the peak, of the device if there is one. `projected`:
    seconds for all layers of the shape, by part, if the run had fewer: each stage grown with the layers."""

    shape: str
    seq_len: int
    layers: int
    whole: int
    device: str
    parameters: int
    stages: Mapping[str, list[StageTime]]
    proof_bytes: int
    model_bytes: int
    memory: int
    host_memory: int
    counters: Mapping[str, int]
    projected: Mapping[str, float] = field(default_factory=dict)

    def seconds(self, part: str) -> float:
        return sum(s.seconds for s in self.stages[part])


def timer(report: Reporter, part: str, kernels: Kernels) -> Counted:
    """Of one part; a stage ends when the device has done its work."""
    return Counted(report, kernels, f"{part}: ", torch.cuda.synchronize if torch.cuda.is_available() else lambda: None)


def run(
    shape: str, seq_len: int, layers: int | None, config: Config, out: Path, cache_dir: Path, report: Reporter
) -> Result:
    """Writes `out`/public.zkc and `out`/answer.zkp. The private part is not written: it stays where the weights are."""
    model = synthetic.Shape.of(shape, layers, config)
    setup, chosen = model.setup, devices.choose(config.device, config.memory_limit)
    kernels, device = chosen.kernels, torch.device(chosen.kernels.space.device)
    if chosen.note:
        report.note(chosen.note)
    report.stage("synthetic weights")
    weights = synthetic.weights(setup, device)
    stages: dict[str, list[StageTime]] = {}
    owner, model_bytes = _commit(setup, weights, out, cache_dir, timer(report, "model", kernels), stages)
    prompt = synthetic.tokens(setup, seq_len)
    report.stage("answer")
    answer = Sequence((*prompt, _next(setup, weights, prompt, device)), seq_len)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    proving = timer(report, "proof", kernels)
    made = prover.prove(owner, answer, b"", cache_dir, proving.stage)
    proving.stage("write")
    files.write(files.Written(out / "answer.zkp", made.data))
    stages["proof"] = proving.close()
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else peak()
    stages["verify"] = _verify(out, cache_dir, timer(report, "verify", devices.choose("cpu").kernels))
    whole = model.whole if model.layers < model.whole else 0
    return Result(
        shape,
        seq_len,
        model.layers,
        model.whole,
        _name(device),
        synthetic.size(weights),
        stages,
        len(made.data),
        model_bytes,
        memory,
        peak(),
        kernels.counters(),
        {p: sum(s.seconds for s in stages[p]) * whole / model.layers for p in PARTS} if whole else {},
    )


def _commit(
    setup: Setup,
    weights: Mapping[str, torch.Tensor],
    out: Path,
    cache_dir: Path,
    counted: Counted,
    stages: dict[str, list[StageTime]],
) -> tuple[prover.Owner, int]:
    """A tokenizer is no part of a shape: one without words stands in its place."""
    counted.stage("generators")
    tools = toolbox(cache_dir, setup.parts.config)
    tools.generators.take("tensor", 1 << setup.parts.scheme.log_width)
    codec = TextCodec(tokenizers.Tokenizer(tokenizers.models.BPE()).to_str().encode())
    wordless = Tokenizer(codec.compressed(), codec.sha256)
    published, secrets = publish(setup, tools, {n: taken(w) for n, w in weights.items()}, wordless, counted)
    counted.stage("write")
    files.write(files.Written(out / "public.zkc", published.data))
    stages["model"] = counted.close()
    return prover.Owner(public.parse(published.data), weights, secrets), len(published.data)


def _next(setup: Setup, weights: Mapping[str, torch.Tensor], prompt: tuple[int, ...], device: torch.device) -> int:
    """The model's answer: one forward pass."""
    graph = setup.graph(Sequence((*prompt, 0), len(prompt)))
    publics = passes.publics(graph, device=device)
    run = Run(graph, passes.Moved(weights, device), publics, keep=lambda name: False)
    logits = run.until(graph.logits)[0]
    return int((logits == logits.max()).nonzero()[0])


def _verify(out: Path, cache_dir: Path, counted: Counted) -> list[StageTime]:
    counted.stage("read")
    model = public.load(out / "public.zkc")
    data = files.read(out / "answer.zkp", "proof", files.MAX_PROOF)
    verifier.verify(model, data, verifier.Expected(), cache_dir, counted.stage)
    return counted.close()


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
