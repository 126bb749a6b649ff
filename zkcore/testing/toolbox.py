"""Proving and verifying a single system, honestly or not.

    system = freeze(builder)
    weights = commit_weights(system, given)
    proof = prove_system(system, given, weights=weights)
    verify_system(system, proof, weights=weights)          # raises ProofRejected

A cheating prover goes on after a violated guard, and re-proves: everything after the lie follows from it.

    attacker = Attacker()
    proof = prove_system(system, given, weights=weights, tamper={"y": plus(1)}, channel=attacker)
    attacker.guards                                        # what an honest prover would have refused
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np

from zkcore.backward import Driver
from zkcore.commitment.hyrax import Hyrax
from zkcore.commitment.plain import Plain
from zkcore.commitment.scheme import Commitment, CommitmentScheme
from zkcore.errors import GraphError, ProofRejected
from zkcore.field import native
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS, Points
from zkcore.field.native_curve import NativeFixedBase
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.graph.witness import Tamper, Witness
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.transcript.channel import Channel, DryChannel, ProverChannel, VerifierChannel
from zkcore.transcript.transcript import Toolbox, Transcript
from zkcore.transcript.values import Number
from zkcore.transcript.wire import Rows

Lie = Callable[[Array, Witness], Array]
Message = Callable[[list[int]], list[int]]


class Remembering(native.NativeKernels):
    """The native engine; the few fixed bases of many small proofs are prepared once."""

    def __init__(self) -> None:
        self._bases: dict[bytes, NativeFixedBase] = {}

    def fixed_base(self, points: Points) -> NativeFixedBase:
        key = points.tobytes()
        if key not in self._bases:
            self._bases[key] = super().fixed_base(points)
        return self._bases[key]


@cache
def tools() -> Toolbox:
    """Generators are computed once a process."""
    kernels = Remembering()
    return Toolbox(kernels, Generators(kernels))


@dataclass(frozen=True)
class Setup:
    """How a system is proved. `ignored`: guards that both sides overlook (clear mode only): a proof that is accepted
    with a guard overlooked and rejected without shows that the guard is what stands in the way."""

    hiding: bool = False
    scheme: CommitmentScheme = Plain()
    argument: LookupArgument = LogupGkr()
    ignored: frozenset[str] = frozenset()

    def overlooking(self, *guards: str) -> Setup:
        return replace(self, ignored=self.ignored | set(guards))


CLEAR = Setup()
HIDING = Setup(hiding=True, scheme=Hyrax(5))


class Attacker(ProverChannel):
    """A prover that does not stop at a violated guard, but remembers it."""

    def __init__(self) -> None:
        super().__init__(b"attacker")
        self.guards: list[str] = []

    def violated(self, guard: str) -> None:
        self.guards.append(guard)


class Judge(Transcript):
    """A transcript that overlooks some guards, and whose prover may lie in messages."""

    def __init__(self, channel: Channel, statement: bytes, setup: Setup, lies: Mapping[str, Message]) -> None:
        super().__init__(channel, tools(), statement, hiding=setup.hiding)
        self._ignored, self._lies = setup.ignored, dict(lies)

    def fill(self, label: str, count: int, make: Callable[[], Sequence[int]]) -> list[int]:
        """The first message of a label is replaced by its lie."""
        honest = super().fill(label, count, make)
        lie = self._lies.pop(label, None)
        return [v % MODULUS for v in lie(honest)] if lie else honest

    def require_zero(self, value: Number, guard: str) -> None:
        if guard not in self._ignored:
            super().require_zero(value, guard)

    def require_product(self, factors: Sequence[Number], result: Number, guard: str) -> None:
        if guard not in self._ignored:
            super().require_product(factors, result, guard)


@dataclass(frozen=True)
class Kept:
    """A weight's commitment: what all know, and what only its owner does."""

    public: bytes
    secret: Rows


Weights = Mapping[str, Kept]
NO_WEIGHTS: Weights = {}


def commit_weights(system: System, given: Mapping[str, Array], setup: Setup = CLEAR) -> Weights:
    """What a model's owner does once. Arrays up to the padded shape are taken as they are."""
    kept = {}
    for tensor in system.of_kind("weight"):
        channel = ProverChannel(b"owner")
        t = Transcript(channel, tools(), b"weights", hiding=setup.hiding)
        made = setup.scheme.commit(t, tensor.name, tensor.shape, partial(np.asarray, given[tensor.name]))
        kept[tensor.name] = Kept(bytes(channel.proof), made.rows)
    return kept


def prove_system(
    system: System,
    given: Mapping[str, Array],
    setup: Setup = CLEAR,
    *,
    weights: Weights = NO_WEIGHTS,
    tamper: Tamper | None = None,
    lies: Mapping[str, Message] | None = None,
    channel: ProverChannel | None = None,
) -> bytes:
    """`given`: weights and whatever ops computed. `tamper`: lies about tensors; `lies`: about messages, by label."""
    channel = channel or ProverChannel(b"prover")
    witness = Witness(system, tools().kernels, given, tamper)
    _run(system, channel, setup, weights, witness, lies or {})
    return bytes(channel.proof)


def verify_system(system: System, proof: bytes, setup: Setup = CLEAR, *, weights: Weights = NO_WEIGHTS) -> None:
    """Returns if the proof is accepted, raises ProofRejected if not."""
    _run(system, VerifierChannel(proof), setup, weights, None, {})


def proof_size(system: System, setup: Setup = CLEAR, *, weights: Weights = NO_WEIGHTS) -> int:
    """By a run without a witness."""
    channel = DryChannel()
    _run(system, channel, setup, weights, None, {})
    return channel.size


def _run(
    system: System,
    channel: Channel,
    setup: Setup,
    weights: Weights,
    witness: Witness | None,
    lies: Mapping[str, Message],
) -> None:
    statement = b"".join([system.describe(), *(weights[n].public for n in sorted(weights))])
    t = Judge(channel, statement, setup, lies)
    Driver(setup.scheme, setup.argument, adopted(t, system, setup, weights)).run(system, t, witness)


def adopted(t: Transcript, system: System, setup: Setup, weights: Weights) -> dict[str, Commitment]:
    """The weights' commitments, as a transcript takes them up."""
    missing = {w.name for w in system.of_kind("weight")} - set(weights)
    if missing:
        raise GraphError(f"weights without a commitment: {sorted(missing)}; see commit_weights")
    return {n: _adopt(t, system, setup, n, k) for n, k in weights.items()}


def _adopt(t: Transcript, system: System, setup: Setup, name: str, kept: Kept) -> Commitment:
    secret = kept.secret if t.proving else None
    return setup.scheme.adopt(t, system.tensors[name].shape, kept.public, secret)


# --- lies -------------------------------------------------------------------------------------------------------
def plus(delta: int, at: int = 0) -> Lie:
    """+delta at one cell, given by its flat index."""

    def lie(array: Array, witness: Witness) -> Array:
        cells = arrays.to_objects(witness.kernels, array)
        cells.flat[at] = int(cells.item(at)) + delta
        return arrays.from_objects(witness.kernels, cells)

    return lie


def become(value: object) -> Lie:
    """Another array in its place."""
    return lambda array, witness: np.asarray(value)


def without(system: System, *names: str) -> System:
    """The system less some relations. A relation that defines a tensor cannot be left out: overlook its guard."""
    known = {r.name: r for r in system.relations}
    for n in names:
        if n not in known or known[n].outs:
            raise GraphError(f"{n}: no relation of this name, or one that defines a tensor")
    return replace(system, relations=tuple(r for r in system.relations if r.name not in names))


def rejection(system: System, proof: bytes, setup: Setup = CLEAR, *, weights: Weights = NO_WEIGHTS) -> str:
    """The reason why a proof is rejected; empty if it is accepted."""
    try:
        verify_system(system, proof, setup, weights=weights)
    except ProofRejected as e:
        return e.reason
    return ""
