"""Hyrax: Pedersen commitments to rows, all claims opened by one inner product (Wahby et al. 2018; protocols.md E.3).

For claim t at (a_t, b_t) on a tensor with rows C_{t,i}: fold the rows at the claim's own row point, L_t = sum_i
eq(a_t, i) row_i. One short sumcheck over the columns moves all claims to one point rho:

    sum_t gamma^t v_t = sum_x sum_t gamma^t L_t(x) eq(b_t, x)
    ->  <sum_t w_t L_t, eq(rho)> = final,  w_t = gamma^t eq(b_t, rho)

which is one inner product inside sum_t w_t sum_i eq(a_t, i) C_{t,i}. No evaluation is revealed: `final` is pinned as a
commitment. Tensor rows have generators of their own, apart from the evaluation's: the soundness of the inner product
hangs on it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zkcore.commitment.deferred import Pending, Secret
from zkcore.commitment.layout import Layout
from zkcore.commitment.scheme import Commitment, Opening
from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS, FieldArray, Sumcheck
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.polynomial.point import Point, eq
from zkcore.transcript import inner_product
from zkcore.transcript.rounds import run_rounds, weighted
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.values import Number
from zkcore.transcript.wire import POINT_BYTES, Combination, Rows


@dataclass(frozen=True)
class _Reduced:
    """<vector, eq(point)> = value, for the vector inside the commitment. `secret`: it and its blind."""

    commitment: Combination
    point: Point
    value: Number
    secret: tuple[FieldArray, int] | None


class Hyrax:
    name = "hyrax"

    def __init__(self, log_width: int) -> None:
        self.log_width = log_width

    def commit(
        self, t: Transcript, label: str, shape: tuple[int, ...], make: Callable[[], Array], ternary: bool = False
    ) -> Commitment:
        layout, wire = Layout(shape, self.log_width), t.wire()
        bases = wire.generators.take("tensor", 1 << self.log_width)
        rows = wire.rows(label, bases, len(layout.row_ids), lambda: layout.rows(_compact(make())), ternary)
        return Commitment(layout, rows)

    def adopt(self, t: Transcript, shape: tuple[int, ...], rows: bytes, secret: Rows | None) -> Commitment:
        layout = Layout(shape, self.log_width)
        if len(rows) != len(layout.row_ids) * POINT_BYTES:
            raise ProofRejected("wrong number of commitment rows", f"a tensor of shape {shape}")
        refs = t.wire().adopt(rows)
        return Commitment(layout, replace(secret, refs=refs) if secret else Rows(refs))

    def open(self, t: Transcript, openings: Sequence[Opening]) -> None:
        """Error: (claims - 1 + 2 log width) / r, plus the inner product's."""
        if openings:
            self._inner_product(t, self._reduce(t, openings))

    def defer(self, t: Transcript, openings: Sequence[Opening]) -> Pending:
        """Error: (claims - 1 + 2 log width) / r; what remains is a settlement's."""
        left = self._reduce(t, openings)
        value, value_blind = t.pin(left.value)
        secret = None
        if left.secret:
            vector, blind = left.secret
            secret = Secret(vector, blind, t.kernels.dot(vector, t.kernels.eq_table(left.point)), value_blind)
        return Pending(t.wire(), left.commitment, value, left.point, secret)

    def _reduce(self, t: Transcript, openings: Sequence[Opening]) -> _Reduced:
        """Move all claims to one column point."""
        k, gamma = t.kernels, t.challenge("opening batch")
        powers = [pow(gamma, i, MODULUS) for i in range(len(openings))]
        places = [o.commitment.layout.split(o.place) for o in openings]
        total = weighted([(p, o.value) for p, o in zip(powers, openings, strict=True)])
        folded, prover = [], None
        if t.proving:
            folded = [self._fold(t, o, a) for o, (a, _) in zip(openings, places, strict=True)]
            prover = self._sumcheck(t, powers, folded, [b for _, b in places])
        t.error("opening", len(openings) - 1)
        t.error("opening", 2, self.log_width)
        rho, final = run_rounds(t.message, t.challenge, total, self.log_width, 2, prover)
        weights = [p * eq(b, rho) % MODULUS for p, (_, b) in zip(powers, places, strict=True)]
        scalars = [
            k.eq_table(a, w)[o.commitment.layout.row_ids]
            for (a, _), w, o in zip(places, weights, openings, strict=True)
        ]
        secret = None
        if t.proving:
            vector = k.combine(list(zip(weights, folded, strict=True)), 0, 1 << self.log_width)
            secret = vector, sum(k.dot(_blinds(o), s) for o, s in zip(openings, scalars, strict=True)) % MODULUS
        commitment = Combination([(o.commitment.rows.refs, s) for o, s in zip(openings, scalars, strict=True)])
        return _Reduced(commitment, rho, final, secret)

    def _fold(self, t: Transcript, opening: Opening, row_point: Point) -> FieldArray:
        """[2^log_width, 4]: the rows combined at the claim's row point."""
        layout, rows = opening.commitment.layout, opening.commitment.rows
        if rows.inside is None:
            raise TypeError("the prover must know what it opens")
        k, width = t.kernels, 1 << layout.columns
        fold = k.contract_ternary if rows.ternary else k.contract
        folded = fold(rows.inside, 1, width, k.eq_table(row_point)[layout.row_ids])
        return arrays.pad_to(folded, (1 << self.log_width,))

    def _sumcheck(
        self, t: Transcript, powers: Sequence[int], folded: Sequence[FieldArray], columns: Sequence[Point]
    ) -> Sumcheck:
        """Claims at one column point share an eq table."""
        k, tables, terms = t.kernels, [], []
        groups: dict[Point, list[tuple[int, FieldArray]]] = {}
        for p, f, b in zip(powers, folded, columns, strict=True):
            groups.setdefault(b, []).append((p, f))
        for point, mine in groups.items():
            tables += [k.combine(mine, 0, 1 << self.log_width), k.eq_table(point)]
            terms.append((1, (len(tables) - 2, len(tables) - 1)))
        return k.sumcheck(tables, terms, 2)

    def _inner_product(self, t: Transcript, left: _Reduced) -> None:
        """<vector, eq(point)> = value inside the commitment; the value is pinned, not shown."""
        wire, pin = t.wire(), t.pin(left.value)
        bases = wire.generators.take("tensor", 1 << self.log_width)
        weights = t.kernels.eq_table(left.point)
        instance = inner_product.Instance(bases, wire.message_bases[:1], weights, left.commitment, pin, left.secret)
        inner_product.prove(wire, "opening", instance)


def _blinds(opening: Opening) -> FieldArray:
    if opening.commitment.rows.blinds is None:
        raise TypeError("the prover must know what it opens")
    return opening.commitment.rows.blinds


def _compact(array: Array) -> Array:
    """The narrowest integer type: rows are kept until the opening."""
    if arrays.is_field(array):
        return array
    for dtype in (np.int8, np.int16, np.int32):
        info = np.iinfo(dtype)
        if array.size == 0 or (array.min() >= info.min and array.max() <= info.max):
            return array.astype(dtype)
    return array
