"""Products of matrices of narrow integers as GEMMs of signed bytes: a GPU multiplies bytes some 15 times as fast as
doubles.

Digits. An integer v of n bytes in two's complement is o_n + sum_k 256^k d_k, where o_n = 128 (1 + 256 + ... +
256^(n-2)) and every d_k is a signed byte: an unsigned byte less 128 lies in [-128, 127], and the top byte is signed as
it is. (Balanced digits without o_2 end at 32,639, int16 at 32,767.)

Product. With K summed places, A and B the sums of a's row and of b's column,

    sum a b = sum_ij 256^(i + j) sum a_i b_j + o_b A + o_a B - K o_a o_b,

and the sums of all a_i b_j are one GEMM: a's digits lie below each other, b's side by side. (One for each i + j, joined
along K, has fewer results to put together, but fills a GPU worse: 0.56 ms against 0.47 for 2,048 x 5,120 x 5,120.)

Exactness. |a_i b_j| <= 2^14: where 2^14 K < 2^31, as `fits` demands, no partial sum leaves 32 bits in whatever order a
device adds. The rest is computed modulo 2^64, and |sum a b| <= K 2^(8 n_a - 1) 2^(8 n_b - 1), which is demanded to stay
below 2^62. A CPU keeps to doubles: not every one adds products of bytes without saturating.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import prod
from typing import Protocol

import torch
from torch import Tensor

from zkcore.field.space import EXACT_INT

# What is smaller than one of these is left to doubles: launches take longer (0.16 ms of the host), or putting results
# together does.
LEAST_ENTRIES = 128  # of rows and of columns
LEAST_STEPS = 512
LEAST_PRODUCTS = 1 << 32
ALIGNED = 16  # bytes, of what a GEMM of bytes reads and writes
MOST_DIGITS = 4
Sizes = tuple[tuple[str, int], ...]  # of each letter


class Passes(Protocol):
    """What is done to factors and results in one pass each."""

    def split_bytes(self, matrix: Tensor, across: bool, digits: int) -> tuple[Tensor, Tensor]:
        """A contiguous matrix, [steps, rows] if `across`, else [rows, steps]: int8 [digits, rows, steps], the lowest
        first; and int64 [rows], the sums of its values."""
        ...

    def join_products(self, products: Tensor, inner: int, terms: Sequence[tuple[Tensor, int]], constant: int) -> Tensor:
        """products: int32 [digits, rows, digits, columns]. terms: what each row's and each column's sum is multiplied
        by and added. int64 [columns / inner, rows, inner]."""
        ...


@dataclass(frozen=True)
class Plan:
    """A product [rows, summed] by [summed, columns] whose result lies as [before, rows, behind], columns = before and
    behind. `swapped`: its rows are those of the second factor."""

    rows: str
    summed: str
    before: str
    behind: str
    swapped: bool
    sizes: Sizes

    def size(self, letters: str) -> int:
        return _size(letters, self.sizes)

    def fits(self, digits: tuple[int, int]) -> bool:
        """Whether every sum is exact."""
        steps = self.size(self.summed)
        return max(digits) <= MOST_DIGITS and steps << 14 < 1 << 31 and steps << (8 * sum(digits) - 2) < EXACT_INT


@cache
def plan(f: str, g: str, out: str, sizes: Sizes) -> Plan | None:
    """How to make f,g->out by bytes. None: it is no product of two matrices, or one that lies otherwise, or has odd
    sizes, or is too small to pay."""
    if not out or len(set(f)) < len(f) or len(set(g)) < len(g):
        return None
    own, other, swapped = (f, g, False) if out[-1] in g else (g, f, True)
    rows = "".join(x for x in out if x in own)
    summed = "".join(x for x in (f if _size(f, sizes) > _size(g, sizes) else g) if x not in out)
    if not rows or rows not in out or set(own) != set(rows + summed) or set(other) != set(out + summed) - set(rows):
        return None
    before, behind = out.split(rows)
    made = Plan(rows, summed, before, behind, swapped, sizes)
    return made if made.size(behind) % ALIGNED == 0 and made.size(summed) % ALIGNED == 0 and _pays(made) else None


def _pays(made: Plan) -> bool:
    rows, steps, columns = made.size(made.rows), made.size(made.summed), made.size(made.before + made.behind)
    large = min(rows, columns) >= LEAST_ENTRIES and steps >= LEAST_STEPS
    return large and rows * steps * columns >= LEAST_PRODUCTS


def product(here: Passes, made: Plan, f: str, a: Tensor, g: str, b: Tensor, digits: tuple[int, int]) -> Tensor:
    """int64, with the letters of `out`. `digits`: bytes that hold every entry of a, and of b."""
    if made.swapped:
        f, a, g, b, digits = g, b, f, a, (digits[1], digits[0])
    columns, (n, m), steps = made.before + made.behind, digits, made.size(made.summed)
    left, of_rows = here.split_bytes(*_laid(f, a, made.rows, made.summed), n)
    right, of_columns = here.split_bytes(*_laid(g, b, columns, made.summed), m)
    products = torch._int_mm(left.view(-1, steps), right.view(-1, steps).t())
    laid = products.view(n, made.size(made.rows), m, made.size(columns))
    o, p = offset(n), offset(m)
    whole = here.join_products(laid, made.size(made.behind), ((of_rows, p), (of_columns, o)), -steps * o * p)
    return whole.reshape([made.size(x) for x in made.before + made.rows + made.behind])


def offset(digits: int) -> int:
    """What the digits of a number lack."""
    return 128 * sum(1 << 8 * k for k in range(digits - 1))


def _size(letters: str, sizes: Sizes) -> int:
    own = dict(sizes)
    return prod([own[x] for x in letters])


def _laid(letters: str, array: Tensor, rows: str, summed: str) -> tuple[Tensor, bool]:
    """[rows, summed], or [summed, rows] if that needs no copy; which."""
    size = dict(zip(letters, array.shape, strict=True))
    along, across = (array.permute([letters.index(x) for x in order]) for order in (rows + summed, summed + rows))
    height, width = (prod([size[x] for x in part]) for part in (rows, summed))
    if across.is_contiguous():
        return across.reshape(width, height), True
    return along.contiguous().reshape(height, width), False
