"""Ternary models: BitNet b1.58 as transformers keeps it, and LLaMA converted by absmean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ValidationError

from zkcore.config import problems_in
from zkcore.errors import ModelError
from zkcore.graph.model import ModelGraph
from zkcore.models.config_json import Read, Rules, read, validated
from zkcore.models.decoder import checked
from zkcore.models.family import Architecture, Ops, Sequence
from zkcore.models.quantisation import Quantisation
from zkcore_ternary import graph
from zkcore_ternary.graph import TernaryArchitecture

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.models.checkpoint import Tensors

RULES = {
    "llama": Rules("llama"),
    "bitnet": Rules(
        "bitnet",
        absent={"hidden_act": "relu2", "rms_norm_eps": 1e-5, "rope_theta": 500000.0},
        harmless=("quantization_config",),
    ),
}


class _Packing(Read):
    """transformers' BitNetQuantConfig."""

    quant_method: Literal["bitnet"] = "bitnet"
    linear_class: Literal["bitlinear", "autobitlinear"] = "bitlinear"
    quantization_mode: Literal["offline", "online"] = "offline"
    use_rms_norm: Literal[False] = False
    modules_to_not_convert: list[Literal["lm_head"]] | None = None


@dataclass(frozen=True)
class Ternary:
    """A ModelFamily. `encoding`: "ternary" if the checkpoint's weights are so, "absmean" if they are to be made so."""

    encoding: Literal["ternary", "absmean"]
    name: str

    typical: ClassVar[Mapping[str, float]] = graph.TYPICAL

    def architecture(self, config: Mapping[str, Any]) -> TernaryArchitecture:
        found = read(config, RULES[self.name])
        stored = self._stored(config.get("quantization_config"))
        return self.parse({**found.model_dump(), "sub_norms": self.name == "bitnet", "stored": stored})

    def _stored(self, packing: object) -> str:
        if packing is None:
            return "scaled" if self.encoding == "ternary" else "absmean"
        p = validated(_Packing, {"": None, **packing} if isinstance(packing, dict) else {"quant_method": packing}, [])
        if (p.quantization_mode == "online") != (self.encoding == "absmean"):
            kept = "floats, quantised while the model runs" if self.encoding == "ternary" else "ternary already"
            other = "absmean" if self.encoding == "ternary" else "ternary"
            raise ModelError(
                f"config.json: with quantization_mode {p.quantization_mode!r} the weights are {kept}: "
                f"choose model.encoding: {other}"
            )
        if p.quantization_mode == "online":
            return "absmean"
        return "packed" if p.linear_class == "autobitlinear" else "packed_inverse"

    def parse(self, data: Mapping[str, Any]) -> TernaryArchitecture:
        try:
            found = TernaryArchitecture.model_validate(data)
        except ValidationError as e:
            raise ModelError("\n".join(f"architecture: {p}" for p in problems_in(e))) from None
        checked(found)
        return found

    def weights(self, architecture: Architecture, tensors: Tensors) -> dict[str, TorchTensor]:
        from zkcore_ternary import checkpoint

        return checkpoint.weights(_own(architecture), tensors)

    def kind(self, weight: str) -> str | None:
        return graph.kind(weight)

    def fraction(self, weight: str, quantisation: Quantisation) -> int:
        return graph.fraction(weight, quantisation)

    def observed(self, architecture: Architecture) -> Mapping[str, str]:
        return graph.observed(_own(architecture))

    def graph(self, architecture: Architecture, quantisation: Quantisation, ops: Ops, sequence: Sequence) -> ModelGraph:
        return graph.build(_own(architecture), quantisation, ops, sequence)

    def reference(self, model_dir: Path) -> Any:
        """transformers' own model, for measuring how far the integer model is from it."""
        from zkcore_ternary.reference import load

        return load(model_dir)


def _own(architecture: Architecture) -> TernaryArchitecture:
    if not isinstance(architecture, TernaryArchitecture):
        raise ModelError(f"not a ternary architecture: {architecture.family}")
    return architecture
