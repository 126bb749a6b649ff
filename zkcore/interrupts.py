"""Ctrl-C, and requests to end: work stops as if it had failed, but what is half renamed is finished first."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

ENDED = 128  # plus the signal's number: what a shell says of a process that a signal ended
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ending() -> Iterator[None]:
    """Within, a signal raises SystemExit(130 or 143), which nobody takes for an error of their own."""
    with _handling(_end):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Signals wait until this is over."""
    waiting: list[int] = []
    with _handling(lambda number, frame: waiting.append(number)):
        yield
    for number in waiting[:1]:
        signal.raise_signal(number)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(ENDED + number)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Only the main thread may say what signals do; elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)
