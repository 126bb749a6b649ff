"""A LLaMA so small that a whole proof takes moments, with sizes that are mostly no powers of two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from zkcore.config import AttentionConfig, ModelConfig
from zkcore.field.unmade import whole
from zkcore.graph.arrays import Array
from zkcore.graph.model import ModelGraph
from zkcore.graph.system import System
from zkcore.models import passes
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.family import ModelFamily, Sequence
from zkcore.models.llama import llama
from zkcore.models.quantisation import Quantisation
from zkcore.models.rope import RopeSpec
from zkcore.plugins import build_registry
from zkcore.registry import Registry
from zkcore.strategy.strategy import Strategy

KINDS = ("q", "k", "v", "o", "gate", "up", "down", "head")
FRACTIONS = {"attention_in": 6, "q": 4, "k": 4, "v": 5, "mlp_in": 6, "gate": 5, "act": 5, "mid": 4, "final": 6}


@dataclass(frozen=True)
class SmallLlama:
    """`attention`: the op; `plugins`: those that bring it."""

    layers: int = 2
    heads: int = 4
    kv_heads: int = 4
    head_dim: int = 4
    attention: str = "attention"
    plugins: tuple[str, ...] = ()
    tile: int = 16
    ffn: int = 10
    positions: int = 64

    @property
    def family(self) -> ModelFamily:
        return llama()

    @property
    def registry(self) -> Registry:
        return build_registry(self.plugins)

    @property
    def architecture(self) -> DecoderArchitecture:
        return DecoderArchitecture(
            family="llama",
            vocab_size=23,
            layers=self.layers,
            max_positions=self.positions,
            hidden=12,
            heads=self.heads,
            kv_heads=self.kv_heads,
            head_dim=self.head_dim,
            ffn=self.ffn,
            activation="silu",
            epsilon="1e-05",
            tied=False,
            rope=RopeSpec(),
        )

    @property
    def quantisation(self) -> Quantisation:
        attention = AttentionConfig(name=self.attention, exp_fraction=8, step_bits=4, tile=16)
        bits = ModelConfig(
            weight_bits=8,
            activation_bits=10,
            hidden_bits=14,
            logit_bits=24,
            table_bits=8,
            rope_fraction=8,
            attention=attention,
        )
        return Quantisation(
            bits=bits,
            hidden=8,
            activations=FRACTIONS,
            weights=dict.fromkeys(KINDS, 6),
            norm=20,
            epsilon=2,
            index_bits=8,
            escale=5,
            reciprocal=20,
        )

    def graph(self, sequence: Sequence) -> ModelGraph:
        return self.family.graph(self.architecture, self.quantisation, self.registry, sequence)

    def weights(self, seed: int = 3) -> dict[str, Array]:
        """Layer by layer; the same numbers whatever the attention op's shapes."""
        rng, out = np.random.default_rng(seed), {}
        for name, w in self.graph(Sequence((0, 0), 1)).weights().items():
            scale = 180 if name == "embed" else 18
            out[name] = np.clip(np.rint(rng.normal(size=w.shape) * scale), w.lo, w.hi).astype(np.int64)
        return out

    def answer(self, prompt: tuple[int, ...], count: int = 1) -> Sequence:
        """A greedy continuation."""
        weights = {n: torch.from_numpy(w) for n, w in self.weights().items()}
        new = passes.generate(self.family, self.architecture, self.quantisation, self.registry, weights, prompt, count)
        return Sequence(prompt + new, len(prompt))

    def prepare(
        self, strategy: Strategy, sequence: Sequence, virtual_outputs: bool = True
    ) -> tuple[System, dict[str, Array]]:
        """The system of a strategy, and everything that a prover is given."""
        graph, weights = self.graph(sequence), self.weights()
        system = strategy.expand(graph, self.quantisation.bits.table_bits, virtual_outputs)
        return system, _given(graph, strategy, system, weights)


def _given(graph: ModelGraph, strategy: Strategy, system: System, weights: Mapping[str, Array]) -> dict[str, Array]:
    store = passes.witness(graph, {n: torch.from_numpy(w) for n, w in weights.items()})
    given = {**strategy.given(system, store), **strategy.arrange(graph, weights)}
    return {name: whole(array) for name, array in given.items()}
