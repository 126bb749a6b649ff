"""What a commitment scheme is: additively homomorphic commitments to tensors, with hidden evaluations."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias

from zkcore.claim import Place
from zkcore.commitment.layout import Layout
from zkcore.graph.arrays import Array
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.values import Number
from zkcore.transcript.wire import Rows

if TYPE_CHECKING:
    from zkcore.commitment.deferred import Pending

Settled: TypeAlias = Callable[[Callable[[], list[Array]]], list[Array]]


@dataclass
class Commitment:
    """A committed tensor. On the prover, `rows.inside` is the tensor, of any shape from the real one to the padded;
    or what makes it again."""

    layout: Layout
    rows: Rows


@dataclass(frozen=True, eq=False)
class Opening:
    """The committed tensor's extension takes `value` at `place`."""

    commitment: Commitment
    place: Place
    value: Number


@dataclass(frozen=True)
class Wanted:
    """A tensor that is to be committed. `make` runs on the prover; `ternary`: the entries are declared to be -1, 0
    and 1. `settled`: for making several at once, what is guessed on the way is looked at once (Witness.settled)."""

    label: str
    shape: tuple[int, ...]
    make: Callable[[], Array]
    ternary: bool = False
    settled: Settled = lambda make: make()


class CommitmentScheme(Protocol):
    """Gets the transcript's wire; nobody else does."""

    name: str
    log_width: int

    def commit(
        self, t: Transcript, label: str, shape: tuple[int, ...], make: Callable[[], Array], ternary: bool = False
    ) -> Commitment:
        """Absorbs the commitment. `ternary`: the entries are declared to be -1, 0 and 1."""
        ...

    def commit_all(self, t: Transcript, wanted: Sequence[Wanted]) -> Iterator[Commitment]:
        """As `commit`, in this order and with no challenge in between: a prover may compute several at once."""
        ...

    def adopt(self, t: Transcript, shape: tuple[int, ...], rows: bytes, secret: Rows | None) -> Commitment:
        """A commitment that came with the statement. `secret`: the prover's rows."""
        ...

    def open(self, t: Transcript, openings: Sequence[Opening]) -> None:
        """All claims at once."""
        ...

    def defer(self, t: Transcript, openings: Sequence[Opening]) -> Pending:
        """All claims as one instance, to be settled later (commitment/deferred.py). Raises UsageError if the scheme
        cannot."""
        ...


def one_by_one(scheme: CommitmentScheme, t: Transcript, wanted: Sequence[Wanted]) -> Iterator[Commitment]:
    """`commit_all` of a scheme that gains nothing by knowing what comes next."""
    return (scheme.commit(t, w.label, w.shape, w.make, w.ternary) for w in wanted)
