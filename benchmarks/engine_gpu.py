"""Each verb's rate on the GPU beside what the chip could do: the bound is the larger of (products over the measured
product rate) and (bytes over the measured copy bandwidth), both from this very run.

    python benchmarks/engine_gpu.py [--log 26] [--only sumcheck] [--out benchmarks/results]
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from zkcore import _engine
from zkcore.field import cuda
from zkcore.field.kernels import MODULUS

POINT = [pow(7, i + 1000, MODULUS) for i in range(64)]
ADDITION = 6.4  # products of Fq: a batched affine addition with its share of an inversion
FQ_PRODUCTS = 27.3 / 67.2  # rate of Fq products over that of Fr products


@dataclass
class Row:
    verb: str
    milliseconds: float
    rate: float  # items a second
    unit: str
    bound: float  # the same, as far as it is known
    ratio: float
    note: str = ""


@dataclass
class Case:
    """`products` of Fr and `bytes` are per item."""

    name: str
    items: float
    unit: str
    run: Callable[[], object]
    products: float = 0.0
    bytes: float = 0.0
    note: str = ""


@dataclass
class Chip:
    products: float
    copy: float

    def bound(self, case: Case) -> float:
        seconds = max(case.products / self.products, case.bytes / self.copy)
        return 1 / seconds if seconds else 0.0


def seconds(run: Callable[[], object], repeat: int = 5) -> float:
    """Median wall-clock time; a warm-up before."""
    run()
    times = []
    for _ in range(repeat):
        torch.cuda.synchronize()
        start = time.perf_counter()
        run()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
        if sum(times) > 3:
            break
    return statistics.median(times)


def ints(kind: str, *shape: int) -> torch.Tensor:
    info = torch.iinfo(getattr(torch, kind))
    return torch.randint(info.min, info.max, shape, dtype=getattr(torch, kind), device="cuda")


def trits(*shape: int) -> torch.Tensor:
    return torch.randint(-1, 2, shape, dtype=torch.int8, device="cuda")


def fields(*shape: int) -> torch.Tensor:
    limbs = torch.randint(0, 2**62, (*shape, 4), dtype=torch.int64, device="cuda")
    return limbs.view(torch.uint64)


def measure_chip(k: cuda.CudaKernels) -> Chip:
    a = torch.empty(2**30, dtype=torch.int32, device="cuda")
    b = torch.empty_like(a)
    copy = 2 * a.numel() * 4 / seconds(lambda: b.copy_(a))
    values, out = fields(2**20), fields(2**19)
    address = k._column(values)

    def chains(rounds: int) -> int:
        done: int = _engine.cuda.multiply_chains(address, rounds, out.data_ptr(), k._stream())
        return done

    return Chip(chains(1000) / seconds(lambda: chains(1000)), copy)


# ---- cases
def columns(k: cuda.CudaKernels, log: int) -> Iterator[Case]:
    n = 1 << log
    a, b = fields(n), fields(n)
    short = ints("int16", n)
    yield Case("from_ints int16", n, "entries", lambda: k.from_ints(short), 0.3, 34)
    yield Case("eq_table", n, "entries", lambda: k.eq_table(POINT[:log]), 1, 32)
    yield Case("multiply field field", n, "entries", lambda: k.multiply(a, b), 1, 96)
    yield Case("multiply int16 field", n, "entries", lambda: k.multiply(short, b), 1.3, 66)
    terms = [(POINT[0], short), (POINT[1], short), (POINT[2], a)]
    yield Case("combine 2 int16, 1 field", n, "entries", lambda: k.combine(terms, 5, n), 1.4, 68)
    yield Case("combine 2 fields", n, "entries", lambda: k.combine([(POINT[0], a), (POINT[1], b)], 0, n), 2, 96)
    yield Case("dot field field", n, "entries", lambda: k.dot(a, b), 0.57, 64)
    yield Case("batch_inverse", n, "entries", lambda: k.batch_inverse(a), 3, 160)
    m = n >> 2
    spread = torch.randint(0, 2**16, (m,), dtype=torch.int64, device="cuda")
    crowd = torch.where(torch.rand(m, device="cuda") < 0.5, torch.zeros_like(spread), spread)
    yield Case("scatter_add to 2^16, spread", m, "entries", lambda: k.scatter_add(spread, a[:m], 2**16), 0, 40)
    yield Case("scatter_add to 2^16, half to one", m, "entries", lambda: k.scatter_add(crowd, a[:m], 2**16), 0, 40)


def folds(k: cuda.CudaKernels, log: int) -> Iterator[Case]:
    rows, width = 1 << (log - 12), 1 << 16
    signs, own = trits(rows, width), fields(rows)
    yield Case(
        "contract_ternary of columns",
        signs.numel(),
        "entries",
        lambda: k.contract_ternary(signs, 1, width, own),
        0.0,
        1,
    )
    for kind, size in (("int8", 1), ("int16", 2), ("int32", 4), ("field", 32)):
        r, w = (rows, width) if kind != "field" else (rows >> 4, width)
        matrix = fields(r * w) if kind == "field" else ints(kind, r, w)
        products = 0.57 if kind == "field" else 0.0 if size < 4 else 8 / 112
        for name, shape, count in (("of rows", (1, w), r), ("of columns", (r, 1), w)):
            weights = fields(count)
            yield Case(
                f"contract {kind} {name}",
                r * w,
                "entries",
                lambda m=matrix, s=shape, x=weights: k.contract(m, *s, x),
                products,
                size,
            )


def whole_sumcheck(k: cuda.CudaKernels, tables: list[Any], degree: int, point: list[int] | None) -> None:
    factors = tuple(range(len(tables)))
    state = k.sumcheck(tables, [(1, factors)], degree, point)
    for i in range(int(tables[0].shape[0]).bit_length() - 1):
        state.round()
        state.bind(POINT[i])
    state.finals()


class SecondRound:
    """bind + evaluate of the first challenge, taken again and again from the same state of the tables."""

    def __init__(self, k: cuda.CudaKernels, tables: list[Any], degree: int, point: list[int] | None) -> None:
        self.make = lambda: k.sumcheck(tables, [(1, tuple(range(len(tables))))], degree, point)

    def seconds(self) -> float:
        times = []
        for _ in range(4):
            state = self.make()
            state.round()
            state.bind(POINT[0])
            torch.cuda.synchronize()
            start = time.perf_counter()
            state.round()
            times.append(time.perf_counter() - start)
        return statistics.median(times)


def sumchecks(k: cuda.CudaKernels, log: int) -> Iterator[Case | tuple[Case, float]]:
    n = 1 << log
    a, b = fields(n), fields(n)
    x, y = ints("int16", n), ints("int16", n)
    point = POINT[:log]
    for name, tables, degree, eq, products, size in (
        ("a b", [a, b], 2, None, 144 / 112, 96.0),
        ("eq a b", [a, b], 3, point, (4 * 112 + 2 * 112 + 2 * 64) / 112 / 4, 96.0),
        ("eq a b of int16", [x, y], 3, point, (4 * 28 + 2 * 112 + 2 * 64) / 112 / 4, 36.0),
    ):
        case = Case(f"bind+evaluate {name}", n, "indices", lambda: None, products, size)
        yield case, SecondRound(k, tables, degree, eq).seconds()
    run = whole_sumcheck
    yield Case("sumcheck a b, all rounds", n, "indices", lambda: run(k, [a, b], 2, None), 2 * 144 / 112 + 1.7, 320)
    yield Case("sumcheck eq a b, all rounds", n, "indices", lambda: run(k, [a, b], 3, point), 2 * 1.79 + 2.4, 320)
    yield Case("sumcheck eq a b of int16, all rounds", n, "indices", lambda: run(k, [x, y], 3, point), 3.3, 140)


class Leaves:
    def __init__(self, log: int) -> None:
        self.numerator = torch.ones(1 << log, dtype=torch.int8, device="cuda")
        self.constant = POINT[0]
        self.denominator = [(POINT[1], ints("int16", 1 << log)), (POINT[2], ints("int16", 1 << log))]


def tree_times(k: cuda.CudaKernels, leaves: Leaves, log: int) -> tuple[float, float]:
    torch.cuda.synchronize()
    start = time.perf_counter()
    tree = k.fraction_tree([leaves], log)
    built = time.perf_counter()
    point: list[int] = []
    for depth in range(log):
        layer = tree.layer(depth, point, POINT[depth])
        for i in range(depth):
            layer.round()
            layer.bind(POINT[i + 1])
        layer.finals()
        point = [*POINT[1 : depth + 1], POINT[depth + 2]]
    return built - start, time.perf_counter() - start


def trees(k: cuda.CudaKernels, log: int) -> Iterator[tuple[Case, float]]:
    for size in (20, 24, log + 2):
        leaves = Leaves(size)
        tree_times(k, leaves, size)
        torch.cuda.reset_peak_memory_stats()
        times = [tree_times(k, leaves, size) for _ in range(2)]
        build, whole = (min(t[i] for t in times) for i in (0, 1))
        note = f"peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
        yield Case(f"fraction tree 2^{size}, build", 1 << size, "leaves", lambda: None, 200 / 112, 70), build
        yield (
            Case(f"LogUp-GKR 2^{size}, build and all layers", 1 << size, "lookups", lambda: None, 10, 450, note),
            whole,
        )


def some_points(k: cuda.CudaKernels, count: int) -> Any:
    bases = k.hash_to_curve(b"zkcore benchmark", b"gpu", 0, 16)
    blinder = k.fixed_base(bases[:1])
    return k.commit_rows(bases, ints("int8", count, 16), fields(count), blinder)


def commitments(k: cuda.CudaKernels, log: int) -> Iterator[Case]:
    per_value = ADDITION / FQ_PRODUCTS
    start = time.perf_counter()
    bases = some_points(k, 1 << 20)
    torch.cuda.synchronize()
    print(f"made 2^20 points in {time.perf_counter() - start:.1f} s", file=sys.stderr)
    blinder = k.fixed_base(bases[:1].cpu())
    shapes = [("int8", 12, 12), ("int8", 10, 16), ("int8", 6, 20), ("int16", 12, 12), ("int16", 10, 16)]
    shapes += [("int16", 8, 18), ("int16", 6, 20), ("int32", 4, 20)]
    for kind, rows, width in shapes:
        values = ints(kind, 1 << rows, 1 << width)
        blinds = fields(1 << rows)
        yield Case(
            f"commit_rows {kind} 2^{rows} x 2^{width}",
            values.numel(),
            "values",
            lambda v=values, b=blinds: k.commit_rows(bases, v, b, blinder),
            per_value * (2 if kind == "int32" else 1),
            note="bound: one batched affine addition a value" + (", two for int32" if kind == "int32" else ""),
        )
    for rows, width in ((14, 12), (12, 16), (10, 20)):
        signs, blinds = trits(1 << rows, 1 << width), fields(1 << rows)
        yield Case(
            f"commit_ternary 2^{rows} x 2^{width}",
            signs.numel(),
            "weights",
            lambda v=signs, b=blinds: k.commit_ternary(bases, v, b, blinder),
            per_value / 5,
            note="bound: one batched affine addition for five weights",
        )
    for size in (16, 20):
        scalars = fields(1 << size)
        yield Case(f"msm 2^{size}", 1 << size, "points", lambda s=scalars: k.msm(bases[: len(s)], s), 16 * per_value)
    two = k.from_scalars(POINT[:2])
    yield Case("fold_points 2^20 to 2^19", 1 << 19, "points", lambda: k.fold_points(bases, two), 3000 / FQ_PRODUCTS)


GROUPS = {"columns": columns, "folds": folds, "sumchecks": sumchecks, "trees": trees, "commitments": commitments}


def measure(k: cuda.CudaKernels, chip: Chip, log: int, only: str) -> Iterator[Row]:
    for name, cases in GROUPS.items():
        if only and only not in name:
            continue
        for entry in cases(k, log):
            case, known = entry if isinstance(entry, tuple) else (entry, None)
            took = seconds(case.run) if known is None else known
            bound = chip.bound(case)
            rate = case.items / took
            yield Row(case.name, took * 1e3, rate, case.unit, bound, rate / bound if bound else 0.0, case.note)
        torch.cuda.empty_cache()


def commit_name() -> str:
    try:
        return subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=int, default=26)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    args = parser.parse_args()
    k = cuda.load()
    chip = measure_chip(k)
    device = torch.cuda.get_device_name()
    print(f"{device}: {chip.products / 1e9:.1f} G Fr products/s, copy {chip.copy / 1e12:.2f} TB/s")
    rows = []
    for row in measure(k, chip, args.log, args.only):
        rows.append(row)
        rate, bound = row.rate / 1e9, row.bound / 1e9
        numbers = f"{row.milliseconds:9.3f} ms {rate:10.3f} G {row.unit:8} {bound:10.3f} {row.ratio:6.0%}"
        print(f"{row.verb:44} {numbers} {row.note}")
        sys.stdout.flush()
    now = datetime.datetime.now(datetime.UTC)
    result = {"device": device, "date": now.isoformat(timespec="seconds"), "commit": commit_name()}
    result |= {"chip": asdict(chip), "rows": [asdict(r) for r in rows], "counters": k.counters()}
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / f"engine_gpu_{now:%Y%m%d_%H%M%S}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written to {path}")


if __name__ == "__main__":
    main()
