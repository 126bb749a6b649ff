"""The prover's states of sumchecks and fraction trees, counted: mirrors sumcheck.cpp, sumcheck_round.cpp and
fraction_tree.cpp in csrc/src/cpu."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkcore.estimation.blank import Meter, Room
from zkcore.estimation.tally import SOME, Tally, is_field
from zkcore.field.kernels import MODULUS, Column, Term

ELEMENT = 32  # bytes
_BITS = {1: 7, 2: 15, 4: 31}  # of an integer entry's magnitude, by its bytes; wider ones are read as field elements


@dataclass(frozen=True)
class Pass:
    """What reading every entry of a source once costs."""

    field_mults: int = 0
    small_mults: int = 0


@dataclass
class CountingSumcheck:
    """`bits`: of each table, 0 for field elements. `used`: entries that are not a constant tail. `finals_`: tables."""

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
        active = min(1 << self.variables - 1, self.used)
        fields = active * sum(b == 0 for b in self.bits)
        smalls = 2 * active * sum(b > 0 for b in self.bits)
        self._count(fields + self.reading.field_mults, smalls + self.reading.small_mults)
        self._held(active)
        self.bits, self.reading, self.used = [0] * len(self.bits), Pass(), active
        self.variables -= 1

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

    def __init__(self, tally: Tally, meter: Meter, runs: Sequence[tuple[int, int, int]], log_size: int) -> None:
        self.tally, self.meter, self.log_size = tally, meter, log_size
        leaves = sum(n for n, _, _ in runs)
        self.leaf = Pass(sum(n * f for n, f, _ in runs), sum(n * s for n, _, s in runs))
        self.used = [0] * (log_size + 1)  # parents that are stored, by depth of the children
        nodes = (leaves + 1) // 2
        self.parents, products = nodes, 3 * nodes
        self.rooms: dict[int, Room] = {}  # of the layers that are still there, by depth
        for depth in range(log_size - 1, 0, -1):
            self.used[depth] = (nodes + 1) // 2
            self.rooms[depth] = meter.room(4 * self.used[depth] * ELEMENT)
            nodes = self.used[depth]
            products += 3 * nodes
        fields, smalls = (products + self.leaf.field_mults, self.leaf.small_mults) if log_size else (0, 0)
        tally.add("tree", fields + smalls, field_mults=fields, small_mults=smalls)

    def root(self) -> tuple[int, int]:
        return SOME, SOME

    def layer(self, depth: int, point: Sequence[int], batch: int) -> CountingSumcheck:
        terms, room = [(1, (0, 3)), (1, (1, 2))], None
        if depth + 1 == self.log_size:
            reading = Pass(self.leaf.field_mults + self.parents, self.leaf.small_mults)
            used, copied = self.parents, 4
        else:
            reading, used, copied = Pass(), self.used[depth + 1], 0
            room = self.rooms.pop(depth + 1, None)  # the layer's own memory, bound in place
            self.tally.add("layer", used, field_mults=used)
        made = CountingSumcheck(
            self.tally, self.meter, [0] * 4, terms, 3, True, depth, used, reading, copied, "tree_sumcheck", room
        )
        made.split_eq()
        return made
