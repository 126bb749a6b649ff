"""The thread that proves what was answered, one answer after the other: a proof takes all cores as it is."""

from __future__ import annotations

import threading
from pathlib import Path

from zkcore import memory
from zkcore.errors import ZkcoreError
from zkcore.prover import Owner, prove
from zkcore.serve.answers import Answers

LOOK = 0.5  # seconds between looks at whether it is time to stop
PATIENCE = 10.0  # seconds for the step of a proof that is under way when it is


class Stopped(Exception):
    """In the middle of a proof."""


class Worker:
    def __init__(self, owner: Owner, answers: Answers, cache: Path | None) -> None:
        self._owner, self._answers, self._cache = owner, answers, cache
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prover", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> bool:
        """A proof that is under way is left at its next step; the next server begins it anew. False: it has not come to
        one in time. The interpreter must not be taken down under it: the engine's threads would abort the process."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(PATIENCE)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.step(LOOK)

    def step(self, timeout: float) -> bool:
        """Prove one answer, if one comes in time."""
        if (answer := self._answers.take(timeout)) is None:
            return False
        try:
            with memory.enough(memory.PROVE):
                made = prove(self._owner, answer.sequence, bytes.fromhex(answer.nonce), self._cache, self._step)
        except Stopped:
            self._answers.left(answer)
        except ZkcoreError as e:
            self._answers.failed(answer, f"{type(e).__name__}: {e}")
        else:
            self._answers.done(answer, made.data)
        return True

    def _step(self, *_: object) -> None:
        if self._stop.is_set():
            raise Stopped
