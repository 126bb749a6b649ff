"""What an estimate is about: a commitment, a checkpoint, or a well-known model's shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zkcore import public
from zkcore.config import Config
from zkcore.errors import UsageError
from zkcore.models import checkpoint, quantisation
from zkcore.models.family import Architecture, ModelFamily, Sequence
from zkcore.models.quantisation import Quantisation
from zkcore.models.shapes import SHAPES
from zkcore.models.text import TextCodec
from zkcore.setup import Parts, Setup

# Magnitudes of the order that calibration finds in trained models, where nothing was calibrated.
SEEN = {"hidden": 512.0, "hidden_rms": 4.0, "score_spread": 24.0}
OTHERS, WEIGHTS = 16.0, 1.0


@dataclass(frozen=True)
class Source:
    """`assumed`: the scales are not calibrated, so some shift may need one limb more or less. `tokenizer`: bytes."""

    name: str
    setup: Setup
    assumed: bool
    tokenizer: int = 0

    def sequence(self, length: int, new_tokens: int) -> Sequence:
        """Of the longest token numbers: none is known."""
        a = self.setup.architecture
        if not 1 <= new_tokens < length <= a.max_positions:
            raise UsageError(
                f"--seq-len {length} with --new-tokens {new_tokens}: expected 1 <= new tokens < length <= "
                f"{a.max_positions}, the model's positions"
            )
        return Sequence((a.vocab_size - 1,) * length, length - new_tokens)


def find(what: str, config: Config | None, text: str | None) -> Source:
    """`config`: None is a commitment's own, or the defaults. `text`: to calibrate a checkpoint with; None: scales are
    assumed."""
    path = Path(what)
    file = public.place(path)
    alone = path.name == checkpoint.CONFIG
    if file.is_file() and not alone:
        if config is not None:
            raise UsageError(f"{what}: a commitment says how it was made; leave --config out")
        model = public.load(file)
        return Source(what, model.setup, False, len(model.tokenizer))
    config = config or Config()
    if alone:
        return Source(what, _assumed(checkpoint.load_config(path.parent), config), True)
    if path.is_dir():
        return _checkpoint(path, config, text)
    if what.lower() not in SHAPES:
        raise UsageError(f"{what}: no directory, and none of the known shapes: {', '.join(SHAPES)}")
    return Source(what, _assumed(SHAPES[what.lower()], config), True)


def _checkpoint(path: Path, config: Config, text: str | None) -> Source:
    raw = checkpoint.load_config(path)
    codec = TextCodec(checkpoint.tokenizer_file(path))
    size = len(codec.compressed())
    if text is None:
        return Source(str(path), _assumed(raw, config), True, size)
    from zkcore import committer

    parts = Parts.of(config, raw["model_type"])
    architecture = parts.family.architecture(raw)
    real = parts.family.weights(architecture, checkpoint.load_tensors(path))
    windows = committer.windows(config, architecture, codec.encode(text))
    scales = committer.calibrated(parts, architecture, real, windows)
    return Source(str(path), Setup(parts, architecture, scales).settled(), False, size)


def _assumed(raw: Mapping[str, Any], config: Config) -> Setup:
    parts = Parts.of(config, raw["model_type"])
    architecture = parts.family.architecture(raw)
    return Setup(parts, architecture, assumed(parts, architecture)).settled()


def assumed(parts: Parts, architecture: Architecture) -> Quantisation:
    """Scales for a model nobody has calibrated."""
    config, family, own = parts.config, parts.family, typical(parts.family)
    graph = family.graph(architecture, quantisation.to_come(config.model), parts.registry, Sequence((0, 0), 1))
    seen = {**dict.fromkeys(family.observed(architecture).values(), OTHERS), **SEEN, **own}
    weights = {kind: own.get(kind, WEIGHTS) for name in graph.weights() if (kind := family.kind(name))}
    return quantisation.choose(config, architecture, seen, weights)


def typical(family: ModelFamily) -> Mapping[str, float]:
    """A family's own magnitudes, of kinds of weights and of what is observed, if it has an attribute `typical`."""
    found: Mapping[str, float] = getattr(family, "typical", {})
    return found
