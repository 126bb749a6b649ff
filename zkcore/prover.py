"""Answering a prompt, and proving the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from zkcore import proof as files
from zkcore import public
from zkcore.accumulator import Carried
from zkcore.backward import Driver, Work
from zkcore.errors import FormatError, UsageError
from zkcore.field.unmade import Given
from zkcore.graph import footprint
from zkcore.graph.arrays import Array, taken
from zkcore.graph.model import ModelGraph, Weight
from zkcore.graph.system import System
from zkcore.graph.witness import Tamper, Witness
from zkcore.memory import uncollected
from zkcore.models import passes, trits
from zkcore.models.checkpoint import tensors_digest
from zkcore.models.family import Sequence
from zkcore.progress import Progress, silent
from zkcore.public import PublicFile
from zkcore.resumption import Stages, stored
from zkcore.settlement import Entry
from zkcore.setup import toolbox
from zkcore.statement import COMPLETE, DEFERRED, digest
from zkcore.transcript.channel import ProverChannel
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.wire import Rows, hedge


@dataclass(frozen=True)
class Proof:
    """A proof file's bytes, and what each stage of the driver took. `carried`: what it leaves to a settlement."""

    data: bytes
    header_bytes: int
    work: dict[str, Work]
    carried: Carried | None = None


@dataclass(frozen=True)
class Owner:
    """A commitment directory: the public file and what is behind it."""

    public: PublicFile
    weights: Mapping[str, torch.Tensor]
    secrets: Mapping[str, Rows]

    @staticmethod
    def load(directory: Path) -> Owner:
        """The directory that `commit` made; its public.zkc stands for it."""
        directory = directory.parent if directory.name == public.NAME else directory
        commitment = public.load(directory / public.NAME)
        weights, secrets = _private(commitment, directory / "private" / "weights.safetensors")
        return Owner(commitment, weights, secrets)

    def generate(
        self, prompt: tuple[int, ...], max_new_tokens: int, progress: Callable[[int], None] = lambda count: None
    ) -> Sequence:
        """Continue greedily with the integer model."""
        setup = self.public.setup
        if max_new_tokens < 1:
            raise UsageError("--max-new-tokens must be at least 1")
        _check(self.public, Sequence(prompt, len(prompt)))
        new = passes.generate(
            setup.parts.family,
            setup.architecture,
            setup.quantisation,
            setup.parts.registry,
            self.weights,
            prompt,
            max_new_tokens,
            progress,
        )
        return Sequence(prompt + new, len(prompt))


@uncollected()
def prove(
    owner: Owner,
    sequence: Sequence,
    nonce: bytes,
    cache_dir: Path | None,
    progress: Progress = silent,
    tamper: Tamper | None = None,
    *,
    defer: bool = False,
    stages: Stages = Stages(),  # noqa: B008 - it has no state
) -> Proof:
    """One teacher-forced pass over prompt and output. `tamper`: for attacks on the verifier. `defer`: leave the opening
    to a settlement. `stages`: where finished ones are kept."""
    if not sequence.generated:
        raise UsageError("there is no answer to prove")
    _check(owner.public, sequence)
    setup = owner.public.setup
    tools = toolbox(cache_dir, setup.parts.config)
    progress("forward")
    graph = setup.graph(sequence)
    system = setup.expand(graph)
    opening = DEFERRED if defer else COMPLETE
    statement = owner.public.answer(sequence, system, nonce, opening)
    given_room = footprint.given_room(system, tools.kernels, tools.memory, 1 << setup.parts.scheme.log_width)

    def forward() -> Mapping[str, Given]:
        keep = None if tools.memory is None else committed(system)
        device = torch.device(tools.kernels.space.device)
        return setup.parts.strategy.given(system, passes.witness(graph, owner.weights, progress, device, keep))

    asked = {t.name for t in system.of_kind("committed")} - system.digits.keys()
    made = stages.witness(statement.encode(), asked, forward, wide=tools.memory is None)
    own = setup.arrange(_weights(graph, owner.weights, tools.memory))
    witness = Witness(system, tools.kernels, {**made, **own}, tamper, tools.memory, given_room)
    del made, own  # the witness lets go of what it does not need
    channel = ProverChannel(hedge(owner.secrets.values()) + statement.encode())
    t = Transcript(channel, tools, statement.encode(), hiding=setup.parts.config.zero_knowledge)
    weights = setup.adopt(t, owner.public.rows, owner.secrets)
    driver = setup.parts.driver(weights, progress, defer=defer)
    driver.run(system, t, witness)
    data = files.pack(files.PROOF_MAGIC, header(owner.public, sequence, nonce, opening), [bytes(channel.proof)])
    return Proof(data, len(data) - len(channel.proof), driver.work, _carried(driver, data))


def _carried(driver: Driver, proof: bytes) -> Carried | None:
    if driver.pending is None or driver.pending.secret is None:
        return None
    return Carried(Entry(digest(proof), driver.pending.instance()), driver.pending.secret)


def _weights(graph: ModelGraph, weights: Mapping[str, torch.Tensor], memory: int | None) -> dict[str, Array]:
    """As the witness takes them: ternary ones as they are kept, and all where memory is limited; others wide."""
    ternary = {n for n, w in graph.weights().items() if w.ternary}
    return {n: taken(w if memory is not None or n in ternary else w.long()) for n, w in weights.items()}


def committed(system: System) -> Callable[[str], bool]:
    """Tensors of the forward pass that are committed, whether the system has a layer axis or not: the others are
    derived when they are read."""
    names = {t.name for t in system.of_kind("committed")}
    stacked = {_STACK.sub("", name) for name in names}
    return lambda name: name in names or _STACK.sub("", name) in stacked


def _check(commitment: PublicFile, sequence: Sequence) -> None:
    """Within the model's bounds, as the verifier will ask."""
    a = commitment.setup.architecture
    if not 0 < sequence.prompt_length <= len(sequence.tokens):
        raise UsageError("the prompt is empty")
    if bad := [t for t in sequence.tokens if not 0 <= t < a.vocab_size]:
        raise UsageError(f"token {bad[0]} is not in the vocabulary of {a.vocab_size}")
    if len(sequence.tokens) > a.max_positions:
        raise UsageError(f"{len(sequence.tokens)} tokens exceed the model's {a.max_positions} positions")


def header(commitment: PublicFile, sequence: Sequence, nonce: bytes, opening: str = COMPLETE) -> dict[str, Any]:
    prompt = sequence.tokens[: sequence.prompt_length]
    return files.answer_header(digest(commitment.rows), prompt, sequence.generated, nonce, opening)


def _private(commitment: PublicFile, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Rows]]:
    """Weights and blinds; they must belong to the public file beside them."""
    if not path.exists():
        raise UsageError(f"{path}: the private part of the commitment is missing")
    tensors, belongs = stored(path)
    if belongs.get("public_sha256") != commitment.sha256:
        raise FormatError(f"{path}: it belongs to another public.zkc")
    if belongs.get("tensors_sha256") != tensors_digest({n: v.numpy() for n, v in tensors.items()}):
        raise FormatError(f"{path}: it is damaged")
    specs, setup = commitment.setup.weights(), commitment.setup
    weights = {n: _unpacked(tensors[f"weight {n}"], w, n) for n, w in setup.shortest().weights().items()}
    blinds = {n: tensors[f"blinds {n}"].numpy() for n in specs}
    arranged, secrets = setup.arrange({n: w.numpy() for n, w in weights.items()}), {}
    for name, spec in specs.items():
        secrets[name] = Rows(_NO_REFS, arranged[name].reshape(spec.shape), blinds[name], spec.ternary)
    return weights, secrets


def _unpacked(stored: torch.Tensor, spec: Weight, name: str) -> torch.Tensor:
    """As it was stored, but for ternary weights."""
    if spec.ternary:
        return torch.from_numpy(trits.unpack(stored.numpy(), spec.shape, f"weight {name}"))
    return stored


_STACK = re.compile(r"^layers\.(\d+\.)?")  # before a layer's own name, and a stack's
_NO_REFS = torch.zeros(0, dtype=torch.int64).numpy()
