"""Counted quantities, and seconds and memory predicted from them and from a calibration of this machine."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from zkcore import proof as files
from zkcore.commitment.layout import Layout
from zkcore.config import Config
from zkcore.estimation import calibration, forward, group
from zkcore.estimation.calibration import Rates
from zkcore.estimation.forward import ForwardRates, Passes
from zkcore.estimation.run import Counted, StageCount, count
from zkcore.estimation.sources import Source
from zkcore.estimation.tally import Tally
from zkcore.field import devices
from zkcore.field.cuda_sums import SHARE
from zkcore.field.room import GIB
from zkcore.field.subset_sums import MOST_TRITS, sums_bytes
from zkcore.memory import resident
from zkcore.models.family import Sequence
from zkcore.report.progress import StageTime
from zkcore.setup import Setup
from zkcore.statement import COMPLETE, DEFERRED
from zkcore.transcript.transcript import Toolbox
from zkcore.transcript.wire import POINT_BYTES


@dataclass(frozen=True)
class Machine:
    """How fast it is. `forward`: None where torch is missing."""

    engine: Rates
    forward: ForwardRates | None


@dataclass(frozen=True)
class Estimate:
    """`counts`, `committed_values` (by kind of tensor) and bytes are exact, but for group additions: zero digits and
    empty buckets of the data save some; and, with a memory limit, for multiplications: integers are of the narrowest
    type then, which depends on the data. `memory`: at the peak, in bytes, with what this process holds already; within
    a limit of a CPU's memory, and refused where a proof would be."""

    stages: list[StageTime]
    counts: Mapping[str, int]
    committed_values: Mapping[str, int]
    message_bytes: int
    header_bytes: int
    memory: int


@dataclass(frozen=True)
class ModelEstimate:
    """Of a commitment to a model: its rows, and the proof that the weights lie in their ranges."""

    stages: list[StageTime]
    counts: Mapping[str, int]
    row_bytes: int
    certificate_bytes: int
    other_bytes: int  # tokenizer and header
    memory: int


def machine(tools: Toolbox) -> Machine:
    """Takes about a second."""
    return Machine(calibration.calibrate(tools), forward.calibrate() if find_spec("torch") else None)


def answer(
    setup: Setup,
    sequence: Sequence,
    known: Machine,
    nonce: bytes = b"",
    *,
    defer: bool = False,
    loaded: bool = False,
) -> Estimate:
    """Of one proof. `defer`: it leaves its opening to a settlement. `loaded`: this process holds the weights."""
    start = time.perf_counter()
    graph = setup.graph(sequence)
    system = setup.expand(graph)
    building = time.perf_counter() - start
    counted = count(setup, system, os.cpu_count() or 1, defer=defer, loaded=loaded)
    stages = _stages(counted, known.engine)
    if known.forward:
        passes = Passes.of(graph, system, sequence)
        generate = StageTime("generate", passes.generate(known.forward))
        stages = [generate, StageTime("forward", building + passes.forward(known.forward)), *stages]
    opening = DEFERRED if defer else COMPLETE
    prompt = sequence.tokens[: sequence.prompt_length]
    header = files.answer_header("0" * 64, prompt, sequence.generated, nonce, opening)
    return Estimate(
        stages,
        _figures(counted),
        counted.committed,
        counted.bytes,
        len(files.pack(files.PROOF_MAGIC, header, [])),
        resident() + counted.memory,
    )


def model(source: Source, known: Machine) -> ModelEstimate:
    """Group additions for rows as if the weights filled their intervals evenly."""
    setup, tally = source.setup, Tally()
    ternary = group.TernaryRows(1 << setup.parts.scheme.log_width)
    counted = count(setup, setup.certificate(), os.cpu_count() or 1)
    for w in setup.weights().values():
        layout = Layout(w.shape, setup.parts.scheme.log_width)
        lying = len(layout.row_ids), 1 << layout.columns
        if w.ternary:
            tally.add_group("commit_ternary", ternary.commit(*lying))
        else:
            tally.add_group("commit_ints", group.commit_rows(*lying, max(-w.lo, w.hi), 1.0))
    row_bytes = POINT_BYTES * counted.weight_rows
    adds = tally.counters()["group_adds"]
    rows = StageTime("commit", known.engine.seconds(tally), row_bytes, {"group_adds": adds})
    parts = _stages(counted, known.engine)
    work: Counter[str] = sum((Counter(p.work) for p in parts), Counter())
    proof = StageTime("range proof", sum(p.seconds for p in parts), counted.bytes, dict(work))
    header = {**setup.header(), "tokenizer": [source.tokenizer, "0" * 64], "rows_sha256": "0" * 64}
    other = source.tokenizer + len(files.pack(files.COMMITMENT_MAGIC, header, []))
    memory = resident() + counted.memory + _kept_sums(setup, ternary)
    return ModelEstimate([rows, proof], _figures(counted), row_bytes, counted.bytes, other, memory)


def limit(config: Config) -> str:
    """What the memory limit is of, and whether an estimate's memory keeps to it."""
    if config.memory_limit is None:
        return ""
    if devices.gpu_meant(config.device):
        return f"memory_limit: {config.memory_limit} GiB of a GPU; the memory below is a CPU's, without that limit"
    return f"memory_limit: {config.memory_limit} GiB of all that a process on a CPU holds; the memory below keeps to it"


def _kept_sums(setup: Setup, ternary: group.TernaryRows) -> int:
    """Bytes of the generators' subset sums that stay when ternary rows are committed. A GPU makes them at once, the
    largest that it has room for."""
    config = setup.parts.config
    if not ternary.served or not devices.gpu_meant(config.device):
        return ternary.bytes
    if config.memory_limit is None:
        return sums_bytes(ternary.generators, MOST_TRITS)
    room = devices.tree_room(config.memory_limit * GIB) // SHARE
    sizes = (sums_bytes(ternary.generators, g) for g in range(MOST_TRITS, 0, -1))
    return next((size for size in sizes if size <= room), sums_bytes(ternary.generators, 1))


def _stages(counted: Counted, rates: Rates) -> list[StageTime]:
    return [_stage(name, s, rates) for name, s in counted.stages.items()]


def _stage(name: str, s: StageCount, rates: Rates) -> StageTime:
    work = {k: n for k, n in s.work.items() if k != "bytes"}
    return StageTime(name, s.seconds + rates.seconds(s.tally), s.work["bytes"], work)


def _figures(c: Counted) -> dict[str, int]:
    total: Counter[str] = sum((Counter(s.work) for s in c.stages.values()), Counter())
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
        "group additions, expected": total["group_adds"],
        "hashed bytes": total["hashed_bytes"],
    }
