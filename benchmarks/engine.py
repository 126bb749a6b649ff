"""The CPU engine's verbs: how fast they are, and what share of the machine's own limit that is.

    python benchmarks/engine.py [--out benchmarks/results]

The limit is measured in the same run: products of field elements from registers, on all threads (limits.cpp, with the
engine's own header). What a verb multiplies is counted by the engine itself; a sum of products is reduced once, not
product by product, so sums may exceed 100%. An MSM of 2^14 full-size scalars is set against py-arkworks-bls12381's on
the same points.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, save

from zkcore import _engine, api
from zkcore.field.kernels import MODULUS, Kernels
from zkcore.report.tables import console, rows_table
from zkcore.setup import toolbox
from zkcore.subprotocols.fraction_tree import Run

SMALL = 4 / 36  # a machine integer times a field element, in 64-bit products, against a product of field elements
ADDITION = 6  # products of Fq in a batched affine addition, the shared inversion's three included


@dataclass
class Limits:
    """Per second, on all threads, from registers. `wide`: products of 64 by 64 bits."""

    wide: float
    fr: float
    fq: float


@dataclass
class Row:
    """`share`: of the machine's limit, by the operations counted. `ratio`: to another implementation's time."""

    verb: str
    size: str
    seconds: float
    rate: float
    unit: str
    share: float
    ratio: float | None = None


def limits() -> Limits:
    compiler = shutil.which("c++") or shutil.which("g++")
    if compiler is None:
        raise SystemExit("the machine's limit is measured by a C++ program: a compiler is needed")
    with tempfile.TemporaryDirectory() as place:
        program = f"{place}/limits"
        flags = ["-O3", "-march=native", "-std=c++20", "-pthread", f"-I{ROOT / 'csrc' / 'include'}"]
        subprocess.run([compiler, *flags, str(ROOT / "benchmarks" / "limits.cpp"), "-o", program], check=True)
        runs = [subprocess.run([program], capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    return Limits(*(max(float(run[i]) for run in runs) for i in range(3)))


def timed(work: Callable[[], object], repeats: int = 9) -> float:
    """The best: who else uses the machine only adds. A first run does not count."""
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


class Bench:
    def __init__(self) -> None:
        self.tools = toolbox(api.cache_dir())
        self.k: Kernels = self.tools.kernels
        self.limits = limits()
        self.rows: list[Row] = []
        self.random = np.random.default_rng(1)

    def add(self, verb: str, size: str, items: float, unit: str, work: Callable[[], object]) -> Row:
        before = self.k.counters()
        work()
        done = {name: n - before[name] for name, n in self.k.counters().items()}
        seconds = timed(work)
        busy = (done["field_mults"] + SMALL * done["small_mults"]) / self.limits.fr
        busy += ADDITION * done["group_adds"] / self.limits.fq
        self.rows.append(Row(verb, size, seconds, items / seconds, unit, busy / seconds))
        return self.rows[-1]

    def scalars(self, count: int) -> Any:
        return self.k.from_wide_bytes(self.random.bytes(64 * count))

    def trits(self, count: int) -> Any:
        return self.random.integers(-1, 2, count, dtype=np.int8)

    def ints(self, bits: int, count: int) -> Any:
        kind = {8: np.int8, 16: np.int16}[bits]
        return self.random.integers(-(1 << bits - 1), 1 << bits - 1, count, dtype=kind)


def field(b: Bench) -> None:
    k, n = b.k, 1 << 18
    x, y, small = b.scalars(n), b.scalars(n), b.ints(16, n)
    point = k.to_scalars(b.scalars(18))
    b.add("multiply", "2^18 field", n, "products", lambda: k.multiply(x, y))
    b.add("eq table", "2^18", n, "entries", lambda: k.eq_table(point))
    b.add("batch inverse", "2^18", n, "inverses", lambda: k.batch_inverse(x))
    for bits in (8, 16):
        wide = b.ints(bits, n << 4)
        b.add(
            f"contract {bits}-bit",
            "2^11 rows of 2^11",
            n << 4,
            "entries",
            partial(k.contract, wide, 1, 2048, x[:2048]),
        )
    wide = b.trits(n << 4)
    b.add(
        "contract ternary", "2^11 rows of 2^11", n << 4, "entries", lambda: k.contract_ternary(wide, 1, 2048, x[:2048])
    )
    b.add("contract field", "2^7 rows of 2^11", n, "entries", lambda: k.contract(x, 1, 2048, y[:128]))
    b.add("dot", "2^18 16-bit by field", n, "products", lambda: k.dot(small, x))


def sumchecks(b: Bench) -> None:
    k, n = b.k, 18
    x, y, small = b.scalars(1 << n), b.scalars(1 << n), b.ints(16, 1 << n)
    point = k.to_scalars(b.scalars(n))

    def rounds(prover: Any, variables: int) -> None:
        for r in point[:variables]:
            prover.round()
            prover.bind(r)

    b.add("sumcheck a b", "2^18 field", 1 << n, "entries", lambda: rounds(k.sumcheck([x, y], [(1, (0, 1))], 2), n))
    b.add("sumcheck a b", "2^18 16-bit", 1 << n, "entries", lambda: rounds(k.sumcheck([small, x], [(1, (0, 1))], 2), n))
    eq = lambda: rounds(k.sumcheck([x, y], [(1, (0, 1))], 3, point), n)  # noqa: E731
    b.add("sumcheck eq a b", "2^18 field", 1 << n, "entries", eq)
    runs = [Run(np.ones(1 << n, dtype=np.int8), MODULUS // 3, [(MODULUS // 5, small)])]
    b.add("fraction tree", "2^18 16-bit leaves", 1 << n, "leaves", lambda: k.fraction_tree(runs, n))

    def layers() -> None:
        tree = k.fraction_tree(runs, n)
        for depth in range(n):
            rounds(tree.layer(depth, point[:depth], point[depth]), depth)

    b.add("fraction tree, all rounds", "2^18 16-bit leaves", 1 << n, "leaves", layers)


def curve(b: Bench) -> None:
    k, rows, width = b.k, 256, 1 << 11
    generators = b.tools.generators.take("tensor", width)
    blinds, fixed = b.scalars(rows), k.fixed_base(b.tools.generators.take("message", 8))
    for bits in (8, 16):
        data = b.ints(bits, rows * width).reshape(rows, width)
        commit = lambda d=data: k.commit_rows(generators, d, blinds, fixed)  # noqa: E731
        b.add(f"commit {bits}-bit rows", f"{rows} of 2^11", rows * width, "values", commit)
    trits = b.trits(rows * width).reshape(rows, width)
    for count in (8, rows):
        add = lambda c=count: k.commit_ternary(generators, trits[:c], blinds[:c], fixed)  # noqa: E731
        b.add("commit ternary rows", f"{count} of 2^11", count * width, "values", add)
    full = b.scalars(8 * width).reshape(8, width, 4)
    b.add(
        "commit field rows",
        "8 of 2^11",
        8 * width,
        "values",
        lambda: k.commit_rows(generators, full, blinds[:8], fixed),
    )
    message = k.to_scalars(b.scalars(8))
    b.add("message row", "8 scalars", 1, "rows", lambda: fixed.combine(message))
    data = k.encode(generators)
    b.add("decode, with subgroup check", "2^11", width, "points", lambda: k.decode(data))
    msm(b, 14)


def msm(b: Bench, log: int) -> None:
    """Against arkworks, in the same run, on the same numbers."""
    from py_arkworks_bls12381 import G1Point, Scalar

    n = 1 << log
    points, scalars = b.tools.generators.take("tensor", n), b.scalars(n)
    row = b.add("msm", f"2^{log}", n, "points", lambda: b.k.msm(points, scalars))
    encoded = b.k.encode(points)
    theirs = [G1Point.from_compressed_bytes_unchecked(encoded[i : i + 48]) for i in range(0, len(encoded), 48)]
    numbers = [Scalar.from_le_bytes(v.to_bytes(32, "little")) for v in b.k.to_scalars(scalars)]
    seconds = timed(lambda: G1Point.multiexp_unchecked(theirs, numbers), 5)
    ours = b.k.encode(b.k.msm(points, scalars).reshape(1, 12))
    if ours != bytes(G1Point.multiexp_unchecked(theirs, numbers).to_compressed_bytes()):
        raise SystemExit("the two sums differ")
    row.ratio = seconds / row.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    out: Path = parser.parse_args().out
    b = Bench()
    for part in (field, sumchecks, curve):
        part(b)
    head = ("verb", "size", "seconds", "per second", "of", "share of the limit", "arkworks takes")
    table = [
        (r.verb, r.size, r.seconds, r.rate, r.unit, f"{r.share:.0%}", f"{r.ratio:.2f} times" if r.ratio else "")
        for r in b.rows
    ]
    limit = asdict(b.limits)
    console().print(rows_table(f"Engine, {_engine.threads()} threads", head, table))
    console().print(f"limits per second: {b.limits.fr:,.3g} products of Fr, {b.limits.fq:,.3g} of Fq")
    save(out / "engine.json", {"threads": _engine.threads(), "limits": limit, "rows": [asdict(r) for r in b.rows]})


if __name__ == "__main__":
    main()
