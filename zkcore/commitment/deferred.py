"""Openings put off: an answer leaves one instance, and one settlement proves the instances of many answers.

    instance k:   <a_k, eq(rho_k)> = v_k    for the a_k inside C_k and the v_k inside V_k = v_k G_0 + beta_k H

C_k is no message: it is the combination of rows (the model's and the answer's own) that the reduction's challenges
select, so whoever checks the answer computes it. V_k is a message row of the answer. A settlement takes each C_k for a
tensor of one row, each V_k for a number that came with its statement, and opens them all.

Soundness. Checking an answer without its inner product reduces its statement to "instance k has a witness". The
settlement is a transcript of its own whose statement names all instances before the first challenge; it is an argument
that each of them has one, whoever made the others: sum_k gamma^k (v_k - <a_k, eq(rho_k)>) vanishes for a random gamma
only if all terms do. Both transcripts read v_k off the same point, whose only representation over G_0..G_7 and H anyone
knows is the committed one; what else is on G_1..G_7 lies in slots that no constraint reads. Error: that of `open`.

Zero knowledge. An answer shows less than before; a settlement shows what a simulator can make from its instances, which
are known to whoever checks the answers: its masks and blinders are its own, and nothing that an answer opened is opened
again. C_k and V_k are hiding and were public already.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zkcore.commitment.scheme import CommitmentScheme, Opening
from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS, FieldArray
from zkcore.polynomial.point import Point
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.wire import POINT_BYTES, SCALAR_BYTES, TENSOR, Combination, Refs, Rows, Wire

_NO_REFS = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Instance:
    """<a, eq(point)> = v for the a inside `commitment` and the v inside `value`: two encoded points."""

    commitment: bytes
    value: bytes
    point: Point

    @staticmethod
    def size(log_width: int) -> int:
        return 2 * POINT_BYTES + log_width * SCALAR_BYTES

    def encode(self) -> bytes:
        return self.commitment + self.value + b"".join(x.to_bytes(SCALAR_BYTES, "big") for x in self.point)

    @staticmethod
    def decode(data: bytes) -> Instance:
        """Of `size` bytes. Points are decoded when a settlement is checked."""
        rest = data[2 * POINT_BYTES :]
        point = tuple(int.from_bytes(rest[i : i + SCALAR_BYTES], "big") for i in range(0, len(rest), SCALAR_BYTES))
        if any(x >= MODULUS for x in point):
            raise ProofRejected("non-canonical scalar", "a settled instance")
        return Instance(data[:POINT_BYTES], data[POINT_BYTES : 2 * POINT_BYTES], point)


@dataclass(frozen=True, repr=False)
class Secret:
    """The prover's part of an instance: a [2^log_width, 4], v, and the blinders of both commitments."""

    vector: FieldArray
    blind: int
    value: int
    value_blind: int

    def rows(self, wire: Wire) -> Rows:
        """The vector as a committed tensor of one row."""
        return Rows(_NO_REFS, self.vector, wire.kernels.from_scalars([self.blind]))


@dataclass(frozen=True)
class Pending:
    """An instance whose points are known once the transcript is finished. `value`: where V is among its points."""

    wire: Wire
    commitment: Combination
    value: Refs
    point: Point
    secret: Secret | None

    def instance(self) -> Instance:
        return Instance(self._commitment(), self.wire.encoding(int(self.value[0])), self.point)

    def _commitment(self) -> bytes:
        wire, secret = self.wire, self.secret
        if secret is None:
            return wire.evaluate(self.commitment)
        rows, bases = secret.rows(wire), wire.generators.take(TENSOR, len(secret.vector))
        if rows.blinds is None:
            raise TypeError("the prover must know what it puts off")
        row = rows.known(wire.kernels.space).reshape(1, -1, 4)
        return wire.kernels.encode(wire.kernels.commit_rows(bases, row, rows.blinds, wire.fixed))


def settle(
    t: Transcript, scheme: CommitmentScheme, instances: Sequence[Instance], secrets: Sequence[Secret] | None = None
) -> None:
    """Both sides: prove that every instance has a witness. The transcript's statement must name them all."""
    known: Sequence[Secret | None] = secrets or [None] * len(instances)
    openings = []
    for instance, secret in zip(instances, known, strict=True):
        value = t.adopt_value(instance.value, (secret.value, secret.value_blind) if secret else None)
        rows = secret.rows(t.wire()) if secret else None
        committed = scheme.adopt(t, (1 << scheme.log_width,), instance.commitment, rows)
        openings.append(Opening(committed, (instance.point,), value))
    scheme.open(t, openings)
    t.finish()
