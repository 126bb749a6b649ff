"""Forward passes of a whole model: for calibration (real numbers), for witnesses and for generation (integers)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch

from zkcore.errors import UsageError
from zkcore.graph.forward import Run, Store, integers, reals
from zkcore.graph.model import ModelGraph
from zkcore.graph.public import OneHot
from zkcore.models.family import Architecture, ModelFamily, Ops, Sequence
from zkcore.models.quantisation import Quantisation
from zkcore.ops import exact
from zkcore.progress import Progress, layer, silent

Weights = Mapping[str, torch.Tensor]
HOST = torch.device("cpu")
BY_POSITION = ("cos", "sin", "places")  # public tensors that say what depends on a position alone


def publics(graph: ModelGraph, real: bool = False, device: torch.device = HOST) -> Store:
    """The graph's public tensors as a forward pass reads them: position axes flattened, unscaled if `real`."""
    out = {}
    for name, source in graph.publics.items():
        values = _one_hot(source, device) if isinstance(source, OneHot) else torch.from_numpy(source.array()).to(device)
        if real:
            values = values.double() * 2.0**-source.scale_bits
        if name in ("tokens", *BY_POSITION):
            values = values.flatten(0, 1)
        if name == "pick":
            values = values.flatten(1, 2)
        out[name] = values
    return out


def _one_hot(source: OneHot, device: torch.device) -> torch.Tensor:
    """As `array`, made where it is read: of a vocabulary and a long prompt half a gigabyte."""
    index = torch.tensor(source.index, device=device)
    return (index[:, None] == torch.arange(source.width, device=device)).long().reshape(source.shape)


def witness(
    graph: ModelGraph,
    weights: Weights,
    progress: Progress = silent,
    device: torch.device = HOST,
    keep: Callable[[str], bool] | None = None,
) -> Store:
    """Every tensor that ops compute, in integers; or those that `keep` names, in the narrowest ones. Weights are moved
    to the device one at a time."""
    total = graph.layers + 2

    def entered(count: int, scope: str) -> None:
        progress("forward", layer(scope, graph.layers), count, total)

    run = Run(graph, Moved(weights, device), publics(graph, device=device), integers, entered=entered)
    if keep:
        run.keep, run.finish = keep, exact.narrow
    return run.all()


@dataclass(frozen=True)
class Moved(Mapping[str, torch.Tensor]):
    """Weights as a forward pass reads them: on the device."""

    weights: Weights
    device: torch.device

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.weights[name].to(self.device)

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


def observe(
    family: ModelFamily,
    architecture: Architecture,
    bits: Quantisation,
    ops: Ops,
    weights: Weights,
    windows: list[tuple[int, ...]],
) -> dict[str, float]:
    """The largest magnitude of each activation kind over some text, in real numbers."""
    largest: dict[str, float] = defaultdict(float)
    kinds = family.observed(architecture)
    for window in windows:
        graph = family.graph(architecture, bits, ops, Sequence((*window, 0), 1))
        shaped = {n: weights[n].reshape(w.shape) for n, w in graph.weights().items()}
        store = Run(graph, shaped, publics(graph, real=True), reals).all()
        for name, value in store.items():
            kind = kinds.get(_local(name))
            if kind is None:
                continue
            largest[kind] = max(largest[kind], float(value.abs().max()))
            if kind == "hidden":
                rms = float(value.square().mean(-1).sqrt().max())
                largest["hidden_rms"] = max(largest["hidden_rms"], rms)
    return dict(largest)


def _local(name: str) -> str:
    """ "layers.3.q.y" -> "q.y"."""
    return ".".join(name.split(".")[2:]) if name.startswith("layers.") else name


def generate(
    family: ModelFamily,
    architecture: Architecture,
    quantisation: Quantisation,
    ops: Ops,
    weights: Weights,
    prompt: tuple[int, ...],
    max_new_tokens: int,
    progress: Callable[[int], None] = lambda count: None,
) -> tuple[int, ...]:
    """Greedy continuation by the integer model with a KV cache; stops after an end token. Ties go to the lowest id."""
    if len(prompt) + max_new_tokens > architecture.max_positions:
        raise UsageError(
            f"{len(prompt)} prompt tokens and {max_new_tokens} new ones exceed the model's "
            f"{architecture.max_positions} positions; shorten the prompt or --max-new-tokens"
        )
    length = len(prompt) + max_new_tokens
    graph = family.graph(architecture, quantisation, ops, Sequence((*prompt, *(0,) * max_new_tokens), len(prompt)))
    run = Run(graph, weights, {}, integers, cache={}, keep=lambda name: False)
    fixed, tokens, start = publics(graph), list(prompt), 0
    while len(tokens) < length:
        new = torch.tensor(tokens[start:])
        run.publics = _step(fixed, new, start, architecture.vocab_size)
        logits = run.until(graph.logits)[0]
        tokens.append(int((logits == logits.max()).nonzero()[0]))
        start += len(new)
        progress(len(tokens) - len(prompt))
        if tokens[-1] in architecture.eos:
            break
    return tuple(tokens[len(prompt) :])


def _step(fixed: Store, new: torch.Tensor, start: int, vocab: int) -> Store:
    """Public tensors of a step that reads tokens `new` from position `start`, and asks for the last one's logits."""
    count = len(new)
    out = dict(fixed)
    out["tokens"] = torch.nn.functional.one_hot(new, vocab)
    out["pick"] = torch.nn.functional.one_hot(torch.tensor([count - 1]), count)
    for name in BY_POSITION:
        if name in out:
            out[name] = fixed[name][start : start + count]
    return out
