"""Which engine a prover computes with. Proofs are the same bytes whichever it is, but for their fresh randomness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import zkcore._engine as _engine
from zkcore.field import native
from zkcore.field.kernels import Kernels
from zkcore.field.room import GIB

Wanted = Literal["auto", "cpu", "cuda"]
VIRTUAL = 10  # a tenth of the memory for virtual tensors
TREES = 2, 5  # the share for the nodes of a fraction tree


@dataclass(frozen=True)
class Chosen:
    """`note`: a line for the user where it is not what they may expect, or empty. `memory`: bytes of virtual tensors
    that a witness keeps; None: all."""

    kernels: Kernels
    memory: int | None = None
    note: str = ""


def choose(wanted: Wanted, memory_limit: int | None = None) -> Chosen:
    """auto: a GPU if there is one. Without a usable one, the CPU, and the reason if a GPU could have been expected.
    `memory_limit`: GiB of a GPU's memory, or of what this process holds of the host's, of which no more is taken."""
    if wanted == "cpu" or (wanted == "auto" and not hasattr(_engine, "cuda")):
        return _host(memory_limit)
    from zkcore.field import cuda

    reason = cuda.missing()
    if reason is not None:
        return _host(memory_limit, f"device: {wanted}: no GPU to compute on ({reason}); going on with the CPU")
    kernels = cuda.load()
    limit = None if memory_limit is None else memory_limit * GIB
    kernels.plan_with(limit)
    kernels.tree_room = tree_room(limit or kernels.memory())
    return Chosen(cast(Kernels, kernels), (limit or kernels.memory()) // VIRTUAL)


def gpu_meant(wanted: Wanted) -> bool:
    """Would a prover compute on a GPU: because the configuration says so, or because there is one?"""
    if wanted != "auto":
        return wanted == "cuda"
    from zkcore.field import cuda

    return cuda.missing() is None


def tree_room(memory: int) -> int:
    """Bytes of a GPU's memory, or of a limit, for the nodes of a fraction tree."""
    return memory * TREES[0] // TREES[1]


def _host(memory_limit: int | None, note: str = "") -> Chosen:
    if memory_limit is None:
        return Chosen(native.load(), None, note)
    from zkcore.field import host

    return Chosen(host.load(memory_limit * GIB), passing(memory_limit), note)


def passing(memory_limit: int | None) -> int | None:
    """Bytes of virtual tensors that a prover on a CPU keeps; None: all."""
    return None if memory_limit is None else memory_limit * GIB // VIRTUAL
