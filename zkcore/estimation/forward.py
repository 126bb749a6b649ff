"""What generating an answer and filling in a witness takes: integer forward passes in torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from zkcore.config import Config
from zkcore.estimation.calibration import timed
from zkcore.estimation.shadow import products
from zkcore.estimation.sources import assumed
from zkcore.graph.model import ModelGraph
from zkcore.graph.system import System
from zkcore.models.family import Sequence
from zkcore.setup import Parts, Setup

SMALL = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 64,
    "max_position_embeddings": 64,
}


@dataclass(frozen=True)
class ForwardRates:
    """Seconds: for a node of the graph, for an integer weight that is read, for a multiplication."""

    node: float
    weight: float
    product: float


@dataclass(frozen=True)
class Passes:
    """What the passes of an answer are made of."""

    nodes: int
    weights: int
    products: int
    new_tokens: int

    @staticmethod
    def of(graph: ModelGraph, system: System, sequence: Sequence) -> Passes:
        """Products with public tensors are selections, which a forward pass does by indexing."""
        einsums = [r for r in system.relations if r.kind == "einsum"]
        own = [r for r in einsums if not any(n in system.publics for n, _ in r.reads())]
        return Passes(
            sum(len(stage.nodes) for _, stage in graph.stages()),
            sum(prod(w.shape) for w in graph.weights().values()),
            sum(products(system, r) for r in own),
            len(sequence.generated),
        )

    def forward(self, rates: ForwardRates) -> float:
        return self.nodes * rates.node + self.weights * rates.weight + self.products * rates.product

    def generate(self, rates: ForwardRates) -> float:
        """A pass per token reads every weight; positions are computed once."""
        step = self.nodes * rates.node + self.weights * rates.weight
        return self.new_tokens * step + self.products * rates.product


def calibrate() -> ForwardRates:
    """By generating with a very small model, and by two products of larger matrices."""
    import torch

    from zkcore.ops import exact

    row, square = torch.ones(1, 1024, dtype=torch.int64), torch.ones(1024, 1024, dtype=torch.int16)  # as kept
    block = torch.ones(256, 256, dtype=torch.int64)
    weight = timed(lambda: exact.einsum("im,mo->io", row, square)) / square.numel()
    product = timed(lambda: exact.einsum("im,mo->io", block, block)) / 256**3
    return ForwardRates(_node(), weight, product)


def _node() -> float:
    """Weights of zero leave no interval."""
    import torch

    from zkcore.models import passes

    parts = Parts.of(Config(), "llama")
    architecture = parts.family.architecture({"model_type": "llama", **SMALL})
    setup = Setup(parts, architecture, assumed(parts, architecture))
    graph = setup.shortest()
    weights = {n: torch.zeros(w.shape, dtype=torch.int64) for n, w in graph.weights().items()}
    prompt, steps, nodes = (1,) * 16, 4, sum(len(stage.nodes) for _, stage in graph.stages())

    def work() -> None:
        passes.generate(parts.family, architecture, setup.quantisation, parts.registry, weights, prompt, steps)

    return timed(work) / (steps * nodes)
