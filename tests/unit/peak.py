"""Run by test_host_memory: one proof in a process of its own. Arguments: a strategy, a limit in MiB or 0. Prints what
it held before and at the most, in MiB, and the digest of the proof; or the error that refused it."""

from __future__ import annotations

import ctypes
import hashlib
import sys
from pathlib import Path

from zkcore_folding.strategy import Folding

from zkcore.config import StrategyConfig
from zkcore.errors import OutOfMemory
from zkcore.field import devices, host, native
from zkcore.graph import footprint
from zkcore.strategy.per_layer import PerLayer
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.testing import same_bytes
from zkcore.testing.small_models import SmallLlama

MIB = 1 << 20
LOG_WIDTH = 9


def held(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) >> 10


def main(strategy: str, limit: int) -> None:
    model = SmallLlama(layers=4, heads=32, kv_heads=32, ffn=64, positions=128)
    answer = model.answer(tuple(7 * i % 23 for i in range(127)))
    kind = {"folding": Folding, "per_layer": PerLayer}[strategy]
    system, given = model.prepare(kind(StrategyConfig()), answer, LogupGkr().virtual_outputs)
    given = {n: a for n, a in given.items() if system.tensors[n].kind != "virtual"}
    kernels = host.HostKernels(limit * MIB) if limit else native.load()
    memory = limit * MIB // devices.VIRTUAL if limit else None
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):  # how much of what is freed stays differs from run to run
        libc.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the most that it held is from now on
    before = held("VmRSS")
    try:
        footprint.given_room(system, kernels, memory, 1 << LOG_WIDTH)
    except OutOfMemory as e:
        print(before, held("VmHWM"), "refused", e)
        return
    rows, proof = same_bytes.prove(kernels, system, given, LogupGkr(), LOG_WIDTH, memory)
    print(before, held("VmHWM"), hashlib.sha256(rows + proof).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
