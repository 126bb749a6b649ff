"""A family of decoders: how it reads config.json, and where it keeps its weights. Everything else is shared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from zkcore.config import problems_in
from zkcore.errors import ModelError
from zkcore.graph.model import ModelGraph
from zkcore.models import decoder_graph, layout
from zkcore.models.decoder import DecoderArchitecture, checked
from zkcore.models.family import Architecture, Ops, Sequence
from zkcore.models.layout import Layout
from zkcore.models.quantisation import Quantisation

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.models.checkpoint import Tensors


@dataclass(frozen=True)
class Decoder:
    """A ModelFamily."""

    name: str
    read: Callable[[Mapping[str, Any]], DecoderArchitecture]
    layout: Layout

    def architecture(self, config: Mapping[str, Any]) -> DecoderArchitecture:
        return self.read(config)

    def parse(self, data: Mapping[str, Any]) -> DecoderArchitecture:
        try:
            return checked(DecoderArchitecture.model_validate(data))
        except ValidationError as e:
            raise ModelError("\n".join(f"architecture: {p}" for p in problems_in(e))) from None

    def weights(self, architecture: Architecture, tensors: Tensors) -> dict[str, TorchTensor]:
        return layout.weights(_own(architecture), self.layout, tensors)

    def kind(self, weight: str) -> str | None:
        return decoder_graph.kind(weight)

    def fraction(self, weight: str, quantisation: Quantisation) -> int:
        return decoder_graph.weight_fraction(weight, quantisation)

    def observed(self, architecture: Architecture) -> Mapping[str, str]:
        return decoder_graph.observed(_own(architecture))

    def graph(self, architecture: Architecture, quantisation: Quantisation, ops: Ops, sequence: Sequence) -> ModelGraph:
        return decoder_graph.build(_own(architecture), quantisation, ops, sequence)


def _own(architecture: Architecture) -> DecoderArchitecture:
    if not isinstance(architecture, DecoderArchitecture):
        raise ModelError(f"not a decoder's architecture: {architecture.family}")
    return architecture
