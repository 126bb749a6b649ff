"""How far the integer model is from the float model: perplexity and top-1 agreement on held-out text."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zkcore.errors import ModelError
from zkcore.models.family import Sequence
from zkcore.models.passes import Weights, publics
from zkcore.setup import Setup


@dataclass(frozen=True)
class Accuracy:
    """On the same text; perplexities per token."""

    tokens: int
    perplexity_float: float
    perplexity_integer: float
    top1_agreement: float


def by_transformers(model_dir: Path) -> Any:
    """As its loader makes it. A family that it cannot load this way has a `reference(model_dir)` of its own."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(
        model_dir, dtype=torch.float32, local_files_only=True, use_safetensors=True, trust_remote_code=False
    )


def float_logits(
    model_dir: Path, windows: list[tuple[int, ...]], load: Callable[[Path], Any] = by_transformers
) -> list[torch.Tensor]:
    """[tokens, vocab] per window, by transformers itself."""
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = load(model_dir)
    except Exception as e:  # it raises whatever it likes
        raise ModelError(f"transformers cannot load {model_dir}: {e}") from e
    model.eval()
    with torch.no_grad():
        return [model(torch.tensor([w])).logits[0].double() for w in windows]


def integer_logits(setup: Setup, weights: Weights, window: tuple[int, ...]) -> torch.Tensor:
    """[tokens, vocab], scaled back to real numbers."""
    from zkcore.graph.forward import Run

    graph = setup.graph(Sequence((*window, 0), 1))
    logits = Run(graph, weights, publics(graph)).until(graph.logits)
    q = setup.quantisation
    head = q.weights.get("head", q.hidden)
    return logits.double() * 2.0 ** -(q.activations["final"] + head)


def compare(setup: Setup, weights: Weights, model_dir: Path, windows: list[tuple[int, ...]]) -> Accuracy:
    """Both models on the same windows."""
    loss = {"float": 0.0, "integer": 0.0}
    same = count = 0
    load = getattr(setup.parts.family, "reference", by_transformers)
    for window, exact in zip(windows, float_logits(model_dir, windows, load), strict=True):
        ours, target = integer_logits(setup, weights, window), torch.tensor(window[1:])
        for name, logits in (("float", exact), ("integer", ours)):
            loss[name] += float(torch.nn.functional.cross_entropy(logits[:-1], target, reduction="sum"))
        same += int((exact.argmax(-1) == ours.argmax(-1)).sum())
        count += len(window)
    steps = count - len(windows)
    perplexity = {name: math.exp(min(total / steps, 700.0)) for name, total in loss.items()}
    return Accuracy(count, perplexity["float"], perplexity["integer"], same / count)


def windows(tokens: tuple[int, ...], length: int, most: int) -> list[tuple[int, ...]]:
    """Cut text into windows, at most `most` tokens in all; a short rest is dropped."""
    cut = [tokens[i : i + length] for i in range(0, min(len(tokens), most), length)]
    return [w for w in cut if len(w) >= 2]
