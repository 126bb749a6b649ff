"""The curve half of the contract on the C++ engine: scalars become bytes here, everything else is passed through."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import zkcore._engine as _engine
from zkcore.field.kernels import Column, FieldArray, FixedBase, Points
from zkcore.field.native_field import _pack


class NativeFixedBase:
    """Implements FixedBase."""

    def __init__(self, points: Points) -> None:
        self.tables = _engine.FixedBase(points)

    def combine(self, scalars: Sequence[int], in_team: bool = False) -> Points:
        """`in_team`: on cores that are kept awake for the next call."""
        return self.tables.combine(_pack(scalars), in_team)


class NativeCurve:
    """Implements CurveKernels."""

    @cached_property
    def _ternary(self) -> _engine.TernaryRows:
        """Keeps the generators' subset sums, up to 2.4 GiB for rows of 2^20: the more rows, the larger the subsets."""
        return _engine.TernaryRows()

    def hash_to_curve(self, dst: bytes, prefix: bytes, start: int, count: int) -> Points:
        return _engine.hash_to_curve(dst, prefix, start, count)

    def encode(self, points: Points) -> bytes:
        return _engine.encode(points)

    def decode(self, data: bytes) -> Points:
        return _engine.decode(data)

    def msm(self, points: Points, scalars: FieldArray) -> Points:
        return _engine.msm(points, scalars)

    def commit_rows(self, generators: Points, rows: Column, blinds: FieldArray, blinder: FixedBase) -> Points:
        if not isinstance(blinder, NativeFixedBase):
            raise TypeError("blinder: expected what this engine's fixed_base returned")
        return _engine.commit_rows(generators, rows, blinds, blinder.tables)

    def commit_ternary(self, generators: Points, rows: Column, blinds: FieldArray, blinder: FixedBase) -> Points:
        if not isinstance(blinder, NativeFixedBase):
            raise TypeError("blinder: expected what this engine's fixed_base returned")
        return self._ternary.commit(generators, rows, blinds, blinder.tables)

    def fold_points(self, points: Points, weights: FieldArray) -> Points:
        return _engine.fold_points(points, weights)

    def fixed_base(self, points: Points) -> NativeFixedBase:
        return NativeFixedBase(points)
