"""Intervals of sums of products, from those of the factors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from zkcore.graph.tensor import Tensor


def product_interval(
    ins: Sequence[Tensor], factors: Sequence[str], out: str, size: Mapping[str, int]
) -> tuple[int, int]:
    """Interval of a sum of products. A public factor with few entries counts by its L1 norm, not by its size."""
    contracted, corners, k = {x for x in size if x not in out}, [1], 1
    norms = []
    for t, f in zip(ins, factors, strict=True):
        bound = (t.l1 or {}).get(tuple(i for i, x in enumerate(f) if x in contracted))
        if bound is not None:
            norms.append((bound, t, f))
    rest = list(ins)
    if norms:
        k, sparse, f = min(norms, key=lambda n: n[0])
        rest.remove(sparse)
        contracted = contracted - set(f)
        corners = [0, 1] if sparse.lo >= 0 else [-1, 1]
    if len(rest) == len(ins) == 2 and ins[0] is ins[1] and factors[0] == factors[1]:
        corners = [0, max(ins[0].lo ** 2, ins[0].hi ** 2)]
    else:
        for t in rest:
            corners = [a * b for a in (min(corners), max(corners)) for b in (t.lo, t.hi)]
    k *= math.prod(size[x] for x in contracted)
    return k * min(corners), k * max(corners)
