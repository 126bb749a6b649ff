"""Weights of a model's true shape, made up: what a proof takes depends on shapes and sizes of numbers alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from zkcore.config import Config
from zkcore.errors import UsageError
from zkcore.estimation.sources import assumed, typical
from zkcore.models.shapes import SHAPES
from zkcore.setup import Parts, Setup

DEVIATION = 0.02  # of the weights, as trained models of these sizes have them
ABSMEAN = math.sqrt(math.pi / 2)  # a normal deviate over its mean magnitude
NARROW = (torch.int8, torch.int16, torch.int32)
SEED = 20240611


@dataclass(frozen=True)
class Shape:
    """`whole`: the model's own number of layers; `setup` has those that are proved."""

    name: str
    setup: Setup
    layers: int
    whole: int

    @staticmethod
    def of(name: str, layers: int | None, config: Config) -> Shape:
        if name.lower() not in SHAPES:
            raise UsageError(f"{name}: none of the known shapes: {', '.join(SHAPES)}")
        raw = SHAPES[name.lower()]
        whole = int(raw["num_hidden_layers"])
        own = whole if layers is None else layers
        if not 1 <= own <= whole:
            raise UsageError(f"--layers {own}: {name} has {whole}")
        parts = Parts.of(config, str(raw["model_type"]))
        architecture = parts.family.architecture({**raw, "num_hidden_layers": own})
        return Shape(name, Setup(parts, architecture, assumed(parts, architecture)).settled(), own, whole)


def weights(setup: Setup, device: torch.device) -> dict[str, torch.Tensor]:
    """Normally distributed, ternary ones as absmean rounds such weights, in the narrowest type; always the same."""
    generator = torch.Generator(device=device).manual_seed(SEED)
    return dict(_made(setup, device, generator))


def _made(setup: Setup, device: torch.device, generator: torch.Generator) -> Iterator[tuple[str, torch.Tensor]]:
    q = setup.quantisation
    for name, spec in setup.shortest().weights().items():
        noise = torch.randn(spec.shape, generator=generator, device=device, dtype=torch.float32)
        if spec.ternary:
            noise.mul_(ABSMEAN)
        else:
            mean = _mean(setup, name)
            noise.mul_(DEVIATION * (mean or 1)).add_(mean).mul_(2.0 ** setup.parts.family.fraction(name, q))
        fits = (t for t in NARROW if torch.iinfo(t).min <= spec.lo and spec.hi <= torch.iinfo(t).max)
        yield name, noise.round_().clamp_(spec.lo, spec.hi).to(next(fits))


def _mean(setup: Setup, name: str) -> float:
    """Of weights that are not spread about zero: gains, and what the family says."""
    kind = setup.parts.family.kind(name) or ""
    largest = typical(setup.parts.family).get(kind, 2.0 if kind.endswith("_gain") else 0.0)
    return largest / 2


def tokens(setup: Setup, count: int) -> tuple[int, ...]:
    """Any will do."""
    generator = torch.Generator().manual_seed(SEED)
    vocabulary = int(setup.architecture.vocab_size)
    return tuple(torch.randint(0, vocabulary, (count,), generator=generator).tolist())


def size(weights: Mapping[str, torch.Tensor]) -> int:
    return sum(w.numel() for w in weights.values())
