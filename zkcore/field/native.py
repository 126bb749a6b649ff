"""Both halves of the C++ engine as one set of kernels."""

from __future__ import annotations

from functools import cache

import zkcore._engine as _engine
from zkcore.field.kernels import Kernels
from zkcore.field.native_curve import NativeCurve
from zkcore.field.native_field import NativeField
from zkcore.field.space import NUMPY, Space


class NativeKernels(NativeField, NativeCurve):
    """Implements Kernels."""

    space: Space = NUMPY

    def counters(self) -> dict[str, int]:
        return {**_engine.field_counters(), **_engine.curve_counters()}


@cache
def load() -> Kernels:
    return NativeKernels()
