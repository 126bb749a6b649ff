"""How fast this machine is at what the estimate counts: each verb of the engine on two sizes, for what a call costs and
what a unit costs. Takes about a second."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zkcore.estimation.blank import Meter
from zkcore.estimation.counting import CountingFixedBase, CountingKernels
from zkcore.estimation.tally import Tally
from zkcore.field.kernels import MODULUS, FixedBase, Forms, Kernels, Points
from zkcore.field.native import NativeKernels
from zkcore.graph import arrays
from zkcore.relation import Expr
from zkcore.subprotocols.fraction_tree import Run
from zkcore.transcript.channel import ProverChannel
from zkcore.transcript.transcript import Toolbox

Probe = Callable[[Kernels], object]


@dataclass(frozen=True)
class Price:
    """Seconds."""

    call: float = 0.0
    unit: float = 0.0


@dataclass(frozen=True)
class Rates:
    verbs: Mapping[str, Price]

    def seconds(self, tally: Tally) -> float:
        """Verbs nobody measured are free: they are rare."""
        prices = [(self.verbs.get(verb, Price()), w) for verb, w in tally.verbs.items()]
        return sum(p.call * w.calls + p.unit * w.units for p, w in prices)


def calibrate(tools: Toolbox) -> Rates:
    prices: dict[str, Price] = {}
    for verb, probes in _probes(tools).items():
        prices[verb] = _price(tools.kernels, verb, probes, Rates(prices))
    channel = ProverChannel(b"")
    prices["blinders"] = _line(1, 64, lambda n: n, channel.blinders)
    return Rates({**prices, **_array_prices(tools.kernels)})


def _array_prices(k: Kernels) -> dict[str, Price]:
    """What the prover's witness costs outside the engine."""

    def cube(n: int) -> NDArray[np.int64]:
        return np.ones((4, n, n), dtype=np.int64)

    def affine(n: int) -> object:
        return arrays.affine(k, two, [cube(n)] * 2, "htd", (4, n, n), (4, n, n))

    two = Expr(((1, "a", "htd"), (-4, "b", "htd")), 5)
    return {
        "einsum": _line(4, 64, lambda n: 4 * n**3, lambda n: arrays.einsum(k, "hti,htj->htij", [cube(n), cube(n)])),
        "affine": _line(4, 128, lambda n: 8 * n**2, affine),
        "copies": _line(4, 256, lambda n: 32 * n**2, lambda n: np.pad(cube(n)[:, 1:], [(0, 0), (0, 1), (0, 0)])),
    }


def _line(few: int, many: int, units: Callable[[int], int], work: Callable[[int], object]) -> Price:
    small, large = timed(lambda: work(few)), timed(lambda: work(many))
    unit = max(0.0, (large - small) / (units(many) - units(few)))
    return Price(max(0.0, small - unit * units(few)), unit)


def _price(kernels: Kernels, verb: str, probes: tuple[Probe, Probe], known: Rates) -> Price:
    """What is left of the probes' time when verbs that are known already are paid for."""
    found = []
    for probe in probes:
        counting = CountingKernels(Meter())
        probe(counting)
        own = counting.tally.verbs.pop(verb)
        found.append((max(0.0, timed(lambda p=probe: p(kernels)) - known.seconds(counting.tally)), own))  # type: ignore[misc]
    (small, few), (large, many) = found
    calls = many.calls / few.calls
    unit = max(0.0, (large - small * calls) / max(1.0, many.units - few.units * calls))
    return Price(max(0.0, small - unit * few.units) / few.calls, unit)


def timed(work: Callable[[], object], least: float = 0.04) -> float:
    """The mean over at least three runs and `least` seconds: who else uses the machine now will go on. The first run,
    which fills caches, does not count."""
    work()
    times: list[float] = []
    while len(times) < 3 or sum(times) < least:
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return fmean(times)


# --- probes ----------------------------------------------------------------------------------------------------------
def _scalars(count: int) -> list[int]:
    """Full-size, and the same in every run."""
    digests = (hashlib.sha512(i.to_bytes(8, "big")).digest() for i in range(count))
    return [int.from_bytes(d, "big") % MODULUS for d in digests]


def _probes(tools: Toolbox) -> dict[str, tuple[Probe, Probe]]:
    """By verb: a small and a large piece of work. Verbs that a probe also calls come before it."""
    k, point = tools.kernels, _scalars(16)
    wide = tools.generators.take("tensor", 2048)
    table = {n: k.eq_table(point[:n]) for n in (3, 11, 14, 16)}
    ints = {n: np.arange(-(1 << n - 1), 1 << n - 1, dtype=np.int64) % 4099 - 2048 for n in (3, 14, 16, 18)}
    field = {**_field_probes(point, table, ints), **_sumcheck_probes(point, table, ints)}
    return {**field, **_curve_probes(k, wide, table, ints)}


def _pair(make: Callable[[int], Probe], few: int, many: int) -> tuple[Probe, Probe]:
    return make(few), make(many)


def _field_probes(point: list[int], f: Mapping[int, Any], z: Mapping[int, Any]) -> dict[str, tuple[Probe, Probe]]:
    narrow = {n: a.astype(np.int32) for n, a in z.items()}
    trits = {n: (a % 3 - 1).astype(np.int8) for n, a in z.items()}
    return {
        "eq_table": _pair(lambda n: lambda k: k.eq_table(point[:n]), 3, 16),
        "contract_ints": _pair(lambda n: lambda k: k.contract(narrow[n], 1, len(narrow[n]) // 8, f[3]), 3, 16),
        "contract_field": _pair(lambda n: lambda k: k.contract(f[n], 1, len(f[n]) // 8, f[3]), 3, 16),
        "contract_ternary": _pair(lambda n: lambda k: k.contract_ternary(trits[n], 1, len(trits[n]) // 8, f[3]), 3, 16),
        "combine": _pair(lambda n: lambda k: k.combine([(3, f[n]), (5, f[n])], 0, 1 << n), 3, 14),
        "multiply": _pair(lambda n: lambda k: k.multiply(f[n], f[n]), 3, 16),
        "batch_inverse": _pair(lambda n: lambda k: k.batch_inverse(f[n]), 3, 14),
        "scatter_add": _pair(lambda n: lambda k: k.scatter_add(z[n] + 2048, f[n], 4099), 3, 16),
        "linear_forms": _pair(lambda n: lambda k: k.linear_forms(n, _chain(n, point)), 8, 4096),
        "run_linear_forms": _pair(lambda n: lambda k: k.linear_forms(n, _chain(n, point)).run(f[14][:n]), 8, 4096),
        "fold_rounds": _pair(lambda n: lambda k: k.fold_rounds(point[:n], 3), 1, 16),
        "from_scalars": _pair(lambda n: lambda k: k.from_scalars(point * n), 1, 64),
        "to_scalars": _pair(lambda n: lambda k: k.to_scalars(f[n]), 3, 11),
    }


def _chain(count: int, scalars: list[int]) -> Forms:
    """Each number is over the two before it."""
    forms = Forms()
    for n in range(2, count):
        forms.add(n, scalars[:2], (n - 2, n - 1))
    return forms


def _sumcheck_probes(point: list[int], f: Mapping[int, Any], z: Mapping[int, Any]) -> dict[str, tuple[Probe, Probe]]:
    def product(n: int) -> Probe:
        return lambda k: _rounds(k.sumcheck([f[n], z[n]], [(1, (0, 1))], 2), n, point)

    def run(n: int) -> Run:
        return Run(z[n].astype(np.int8), point[0], [(point[1], z[n])])

    def layers(n: int) -> Probe:
        def work(k: Kernels) -> None:
            tree = k.fraction_tree([run(n)], n)
            for depth in range(n):
                _rounds(tree.layer(depth, point[:depth], point[depth]), depth, point)

        return work

    return {
        "sumcheck": _pair(product, 3, 16),
        "tree": _pair(lambda n: lambda k: k.fraction_tree([run(n)], n), 3, 18),
        "tree_sumcheck": _pair(layers, 3, 16),
    }


def _rounds(prover: Any, variables: int, point: list[int]) -> None:
    for r in point[:variables]:
        prover.round()
        prover.bind(r)


def _curve_probes(
    k: Kernels, wide: Points, f: Mapping[int, Any], z: Mapping[int, Any]
) -> dict[str, tuple[Probe, Probe]]:
    fixed = k.fixed_base(wide[:9])
    rows = np.ascontiguousarray(z[14].reshape(8, 2048))
    trits = (rows % 3 - 1).astype(np.int8)

    scalars = _scalars(9)

    def commit(column: Any) -> Probe:
        blinds = f[11][: len(column)]
        return lambda k: k.commit_rows(wide, column, blinds, fixed)

    return {
        "fixed_base": _pair(lambda n: lambda k: _same(k, fixed).combine(scalars[:n]), 1, 9),
        "fixed_base_table": _pair(lambda n: lambda k: k.fixed_base(wide[:n]), 1, 3),
        "encode": _pair(lambda n: lambda k: k.encode(wide[:n]), 1, 64),
        "msm": _pair(lambda n: lambda k: k.msm(wide[:n], f[11][:n]), 16, 2048),
        "fold_points": _pair(lambda n: lambda k: k.fold_points(wide[: 8 * n], f[3]), 1, 64),
        "commit_ints": (commit(rows[:1, :8].copy()), commit(rows)),
        "commit_ternary": (_ternary(fixed, wide, f, trits[:1, :8].copy()), _ternary(fixed, wide, f, trits)),
        "commit_field": (commit(f[3].reshape(1, 8, 4)), commit(f[14].reshape(8, 2048, 4))),
    }


def _ternary(fixed: FixedBase, wide: Points, f: Mapping[int, Any], rows: Any) -> Probe:
    return lambda k: _anew(k).commit_ternary(wide, rows, f[11][: len(rows)], fixed)


def _anew(kernels: Kernels) -> Kernels:
    """That have served no rows yet: what more rows cost depends on it."""
    return kernels if isinstance(kernels, CountingKernels) else NativeKernels()


def _same(kernels: Kernels, fixed: FixedBase) -> FixedBase:
    """What these kernels' `fixed_base` returns, without making it again."""
    return CountingFixedBase(kernels.tally) if isinstance(kernels, CountingKernels) else fixed
