"""What a model family is: from a Hugging Face config and tensors to a graph and its weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from zkcore.config import Listed
from zkcore.graph.model import ModelGraph
from zkcore.graph.op import Op
from zkcore.models.quantisation import Quantisation

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.models.checkpoint import Tensors

Size = Annotated[int, Field(ge=1, le=1 << 24)]


class Architecture(BaseModel):
    """Public shape of a model, for any family: what every statement needs. Families extend it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    family: str
    vocab_size: Size
    layers: Annotated[int, Field(ge=1, le=1 << 12)]
    max_positions: Size
    eos: Annotated[tuple[int, ...], Listed] = ()


@dataclass(frozen=True)
class Sequence:
    """Prompt and generated tokens. Position i reads token i and, from prompt_length - 1 on, is proved to yield token
    i + 1; the last token is read by nobody."""

    tokens: tuple[int, ...]
    prompt_length: int

    @property
    def inputs(self) -> tuple[int, ...]:
        return self.tokens[:-1]

    @property
    def proved(self) -> range:
        """Positions whose successor is proved to be the argmax."""
        return range(self.prompt_length - 1, len(self.tokens) - 1)

    @property
    def generated(self) -> tuple[int, ...]:
        return self.tokens[self.prompt_length :]


@dataclass(frozen=True)
class Tiling:
    """Positions padded to whole tiles; a short sequence is one tile of its own length."""

    tiles: int
    tile: int

    @staticmethod
    def of(length: int, tile: int) -> Tiling:
        return Tiling(1, length) if length <= tile else Tiling(-(-length // tile), tile)

    @property
    def positions(self) -> int:
        return self.tiles * self.tile


class Ops(Protocol):
    """Where a family finds the ops of a slot: the registry."""

    def op(self, slot: str, name: str) -> Callable[..., Op]: ...


class ModelFamily(Protocol):
    @property
    def name(self) -> str: ...

    def architecture(self, config: Mapping[str, Any]) -> Architecture:
        """From config.json. Raises ModelError naming whatever is not supported: nothing is ignored."""
        ...

    def parse(self, data: Mapping[str, Any]) -> Architecture:
        """From a commitment file's header."""
        ...

    def weights(self, architecture: Architecture, tensors: Tensors) -> dict[str, TorchTensor]:
        """Real weights by graph name, in the graph's shapes."""
        ...

    def kind(self, weight: str) -> str | None:
        """Weights of a kind share a scale: a key of Quantisation.weights, or "embedding". None: the scale follows from
        others', as a bias' does."""
        ...

    def fraction(self, weight: str, quantisation: Quantisation) -> int:
        """The fraction bits that a weight is stored with."""
        ...

    def graph(
        self, architecture: Architecture, quantisation: Quantisation, ops: Ops, sequence: Sequence
    ) -> ModelGraph: ...

    def observed(self, architecture: Architecture) -> Mapping[str, str]:
        """Calibration: {node output in prologue, block or epilogue: activation kind}."""
        ...
