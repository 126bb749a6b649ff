"""The zero-knowledge argument over all constraints of a transcript (BlindFold / Vega; protocols.md D.2, variant V1).

The witness z of the constraints  A(z) * B(z) = C(z)  is everything that was committed. It is folded with a random
instance of the same shape, z' = z + r * mask, so that a clear Spartan may follow: a sumcheck over the constraints,
one over the slots, and an opening of z' at a point. The mask is ONE commitment, opened together with the message rows
by one inner product over disjoint generators: 48 bytes per round of the proof instead of 96.

Linear constraints are (0, 0, a). The matrices are never built: they are passes over the tape (transcript/values.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from zkcore.field.kernels import MODULUS, FieldArray, Kernels
from zkcore.field.space import of
from zkcore.polynomial.point import Point, eq
from zkcore.transcript import inner_product
from zkcore.transcript.rounds import nothing, run_rounds
from zkcore.transcript.values import Nodes, Number, Tape, Value
from zkcore.transcript.wire import BLINDER, MESSAGE, UNIT, WIDE, Combination, Rows, Wire


@dataclass
class Grid:
    """Where each slot of the tape was committed: position = row * width + column."""

    tape: Tape
    width: int
    refs: list[int] = field(default_factory=list)  # one per row
    blinds: list[int | None] = field(default_factory=list)
    position: list[int] = field(default_factory=list)  # one per slot; products are placed in finish()
    numbers: list[int | None] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)  # slots of products

    def place(self, position: int, numbers: Sequence[int | None]) -> list[Value]:
        """Slots one after the other."""
        self.position.extend(range(position, position + len(numbers)))
        self.numbers.extend(numbers)
        return self.tape.take(numbers)

    def follow(self, claim: Number, degree: int, numbers: Sequence[int | None], weights: Sequence[int]) -> Value:
        """The last rows are those of all rounds of a sumcheck, `degree` numbers each: the claim that they lead to.
        `weights`: of all numbers sent, and of the first claim. See transcript/replay.py."""
        each = -(-degree // self.width)
        for row in range(len(self.refs) - len(numbers) // degree * each, len(self.refs), each):
            self.position.extend(range(row * self.width, row * self.width + degree))
        self.numbers.extend(numbers)
        return self.tape.follow(claim, numbers, weights)

    def auxiliary(self, number: int | None) -> Value:
        self.waiting.append(self.tape.slots)
        return self.place(-1, [number])[0]


@dataclass
class Secret:
    """z, the mask and z' by slot, E' by constraint."""

    numbers: FieldArray
    mask: FieldArray
    z: FieldArray
    error: FieldArray


@dataclass
class _Folded:
    """The folded instance. Public: u, r and where the rows are. `secret`: the prover's."""

    u: int
    r: int
    mask_row: Rows
    errors: list[tuple[int, Rows]]
    secret: Secret | None = None


def prove(wire: Wire, grid: Grid) -> None:
    """Both sides. Error: (4 + 4 log m + 3 log |W|) / r, plus the inner product's."""
    tape = grid.tape
    if not tape.products and not tape.zeros:
        return
    _commit_products(wire, grid)
    instance = _fold(wire, grid)
    x, values = _constraints(wire, grid, instance)
    rho = wire.challenge("matrix batch")
    wire.error("blind", 2)
    weights, of_one = tape.backward(wire.kernels, *_seeds(wire.kernels, tape, x, rho))
    claim = sum(v * pow(rho, i, MODULUS) for i, v in enumerate(values)) - of_one * instance.u
    _witness(wire, grid, instance, weights, claim % MODULUS)


def _seeds(k: Kernels, tape: Tape, point: Point, rho: int) -> tuple[Nodes, FieldArray]:
    """The constraints' nodes, and their weights in  a~ + rho b~ + rho^2 c~  at the point."""
    (a, b, c), count = _constrained(tape), len(tape.products)
    table = k.eq_table(point)
    parts = [table[:count], table[:count], table[: len(c)]]
    scaled = [k.combine([(pow(rho, i, MODULUS), w)], 0, len(w)) for i, w in enumerate(parts)]
    return np.concatenate([a, b, c]), k.space.concatenate(scaled)


def _constrained(tape: Tape) -> list[Nodes]:
    """The nodes that are a, b and c of the constraints. Those of the linear ones are c alone, and come last."""
    a, b, c = np.array(tape.products, dtype=np.int64).reshape(-1, 3).T
    return [a, b, np.concatenate([c, np.array(tape.zeros, dtype=np.int64)])]


def _commit_products(wire: Wire, grid: Grid) -> None:
    for start in range(0, len(grid.waiting), grid.width):
        slots = grid.waiting[start : start + grid.width]
        blind = wire.channel.blinders(1)[0] if wire.proving else None
        numbers = [grid.numbers[s] or 0 for s in slots]
        make = lambda b=blind, v=numbers: wire.fixed.combine([b or 0, *v]).reshape(1, 12)  # noqa: E731
        for column, slot in enumerate(slots):
            grid.position[slot] = len(grid.refs) * grid.width + column
        grid.refs.append(int(wire.points("products", 1, make)[0]))
        grid.blinds.append(blind)


def _matrices(k: Kernels, tape: Tape, slots: FieldArray, one: int) -> list[FieldArray]:
    """A z, B z, C z, [m, 4] each."""
    at, nodes = tape.forward(k, slots, one), _constrained(tape)
    return [k.space.pad(k.space.take(at, k.space.own(n)), (len(nodes[2]), 4)) for n in nodes]


def _error_width(constraints: int) -> int:
    """About sqrt(3 m) minimises 2 * 48 * m / width + 32 * width."""
    return 1 << max(3, (3 * constraints).bit_length() // 2)


def _fold(wire: Wire, grid: Grid) -> _Folded:
    """z' = z + r * mask, with the cross term T and the mask's own error E2: E' = r T + r^2 E2, u' = 1 + r u2."""
    k, tape, p = wire.kernels, grid.tape, MODULUS
    width = _error_width(len(tape.products) + len(tape.zeros))
    rows = -(-(len(tape.products) + len(tape.zeros)) // width)
    bases = wire.generators.take(WIDE, max(width, tape.slots))
    u2, numbers = 0, k.from_scalars([])
    mask = cross = error = numbers
    if wire.proving:
        numbers = k.from_scalars([v or 0 for v in grid.numbers])
        *drawn, u2 = wire.channel.blinders(tape.slots + 1)
        mask = k.from_scalars(drawn)
        cross, error = _errors(k, _matrices(k, tape, numbers, 1), _matrices(k, tape, mask, u2), u2)

    def grid_of(values: FieldArray) -> FieldArray:
        return _pad(values, rows * width).reshape(rows, width, 4)

    mask_row = wire.rows("mask", bases[: tape.slots], 1, lambda: mask.reshape(1, -1, 4))
    cross_rows = wire.rows("cross", bases[:width], rows, lambda: grid_of(cross))
    error_rows = wire.rows("error", bases[:width], rows, lambda: grid_of(error))
    [u2] = wire.scalars("mask scale", 1, lambda: [u2])
    r = wire.challenge("fold")
    wire.error("blind", 2)  # E' is quadratic in it
    out = _Folded((1 + r * u2) % p, r, mask_row, [(r, cross_rows), (r * r % p, error_rows)])
    if wire.proving:
        z = k.combine([(1, numbers), (r, mask)], 0, tape.slots)
        out.secret = Secret(numbers, mask, z, k.combine([(r, cross), (r * r, error)], 0, len(cross)))
    return out


def _errors(k: Kernels, one: list[FieldArray], two: list[FieldArray], u2: int) -> tuple[FieldArray, FieldArray]:
    """T and E2, of A z, B z, C z with the scale 1, and of the mask's with u2."""
    (a, b, c), (x, y, w) = one, two
    cross = [(1, k.multiply(a, y)), (1, k.multiply(x, b)), (-1, w), (-u2, c)]
    error = [(1, k.multiply(x, y)), (-u2, w)]
    return k.combine(cross, 0, len(c)), k.combine(error, 0, len(c))


def _constraints(wire: Wire, grid: Grid, folded: _Folded) -> tuple[Point, list[int]]:
    """Outer sumcheck: sum_x eq(tau, x) [Az'(x) Bz'(x) - u' Cz'(x) - E'(x)] = 0. In clear: z' is uniform."""
    k, tape = wire.kernels, grid.tape
    num_x = (len(tape.products) + len(tape.zeros) - 1).bit_length()
    tau = [wire.challenge("constraint point") for _ in range(num_x)]
    wire.error("blind", 1, num_x)
    wire.error("blind", 3, num_x)
    prover = None
    if own := folded.secret:
        tables = [_pad(v, 1 << num_x) for v in (*_matrices(k, tape, own.z, folded.u), own.error)]
        terms = [(1, (0, 1)), (-folded.u % MODULUS, (2,)), (MODULUS - 1, (3,))]
        prover = k.sumcheck(tables, terms, 3, tau)
    x, final = run_rounds(wire.scalars, wire.challenge, 0, num_x, 3, prover)
    a, b, c = wire.scalars("matrix values", 3, (lambda: prover.finals()[:3]) if prover else nothing)
    width = _error_width(len(tape.products) + len(tape.zeros))
    e = _open_rows(wire, "error row", folded, x, width)
    wire.require_equal("constraints", int(final), eq(tau, x) * (a * b - folded.u * c - e))  # type: ignore[arg-type]
    return x, [a, b, c]


def _open_rows(wire: Wire, label: str, folded: _Folded, point: Point, width: int) -> int:
    """Reveal the combination of rows (with its blind) that the point selects; returns the evaluation there."""
    k, columns, parts = wire.kernels, width.bit_length() - 1, folded.errors
    short = point[: max(0, len(point) - columns)]
    inner = (0,) * max(0, columns - len(point)) + tuple(point[len(short) :])
    scalars = [(k.eq_table(short, scale)[: len(rows.refs)], rows) for scale, rows in parts]

    def make() -> list[int]:
        vector = [k.contract(rows.known(k.space), 1, width, s) for s, rows in scalars]
        total = k.combine([(1, v) for v in vector], 0, width)
        blind = sum(k.dot(_blinds(rows), s) for s, rows in scalars)
        return [*k.to_scalars(total), blind]

    *vector, blind = wire.scalars(label, width + 1, make)
    negated = k.from_scalars([-v % MODULUS for v in (*vector, blind)])
    known = wire.multiples(((WIDE, width), (BLINDER, 1)), negated)
    wire.require_group_zero(label, Combination([(rows.refs, s) for s, rows in scalars], known))
    return k.dot(k.from_scalars(vector), k.eq_table(inner))


def _witness(wire: Wire, grid: Grid, folded: _Folded, weights: FieldArray, claim: int) -> None:
    """Inner sumcheck: sum_y weights(y) z'(y) = claim, over grid positions; then open z' at y."""
    k = wire.kernels
    num_y = (len(grid.refs) * grid.width - 1).bit_length()
    prover, places = None, k.space.own(np.array(grid.position, dtype=np.int64))
    if own := folded.secret:
        tables = [k.scatter_add(places, v, 1 << num_y) for v in (weights, own.z)]
        prover = k.sumcheck(tables, [(1, (0, 1))], 2)
    wire.error("blind", 3, num_y)  # what a message row may have on the mask's generators enters with eq twice
    y, final = run_rounds(wire.scalars, wire.challenge, claim, num_y, 2, prover)
    [value] = wire.scalars("folded value", 1, (lambda: prover.finals()[1:]) if prover else nothing)
    table = k.eq_table(y)
    there = k.dot(weights, k.space.take(table, places))
    wire.require_equal("matrices", int(final), there * value)  # type: ignore[arg-type]
    _open_witness(wire, grid, folded, (y, table, places), value)


def _open_witness(wire: Wire, grid: Grid, folded: _Folded, at: tuple[Point, FieldArray, Nodes], value: int) -> None:
    """<[sum_i eq(y_row, i) row_i | r mask], [eq(y_col) | eq(y, position)]> = z'(y): one inner product.

    The commitment to the mask enters with the factor r, whatever is inside: nothing that was chosen after the messages
    may reach z' without it. (Were r in the weights instead, a mask row could also shift the messages' own columns.)
    """
    k, (y, table, places), columns = wire.kernels, at, grid.width.bit_length() - 1
    selected = k.eq_table(y[: len(y) - columns])[: len(grid.refs)]
    size = 1 << (grid.width + grid.tape.slots - 1).bit_length()
    weights = k.space.concatenate([k.eq_table(y[len(y) - columns :]), k.space.take(table, places)])
    secret = None
    if own := folded.secret:
        numbers = k.scatter_add(places, own.numbers, len(grid.refs) * grid.width)
        row = k.contract(numbers, 1, grid.width, selected)
        blind = k.dot(k.from_scalars([b or 0 for b in grid.blinds]), selected)
        blind += folded.r * k.to_scalars(_blinds(folded.mask_row))[0]
        mask = k.combine([(folded.r, own.mask)], 0, grid.tape.slots)
        secret = _pad(k.space.concatenate([row, mask]), size), blind % MODULUS
    refs = np.array(grid.refs, dtype=np.int64)
    commitment = Combination([(refs, selected), (folded.mask_row.refs, k.from_scalars([folded.r]))])
    bases = (MESSAGE, grid.width), (WIDE, size - grid.width)
    instance = inner_product.Instance(bases, UNIT, _pad(weights, size), commitment, value, secret)
    inner_product.prove(wire, "witness row", instance)


def _pad(values: FieldArray, size: int) -> FieldArray:
    return of(values).pad(values, (size, 4))


def _blinds(rows: Rows) -> FieldArray:
    if rows.blinds is None:
        raise TypeError("only the prover knows the blinds")
    return rows.blinds
