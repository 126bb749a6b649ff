"""Committing to a checkpoint, once: calibrate, quantise, commit, prove the weights' ranges, compare with the floats."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from numpy.typing import NDArray
from safetensors.numpy import save

from zkcore import evaluation
from zkcore import proof as files
from zkcore.commitment.scheme import Wanted
from zkcore.config import Config
from zkcore.errors import ModelError, UsageError
from zkcore.field.kernels import MODULUS, Kernels
from zkcore.field.space import narrow
from zkcore.field.unmade import Given, read
from zkcore.graph import footprint
from zkcore.graph.arrays import Array, taken
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.models import checkpoint, passes, quantisation, trits
from zkcore.models.family import Architecture
from zkcore.models.text import TextCodec
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import split, total_vars
from zkcore.progress import Progress, silent, within
from zkcore.public import NAME
from zkcore.setup import Parts, Setup, toolbox
from zkcore.statement import ModelStatement, digest
from zkcore.transcript.channel import ProverChannel
from zkcore.transcript.transcript import Toolbox, Transcript
from zkcore.transcript.wire import Rows, hedge

PUBLIC, PRIVATE, REPORT = NAME, "private/weights.safetensors", "accuracy.json"


class Stages(Protocol):
    def stage(self, name: str, detail: str = "", done: int = 0, total: int = 0, /) -> None: ...


@dataclass(frozen=True)
class Committed:
    parameters: int
    commitment_bytes: int
    accuracy: evaluation.Accuracy
    sections: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Tokenizer:
    """Compressed, with the digest of what it unpacks to."""

    packed: bytes
    sha256: str


@dataclass(frozen=True)
class Published:
    """A public file, and the bytes of its sections."""

    data: bytes
    sections: tuple[tuple[str, int], ...]


def check_place(out: Path, overwrite: bool) -> None:
    """May a commitment be written there? Losing a private part is losing the commitment."""
    there = [name for name in (PUBLIC, PRIVATE) if (out / name).exists()]
    if there and not overwrite:
        raise UsageError(
            f"{out}: there is a commitment already ({' and '.join(there)}). Without its private part nothing can be "
            "proved under it any more: give another directory with --out, or say --overwrite"
        )
    files.check_writable(*(out / name for name in (PUBLIC, PRIVATE, REPORT)))


def commit(
    model_dir: Path, config: Config, out: Path, texts: tuple[str, str], cache_dir: Path | None, report: Stages
) -> Committed:
    """Write `out`/public.zkc and `out`/private. `texts`: for calibration, and held out."""
    report.stage("load")
    raw = checkpoint.load_config(model_dir)
    parts = Parts.of(config, raw["model_type"])
    architecture = parts.family.architecture(raw)
    codec = TextCodec(checkpoint.tokenizer_file(model_dir))
    real = parts.family.weights(architecture, checkpoint.load_tensors(model_dir))
    report.stage("calibrate")
    calibration, held_out = (windows(config, architecture, codec.encode(text)) for text in texts)
    setup = Setup(parts, architecture, calibrated(parts, architecture, real, calibration)).settled()
    weights = quantised(setup, real)
    tools = toolbox(cache_dir, config)
    tokenizer = Tokenizer(codec.compressed(), codec.sha256)
    published, secrets = publish(setup, tools, {n: taken(w) for n, w in weights.items()}, tokenizer, report)
    report.stage("compare")
    accuracy = evaluation.compare(setup, weights, model_dir, held_out)
    _write(out, published.data, _kept(setup, weights), secrets, accuracy)
    parameters = sum(w.numel() for w in weights.values())
    return Committed(parameters, len(published.data), accuracy, published.sections)


def publish(
    setup: Setup, tools: Toolbox, weights: Mapping[str, Array], tokenizer: Tokenizer, report: Stages
) -> tuple[Published, dict[str, Rows]]:
    """The public file of a model, and what is behind its rows. `weights`: layer by layer."""
    report.stage("commit")
    _room(setup, setup.certificate(), tools)  # a limit that cannot be kept is refused before the work
    arranged = setup.arrange(weights)
    rows, secrets = _rows(setup, tools, arranged)
    statement = setup.statement(tokenizer.sha256, digest(rows))
    report.stage("range proof")
    certificate = _certificate(setup, tools, statement, rows, secrets, arranged, within(report.stage, "range proof"))
    header = {**setup.header(), "tokenizer": [len(tokenizer.packed), tokenizer.sha256], "rows_sha256": digest(rows)}
    data = files.pack(files.COMMITMENT_MAGIC, header, [tokenizer.packed, rows, certificate])
    parts = (("tokenizer", len(tokenizer.packed)), ("rows", len(rows)), ("range proof", len(certificate)))
    return Published(data, parts), secrets


def windows(config: Config, architecture: Architecture, tokens: tuple[int, ...]) -> list[tuple[int, ...]]:
    """A text in pieces that the model can read."""
    if architecture.max_positions < 2:
        raise ModelError("config.json: max_position_embeddings must be at least 2")
    if max(tokens) >= architecture.vocab_size:
        raise ModelError(f"the tokenizer yields token {max(tokens)}, the vocabulary has {architecture.vocab_size}")
    length = min(config.calibration.window, architecture.max_positions)
    cut = evaluation.windows(tokens, length, config.calibration.tokens)
    if not cut:
        raise UsageError("the calibration or the held-out text is too short: give at least a paragraph")
    return cut


def calibrated(
    parts: Parts, architecture: Architecture, real: Mapping[str, torch.Tensor], texts: list[tuple[int, ...]]
) -> quantisation.Quantisation:
    c = parts.config
    doubles = {n: w.double() for n, w in real.items()}
    to_come = quantisation.to_come(c.model)
    seen = passes.observe(parts.family, architecture, to_come, parts.registry, doubles, texts)
    if bad := sorted(kind for kind, value in seen.items() if not math.isfinite(value)):
        raise ModelError(f"on the calibration text, {', '.join(bad)} overflow even in floating point")
    largest: dict[str, float] = {}
    for name, w in real.items():
        if kind := parts.family.kind(name):
            largest[kind] = max(largest.get(kind, 0.0), float(w.abs().max()))
    return quantisation.choose(c, architecture, seen, largest)


def quantised(setup: Setup, real: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    q, out = setup.quantisation, {}
    for name, spec in setup.shortest().weights().items():
        scale = setup.parts.family.fraction(name, q)
        value = torch.floor(real[name].double().reshape(spec.shape) * 2.0**scale + 0.5).long()
        if int(value.min()) < spec.lo or int(value.max()) > spec.hi:
            raise ModelError(f"weight {name} leaves its interval [{spec.lo}, {spec.hi}]; raise model.weight_bits")
        out[name] = (value.to(torch.int8) if spec.ternary else value).contiguous()
    return out


def _rows(setup: Setup, tools: Toolbox, weights: Mapping[str, Given]) -> tuple[bytes, dict[str, Rows]]:
    """The weights' commitment rows as bytes, and what is inside them."""
    channel = ProverChannel(_fingerprint(tools.kernels, weights))
    t = Transcript(channel, tools, b"weights")
    specs, secrets, here = setup.weights(), {}, tools.kernels.space
    wanted = [Wanted(n, spec.shape, partial(read, weights[n], here), spec.ternary) for n, spec in specs.items()]
    for name, made in zip(specs, setup.parts.scheme.commit_all(t, wanted), strict=True):
        if made.rows.blinds is not None:
            blinds = here.host(made.rows.blinds)
            secrets[name] = replace(made.rows, inside=weights[name], blinds=blinds)
    return bytes(channel.proof), secrets


def _certificate(
    setup: Setup,
    tools: Toolbox,
    statement: ModelStatement,
    rows: bytes,
    secrets: Mapping[str, Rows],
    weights: Mapping[str, Given],
    progress: Progress = silent,
) -> bytes:
    channel = ProverChannel(hedge(secrets.values()) + statement.encode())
    t = Transcript(channel, tools, statement.ranges(), hiding=setup.parts.config.zero_knowledge)
    system = setup.certificate()
    witness = Witness(system, tools.kernels, weights, memory=tools.memory, given_room=_room(setup, system, tools))
    setup.parts.driver(setup.adopt(t, rows, secrets), progress).run(system, t, witness)
    return bytes(channel.proof)


def _room(setup: Setup, system: System, tools: Toolbox) -> int | None:
    return footprint.given_room(system, tools.kernels, tools.memory, 1 << setup.parts.scheme.log_width)


def _fingerprint(kernels: Kernels, weights: Mapping[str, Given]) -> bytes:
    """Every weight tensor's value at a fixed point of its extension: whatever differs shows, and nothing is copied."""
    out = []
    for name, given in weights.items():
        held = read(given, kernels.space)
        seeds = (hashlib.sha512(f"{name} {i}".encode()).digest() for i in range(total_vars(held.shape)))
        point = [int.from_bytes(seed, "big") % MODULUS for seed in seeds]
        out.append(multilinear.evaluate(kernels, held, split(point, held.shape)).to_bytes(32, "big"))
    return hashlib.sha512(b"".join(out)).digest()


def _kept(setup: Setup, weights: Mapping[str, torch.Tensor]) -> dict[str, NDArray[Any]]:
    """As they lie on disk."""
    specs = setup.shortest().weights()
    return {n: trits.pack(w.numpy()) if specs[n].ternary else narrow(w.numpy()) for n, w in weights.items()}


def _write(
    out: Path,
    public: bytes,
    weights: Mapping[str, NDArray[Any]],
    secrets: Mapping[str, Rows],
    accuracy: evaluation.Accuracy,
) -> None:
    tensors = {f"weight {n}": w for n, w in weights.items()}
    for name, rows in secrets.items():
        if rows.blinds is not None:
            tensors[f"blinds {name}"] = rows.blinds
    belongs = {"public_sha256": digest(public), "tensors_sha256": checkpoint.tensors_digest(tensors)}
    files.write(
        files.Written(out / PRIVATE, save(tensors, belongs), private=True),
        files.Written(out / REPORT, json.dumps(asdict(accuracy), indent=2).encode()),
        files.Written(out / PUBLIC, public),
    )
