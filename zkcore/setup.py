"""What both sides build from a commitment file's header: plugins, graph, scheme, tools. Nothing here reads a proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import prod
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from zkcore import compatibility
from zkcore import config as configuration
from zkcore.backward import Driver
from zkcore.commitment.layout import count_rows
from zkcore.commitment.scheme import Commitment, CommitmentScheme
from zkcore.config import Config
from zkcore.errors import FormatError
from zkcore.field import devices
from zkcore.field.generators import Generators
from zkcore.field.unmade import Given
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.model import ModelGraph, Weight
from zkcore.graph.system import System, fill_trees, freeze
from zkcore.models.family import Architecture, ModelFamily
from zkcore.models.family import Sequence as Tokens
from zkcore.models.quantisation import Quantisation
from zkcore.plugins import build_registry
from zkcore.progress import Progress, silent
from zkcore.registry import Registry
from zkcore.statement import FORMAT_VERSION, ModelStatement
from zkcore.strategy.strategy import Strategy
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.transcript.transcript import Toolbox, Transcript
from zkcore.transcript.wire import POINT_BYTES, Rows

TREE_CELLS, MOST_TREES = 1 << 24, 32  # of the certificate's lookup trees


def toolbox(cache_dir: Path | None, prover: Config | None = None) -> Toolbox:
    """Verifiers compute on the CPU; a prover where its configuration says."""
    chosen = devices.choose(prover.device, prover.memory_limit) if prover else devices.choose("cpu")
    return Toolbox(chosen.kernels, _generators(cast(Any, chosen.kernels), cache_dir), chosen.memory)


def trees(cells: Sequence[int]) -> list[str]:
    """The tree, the first being "", for each of the certificate's lookups: part of the format, and there to bound the
    prover's memory. A tree has up to TREE_CELLS cells, or, of large models, up to the power of two that makes about
    MOST_TREES of them."""
    room = max(TREE_CELLS, 1 << (max(0, sum(cells) - 1) // MOST_TREES).bit_length())
    return [str(tree) if tree else "" for tree in fill_trees(cells, room)]


@cache
def _generators(kernels: Any, cache_dir: Path | None) -> Generators:
    """Computed once a process."""
    return Generators(kernels, cache_dir)


@dataclass(frozen=True)
class Parts:
    """What the configuration chose from the registry."""

    config: Config
    registry: Registry
    family: ModelFamily
    strategy: Strategy
    scheme: CommitmentScheme
    argument: LookupArgument

    @staticmethod
    def of(config: Config, family: str) -> Parts:
        registry = build_registry(config.plugins)
        compatibility.check(config, registry)
        return Parts(
            config,
            registry,
            registry.model_family(_encoded(config, family))(),
            registry.strategy(config.strategy.name)(config.strategy),
            registry.commitment_scheme(config.commitment.name)(config.commitment.width),
            registry.lookup_argument(config.lookup)(),
        )

    def driver(self, weights: Mapping[str, Commitment], progress: Progress = silent, *, defer: bool = False) -> Driver:
        return Driver(self.scheme, self.argument, weights, progress, defer)


def _encoded(config: Config, family: str) -> str:
    """The name under which a family is registered for the configuration's encoding of weights."""
    encoding = config.model.encoding
    return family if encoding == "plain" else f"{encoding} {family}"


@dataclass(frozen=True)
class Setup:
    """A model as its commitment file describes it."""

    parts: Parts
    architecture: Architecture
    quantisation: Quantisation

    def settled(self) -> Setup:
        """With what the configuration leaves to the model's size: a commitment file says it in full."""
        parts, chosen = self.parts, self.parts.config.commitment
        commitment = chosen.settled(sum(prod(w.shape) for w in self.weights().values()))
        config = parts.config.model_copy(update={"commitment": commitment})
        scheme = parts.registry.commitment_scheme(chosen.name)(commitment.width)
        return replace(self, parts=replace(parts, config=config, scheme=scheme))

    def graph(self, sequence: Tokens) -> ModelGraph:
        return self.parts.family.graph(self.architecture, self.quantisation, self.parts.registry, sequence)

    def system(self, sequence: Tokens) -> System:
        return self.expand(self.graph(sequence))

    def expand(self, graph: ModelGraph) -> System:
        parts, bits = self.parts, self.quantisation.bits.table_bits
        return parts.strategy.expand(graph, bits, parts.argument.virtual_outputs)

    def shortest(self) -> ModelGraph:
        """The graph of one token: the weights are the same for every sequence."""
        return self.graph(Tokens((0, 0), 1))

    def weights(self) -> Mapping[str, Weight]:
        """Names, shapes and intervals of the committed tensors."""
        return self.parts.strategy.weights(self.shortest())

    def arrange(self, weights: Mapping[str, Array]) -> Mapping[str, Given]:
        """The model's weights, layer by layer, as the committed tensors."""
        return self.parts.strategy.arrange(self.shortest(), weights)

    def certificate(self) -> System:
        """Every weight lies in its declared interval, to the unit: without that, the overflow analysis has no ground,
        and a ternary weight might be 2."""
        builder, batching = Builder(self.quantisation.bits.table_bits), self.parts.config.strategy
        for name, w in self.weights().items():
            builder.opening = batching.opening(name)
            tensor = builder.weight(name, w.shape, w.lo, w.hi)
            letters = "abcdefgh"[: len(w.shape)]
            builder.within(f"{name}.range", letters, tensor[letters], w.lo, w.hi)
        made = freeze(builder)
        found = trees([prod(made.domain(r)) for r in made.relations])
        grouped = [replace(r, group=tree) for r, tree in zip(made.relations, found, strict=True)]
        return replace(made, relations=tuple(grouped))

    def row_bytes(self) -> int:
        shapes = [w.shape for w in self.weights().values()]
        return POINT_BYTES * count_rows(shapes, self.parts.scheme.log_width)

    def adopt(self, t: Transcript, rows: bytes, secrets: Mapping[str, Rows] | None = None) -> dict[str, Commitment]:
        """The weights' commitments, cut from the commitment file."""
        out, start = {}, 0
        for name, w in self.weights().items():
            size = POINT_BYTES * count_rows([w.shape], self.parts.scheme.log_width)
            secret = secrets[name] if secrets else None
            out[name] = self.parts.scheme.adopt(t, w.shape, rows[start : start + size], secret)
            start += size
        return out

    def header(self) -> dict[str, Any]:
        return {
            "config": self.parts.config.model_dump(mode="json"),
            "plugins": plugin_list(self.parts.registry),
            "architecture": self.architecture.model_dump(mode="json"),
            "quantisation": self.quantisation.model_dump(mode="json"),
        }

    def statement(self, tokenizer_sha256: str, commitment_sha256: str) -> ModelStatement:
        h = self.header()
        return ModelStatement(
            FORMAT_VERSION,
            h["config"],
            tuple((n, v) for n, v in h["plugins"]),
            h["architecture"],
            h["quantisation"],
            tokenizer_sha256,
            commitment_sha256,
        )


def plugin_list(registry: Registry) -> list[list[str]]:
    return [[p.name, p.version] for p in registry.plugins]


def from_header(header: Mapping[str, Any]) -> Setup:
    """Rebuild a setup; the plugins that made the commitment must be here in the same versions."""
    try:
        config = configuration.parse(header["config"], "commitment file")
        family = str(header["architecture"]["family"])
        parts = Parts.of(config, family)
        _same_plugins(header["plugins"], plugin_list(parts.registry))
        quantisation = Quantisation.model_validate({**header["quantisation"]})
        return Setup(parts, parts.family.parse(header["architecture"]), quantisation)
    except (KeyError, TypeError, ValidationError) as e:
        raise FormatError(f"commitment file: its header is malformed: {e}") from None


def _same_plugins(wanted: Sequence[Sequence[str]], here: Sequence[Sequence[str]]) -> None:
    if [list(p) for p in wanted] != [list(p) for p in here]:
        raise FormatError(f"the commitment was made with plugins {wanted}, here are {here}")
