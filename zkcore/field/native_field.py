"""The field half of the contract on the C++ engine: scalars become bytes here, everything else is passed through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zkcore._engine as _engine
from zkcore.field.joint import KnownSum
from zkcore.field.kernels import MODULUS, Column, FieldArray, Forms, IntArray, Leaves, Term
from zkcore.field.room import Tree, TreePlan

_SCALAR = 32


def _pack(values: Sequence[int]) -> bytes:
    """The engine itself refuses scalars between R and 2^256."""
    try:
        return b"".join([value.to_bytes(_SCALAR, "little") for value in values])
    except OverflowError:
        raise ValueError("a scalar must lie in [0, R)") from None


def _unpack(data: bytes) -> list[int]:
    return [int.from_bytes(data[i : i + _SCALAR], "little") for i in range(0, len(data), _SCALAR)]


def _reduced(value: int) -> bytes:
    """Coefficients and constants may be given as any integers, -1 for example."""
    return (value % MODULUS).to_bytes(_SCALAR, "little")


class NativeSumcheck:
    """Sumcheck for either kind of prover's state in the engine."""

    def __init__(self, state: _engine.Sumcheck | _engine.FractionLayer) -> None:
        self._state = state

    def round(self) -> list[int]:
        return _unpack(self._state.round())

    def bind(self, challenge: int) -> None:
        self._state.bind(_pack([challenge]))

    def finals(self) -> list[int]:
        return _unpack(self._state.finals())


class NativeJoint:
    """Of states in the engine, which go with it."""

    def __init__(self, state: _engine.SideBySide, parts: Sequence[KnownSum]) -> None:
        self._joint, self._parts = state, [p.sumcheck for p in parts]

    def round(self) -> list[int]:
        return _unpack(self._joint.round())

    def bind(self, challenge: int) -> None:
        self._joint.bind(_pack([challenge]))

    def finals(self) -> list[int]:
        return [v for own in self._parts for v in own.finals()]

    def claims(self) -> list[int]:
        return _unpack(self._joint.claims())


def join_sumchecks(engine: Any, parts: Sequence[KnownSum], degree: int) -> NativeJoint:
    """`engine`: its class for states of this kind."""
    states = []
    for part in parts:
        if not isinstance(part.sumcheck, NativeSumcheck):
            raise TypeError("expected sumchecks of this engine")
        states.append(part.sumcheck._state)
    made = engine(states, _pack([p.claim for p in parts]), [p.degree for p in parts], degree)
    return NativeJoint(made, parts)


class NativeFractionTree:
    def __init__(self, tree: _engine.FractionTree) -> None:
        self._tree = tree

    def root(self) -> tuple[int, int]:
        p, q = _unpack(self._tree.root())
        return p, q

    def layer(self, depth: int, point: Sequence[int], batch: int) -> NativeSumcheck:
        return NativeSumcheck(self._tree.layer(depth, _pack(point), _reduced(batch)))


class NativeLinearForms:
    def __init__(self, size: int, forms: Forms) -> None:
        nodes, starts, sources = (np.array(a, dtype=np.int64) for a in (forms.nodes, forms.starts, forms.sources))
        self._forms = _engine.LinearForms(size, nodes, starts, sources, _pack(forms.coefficients))

    def run(self, numbers: FieldArray) -> FieldArray:
        return self._forms.run(numbers)

    def transposed(self, numbers: FieldArray) -> FieldArray:
        return self._forms.transposed(numbers)

    def reached(self, nodes: NDArray[np.int64]) -> NDArray[np.bool_]:
        return self._forms.reached(nodes)


class NativeField:
    """Implements FieldKernels."""

    def from_ints(self, values: IntArray) -> FieldArray:
        return _engine.from_ints(values)

    def from_scalars(self, values: Sequence[int]) -> FieldArray:
        return _engine.from_scalars(_pack(values))

    def to_scalars(self, values: FieldArray) -> list[int]:
        return _unpack(_engine.to_scalars(values))

    def from_wide_bytes(self, data: bytes) -> FieldArray:
        return _engine.from_wide_bytes(data)

    def eq_table(self, point: Sequence[int], scale: int = 1) -> FieldArray:
        return _engine.eq_table(_pack(point), _reduced(scale))

    def contract(self, column: Column, outer: int, inner: int, weights: FieldArray) -> FieldArray:
        return _engine.contract(column, outer, inner, weights)

    def contract_ternary(self, column: Column, outer: int, inner: int, weights: FieldArray) -> FieldArray:
        return _engine.contract_ternary(column, outer, inner, weights)

    def dot(self, column: Column, weights: Column) -> int:
        return int.from_bytes(_engine.dot(column, weights), "little")

    def combine(self, terms: Sequence[tuple[int, Column]], constant: int, length: int) -> FieldArray:
        return _engine.combine(_linear(terms), _reduced(constant), length)

    def multiply(self, a: Column, b: Column) -> FieldArray:
        return _engine.multiply(a, b)

    def batch_inverse(self, values: FieldArray) -> FieldArray:
        return _engine.batch_inverse(values)

    def scatter_add(self, index: NDArray[np.int64], values: FieldArray, size: int) -> FieldArray:
        return _engine.scatter_add(index, values, size)

    def linear_forms(self, size: int, forms: Forms) -> NativeLinearForms:
        return NativeLinearForms(size, forms)

    def follow_rounds(
        self, state: bytes, frames: tuple[bytes, bytes, bytes], messages: bytes, rounds: int, pieces: int, degree: int
    ) -> tuple[bytes, list[int], list[int]]:
        """Implements FollowsRounds."""
        state, drawn, weights = _engine.follow_rounds(state, frames, messages, rounds, pieces, degree)
        return state, _unpack(drawn), _unpack(weights)

    def fold_rounds(self, challenges: Sequence[int], degree: int) -> list[int]:
        return _unpack(_engine.fold_rounds(_pack(challenges), degree))

    def sumcheck(
        self, tables: Sequence[Column], terms: Sequence[Term], degree: int, eq_point: Sequence[int] | None = None
    ) -> NativeSumcheck:
        packed = [(_reduced(coefficient), list(factors)) for coefficient, factors in terms]
        point = None if eq_point is None else _pack(eq_point)
        return NativeSumcheck(_engine.Sumcheck(list(tables), packed, degree, point))

    def side_by_side(self, parts: Sequence[KnownSum], degree: int) -> NativeJoint:
        """Implements JoinsSumchecks."""
        return join_sumchecks(_engine.SideBySide, parts, degree)

    def fraction_tree(self, runs: Sequence[Leaves], log_size: int) -> NativeFractionTree:
        packed = [(run.numerator, _reduced(run.constant), _linear(run.denominator)) for run in runs]
        plan = self.tree_plan(Tree(sum(int(run.numerator.shape[0]) for run in runs), log_size, stretches=False))
        return NativeFractionTree(_engine.FractionTree(packed, log_size, plan.for_engine()))

    def tree_plan(self, tree: Tree) -> TreePlan:
        """What may be held of it: here all."""
        return tree.plan(None)


def _linear(terms: Sequence[tuple[int, Column]]) -> list[tuple[bytes, Column]]:
    return [(_reduced(coefficient), column) for coefficient, column in terms]
