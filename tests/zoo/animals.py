"""Broken plugins, one for each class of mistake that a plugin of ours can make (trust.md, section 1). Each is what a
hurried author might write; none is registered anywhere.

Classes that no plugin can make, because the core does it for all of them, are the mutants' (tests/mutants/run.py): T1,
T3, T4, T6, T7 (statement, framing, lengths), P1-P4 (encodings, generators), L1, L4, S1, S2, D1-D4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from zkcore.commitment.deferred import Pending, Secret
from zkcore.commitment.hyrax import Hyrax
from zkcore.commitment.layout import Layout
from zkcore.commitment.scheme import Commitment, Opening
from zkcore.field.kernels import MODULUS
from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.model import ModelGraph, place
from zkcore.graph.system import System, freeze
from zkcore.graph.tensor import Output, Specs, committed
from zkcore.polynomial.point import num_vars
from zkcore.relation import Relation, Table
from zkcore.strategy.per_layer import PerLayer
from zkcore.subprotocols.fraction_tree import Run
from zkcore.subprotocols.leaf_blocks import Compression, cell_blocks, prove_blocks, table_block, table_of
from zkcore.subprotocols.logup_gkr import LogupGkr, count
from zkcore.subprotocols.lookup import Definition
from zkcore.subprotocols.session import Session
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.wire import POINT_BYTES, Rows


# --- lookup arguments -------------------------------------------------------------------------------------------------
@dataclass
class Lookups(LogupGkr):
    """LogupGkr.check with places to go wrong in."""

    name = "lookups"
    virtual_outputs = False

    def check(self, session: Session, relations: Sequence[Relation], group: str) -> None:
        tables = list(dict.fromkeys(table_of(r) for r in relations))
        gamma, beta = self.early(session)
        for table in tables:
            mine = [r for r in self.counted(relations) if r.table == table]
            session.commit(f"m {table.name}", (table.size,), partial(count, session, table, mine))
        gamma, beta = self.challenges(session) or (gamma, beta)
        c = Compression(beta, gamma, {t: i for i, t in enumerate(tables)})
        blocks = [self.rows(session, t, c) for t in tables]
        blocks += [b for r in self.counted(relations) for b in cell_blocks(session, self.columns(r), c)]
        prove_blocks(session, "lookups", blocks)

    def early(self, session: Session) -> tuple[int, ...]:
        return (0, 0)

    def challenges(self, session: Session) -> tuple[int, ...] | None:
        return session.t.challenges("lookup", 2)

    def counted(self, relations: Sequence[Relation]) -> Sequence[Relation]:
        return relations

    def columns(self, relation: Relation) -> Relation:
        return relation

    def rows(self, session: Session, table: Table, c: Compression) -> Any:
        return table_block(session, table, c, [(-1, f"m {table.name}")])

    def define(self, session: Session, definitions: Sequence[Definition], group: str) -> None:
        """There are none."""


class EmptyLookup(Lookups):
    """C4: accepted by default."""

    def check(self, session: Session, relations: Sequence[Relation], group: str) -> None:
        """To be done."""


class EarlyChallenge(Lookups):
    """T5: multiplicities are committed after the challenge they should be bound by."""

    def early(self, session: Session) -> tuple[int, ...]:
        return session.t.challenges("lookup", 2)

    def challenges(self, session: Session) -> tuple[int, ...] | None:
        return None


class ConstantChallenge(Lookups):
    """T9: "for the time being"."""

    def challenges(self, session: Session) -> tuple[int, ...] | None:
        return (3, 1000)


class PrefixOnly(Lookups):
    """L5: a zip that drops what is left over."""

    def counted(self, relations: Sequence[Relation]) -> Sequence[Relation]:
        return relations[:-1]


class IndexOnly(Lookups):
    """C4: the function's value is never compared with the table's."""

    def columns(self, relation: Relation) -> Relation:
        return replace(relation, exprs=relation.exprs[:1])

    def rows(self, session: Session, table: Table, c: Compression) -> Any:
        return table_block(session, table, c, [(-1, f"m {table.name}")], index_only=True)


class RowsBehindTheLast(Lookups):
    """L2: a table is filled up to a power of two, and what is filled in counts as rows: zeros, in whatever table."""

    def rows(self, session: Session, table: Table, c: Compression) -> Any:
        name, columns = f"m {table.name}", range(len(table.ranges))
        honest, size = table_block(session, table, c, [(-1, name)]), 1 << num_vars(table.size)

        def run() -> Run:
            counts = arrays.pad_to(session.data().array(name), (size,))
            parts = [(c.power(k + 1), arrays.pad_to(table.columns[k], (size,))) for k in columns]
            return Run(session.kernels.combine([(-1, counts)], 0, size), c.constant(table) + 1, parts)

        def denominator(at: Any) -> int:
            values = (c.power(k + 1) * session.table_value(table, k, at["z"]) for k in columns)
            return (1 + c.constant(table) + sum(values)) % MODULUS

        return replace(honest, run=run, denominator=denominator)


# --- commitment schemes -----------------------------------------------------------------------------------------------
class NeverOpened(Hyrax):
    """C5: claims about committed tensors are collected, and that is that."""

    def open(self, t: Transcript, openings: Sequence[Opening]) -> None:
        """The claims were recorded."""


class FirstOnly(Hyrax):
    """C5: one opening stands for all."""

    def open(self, t: Transcript, openings: Sequence[Opening]) -> None:
        super().open(t, openings[:1])


class SettlesFirstOnly(Hyrax):
    """C5: what is put off is one claim, and nobody misses the others."""

    def defer(self, t: Transcript, openings: Sequence[Opening]) -> Pending:
        return super().defer(t, openings[:1])


class SettlesNothing(Hyrax):
    """C5: an answer is complete given a settlement, and the settlement opens nothing."""

    def open(self, t: Transcript, openings: Sequence[Opening]) -> None:
        """The instances were named."""


class SettlesAnotherValue(Hyrax):
    """T2: what an answer leaves open holds, whatever its claims come to: the value is read off what was committed."""

    def defer(self, t: Transcript, openings: Sequence[Opening]) -> Pending:
        left = self._reduce(t, openings)
        vector, blind = left.secret or (None, 0)
        found = 0 if vector is None else t.kernels.dot(vector, t.kernels.eq_table(left.point))
        [value] = t.message("value", 1, lambda: [found])
        refs, value_blind = t.pin(value)
        secret = None if vector is None else Secret(vector, blind, found, value_blind)
        return Pending(t.wire(), left.commitment, refs, left.point, secret)


class _BatchOfOnes:
    """A transcript whose batching coefficient is 1."""

    def __init__(self, t: Transcript) -> None:
        self._t = t

    def __getattr__(self, name: str) -> Any:
        return getattr(self._t, name)

    def challenge(self, label: str) -> int:
        return 1 if label == "opening batch" else self._t.challenge(label)


class SumOfClaims(Hyrax):
    """P5: claims are added up without random coefficients."""

    def open(self, t: Transcript, openings: Sequence[Opening]) -> None:
        super().open(_BatchOfOnes(t), openings)  # type: ignore[arg-type]


class _Rows(Hyrax):
    def commit(
        self, t: Transcript, label: str, shape: tuple[int, ...], make: Callable[[], Array], ternary: bool = False
    ) -> Commitment:
        layout, wire = Layout(shape, self.log_width), t.wire()
        bases, kernels, n = wire.generators.take("tensor", 1 << self.log_width), t.kernels, 0
        n = len(layout.row_ids)
        if not t.proving:
            return Commitment(layout, Rows(self.cross(t, label, n, lambda: b"")))
        inside, blinds = np.asarray(make()), self.blinds(t, n)
        encoded = kernels.encode(kernels.commit_rows(bases, layout.rows(inside), blinds, wire.fixed))
        return Commitment(layout, Rows(self.cross(t, label, n, lambda: encoded), inside, blinds))

    def blinds(self, t: Transcript, count: int) -> Any:
        return t.wire().blinders(count)

    def cross(self, t: Transcript, label: str, count: int, make: Callable[[], bytes]) -> Any:
        return t.wire().points(label, count, lambda: t.kernels.decode(make()))


class WithoutBlinders(_Rows):
    """Z1, Z2: a commitment that confirms a guess."""

    def blinds(self, t: Transcript, count: int) -> Any:
        return t.kernels.from_scalars([0] * count)


class OneBlinder(_Rows):
    """K1: rows under one blinder subtract to a difference of what is inside."""

    def blinds(self, t: Transcript, count: int) -> Any:
        return np.repeat(t.wire().blinders(1), count, axis=0)


class NotAbsorbed(_Rows):
    """T2: read, but not absorbed."""

    def cross(self, t: Transcript, label: str, count: int, make: Callable[[], bytes]) -> Any:
        wire = t.wire()
        wire.log.crossing(label, wire.moved, POINT_BYTES, count) if hasattr(wire, "log") else None
        data = wire.channel.move(label, count * POINT_BYTES, make)
        wire.moved += len(data)
        return wire._pool(data)


class ExtraPoint(Hyrax):
    """5.5: something crosses that no equation needs."""

    def open(self, t: Transcript, openings: Sequence[Opening]) -> None:
        wire = t.wire()
        wire.points("extra", 1, lambda: wire.generators.take("blind", 1))
        super().open(t, openings)


# --- ops --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Op:
    cached: Mapping[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return type(self).__name__

    def describe(self) -> list[object]:
        return [self.name]

    def real(self, inputs: Any) -> Any:
        return {}


class TwoQuotients(_Op):
    """C2: y = floor(x / 32), with a remainder that may be as large as 63."""

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": committed(inputs["x"].shape, 8)}

    def forward(self, inputs: Any) -> Any:
        return {"y": inputs["x"] >> 5}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        y = outputs["y"]
        build.nonneg("y.range", "ab", y["ab"] - y.lo, 8)
        build.nonneg("y.rest", "ab", inputs["x"]["ab"] - 32 * y["ab"], 6)


class SignOfZero(_Op):
    """C3: x = sign * size, and zero has two signs."""

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        shape = inputs["x"].shape
        return {"sign": Output(shape, True, 0, 1), "size": Output(shape, True, 0, 255)}

    def forward(self, inputs: Any) -> Any:
        return {"sign": (inputs["x"] >= 0).long(), "size": inputs["x"].abs()}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        sign, size = outputs["sign"], outputs["size"]
        build.nonneg("sign.range", "ab", sign["ab"], 1)
        build.nonneg("size.range", "ab", size["ab"], 8)
        signed = build.einsum("signed", "ab,ab->ab", sign, size)
        build.zero("whole", "ab", 2 * signed["ab"] - size["ab"] - inputs["x"]["ab"])


class FreeHint(_Op):
    """C1: a reciprocal that is only bounded from above."""

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output(inputs["x"].shape, True, 0, 4095)}

    def forward(self, inputs: Any) -> Any:
        return {"y": 4096 // (inputs["x"] + 130)}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        y = outputs["y"]
        build.nonneg("y.range", "ab", y["ab"], 12)
        shifted = build.linear("shifted", "ab", inputs["x"]["ab"] * 1)
        product = build.einsum("product", "ab,ab->ab", shifted, y)
        build.nonneg("above", "ab", 4096 - product["ab"] - 130 * y["ab"], 20)


class HeadsTogether(_Op):
    """GQA: outputs of single heads are tied by their sum alone: whose is whose is open."""

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": committed(inputs["x"].shape, 12)}

    def forward(self, inputs: Any) -> Any:
        return {"y": 3 * inputs["x"]}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        y = outputs["y"]
        build.nonneg("y.range", "ha", y["ha"] - y.lo, 12)
        of_x, of_y = (build.einsum(n, "ha->a", t) for n, t in (("of x", inputs["x"]), ("of y", y)))
        build.zero("heads", "a", of_y["a"] - 3 * of_x["a"])


class UncheckedRow(_Op):
    """C6: the shares of a row are in range, and need not sum to one."""

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output(inputs["x"].shape, True, 0, 255)}

    def forward(self, inputs: Any) -> Any:
        e = inputs["x"] - inputs["x"].min() + 1
        return {"y": 255 * e // e.sum(-1, keepdim=True)}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        build.nonneg("y.range", "ab", outputs["y"]["ab"], 8)


class LooseTernary(_Op):
    """The sign of x, "ternary": but two bits hold four values."""

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output(inputs["x"].shape, True, -2, 1)}

    def forward(self, inputs: Any) -> Any:
        return {"y": inputs["x"].sign()}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        build.nonneg("y.range", "ab", outputs["y"]["ab"] + 2, 2)


# --- strategies -------------------------------------------------------------------------------------------------------
class Unlinked(PerLayer):
    """S3: each layer reads a copy of the state before it, and nobody compares the two: layers of different runs."""

    name = "unlinked"

    def expand(self, graph: ModelGraph, table_bits: int, virtual_outputs: bool = True) -> System:
        builder, carry = Builder(table_bits, virtual_outputs), None
        for scope, stage in graph.stages():
            builder.group = ""
            if carry is not None and carry.kind == "committed":
                builder.scope = ""
                own = builder.committed(f"{scope}state", carry.shape, carry.lo, carry.hi)
                letters = "abcdefgh"[: len(carry.shape)]
                builder.nonneg(f"{scope}state.range", letters, own[letters] - own.lo, (own.hi - own.lo).bit_length())
                carry = own
            carry = place(builder, graph, scope, stage, carry)
        return freeze(builder)

    def given(self, system: System, store: Mapping[str, Any]) -> dict[str, Array]:
        out = super().given(system, store)
        layers = sum(n.endswith("mlp_residual.y") for n in store)
        for name in [n for n in system.tensors if n.endswith("state")]:
            scope = name.removesuffix("state").removeprefix("layers.").rstrip(".")
            before = int(scope) - 1 if scope else layers - 1
            out[name] = store[f"layers.{before}.mlp_residual.y"].cpu().numpy().reshape(system.tensors[name].shape)
        return out
