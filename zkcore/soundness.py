"""The soundness ledger: how likely a false statement passes, term by term, for the shapes that are there.

Every protocol says beside its challenges how many of the r values let something false pass (Transcript.error). A run
without a witness collects that; what follows is addition of exact fractions. Two figures, of which the second counts:

    all        the sum over all challenges: a prover who talks to a verifier that draws them
    worst      the largest single one: with a hash in the verifier's place, a prover may try again at each challenge,
               and Q hash evaluations find a bad one with probability Q * worst at most (round-by-round soundness)

Whatever is bound by commitments is bound as long as nobody knows a relation between the generators, and that is the
weakest link by far.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from zkcore.commitment.deferred import Instance, settle
from zkcore.field import native
from zkcore.field.generators import Generators
from zkcore.field.kernels import MODULUS, Points
from zkcore.graph.system import System
from zkcore.transcript.channel import DryChannel
from zkcore.transcript.transcript import Toolbox, Transcript
from zkcore.transcript.wire import POINT_BYTES, Error

if TYPE_CHECKING:
    from zkcore.setup import Setup

HASHES = 80  # log2 of the hash evaluations that an attacker is granted
BINDING = 120  # bits of the discrete logarithm in G1, as usually quoted: 117 to 126
HASH_BITS = 256  # collisions of SHA-512
BIAS_BITS = 257  # of a challenge: 512 bits mod r

ASSUMPTIONS = (
    "The discrete logarithm in BLS12-381's G1 is hard, and nobody knows a relation between generators that come out of "
    "RFC 9380's hash (no trusted setup).",
    "SHA-512 behaves like a random oracle. The model does not compute it on its own proof.",
    "The prover's random numbers are unpredictable (for hiding, not for soundness).",
    "The verifying program, its plugins and its interpreter do what their sources say.",
)
NOT_PROVED = (
    "that the integer model is the float model: the accuracy beside a commitment is a measurement",
    "where the weights come from, and what they are good for",
    "sampling: generation is greedy",
    "that prompt or answer are secret: both are public",
    "how long it took, or on what machine",
)


@dataclass(frozen=True)
class Term:
    """`challenges` of one kind: `total` of their errors, and the `worst`."""

    name: str
    challenges: int
    total: Fraction
    worst: Fraction


def terms(errors: Iterable[Error]) -> list[Term]:
    """By name, in order of appearance."""
    found: dict[str, list[Error]] = {}
    for e in errors:
        if e.bad and e.times:
            found.setdefault(e.term, []).append(e)
    return [
        Term(
            name,
            sum(e.times for e in own),
            Fraction(sum(e.bad * e.times for e in own), MODULUS),
            Fraction(max(e.bad for e in own), MODULUS),
        )
        for name, own in found.items()
    ]


def together(found: Sequence[Term]) -> Term:
    total = sum((t.total for t in found), Fraction(0))
    return Term("all", sum(t.challenges for t in found), total, max((t.worst for t in found), default=Fraction(0)))


def bits(error: Fraction) -> str:
    """-log2, rounded down to a tenth, by integers alone."""
    if not error:
        return "no error"
    tenths = (error.denominator**10 // error.numerator**10).bit_length() - 1
    return f"{tenths // 10}.{tenths % 10}"


class _NoGenerators(Generators):
    """A run that decides nothing needs none."""

    def take(self, purpose: str, count: int) -> Points:
        return np.zeros((count, 12), dtype=np.uint64)


def errors(setup: Setup, system: System, defer: bool = False) -> list[Error]:
    """Of a proof of this system. `defer`: its opening is left to a settlement."""
    t = _dry(setup)
    driver = setup.parts.driver(setup.adopt(t, bytes(setup.row_bytes())), defer=defer)
    driver.run(system, t, None)
    return t.stated_errors


def _dry(setup: Setup) -> Transcript:
    """A transcript of a run that decides nothing."""
    kernels = native.load()
    tools = Toolbox(kernels, _NoGenerators(kernels))
    return Transcript(DryChannel(), tools, b"", hiding=setup.parts.config.zero_knowledge)


def settlement_errors(setup: Setup, answers: int) -> list[Error]:
    """Of a settlement of so many answers, beside the answers' own."""
    t, scheme = _dry(setup), setup.parts.scheme
    instance = Instance(bytes(POINT_BYTES), bytes(POINT_BYTES), (0,) * scheme.log_width)
    settle(t, scheme, [instance] * answers)
    return t.stated_errors


def ledger(found: Sequence[Error], hiding: bool) -> Mapping[str, object]:
    """For reading: tables by title."""
    rows = terms(found)
    whole = together(rows)
    tried = whole.worst * (1 << HASHES)
    lines = [
        {"term": t.name, "challenges": t.challenges, "bits, all": bits(t.total), "bits, worst one": bits(t.worst)}
        for t in (*rows, whole)
    ]
    strength = {
        f"Fiat-Shamir, 2^{HASHES} hash evaluations": f"{bits(tried)} bits",
        "collisions of the hash": f"{HASH_BITS} bits",
        "commitments are binding": f"about {BINDING} bits (discrete logarithm): the weakest link",
        "hiding": "perfect up to the hash" if hiding else "none: clear mode",
    }
    return {
        "Soundness: chance that a false statement passes, as bits": lines,
        "Strength": strength,
        "Assumptions": list(ASSUMPTIONS),
        "Not proved": list(NOT_PROVED),
    }
