"""The prover's states of sumchecks and fraction trees, counted: mirrors sumcheck.cpp, sumcheck_round.cpp and
fraction_tree.cpp in csrc/src/cpu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkcore.estimation.blank import Meter, Room
from zkcore.estimation.tally import SOME, Tally, is_field
from zkcore.field.kernels import MODULUS, Column, Term
from zkcore.field.room import Tree, TreePlan

ELEMENT = 32  # bytes
_BITS = {1: 7, 2: 15, 4: 31}  # of an integer entry's magnitude, by its bytes; wider ones are read as field elements


@dataclass(frozen=True)
class Pass:
    """What reading every entry of a source once costs."""

    field_mults: int = 0
    small_mults: int = 0


@dataclass
class CountingSumcheck:
    """`bits`: of each table, 0 for field elements. `used`: entries that are not a constant tail. `unheld`: how often it
    is bound without making tables; `again`: what reading costs more from then on."""

    tally: Tally
    meter: Meter
    bits: list[int]
    terms: Sequence[Term]
    degree: int
    eq: bool
    variables: int
    used: int
    reading: Pass = Pass()
    borrowed: int = 0  # tables that the first binding copies
    verb: str = "sumcheck"
    room: Room | None = None
    unheld: int = 0
    again: int = 0
    weights: int = 1  # of eq over what is bound so

    @staticmethod
    def of(
        tally: Tally, meter: Meter, tables: Sequence[Column], terms: Sequence[Term], degree: int, eq: bool
    ) -> CountingSumcheck:
        sizes = [t.size // 4 if is_field(t) else t.size for t in tables]
        bits = [0 if is_field(t) else _BITS.get(t.itemsize, 0) for t in tables]
        variables = sizes[0].bit_length() - 1
        made = CountingSumcheck(tally, meter, bits, terms, degree, eq, variables, sizes[0], borrowed=len(tables))
        made.split_eq()
        return made

    def split_eq(self) -> None:
        """eq over the variables after the first, as two tables."""
        after = max(0, self.variables - 1)
        inner = min(after, max((after + 1) // 2, 8))
        if self.eq:
            self.tally.add(self.verb, 0, field_mults=(1 << after - inner) - 1 + (1 << inner) - 1)

    def round(self) -> list[int]:
        active = min(1 << self.variables - 1, self.used)
        fields, smalls = self._pair()
        fields, smalls = fields * self.degree * active, smalls * self.degree * active
        self._count(fields + self.reading.field_mults, smalls + self.reading.small_mults)
        return [SOME] * self.degree

    def bind(self, challenge: int) -> None:
        if self.unheld:
            return self._bind_unheld()
        active = min(1 << self.variables - 1, self.used)
        fields = active * sum(b == 0 for b in self.bits)
        smalls = 2 * active * sum(b > 0 for b in self.bits)
        self._count(fields + self.reading.field_mults, smalls + self.reading.small_mults)
        self._held(active)
        self.bits, self.reading, self.used = [0] * len(self.bits), Pass(), active
        self.variables -= 1

    def _bind_unheld(self) -> None:
        self._count(self.weights, 0)
        self.weights, self.unheld, self.variables = 2 * self.weights, self.unheld - 1, self.variables - 1
        self.used = min(1 << self.variables, self.used)
        self.reading, self.again = Pass(self.reading.field_mults + self.again, self.reading.small_mults), 0

    def finals(self) -> list[int]:
        return [SOME] * len(self.bits)

    def _count(self, fields: int, smalls: int) -> None:
        self.tally.add(self.verb, fields + smalls, field_mults=fields, small_mults=smalls)

    def _held(self, active: int) -> None:
        """Tables that were the caller's get memory of their own; from then on they shrink in place."""
        if self.borrowed:
            self.room, self.borrowed = self.meter.room(self.borrowed * active * ELEMENT), 0

    def _pair(self) -> tuple[int, int]:
        """Products for one pair of entries at one evaluation point."""
        fields = smalls = 0
        merged: list[int] = []  # field factors of the terms with coefficient 1, which share their product with eq
        converted: set[int] = set()
        for coefficient, factors in self.terms:
            ints, own = self._split(factors)
            converted |= {j for j in own if self.bits[j]}
            if self.eq and not ints and own and coefficient % MODULUS == 1:
                merged.append(len(own))
            elif ints:
                fields += max(0, len(own) + self.eq - 1)
                smalls += bool(own or self.eq)
            else:
                fields += max(0, len(own) + self.eq - 1)
        if merged:
            fields += sum(n - 1 for n in merged) + 1
        return fields, smalls + len(converted)

    def _split(self, factors: Sequence[int]) -> tuple[list[int], list[int]]:
        """Factors whose product fits 64 bits at every evaluation point, and the others."""
        growth, total = (2 * self.degree - 1).bit_length(), 0
        ints, own = [], []
        for j in factors:
            more = self.bits[j] + growth
            if self.bits[j] and total + more <= 62:
                total += more
                ints.append(j)
            else:
                own.append(j)
        return ints, own


class CountingTree:
    """`runs`: leaves, and the products a leaf takes."""

    def __init__(
        self, tally: Tally, meter: Meter, runs: Sequence[tuple[int, int, int]], shape: Tree, plan: TreePlan
    ) -> None:
        self.tally, self.meter, self.shape, self.plan = tally, meter, shape, plan
        self.leaf = Pass(sum(n * f for n, f, _ in runs), sum(n * s for n, _, s in runs))
        self.log_size, self.rooms = shape.log_size, dict[int, Room]()  # of the layers that are still there, by depth
        if not self.log_size:
            return
        stored = min(max(plan.stored, 1), self.log_size - 1)
        for depth in range(stored, 0, -1):
            self.rooms[depth] = self._room(depth)
        self._count("tree", self._making(0))

    def root(self) -> tuple[int, int]:
        return SOME, SOME

    def layer(self, depth: int, point: Sequence[int], batch: int) -> CountingSumcheck:
        children = depth + 1
        used, leaves, room = self.shape.used(children), children == self.log_size, self.rooms.pop(children, None)
        rounds = 0 if room else self.shape.rounds(self.plan, children)
        reading, again, copied = Pass(), 0, 0
        if leaves or rounds:
            made = self._making(children)
            reading, again, copied = Pass(made.field_mults + used, made.small_mults), 4 * used, 4
        else:
            if not room:
                self._count("tree", self._making(children))
                room = self._room(children)
            self.tally.add("layer", used, field_mults=used)  # bound in place
        terms = [(1, (0, 3)), (1, (1, 2))]
        state = CountingSumcheck(
            self.tally, self.meter, [0] * 4, terms, 3, True, depth, used, reading, copied, "tree_sumcheck", room
        )
        state.unheld, state.again = max(0, rounds - 1), again
        state.split_eq()
        return state

    def _making(self, depth: int) -> Pass:
        """All nodes of a depth from the leaves: three products each, and as many above the leaves."""
        nodes = sum(self._nodes(d) for d in range(depth, self.log_size))
        return Pass(self.leaf.field_mults + 3 * nodes, self.leaf.small_mults)

    def _nodes(self, depth: int) -> int:
        return -(-self.shape.leaves >> self.log_size - depth)

    def _room(self, depth: int) -> Room:
        return self.meter.room(4 * self.shape.used(depth) * ELEMENT)

    def _count(self, verb: str, work: Pass) -> None:
        self.tally.add(
            verb, work.field_mults + work.small_mults, field_mults=work.field_mults, small_mults=work.small_mults
        )
