"""Estimates as tables, alone and beside what really happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from rich.text import Text

from zkcore.report.progress import StageTime
from zkcore.report.tables import count, pairs_table, rows_table

if TYPE_CHECKING:
    from rich.table import Table

OPERATIONS = ("mults", "adds", "hashed bytes")  # field multiplications, group additions
MULTIPLICATIONS = ("field_mults", "small_mults")


class Answer(Protocol):
    """zkcore.estimation.estimate.Estimate."""

    @property
    def stages(self) -> list[StageTime]: ...

    @property
    def counts(self) -> Mapping[str, int]: ...

    @property
    def committed_values(self) -> Mapping[str, int]: ...

    @property
    def message_bytes(self) -> int: ...

    @property
    def header_bytes(self) -> int: ...

    @property
    def memory(self) -> int: ...


class Model(Protocol):
    """zkcore.estimation.estimate.ModelEstimate."""

    @property
    def stages(self) -> list[StageTime]: ...

    @property
    def row_bytes(self) -> int: ...

    @property
    def certificate_bytes(self) -> int: ...

    @property
    def other_bytes(self) -> int: ...

    @property
    def memory(self) -> int: ...


def estimate_tables(answer: Answer, model: Model) -> list[Table]:
    kinds = sorted(answer.committed_values.items(), key=lambda kind: -kind[1])
    most = kinds[:12] + ([("others", sum(n for _, n in kinds[12:]))] if kinds[12:] else [])
    files = {
        "proof, messages": answer.message_bytes,
        "proof, header (at most)": answer.header_bytes,
        "commitment, rows of weights": model.row_bytes,
        "commitment, range proof": model.certificate_bytes,
        "commitment, tokenizer and header": model.other_bytes,
    }
    return [
        pairs_table("Counted", dict(answer.counts)),
        rows_table("Committed values", ("tensor", "values"), most),
        pairs_table("Bytes on disk", files),
        work_table("Proving", answer.stages),
        work_table("Committing to the model", model.stages),
        pairs_table("Memory at the peak", {"proving": size(answer.memory), "range proof": size(model.memory)}),
    ]


def work_table(title: str, stages: Sequence[StageTime]) -> Table:
    """Stages with their seconds, bytes and operations."""
    rows = [_row(s) for s in [*stages, total(stages)]]
    return rows_table(title, ("stage", "seconds", "bytes", *OPERATIONS), rows)


def _row(s: StageTime) -> tuple[object, ...]:
    return s.name, seconds(s.seconds), s.bytes, *map(count, operations(s))


def operations(s: StageTime) -> tuple[int, int, int]:
    """Multiplications (of both kinds), group additions, hashed bytes."""
    return sum(s.work.get(k, 0) for k in MULTIPLICATIONS), s.work.get("group_adds", 0), s.work.get("hashed_bytes", 0)


def total(stages: Sequence[StageTime]) -> StageTime:
    names = {k for s in stages for k in s.work}
    work = {k: sum(s.work.get(k, 0) for s in stages) for k in names}
    return StageTime("total", sum(s.seconds for s in stages), sum(s.bytes for s in stages), work)


def comparison_table(expected: Answer, stages: Sequence[StageTime], peak_memory: int) -> Table:
    """Estimate and actual side by side, for the stages that were estimated."""
    names = [s.name for s in expected.stages]
    actual = [s for s in stages if s.name in names]
    rows: list[tuple[object, ...]] = []
    for e, a in zip([*expected.stages, total(expected.stages)], [*actual, total(actual)], strict=True):
        (e_mults, e_adds, _), (mults, adds, _) = operations(e), operations(a)
        work = map(count, (e_mults, mults, e_adds, adds))
        rows.append((e.name, seconds(e.seconds), seconds(a.seconds), e.bytes, a.bytes, *work))
    rows.append(("peak memory", size(expected.memory), size(peak_memory), "", "", "", "", "", ""))
    head = ("stage", "seconds", "actual", "bytes", "actual", OPERATIONS[0], "actual", OPERATIONS[1], "actual")
    return rows_table("Estimated, and actual", head, rows)


def seconds(value: float) -> Text:
    return Text(f"{value:,.2f}" if value < 1000 else f"{value:,.0f}", justify="right")


def size(value: int) -> Text:
    gib = value / 2**30
    return Text(f"{gib:,.1f} GiB" if gib >= 1 else f"{value / 2**20:,.0f} MiB", justify="right")
