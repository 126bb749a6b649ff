"""The thread that proves what was answered, one answer after the other: a proof takes all cores as it is."""

from __future__ import annotations

import threading
from pathlib import Path

from zkcore import memory
from zkcore.errors import ZkcoreError
from zkcore.prover import Owner, prove
from zkcore.serve.answers import Answers

LOOK = 0.5  # seconds between looks at whether it is time to stop


class Worker:
    def __init__(self, owner: Owner, answers: Answers, cache: Path | None) -> None:
        self._owner, self._answers, self._cache = owner, answers, cache
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="prover", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """A proof that is under way is left; the next server begins it anew."""
        self._stop.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.step(LOOK)

    def step(self, timeout: float) -> bool:
        """Prove one answer, if one comes in time."""
        if (answer := self._answers.take(timeout)) is None:
            return False
        try:
            with memory.enough(memory.PROVE):
                made = prove(self._owner, answer.sequence, bytes.fromhex(answer.nonce), self._cache)
        except ZkcoreError as e:
            self._answers.failed(answer, f"{type(e).__name__}: {e}")
        else:
            self._answers.done(answer, made.data)
        return True
