"""Each verb's rate beside what the chip could do: the bound is the larger of (products over the measured product rate)
and (bytes over the measured copy bandwidth), both from this very run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from zkcore.bench.machine import Chip, Machine
from zkcore.bench.verbs import GROUPS, Case

LOGS = {"cuda": 26, "cpu": 16}  # sizes that fill a device


@dataclass(frozen=True)
class Row:
    """`rate` and `bound`: items a second; `ratio` of the two."""

    verb: str
    milliseconds: float
    rate: float
    unit: str
    bound: float
    ratio: float
    note: str = ""


@dataclass(frozen=True)
class Measured:
    device: str
    log: int
    chip: Chip
    rows: list[Row]
    counters: dict[str, int]


def run(machine: Machine, log: int | None, only: str, progress: Callable[[str], None]) -> Measured:
    """`only`: a part of a group's name. `log`: of the items of a case; at least 12."""
    size, chip = log or LOGS[machine.device.type], machine.chip()
    rows = []
    for name, cases in GROUPS.items():
        if only not in name:
            continue
        progress(name)
        rows += [_row(machine, chip, case) for case in cases(machine, size)]
        if machine.gpu:
            torch.cuda.empty_cache()
    return Measured(machine.name, size, chip, rows, machine.k.counters())


def _row(machine: Machine, chip: Chip, case: Case) -> Row:
    took = machine.seconds(case.run) if case.took is None else case.took
    rate, least = case.items / took, max(case.products / chip.products, case.bytes / chip.copy)
    bound = 1 / least if least else 0.0
    return Row(case.name, took * 1e3, rate, case.unit, bound, rate / bound if bound else 0.0, case.note)
