"""A ternary model so small that a whole proof takes moments."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from zkcore_ternary.family import Ternary
from zkcore_ternary.graph import PROJECTIONS, TernaryArchitecture

from zkcore.graph.arrays import Array
from zkcore.models.family import Sequence
from zkcore.models.quantisation import Quantisation
from zkcore.testing.small_models import SmallLlama

FACTORS = dict.fromkeys(PROJECTIONS, 16)


@dataclass(frozen=True)
class SmallTernary(SmallLlama):
    """`sub_norms`: as BitNet; else as a converted LLaMA."""

    plugins: tuple[str, ...] = ("ternary",)
    sub_norms: bool = False

    @property
    def family(self) -> Ternary:
        return Ternary("ternary", "bitnet" if self.sub_norms else "llama")

    @property
    def architecture(self) -> TernaryArchitecture:
        plain = super().architecture.model_dump()
        activation = "relu2" if self.sub_norms else "silu"
        return TernaryArchitecture(**{**plain, "sub_norms": self.sub_norms, "activation": activation})

    @property
    def quantisation(self) -> Quantisation:
        q = super().quantisation
        factors = {f"{name}_factor": fraction for name, fraction in FACTORS.items()}
        gains = dict.fromkeys(("attention_in_gain", "mlp_in_gain", "o_in_gain", "down_in_gain"), 6)
        scales = {f"{name}_scale": 15 for name in PROJECTIONS}
        activations = {**q.activations, **factors, "o_in": 6, "down_in": 6}
        return q.model_copy(update={"activations": activations, "weights": {"head": 6, **gains, **scales}})

    def weights(self, seed: int = 3) -> dict[str, Array]:
        """Gains near 1, weight scales near 1 / (8 * 127), a third of the ternary weights zero."""
        return dict(self._weights(np.random.default_rng(seed)))

    def _weights(self, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
        for name, w in self.graph(Sequence((0, 0), 1)).weights().items():
            if w.ternary:
                yield name, rng.integers(-1, 2, w.shape, dtype=np.int8)
            elif name.endswith("_gain"):
                yield name, rng.integers(50, 80, w.shape)
            elif name.endswith("_scale"):
                yield name, rng.integers(24, 48, w.shape)
            else:
                spread = 180 if name == "embed" else 18
                yield name, np.clip(np.rint(rng.normal(size=w.shape) * spread), w.lo, w.hi).astype(np.int64)
