"""Building a system of relations, with the interval analysis that makes its arithmetic exact.

Every committed tensor declares an interval: a promise that some lookup must keep. Sums and products propagate
intervals; nothing may reach 2^253, so what is equal mod r is equal. Padding is never trusted to be zero.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import prod

from zkcore.errors import GraphError
from zkcore.graph.complement import Complement
from zkcore.graph.intervals import product_interval
from zkcore.graph.limbs import limb_bits, widest
from zkcore.graph.rules import Digit, Entry, head
from zkcore.graph.tensor import LIMIT, PublicTensor, Tensor
from zkcore.relation import Expr, Relation, Table, below_table, range_table

Mask = tuple[Tensor, str]  # a public tensor of zeros and ones, and its axes' letters


class Builder:
    """Collects tensors and relations. `scope` prefixes the names an op gives. `virtual_outputs`: the lookup argument
    keeps function values virtual; otherwise they are committed and looked up with their index. `group`: relations of a
    group share their lookups' trees; `opening`: tensors of a group are opened together."""

    def __init__(self, table_bits: int, virtual_outputs: bool = True) -> None:
        self.table_bits, self.virtual_outputs, self.scope = table_bits, virtual_outputs, ""
        self.group = self.opening = ""
        self.tensors: dict[str, Tensor] = {}
        self.relations: list[Relation] = []
        self.publics: dict[str, PublicTensor] = {}
        self.digits: dict[str, Digit | Entry] = {}
        self._duties: dict[str, tuple[int, int]] = {}
        self._tables: dict[str, Table] = {}
        self._names: set[str] = set()  # of relations

    # --- tensors ---------------------------------------------------------------------------------------------------
    def add(self, tensor: Tensor) -> Tensor:
        if tensor.name in self.tensors:
            raise GraphError(f"{tensor.name}: declared twice")
        self._check(tensor.name, tensor.lo, tensor.hi)
        self.tensors[tensor.name] = tensor
        return tensor

    def _check(self, what: str, lo: int, hi: int) -> None:
        if max(-lo, hi) >= LIMIT:
            raise GraphError(f"{what}: interval [{lo}, {hi}] can reach 2^253 and wrap around the field")

    def public(self, name: str, source: PublicTensor) -> Tensor:
        """A public tensor; naming the same one again returns it."""
        if name in self.publics:
            if self.publics[name] is not source and self.publics[name].describe() != source.describe():
                raise GraphError(f"{name}: another public tensor has this name")
            return self.tensors[name]
        self.publics[name] = source
        return self.add(Tensor(name, source.shape, "public", source.lo, source.hi, clean=True, l1=source.l1))

    def weight(self, name: str, shape: tuple[int, ...], lo: int, hi: int) -> Tensor:
        """Committed with the model, and proved there to lie in its interval."""
        return self.add(Tensor(name, shape, "weight", lo, hi, group=self.opening))

    def committed(self, name: str, shape: tuple[int, ...], lo: int, hi: int) -> Tensor:
        self._duties[name] = (lo, hi)
        return self.add(Tensor(name, shape, "committed", lo, hi, group=self.opening))

    def _define(self, name: str, shape: Sequence[int], lo: int, hi: int, clean: bool) -> Tensor:
        return self.add(Tensor(name, tuple(shape), "virtual", lo, hi, clean))

    def _name(self, name: str) -> str:
        return f"{self.scope}{name}"

    # --- intervals and shapes --------------------------------------------------------------------------------------
    def interval(self, expr: Expr) -> tuple[int, int]:
        ends = [sorted((c * self.tensors[n].lo, c * self.tensors[n].hi)) for c, n, _ in expr.terms]
        lo, hi = expr.const + sum(a for a, _ in ends), expr.const + sum(b for _, b in ends)
        self._check("an affine sum", lo, hi)
        return lo, hi

    def sizes(self, exprs: Sequence[Expr]) -> dict[str, int]:
        """Cells of each axis letter; the letters' sizes must agree."""
        size: dict[str, int] = {}
        for expr in exprs:
            for _, n, letters in expr.terms:
                if len(set(letters)) != len(letters):
                    raise GraphError(f"{n}: a letter twice in {letters!r}; a diagonal is no multilinear evaluation")
                for x, k in zip(letters, self.tensors[n].shape, strict=True):
                    if size.setdefault(x, k) != k:
                        raise GraphError(f"{n}: axis {x} has {k} cells, elsewhere {size[x]}")
        return size

    def domain(self, letters: str, exprs: Sequence[Expr]) -> tuple[int, ...]:
        size = self.sizes(exprs)
        if missing := set(letters) - set(size):
            raise GraphError(f"axes {sorted(missing)} occur in no tensor")
        return tuple(size[x] for x in letters)

    # --- relations -------------------------------------------------------------------------------------------------
    def relate(self, relation: Relation) -> None:
        """The only way in. Tables are told apart by their names, and so are relations."""
        if relation.name in self._names:
            raise GraphError(f"{relation.name}: two relations of this name")
        table = relation.table
        if table and self._tables.setdefault(table.name, table).digest != table.digest:
            raise GraphError(f"{relation.name}: another table is already called {table.name}")
        self._names.add(relation.name)
        self.relations.append(relation)

    def einsum(self, name: str, spec: str, *ins: Tensor) -> Tensor:
        """out = sum of products, e.g. einsum("acc", "im,mo->io", x, w)."""
        factors, out = Relation("einsum", "", spec, ()).factors()
        exprs = tuple(t[f] for t, f in zip(ins, factors, strict=True))
        size = self.sizes(exprs)
        if not set(out) <= set(size) or len(set(out)) != len(out):
            raise GraphError(f"{name}: an output axis that no factor has, or one twice")
        lo, hi = product_interval(ins, factors, out, size)
        clean = all(any(x in f and t.clean for t, f in zip(ins, factors, strict=True)) for x in out)
        full = self._name(name)
        self.relate(Relation("einsum", full, spec, exprs, (full,), group=self.group))
        return self._define(full, [size[x] for x in out], lo, hi, clean)

    def linear(self, name: str, letters: str, expr: Expr) -> Tensor:
        """out = expr, entry by entry; no broadcasting (that would fill padding)."""
        if any(set(a) != set(letters) for _, _, a in expr.terms):
            raise GraphError(f"{name}: a broadcast would fill padding; use an einsum")
        full = self._name(name)
        self.relate(Relation("linear", full, letters, (expr,), (full,), group=self.group))
        clean = all(self.tensors[n].clean for _, n, _ in expr.terms)
        return self._define(full, self.domain(letters, (expr,)), *self.interval(expr), clean)

    def zero(self, name: str, letters: str, expr: Expr) -> None:
        """expr = 0 on all real cells."""
        self.interval(expr)
        if any(set(a) != set(letters) for _, _, a in expr.terms):
            raise GraphError(f"{name}: a broadcast would fill padding; use an einsum")
        self.relate(Relation("zero", self._name(name), letters, (expr,), group=self.group))

    def lookup(
        self,
        name: str,
        table: Table,
        letters: str,
        columns: Sequence[Expr],
        *,
        mask: Mask | None = None,
        defines: Mapping[str, int] | None = None,
    ) -> list[Tensor]:
        """The columns are a row of `table` wherever the mask is 1. `defines`: {new tensor: table column}; such a tensor
        is zero outside the mask (and, where it is virtual, on padding)."""
        full, shape = self._name(name), self.domain(letters, columns)
        for e in columns:
            self.interval(e)  # both sides below 2^253: equal mod r means equal
        if mask and not (mask[0].kind == "public" and 0 <= mask[0].lo <= mask[0].hi <= 1):
            raise GraphError(f"{full}: a mask must be public, of zeros and ones")
        if defines:
            self._check_definition(full, table, columns, defines)
            if not self.virtual_outputs:
                return self._commit_values(name, head(table, len(defines) + 1), letters, columns[0], mask, defines)
        made = []
        for new, column in (defines or {}).items():
            lo, hi = table.ranges[column]
            made.append(self._define(self._name(new), shape, min(0, lo), max(0, hi), True))
        names = tuple(t.name for t in made)
        mask_name, mask_letters = (mask[0].name, mask[1]) if mask else (None, "")
        relation = Relation("lookup", full, letters, tuple(columns), names, table, mask_name, mask_letters, self.group)
        self.relate(relation)
        self._keep_promise(columns[0], table.ranges[0], relation)
        return made

    def _check_definition(self, full: str, table: Table, columns: Sequence[Expr], defines: Mapping[str, int]) -> None:
        if self._kind(columns[0]) not in ("committed", "weight"):
            raise GraphError(f"{full}: the index of a defining lookup must be a committed tensor")
        if len(columns) != 1:
            raise GraphError(
                f"{full}: a defining lookup checks its index alone; state the other columns in a second one"
            )
        if list(defines.values()) != list(range(1, len(table.ranges)))[: len(defines)]:
            raise GraphError(f"{full}: defined columns must be the table's 1, 2, ... in order")

    def _commit_values(
        self, name: str, table: Table, letters: str, index: Expr, mask: Mask | None, defines: Mapping[str, int]
    ) -> list[Tensor]:
        """(index, values) is a row of the table inside the mask. A lookup is silent outside, where a free value would
        enter every sum over it: there  value * (1 - mask) = 0  on every real cell."""
        shape, made = self.domain(letters, (index,)), []
        for new, column in defines.items():
            lo, hi = table.ranges[column]
            made.append(self.committed(self._name(new), shape, min(0, lo), max(0, hi)))
        self.lookup(name, table, letters, [index, *(t[letters] for t in made)], mask=mask)
        relation = self.relations[-1]
        for (new, column), value in zip(defines.items(), made, strict=True):
            self.digits[value.name] = Entry(relation, column)
            del self._duties[value.name]
            if mask:
                outside = self.public(f"not {mask[0].name}", Complement(self.publics[mask[0].name]))
                beyond = self.einsum(f"{new}.outside", f"{letters},{mask[1]}->{letters}", value, outside)
                self.zero(f"{new}.masked", letters, beyond[letters])
        return made

    def _kind(self, expr: Expr) -> str:
        """The kind of the one tensor an expression reads, if it is one."""
        return self.tensors[expr.terms[0][1]].kind if len(expr.terms) == 1 else ""

    def _keep_promise(self, expr: Expr, interval: tuple[int, int], relation: Relation) -> None:
        """If expr is one tensor plus a constant, its interval is now proved (where the mask is 1)."""
        if len(expr.terms) != 1 or abs(expr.terms[0][0]) != 1 or expr.terms[0][1] not in self._duties:
            return
        [(c, name, letters)] = expr.terms
        if not set(relation.mask_letters) <= set(letters) or set(letters) != set(relation.spec):
            return
        lo, hi = sorted(c * (v - expr.const) for v in interval)
        if self._duties[name][0] <= lo and hi <= self._duties[name][1]:
            del self._duties[name]
            if relation.mask:
                at = tuple(letters.index(x) for x in relation.mask_letters)
                self.tensors[name].support = (relation.mask, at)

    def nonneg(self, name: str, letters: str, expr: Expr, bits: int, mask: Mask | None = None) -> None:
        """0 <= expr < 2^bits over the integers: one lookup, or limbs of which the lowest is virtual."""
        if bits < 0:
            raise GraphError(f"{name}: no number lies in [0, 2^{bits})")
        shape, low = self.domain(letters, (expr,)), expr
        width = limb_bits(bits, prod(shape), self.table_bits)
        cuts = list(range(0, bits, width)) or [0]
        for a, b in pairwise([*cuts[1:], bits] if len(cuts) > 1 else []):
            limb = self._limb(f"{name}.{a}", letters, shape, Digit(expr, letters, a, b - a), mask)
            low = low - (1 << a) * limb[letters]
        self.lookup(f"{name}.0", range_table(min(width, bits)), letters, [low], mask=mask)
        if len(cuts) > 1:
            self._keep_promise(expr, (0, (1 << bits) - 1), self.relations[-1])

    def within(self, name: str, letters: str, expr: Expr, lo: int, hi: int) -> None:
        """lo <= expr <= hi over the integers, to the unit: a range of 2^k numbers by `nonneg`, another small one by a
        table of exactly its numbers, a large one from both sides."""
        size = hi - lo + 1
        bits = (size - 1).bit_length()
        if size < 1:
            raise GraphError(f"{name}: no number lies in [{lo}, {hi}]")
        if size == 1 << bits:
            self.nonneg(name, letters, expr - lo, bits)
        elif bits <= widest(prod(self.domain(letters, (expr,))), self.table_bits):
            self.lookup(f"{name}.0", below_table(size), letters, [expr - lo])
        else:
            self.nonneg(f"{name}.low", letters, expr - lo, bits)
            self.nonneg(f"{name}.high", letters, hi - expr, bits)

    def _limb(self, name: str, letters: str, shape: tuple[int, ...], digit: Digit, mask: Mask | None) -> Tensor:
        full = self._name(name)
        limb = self.committed(full, shape, 0, (1 << digit.bits) - 1)
        self.digits[full] = digit
        self.lookup(f"{name}.range", range_table(digit.bits), letters, [limb[letters]], mask=mask)
        return limb

    def requantise(
        self, out: Tensor, letters: str, acc: Tensor, shift: int, base: Tensor | None = None, ranged: bool = True
    ) -> None:
        """out = base + floor((acc + 2^(shift-1)) / 2^shift), rounding half up. `out` is committed; the remainder is
        virtual and in [0, 2^shift), and `out` itself is in its interval: together that is unique (C1, C2 of the
        catalogue: a remainder check alone has r solutions mod r). `ranged=False`: another lookup ranges it."""
        half = 1 << shift - 1 if shift else 0
        local = out.name.removeprefix(self.scope)
        if ranged:
            self.nonneg(f"{local}.range", letters, out[letters] - out.lo, (out.hi - out.lo).bit_length())
        quotient = out[letters] - base[letters] if base else out[letters]
        remainder = acc[letters] + half - (1 << shift) * quotient
        if shift:
            self.nonneg(f"{local}.rest", letters, remainder, shift)
        else:
            self.zero(f"{local}.rest", letters, remainder)

    def finish(self) -> None:
        """Refuse unproved intervals, reads outside a support, and definitions that reach no check."""
        if self._duties:
            raise GraphError(f"declared intervals that no lookup proves: {sorted(self._duties)}")
        live: set[str] = set()
        for r in reversed(self.relations):
            if r.outs and not live & set(r.outs):
                raise GraphError(f"{r.name}: no check depends on it, so it checks nothing")
            live |= {n for n, _ in r.reads()}
            self._check_support(r)
        if loose := [n for n, t in self.tensors.items() if t.kind in ("weight", "committed") and n not in live]:
            raise GraphError(f"committed tensors that no relation reads: {loose}")

    def _check_support(self, relation: Relation) -> None:
        """A read counts as inside the support if the relation has that mask, as its own or as a factor."""
        factors = relation.reads() if relation.kind == "einsum" else ()
        for n, letters in relation.reads():
            if support := self.tensors[n].support:
                want = (support[0], "".join(letters[k] for k in support[1]))
                if want not in [(relation.mask, relation.mask_letters), *factors]:
                    raise GraphError(
                        f"{relation.name} reads {n} outside {support[0]}: its interval is proved only there"
                    )
