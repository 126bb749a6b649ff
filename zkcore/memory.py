"""Where memory runs out, and what can be done about it. Whoever allocates says so in a way of their own: Python, numpy
and the engine by MemoryError (on a GPU, too), torch by two others."""

from __future__ import annotations

import errno
import gc
import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zkcore.errors import OutOfMemory, ZkcoreError

LESS = (
    "`memory_limit` (GiB that the prover plans with, where it keeps less and computes more), `strategy.batching: "
    "layer_trees` with a small `strategy.tree_layers`"
)
COMMIT = "calibrate on a shorter text; or, if it was the GPU, give a smaller `memory_limit` (GiB), or `device: cpu`"
PROVE = f"prove fewer tokens; or commit again with a smaller {LESS}, or `device: cpu` if it was the GPU"
SETTLE = "keep fewer answers in one accumulator, or settle on a machine with more memory"
VERIFY = "a verifier holds the generators of a row (`commitment.log_width`) and a proof's points: give it more memory"
ESTIMATE = "estimate fewer tokens"
OTHER = "try less at once, or a machine with more memory"
_SAID = ("out of memory", "can't allocate memory", "not enough memory")  # by torch, as a RuntimeError


@contextmanager
def enough(advice: str) -> Iterator[None]:
    """Within, whatever runs out of memory raises OutOfMemory with this advice, and all that is on the way is let go."""
    try:
        yield
    except Exception as e:
        if (whose := exhausted(e)) is None:
            raise
        raise OutOfMemory(f"{whose} is exhausted ({_first_line(e)}). What helps: {advice}") from e


@contextmanager
def uncollected() -> Iterator[None]:
    """Within, Python does not look for cycles of dead objects: in a proof or a verification, which keeps what it makes
    to the end, it would walk through hundreds of thousands of live ones again and again. What dies in cycles stays
    until later, so whoever uses this leaves no arrays in them."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def exhausted(error: Exception) -> str | None:
    """Whose memory an error says is used up; None if it is about something else."""
    text = str(error).lower()
    if isinstance(error, ZkcoreError):
        return None
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "memory"
    by_torch = any(c.__name__ == "OutOfMemoryError" for c in type(error).__mro__)
    if by_torch or (isinstance(error, RuntimeError) and any(said in text for said in _SAID)):
        return "the GPU's memory" if "cuda" in text else "memory"
    return None


def resident() -> int:
    """Bytes of memory that this process holds now; where nobody says, the most it has held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak()


def peak() -> int:
    """Bytes that this process has held at most."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
