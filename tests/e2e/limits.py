"""Refusing is cheap: a typed error, in little time and little memory."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from zkcore.errors import ZkcoreError

SECONDS, MEGABYTES = 2.0, 500  # of all cores' time: others may be using them too


class TooSlow(BaseException):
    """Not caught by anything that catches exceptions."""


@contextmanager
def bounded(seconds: float = SECONDS, megabytes: int = MEGABYTES) -> Iterator[None]:
    """What is inside may take so much time, and so much memory on top of what the process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = signal.signal(signal.SIGPROF, _too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (megabytes << 20), hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGPROF, before)


def _too_slow(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def refused(
    call: Callable[[], object],
    kind: type[ZkcoreError] | tuple[type[ZkcoreError], ...] = ZkcoreError,
    *said: str,
    seconds: float = SECONDS,
) -> ZkcoreError:
    """The typed error that the call raises within the bounds. All of `said` is in its text."""
    with bounded(seconds), pytest.raises(kind) as caught:
        call()
    for text in said:
        assert text in str(caught.value)
    assert "Traceback" not in str(caught.value)
    return caught.value
