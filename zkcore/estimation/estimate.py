"""An estimate: counted quantities, and seconds and memory predicted from them and from a calibration of this machine."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from zkcore import proof as files
from zkcore.estimation import calibration, forward, group
from zkcore.estimation.calibration import Rates
from zkcore.estimation.forward import ForwardRates, Passes
from zkcore.estimation.run import Counted, StageCount, count
from zkcore.graph.system import System
from zkcore.models.family import Sequence
from zkcore.report.progress import StageTime
from zkcore.setup import Setup
from zkcore.transcript.transcript import Toolbox
from zkcore.transcript.wire import POINT_BYTES


@dataclass(frozen=True)
class Machine:
    """`forward`: None where torch is missing."""

    engine: Rates
    forward: ForwardRates | None


@dataclass(frozen=True)
class Estimate:
    """`counts` are exact but for group additions, which zero digits and empty buckets of the data make fewer."""

    counts: Mapping[str, int]
    committed_values: Mapping[str, int]  # by kind of tensor
    stages: list[StageTime]
    proof_bytes: int  # messages; the header comes on top
    header_bytes: int
    memory: int  # bytes at the peak, this process as it is now included

    @property
    def seconds(self) -> float:
        return sum(s.seconds for s in self.stages)


def machine(tools: Toolbox) -> Machine:
    """Takes about a second."""
    return Machine(calibration.calibrate(tools), forward.calibrate() if find_spec("torch") else None)


def answer(setup: Setup, sequence: Sequence, known: Machine, nonce: bytes = b"") -> Estimate:
    """Of one proof."""
    start = time.perf_counter()
    graph = setup.graph(sequence)
    system = setup.expand(graph)
    building = time.perf_counter() - start
    counted = _counted(setup, system)
    stages = [_stage(name, s, known.engine) for name, s in counted.stages.items()]
    if known.forward:
        passes = Passes.of(graph, system, sequence)
        first = StageTime("generate", passes.generate(known.forward))
        stages = [first, StageTime("forward", building + passes.forward(known.forward)), *stages]
    memory = resident() + counted.memory
    return Estimate(
        _figures(counted), counted.committed, stages, counted.bytes, _header_bytes(sequence, nonce), memory
    )


@dataclass(frozen=True)
class ModelEstimate:
    """Of a commitment to a model: its rows, and the proof of the weights' ranges."""

    counts: Mapping[str, int]
    stages: list[StageTime]
    row_bytes: int
    certificate_bytes: int
    memory: int


def model(setup: Setup, known: Machine) -> ModelEstimate:
    """Group additions for rows as if weights filled their interval."""
    counted = _counted(setup, setup.certificate())
    rows, adds = counted.weight_rows, 0.0
    for w in setup.weights().values():
        from zkcore.commitment.layout import Layout

        layout = Layout(w.shape, setup.parts.scheme.log_width)
        adds += group.commit_rows(len(layout.row_ids), 1 << layout.columns, max(-w.lo, w.hi), 1.0)
    price = known.engine.verbs["commit_ints"]
    first = StageTime("commit", price.unit * adds, POINT_BYTES * rows, {"group_adds": round(adds)})
    parts = [_stage(name, s, known.engine) for name, s in counted.stages.items()]
    work: dict[str, int] = {}
    for p in parts:
        work = {k: work.get(k, 0) + n for k, n in p.work.items()}
    proof = StageTime("range proof", sum(p.seconds for p in parts), counted.bytes, work)
    return ModelEstimate(
        _figures(counted), [first, proof], POINT_BYTES * rows, counted.bytes, resident() + counted.memory
    )


def _counted(setup: Setup, system: System) -> Counted:
    return count(setup, system, b"", os.cpu_count() or 1)


def _stage(name: str, s: StageCount, rates: Rates) -> StageTime:
    work = {k: n for k, n in s.work.items() if k != "bytes"}
    seconds = s.seconds + rates.seconds(s.tally) + s.written * rates.written
    return StageTime(name, seconds, s.work["bytes"], work)


def _figures(c: Counted) -> dict[str, int]:
    total: dict[str, int] = {}
    for s in c.stages.values():
        total = {k: total.get(k, 0) + n for k, n in s.work.items()}
    return {
        "lookups": c.lookups,
        "committed values": sum(c.committed.values()),
        "commitment rows": c.rows,
        "weights": c.weights,
        "rows of weights": c.weight_rows,
        "messages": c.messages,
        "sumcheck rounds": c.rounds,
        "constraints": c.constraints,
        "field multiplications": total["field_mults"],
        "small multiplications": total["small_mults"],
        "group additions (expected)": total["group_adds"],
    }


def _header_bytes(sequence: Sequence, nonce: bytes) -> int:
    """A proof file less its messages."""
    from zkcore.public import proof_header

    return len(files.pack(files.PROOF_MAGIC, proof_header("0" * 64, sequence, nonce), []))


def resident() -> int:
    """Bytes of memory that this process holds now."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        from zkcore.report.progress import peak_memory

        return peak_memory()
