"""No commitment at all: tensors cross in clear, and claims are evaluated. For tests, without curve work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from zkcore.commitment.deferred import Pending
from zkcore.commitment.layout import Layout
from zkcore.commitment.scheme import Commitment, Opening, Wanted, one_by_one
from zkcore.errors import UsageError
from zkcore.field.kernels import MODULUS
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.polynomial.point import join
from zkcore.transcript.rounds import weighted
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.wire import SCALAR_BYTES, Rows, Wire

ONE_ROW = 62  # log2 of a row that holds any tensor, padding included
NO_POINTS = np.zeros(0, dtype=np.int64)


class Plain:
    """Every tensor is one row of scalars, its padded cells included: padding is as free here as in Hyrax."""

    name = "plain"
    hides = False

    def __init__(self, log_width: int = ONE_ROW) -> None:
        """`log_width` is the registry's; one row holds all."""
        self.log_width = ONE_ROW

    def commit(
        self, t: Transcript, label: str, shape: tuple[int, ...], make: Callable[[], Array], ternary: bool = False
    ) -> Commitment:
        layout = Layout(shape, self.log_width)

        def scalars() -> list[int]:
            return _scalars(t, layout.rows(t.kernels.space.own(make())))

        numbers = _wire(t).scalars(label, 1 << layout.columns, scalars)
        return Commitment(layout, Rows(NO_POINTS, t.kernels.from_scalars(numbers)))

    def commit_all(self, t: Transcript, wanted: Sequence[Wanted]) -> Iterator[Commitment]:
        return one_by_one(self, t, wanted)

    def adopt(self, t: Transcript, shape: tuple[int, ...], rows: bytes, secret: Rows | None) -> Commitment:
        if t.hiding:
            raise UsageError("the plain scheme hides nothing: clear mode only")
        numbers = [int.from_bytes(rows[i : i + SCALAR_BYTES], "big") for i in range(0, len(rows), SCALAR_BYTES)]
        return Commitment(Layout(shape, self.log_width), Rows(NO_POINTS, t.kernels.from_scalars(numbers)))

    def open(self, t: Transcript, openings: Sequence[Opening]) -> None:
        """No error: every claim is evaluated."""
        for o in openings:
            found = t.kernels.dot(o.commitment.rows.known(t.kernels.space), t.kernels.eq_table(join(o.place)))
            t.require_zero(weighted([(1, o.value), (-1, found)]), "opening")

    def defer(self, t: Transcript, openings: Sequence[Opening]) -> Pending:
        raise UsageError("the plain scheme opens by showing everything: there is nothing to put off")


def _wire(t: Transcript) -> Wire:
    if t.hiding:
        raise UsageError("the plain scheme hides nothing: clear mode only")
    return t.wire()


def _scalars(t: Transcript, rows: Array) -> list[int]:
    if arrays.is_field(rows):
        return t.kernels.to_scalars(rows)
    return [v % MODULUS for v in t.kernels.space.host(rows).reshape(-1).tolist()]
