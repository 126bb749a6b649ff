"""What the steps of a proof share: the system, the transcript, the claims that stand, and (prover only) the witness."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from zkcore.claim import Claim, ClaimLedger, Place
from zkcore.field import space
from zkcore.field.kernels import MODULUS, FieldArray, Kernels, Sumcheck
from zkcore.graph import arrays, one_hot
from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import Point, box, counting, less_than, padded, paired_box
from zkcore.relation import Expr, Relation, Table
from zkcore.subprotocols.plans import Plan, plan
from zkcore.transcript.rounds import nothing, weighted
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.values import Number

At = Mapping[str, Point]  # one point per axis letter
Wanted = tuple[str, Place]


class Committer(Protocol):
    """Commits a tensor in mid-protocol: `make` is the prover's."""

    def __call__(self, name: str, shape: tuple[int, ...], make: Callable[[], Array]) -> None: ...


class Session:
    def __init__(self, system: System, transcript: Transcript, witness: Witness | None, committer: Committer) -> None:
        self.system, self.t, self.witness, self._committer = system, transcript, witness, committer
        self.kernels: Kernels = transcript.kernels
        self.ledger = ClaimLedger()
        self._plans: dict[str, tuple[Relation, Plan]] = {}
        self._public: dict[str, Array] = {}
        self._known: dict[Wanted, int] = {}
        self._paired: dict[tuple[str, Place, Place], int] = {}
        self._table_values: dict[tuple[str, int, Point], int] = {}
        self._last_weights: tuple[Point, FieldArray] | None = None
        self.eq_tables = multilinear.EqTables(self.kernels)

    def plan(self, relation: Relation) -> Plan:
        """An einsum's. It is asked for in every wave."""
        known = self._plans.get(relation.name)
        if known is None or known[0] is not relation:
            known = self._plans[relation.name] = relation, plan(self.system, relation)
        return known[1]

    # --- data --------------------------------------------------------------------------------------------------------
    def public(self, name: str) -> Array:
        if name not in self._public:
            self._public[name] = self.kernels.space.own(one_hot.narrow(self.system.publics[name]))
        return self._public[name]

    def is_public(self, name: str) -> bool:
        return name in self.system.publics

    def data(self) -> Witness:
        if self.witness is None:
            raise TypeError("only the prover has a witness")
        return self.witness

    def entries(self, table: Table, column: int) -> Array:
        return self.witness.entries(table, column) if self.witness else self.kernels.space.own(table.columns[column])

    def commit(self, name: str, shape: tuple[int, ...], make: Callable[[], Array]) -> None:
        """A column committed in mid-protocol; claims may refer to it from now on."""

        def kept() -> Array:
            self.data().put(name, self.data().settled(make))
            return self.data().array(name)

        self._committer(name, shape, kept)

    def selector(self, relation: Relation) -> Array:
        return self.data().selector(relation)

    # --- evaluations -------------------------------------------------------------------------------------------------
    def values(self, wanted: Sequence[Wanted], known: Callable[[], Sequence[int]] | None = None) -> list[Number]:
        """Evaluations of tensors. What is new is sent in one message and becomes an open claim; public tensors both
        sides evaluate. `known`: the prover may have the numbers already, in the order of `wanted`."""
        found = [self._found(w) for w in wanted]
        fresh = list(dict.fromkeys(w for w, value in zip(wanted, found, strict=True) if value is None))
        if not fresh:
            return [value for value in found if value is not None]

        def make() -> list[int]:
            if known:
                numbers = dict(zip(wanted, known(), strict=True))
                return [numbers[w] for w in fresh]
            return self.data().settled(lambda: self.evaluate(fresh))

        sent = self.t.message("evaluations", len(fresh), make if self.t.proving else nothing)
        for (name, place), value in zip(fresh, sent, strict=True):
            self.ledger.add(Claim(name, place, value))
        said = dict(zip(fresh, sent, strict=True))
        return [said[w] if value is None else value for w, value in zip(wanted, found, strict=True)]

    def _found(self, wanted: Wanted) -> Number | None:
        """What both sides know or is claimed already."""
        return self.public_value(*wanted) if self.is_public(wanted[0]) else self.ledger.get(*wanted)

    def public_value(self, name: str, place: Place) -> int:
        if (name, place) not in self._known:
            closed = self.system.publics[name].evaluate(place)
            if closed is None:
                closed = multilinear.evaluate(self.kernels, self.public(name), place)
            self._known[name, place] = closed
        return self._known[name, place]

    def evaluate(self, wanted: Sequence[Wanted]) -> list[int]:
        """Prover only."""
        held = ((self.data().array(n), place, self.system.ternary(n)) for n, place in wanted)
        return multilinear.evaluate_all(self.kernels, held, self.eq_tables)

    def places(self, expr: Expr, at: At) -> list[Wanted]:
        return [(n, tuple(at[x] for x in letters)) for _, n, letters in expr.terms]

    def affine(self, expr: Expr, at: At, real: int) -> Number:
        """The extension of an expression; `real` is that of its domain's box, where the constant lives."""
        values = self.values(self.places(expr, at))
        terms = [(c, v) for (c, _, _), v in zip(expr.terms, values, strict=True)]
        return weighted([*terms, (1, expr.const * real % MODULUS)])

    def only(self, relation: Relation, at: At) -> Number:
        """The extension of a linear's or a zero's one expression."""
        expr = relation.exprs[0]
        return self.affine(expr, at, self.real(relation, at) if expr.const else 0)

    def real(self, relation: Relation, at: At) -> int:
        """The extension of the indicator of the relation's real cells."""
        shape = self.system.domain(relation)
        return box([at[x] for x in relation.spec], shape)

    def selected(self, relation: Relation, at: At) -> int:
        """The extension of `selector`: real cells inside the mask."""
        mask = 1
        if relation.mask:
            mask = self.public_value(relation.mask, tuple(at[x] for x in relation.mask_letters))
        return self._box_outside_mask(relation, at) * mask % MODULUS

    def _box_outside_mask(self, relation: Relation, at: At) -> int:
        """Masks are zero on their own padding; only the other axes still need the box."""
        size = self.system.sizes(relation)
        letters = [x for x in relation.spec if x not in relation.mask_letters]
        return box([at[x] for x in letters], [size[x] for x in letters])

    def weighted_selected(self, relation: Relation, place: Place, at: At) -> int:
        """The extension of  eq(place, .) * selector  at a point: a product that is not multilinear by itself."""
        mine, size = dict(zip(relation.spec, place, strict=True)), self.system.sizes(relation)
        free = [x for x in relation.spec if x not in relation.mask_letters]
        value = paired_box([mine[x] for x in free], [at[x] for x in free], [size[x] for x in free])
        if relation.mask:
            letters = relation.mask_letters
            value *= self._paired_mask(relation.mask, tuple(mine[x] for x in letters), tuple(at[x] for x in letters))
        return value % MODULUS

    def _paired_mask(self, name: str, place: Place, other: Place) -> int:
        """The same for every box of a relation that the mask does not tell apart."""
        key = (name, place, other)
        if key not in self._paired:
            closed = self.system.publics[name].paired(place, other)
            self._paired[key] = self._paired_dense(name, place, other) if closed is None else closed
        return self._paired[key]

    def _paired_dense(self, name: str, place: Place, other: Place) -> int:
        k, mask = self.kernels, self.public(name)
        weights = k.multiply(multilinear.eq_over(k, place), multilinear.eq_over(k, other))
        return k.dot(space.flat(arrays.pad_to(mask, padded(mask.shape))), weights)

    def table_value(self, table: Table, column: int, point: Point) -> int:
        """A table column's extension. Both sides compute it."""
        if column == 0:
            return (counting(point, table.size) + table.first * less_than(point, table.size)) % MODULUS
        key = (table.name, column, point)
        if key not in self._table_values:
            rows = self._row_weights(point)[: table.size]
            self._table_values[key] = self.kernels.dot(self.entries(table, column), rows)
        return self._table_values[key]

    def _row_weights(self, point: Point) -> FieldArray:
        """eq(point, .); a table's columns are asked for one after the other."""
        if self._last_weights is None or self._last_weights[0] != point:
            self._last_weights = point, self.kernels.eq_table(point)
        return self._last_weights[1]

    # --- sumcheck ----------------------------------------------------------------------------------------------------
    def sumcheck(self, claim: Number, num_vars: int, degree: int, prover: Sumcheck | None) -> tuple[Point, Number]:
        """Of degree `degree` in each variable. The caller discharges the result."""
        self.t.error("sumcheck", degree, num_vars)
        return self.t.rounds(claim, num_vars, degree, prover)


def flat(array: Array, letters: str, domain: str, shape: Sequence[int]) -> Array:
    """Lay an array out over a padded domain, repeated along the axes it lacks: [2^n] or [2^n, 4]."""
    own = [shape[domain.index(x)] for x in letters]
    laid = arrays.spread(arrays.pad_to(array, own), letters, domain)
    tail = (4,) if arrays.is_field(array) else ()
    return space.flat(space.of(laid).broadcast(laid, (*shape, *tail)))
