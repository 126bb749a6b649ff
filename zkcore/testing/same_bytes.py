"""One proof on different engines. With the same blinding randomness the bytes must be the same."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from zkcore.backward import Driver
from zkcore.commitment.hyrax import Hyrax
from zkcore.commitment.layout import count_rows
from zkcore.commitment.scheme import Commitment
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS, Kernels
from zkcore.field.unmade import Given, read
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.transcript.channel import Channel, ProverChannel, VerifierChannel
from zkcore.transcript.transcript import Toolbox, Transcript
from zkcore.transcript.wire import POINT_BYTES, Rows


class Predictable(ProverChannel):
    """Blinders that anyone can compute: for comparing proofs, and for nothing else."""

    def __init__(self) -> None:
        super().__init__(b"")
        self._count = 0

    def blinders(self, count: int) -> list[int]:
        out = []
        for _ in range(count):
            self._count += 1
            seed = self._count.to_bytes(8, "big") + hashlib.sha512(bytes(self.proof)).digest()
            out.append(int.from_bytes(hashlib.sha512(seed).digest(), "big") % MODULUS)
        return out


def prove(
    kernels: Kernels,
    system: System,
    given: Mapping[str, Given],
    argument: LookupArgument,
    log_width: int = 5,
    memory: int | None = None,
) -> tuple[bytes, bytes]:
    """The weights' rows and the proof, in zero knowledge, as these kernels make them. `memory`: the witness's."""
    tools, scheme = Toolbox(kernels, Generators(kernels)), Hyrax(log_width)
    owner, kept = Predictable(), dict[str, Rows]()
    committing = Transcript(owner, tools, b"weights")
    for tensor in system.of_kind("weight"):
        held = given[tensor.name]
        made = scheme.commit(committing, tensor.name, tensor.shape, partial(read, held, kernels.space))
        kept[tensor.name] = replace(made.rows, inside=held)
    rows, channel = bytes(owner.proof), Predictable()
    _run(channel, tools, system, argument, scheme, (rows, kept), Witness(system, kernels, given, memory=memory))
    return rows, bytes(channel.proof)


def verify(
    kernels: Kernels, system: System, made: tuple[bytes, bytes], argument: LookupArgument, log_width: int = 5
) -> None:
    """Raises ProofRejected."""
    tools = Toolbox(kernels, Generators(kernels))
    _run(VerifierChannel(made[1]), tools, system, argument, Hyrax(log_width), (made[0], {}), None)


def _run(
    channel: Channel,
    tools: Toolbox,
    system: System,
    argument: LookupArgument,
    scheme: Hyrax,
    weights: tuple[bytes, Mapping[str, Rows]],
    witness: Witness | None,
) -> None:
    t = Transcript(channel, tools, system.describe())
    (rows, kept), start, adopted = weights, 0, dict[str, Commitment]()
    for tensor in system.of_kind("weight"):
        size = POINT_BYTES * count_rows([tensor.shape], scheme.log_width)
        adopted[tensor.name] = scheme.adopt(t, tensor.shape, rows[start : start + size], kept.get(tensor.name))
        start += size
    Driver(scheme, argument, adopted).run(system, t, witness)
