"""Counting a proof: one run of the driver as a prover without data."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import prod

import numpy as np

from zkcore.backward import Work
from zkcore.commitment.layout import Layout
from zkcore.commitment.scheme import Commitment
from zkcore.estimation.blank import Meter, blank
from zkcore.estimation.counting import CountingKernels
from zkcore.estimation.shadow import CountingChannel, CountingGenerators, ShapeWitness
from zkcore.estimation.tally import Tally
from zkcore.estimation.tally import Work as OneVerb
from zkcore.field import devices
from zkcore.field.room import GIB
from zkcore.graph import footprint
from zkcore.graph.model import Weight
from zkcore.graph.system import System
from zkcore.memory import resident
from zkcore.setup import Setup
from zkcore.transcript.transcript import Toolbox, Transcript
from zkcore.transcript.wire import POINT_BYTES, Rows


@dataclass(frozen=True)
class StageCount:
    """`work`: as Driver.work has it. `tally`: by verb; "copies" are array operations outside the engine, in bytes.
    `seconds`: of the counting run, which is what the prover's own Python takes."""

    work: Work
    tally: Tally
    seconds: float


@dataclass(frozen=True)
class Counted:
    """Exact, whatever the data: all but group additions, and memory."""

    stages: Mapping[str, StageCount]
    lookups: int
    committed: Mapping[str, int]  # values, by kind of tensor; what arguments add on the way included
    rows: int
    weights: int
    weight_rows: int
    messages: int
    rounds: int
    constraints: int
    memory: int  # arrays of the run, at their peak, but for what was loaded

    @property
    def bytes(self) -> int:
        return sum(s.work["bytes"] for s in self.stages.values())


@dataclass
class _Clock:
    """Listens to the driver's stages."""

    kernels: CountingKernels
    stages: list[tuple[str, dict[str, OneVerb], float]] = field(default_factory=list)

    def __call__(self, name: str, detail: str = "", done: int = 0, total: int = 0) -> None:
        if self.stages and self.stages[-1][0] == name:
            return
        meter, tally = self.kernels.meter, self.kernels.tally.snapshot()
        tally["copies"] = OneVerb(meter.copies, meter.written)
        self.stages.append((name, tally, time.perf_counter()))


def count(setup: Setup, system: System, threads: int = 1, *, defer: bool = False, loaded: bool = False) -> Counted:
    """A proof of `system` as `setup` would make it on a CPU. `loaded`: this process holds the weights already. Raises
    OutOfMemory if a limit of a CPU's memory cannot be kept, as the prover does."""
    kernels = CountingKernels(Meter(), threads, _limit(setup), resident())
    channel = CountingChannel(kernels.tally)
    tools = Toolbox(kernels, CountingGenerators(kernels))
    t = Transcript(channel, tools, b"", hiding=setup.parts.config.zero_knowledge)
    memory = devices.passing(setup.parts.config.memory_limit)
    witness = ShapeWitness(system, kernels, memory, _in_parts(setup, system))
    weights = {n: _adopt(setup, t, kernels, w) for n, w in setup.weights().items()}
    before = kernels.meter.live if loaded else 0
    kernels.held -= before
    footprint.given_room(system, kernels, memory, 1 << setup.parts.scheme.log_width)
    if memory is None:  # the witness keeps them all
        for kind in ("weight", "committed"):
            for x in system.of_kind(kind):
                witness.array(x.name)
    clock = _Clock(kernels)
    driver = setup.parts.driver(weights, clock, defer=defer)
    driver.run(system, t, witness)
    clock("")
    return Counted(
        _stages(clock, driver.work),
        system.lookups(),
        _by_kind(driver.committed, weights),
        sum(len(c.layout.row_ids) for n, c in driver.committed.items() if n not in weights),
        sum(prod(c.layout.shape) for c in weights.values()),
        sum(len(c.layout.row_ids) for c in weights.values()),
        len(channel.messages),
        sum(label == "round" for label, _ in channel.messages),
        t.constraints,
        kernels.meter.peak - before,
    )


def _limit(setup: Setup) -> int | None:
    """Bytes of a CPU's memory; None: no limit, or one of a GPU's."""
    config = setup.parts.config
    return None if config.memory_limit is None or devices.gpu_meant(config.device) else config.memory_limit * GIB


def _in_parts(setup: Setup, system: System) -> list[str]:
    """Tensors that the strategy gives layer by layer."""
    if not getattr(setup.parts.strategy, "stacks", False):
        return []
    given = [t.name for kind in ("weight", "committed") for t in system.of_kind(kind)]
    return [n for n in given if n.startswith("layers.") and n not in system.digits]


def _adopt(setup: Setup, t: Transcript, kernels: CountingKernels, w: Weight) -> Commitment:
    """A weight's commitment with what its owner holds: rows of 32 bits (8, if they are ternary) and blinds."""
    scheme = setup.parts.scheme
    layout = Layout(w.shape, scheme.log_width)
    count = len(layout.row_ids)
    inside = blank(kernels.meter, w.shape, np.int8 if w.ternary else np.int32, (w.lo, w.hi))
    secret = Rows(layout.row_ids[:0], inside, kernels.field_array((count,)), w.ternary)
    return scheme.adopt(t, w.shape, bytes(POINT_BYTES * count), secret)


def _stages(clock: _Clock, work: Mapping[str, Work]) -> dict[str, StageCount]:
    out = {}
    for (name, tally, start), (_, after, end) in pairwise(clock.stages):
        verbs = {v: w.plus(tally[v], -1) if v in tally else w for v, w in after.items()}
        out[name] = StageCount(work[name], Tally(verbs), end - start)
    return out


def _by_kind(committed: Mapping[str, Commitment], weights: Mapping[str, Commitment]) -> dict[str, int]:
    """Names less their layer."""
    kinds: Counter[str] = Counter()
    for name, c in committed.items():
        if name not in weights:
            kinds[_kind(name)] += prod(c.layout.shape)
    return dict(kinds)


def _kind(name: str) -> str:
    """ "layers.3.q.y" -> "q.y", "multiplicity layers.3 range16" -> "multiplicity"."""
    words = name.split()
    if len(words) > 1:
        return words[0]
    parts = name.split(".")
    return ".".join(p for p in parts[1:] if not p.isdigit()) if parts[0] == "layers" else name
