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

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zkcore.commitment import columns
from zkcore.commitment.deferred import Pending, Secret
from zkcore.commitment.layout import Layout
from zkcore.commitment.scheme import Commitment, Opening, Wanted, one_by_one
from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS, FieldArray, Kernels, Sumcheck, SumsRows
from zkcore.field.space import narrow
from zkcore.field.unmade import Again
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.polynomial import univariate
from zkcore.polynomial.point import Point, eq
from zkcore.transcript import inner_product
from zkcore.transcript.rounds import weighted
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.values import Number
from zkcore.transcript.wire import MESSAGE, POINT_BYTES, TENSOR, Combination, Rows

AT_ONCE = 16  # folded tensors that are held at a time
POINTS = 512  # column points of one sumcheck: each is two vectors as wide as a row


@dataclass(frozen=True)
class _Reduced:
    """<vector, eq(point)> = value, for the vector inside the commitment. `secret`: it and its blind."""

    commitment: Combination
    point: Point
    value: Number
    secret: tuple[FieldArray, int] | None


@dataclass(frozen=True)
class _Placed:
    """An opening, and the points of rows and of their columns (the point's end) that its place comes to."""

    opening: Opening
    rows: Point
    ends: Point


class Hyrax:
    name = "hyrax"

    def __init__(self, log_width: int) -> None:
        self.log_width = log_width

    def commit(
        self, t: Transcript, label: str, shape: tuple[int, ...], make: Callable[[], Array], ternary: bool = False
    ) -> Commitment:
        inside = narrow(t.kernels.space.own(make())) if t.proving else None
        return self._commit(t, label, Layout(shape, self.log_width), inside, ternary)

    def _commit(self, t: Transcript, label: str, layout: Layout, inside: Array | None, ternary: bool) -> Commitment:
        wire = t.wire()
        bases = wire.generators.take(TENSOR, 1 << self.log_width)
        rows = wire.rows(label, bases, len(layout.row_ids), lambda: layout.rows(_known(inside)), ternary)
        return Commitment(layout, replace(rows, inside=inside))

    def commit_all(self, t: Transcript, wanted: Sequence[Wanted]) -> Iterator[Commitment]:
        """What is committed is asked for again when it is opened, rather than kept."""
        if not t.proving:
            yield from one_by_one(self, t, wanted)
        elif not isinstance(t.kernels, SumsRows):
            for w, made in zip(wanted, one_by_one(self, t, wanted), strict=True):
                yield _asking(made, w)
        else:
            for some in self._batches(wanted, t.kernels.entries_together):
                for w, made in zip(some, self._commit_batch(t, t.kernels, some), strict=True):
                    yield _asking(made, w)

    def _batches(self, wanted: Sequence[Wanted], entries: int) -> Iterator[list[Wanted]]:
        batch: list[Wanted] = []
        left = entries
        for w in wanted:
            layout = Layout(w.shape, self.log_width)
            size = len(layout.row_ids) << layout.columns
            if batch and size > left:
                yield batch
                batch, left = [], entries
            batch.append(w)
            left -= size
        if batch:
            yield batch

    def _commit_batch(self, t: Transcript, kernels: SumsRows, wanted: Sequence[Wanted]) -> Iterator[Commitment]:
        """Integers are summed up together. The order of blinds and points on the wire is that of `commit`. Blinds go to
        a device together, too."""
        wire, own = t.wire(), t.kernels.space.own
        insides = wanted[0].settled(lambda: [narrow(own(w.make())) for w in wanted])
        layouts = [Layout(w.shape, self.log_width) for w in wanted]
        chosen = [i for i, w in enumerate(wanted) if not w.ternary and not arrays.is_field(insides[i])]
        bases = wire.generators.take(TENSOR, 1 << self.log_width)
        sums = dict(zip(chosen, kernels.sum_rows(bases, [layouts[i].rows(insides[i]) for i in chosen]), strict=True))
        made, drawn = list[Commitment](), list[int]()
        for i, (w, inside, layout) in enumerate(zip(wanted, insides, layouts, strict=True)):
            if i in sums:
                refs, blinds = wire.summed_rows(w.label, kernels, sums[i])
                made.append(Commitment(layout, Rows(refs)))
                drawn += blinds
            else:
                made.append(self._commit(t, w.label, layout, inside, w.ternary))
        laid, start = t.kernels.from_scalars(drawn), 0
        for i in chosen:
            rows = made[i].rows
            rows.blinds = laid[start : start + len(rows.refs)]
            start += len(rows.refs)
        yield from made

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
        """Move all claims to one column point: in parts, if the prover could not hold the folded rows of all."""
        placed = [_Placed(o, *o.commitment.layout.split(o.place)) for o in openings]
        parts = [self._reduce_part(t, part) for part in _parts(placed)]
        return parts[0] if len(parts) == 1 else self._join(t, parts)

    def _reduce_part(self, t: Transcript, placed: Sequence[_Placed]) -> _Reduced:
        k, gamma = t.kernels, t.challenge("opening batch")
        powers, openings = univariate.powers(gamma, len(placed)), [p.opening for p in placed]
        folded = self._fold_groups(t, placed, powers) if t.proving else {}
        rho, final = self._move(t, powers, [o.value for o in openings], folded)
        at = {b: eq(b, rho) for b in dict.fromkeys(p.ends for p in placed)}
        weights = [power * at[p.ends] % MODULUS for power, p in zip(powers, placed, strict=True)]
        scalars = _row_weights(k, placed, weights)
        secret = None
        if t.proving:
            vector = columns.weigh(k, folded, at, 1 << self.log_width)
            secret = vector, k.dot(k.space.concatenate([k.space.own(_blinds(o)) for o in openings]), scalars)
        refs = np.concatenate([o.commitment.rows.refs for o in openings])
        return _Reduced(Combination([(refs, scalars)]), rho, final, secret)

    def _join(self, t: Transcript, parts: Sequence[_Reduced]) -> _Reduced:
        """What is left of the parts are claims on vectors inside known combinations: once more the same."""
        k, gamma, size = t.kernels, t.challenge("opening batch"), 1 << self.log_width
        powers = univariate.powers(gamma, len(parts))
        secrets = [p.secret for p in parts if p.secret is not None]
        folded: dict[Point, FieldArray] = {}
        for p, c in zip(powers, parts, strict=True):
            if c.secret:
                before = [(1, folded[c.point])] if c.point in folded else []
                folded[c.point] = k.combine([*before, (p, c.secret[0])], 0, size)
        rho, final = self._move(t, powers, [c.value for c in parts], folded)
        weights = [p * eq(c.point, rho) % MODULUS for p, c in zip(powers, parts, strict=True)]
        received = [
            (refs, k.combine([(w, scalars)], 0, len(scalars)))
            for w, c in zip(weights, parts, strict=True)
            for refs, scalars in c.commitment.received
        ]
        secret = None
        if t.proving:
            vector = k.combine(list(zip(weights, (v for v, _ in secrets), strict=True)), 0, size)
            secret = vector, sum(w * blind for w, (_, blind) in zip(weights, secrets, strict=True)) % MODULUS
        return _Reduced(Combination(received), rho, final, secret)

    def _move(
        self, t: Transcript, powers: Sequence[int], values: Sequence[Number], folded: Mapping[Point, FieldArray]
    ) -> tuple[Point, Number]:
        """The rounds that move sum of power * value to one point."""
        t.error("opening", len(values) - 1)
        t.error("opening", 2, self.log_width)
        total = weighted(list(zip(powers, values, strict=True)))
        return t.rounds(total, self.log_width, 2, _sumcheck(t.kernels, folded))

    def _fold_groups(
        self, t: Transcript, placed: Sequence[_Placed], powers: Sequence[int]
    ) -> Mapping[Point, FieldArray]:
        """By column point: the sum of power * (the rows combined at the claim's row point), [2^log_width, 4]."""
        groups: dict[Point, list[tuple[int, Opening, Point]]] = {}
        for power, p in zip(powers, placed, strict=True):
            groups.setdefault(p.ends, []).append((power, p.opening, p.rows))
        return columns.vectors(t.kernels, list(groups), lambda end: self._fold_group(t.kernels, groups[end]))

    def _fold_group(self, k: Kernels, claims: Sequence[tuple[int, Opening, Point]]) -> FieldArray:
        """A few at a time: folded rows are large."""
        size, total = 1 << self.log_width, list[tuple[int, FieldArray]]()
        for start in range(0, len(claims), AT_ONCE):
            some = [(p, self._fold(k, o, a)) for p, o, a in claims[start : start + AT_ONCE]]
            total = [(1, k.combine(total + some, 0, size))]
        return total[0][1]

    def _fold(self, k: Kernels, opening: Opening, row_point: Point) -> FieldArray:
        """[2^log_width, 4]: the rows combined at the claim's row point."""
        rows = opening.commitment.rows
        inside = narrow(rows.known(k.space))
        folded = opening.commitment.layout.fold(k, inside, row_point, rows.ternary)
        return arrays.pad_to(folded, (1 << self.log_width,))

    def _inner_product(self, t: Transcript, left: _Reduced) -> None:
        """<vector, eq(point)> = value inside the commitment; the value is pinned, not shown."""
        wire, pin = t.wire(), t.pin(left.value)
        bases, weights = ((TENSOR, 1 << self.log_width),), t.kernels.eq_table(left.point)
        instance = inner_product.Instance(bases, MESSAGE, weights, left.commitment, pin, left.secret)
        inner_product.prove(wire, "opening", instance)


def _row_weights(k: Kernels, placed: Sequence[_Placed], weights: Sequence[int]) -> FieldArray:
    """weight * eq(row point, row), for the committed rows of all claims, one after the other. Many claims share a row
    point: it has one table."""
    tables: dict[tuple[Point, tuple[int, ...]], tuple[int, FieldArray]] = {}
    count, index, repeated = 0, list[NDArray[np.int64]](), list[int]()
    for p in placed:
        layout = p.opening.commitment.layout
        key, n = (p.rows, layout.shape), len(layout.row_ids)
        if key not in tables:
            tables[key] = count, k.space.take(k.eq_table(p.rows), layout.row_ids)
            count += n
        index.append(np.arange(tables[key][0], tables[key][0] + n, dtype=np.int64))
        repeated.append(n)
    chosen = k.space.take(k.space.concatenate([own for _, own in tables.values()]), np.concatenate(index))
    scale = k.space.take(k.from_scalars(weights), np.repeat(np.arange(len(weights)), repeated))
    return k.multiply(chosen, scale)


def _parts(placed: Sequence[_Placed]) -> list[list[_Placed]]:
    """In order, each with POINTS column points at most."""
    parts: list[list[_Placed]] = [[]]
    points: set[Point] = set()
    for p in placed:
        points.add(p.ends)
        if len(points) > POINTS:
            parts.append([])
            points = {p.ends}
        parts[-1].append(p)
    return parts


def _known(inside: Array | None) -> Array:
    if inside is None:
        raise TypeError("the prover must know what it commits to")
    return inside


def _asking(made: Commitment, wanted: Wanted) -> Commitment:
    return Commitment(made.layout, replace(made.rows, inside=Again(wanted.make)))


def _blinds(opening: Opening) -> FieldArray:
    if opening.commitment.rows.blinds is None:
        raise TypeError("the prover must know what it opens")
    return opening.commitment.rows.blinds


def _sumcheck(k: Kernels, folded: Mapping[Point, FieldArray]) -> Sumcheck | None:
    return columns.sumcheck(k, folded) if folded else None
