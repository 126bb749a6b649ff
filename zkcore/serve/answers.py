"""What the server promised: answers on disk, a queue of those to be proved, and the proofs. All of it survives a
restart; nothing in it is a pickle."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import persistqueue.serializers.json as json_lines
from persistqueue import Empty, SQLiteAckQueue
from persistqueue.sqlackqueue import AckStatus

from zkcore.errors import UsageError
from zkcore.models.family import Sequence
from zkcore.proof import Written, write

ID = re.compile(r"[0-9a-f]{32}")
QUEUED, PROVING, DONE, FAILED = "queued", "proving", "done", "failed"
ATTEMPTS = 3


class QueueFull(UsageError):
    """As many answers wait for their proofs as the server allows."""


@dataclass(frozen=True)
class Answer:
    """`nonce`: in hex. `attempts`: how often a proof was begun. `error`: why there will be none."""

    id: str
    created: int
    prompt: str
    text: str
    tokens: tuple[int, ...]
    prompt_length: int
    nonce: str
    attempts: int = 0
    error: str = ""

    @property
    def sequence(self) -> Sequence:
        return Sequence(self.tokens, self.prompt_length)


class Answers:
    """A directory: answers/ID.json, proofs/ID.zkp and the queue's database. `most`: how many may wait; `keep`: of older
    ones that are done, so many stay."""

    def __init__(self, place: Path, most: int, keep: int) -> None:
        self._place, self._most, self._keep = place, most, keep
        self._lock, self._proving, self._entry = threading.Lock(), "", 0
        place.mkdir(parents=True, exist_ok=True)
        options: dict[str, Any] = {"multithreading": True, "serializer": json_lines}
        self._queue = SQLiteAckQueue(str(place / "queue"), auto_resume=True, **options)

    # --- asking ------------------------------------------------------------------------------------------------------
    def waiting(self) -> int:
        """Queued, or being proved."""
        return sum(int(row["status"]) < int(AckStatus.acked) for row in self._queue.queue())

    def check_room(self) -> None:
        if (waiting := self.waiting()) >= self._most:
            raise QueueFull(
                f"{waiting} answers wait for their proofs, and no more than {self._most} may; try again later"
            )

    def add(self, sequence: Sequence, prompt: str, text: str, nonce: bytes) -> Answer:
        """On disk before it is in the queue, and in the queue before anybody hears of it."""
        made = Answer(
            secrets.token_hex(16), int(time.time()), prompt, text, sequence.tokens, sequence.prompt_length, nonce.hex()
        )
        with self._lock:
            self.check_room()
            self._store(made)
            self._queue.put(made.id)
        return made

    def find(self, name: str) -> tuple[Answer, str] | None:
        """An answer and its state."""
        path = self._place / "answers" / f"{name}.json"
        if not ID.fullmatch(name) or not path.is_file():
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
        answer = Answer(**{**stored, "tokens": tuple(stored["tokens"])})
        if self.proof(name).is_file():
            return answer, DONE
        return answer, FAILED if answer.error else PROVING if self._proving == name else QUEUED

    def proof(self, name: str) -> Path:
        return self._place / "proofs" / f"{name}.zkp"

    # --- proving -----------------------------------------------------------------------------------------------------
    def take(self, timeout: float) -> Answer | None:
        """The next answer to prove, if one comes in time; `done` or `failed` must follow. One that was begun too often,
        by servers that did not live to end it, has failed."""
        try:
            entry = self._queue.get(timeout=timeout, raw=True)
        except Empty:
            return None
        name, self._entry = str(entry["data"]), int(entry["pqid"])
        found = self.find(name)
        if found is None or found[1] in (DONE, FAILED):
            self._forget()
            return None
        answer = replace(found[0], attempts=found[0].attempts + 1)
        self._store(answer)
        if answer.attempts > ATTEMPTS:
            self.failed(answer, f"the server ended {ATTEMPTS} times while it was at work on this proof")
            return None
        self._proving = name
        return answer

    def done(self, answer: Answer, proof: bytes) -> None:
        write(Written(self.proof(answer.id), proof))
        self._finish(answer)

    def left(self, answer: Answer) -> None:
        """Not proved, and through no fault of its own: it is still in the queue for the next server."""
        self._store(replace(answer, attempts=answer.attempts - 1))
        self._proving = ""

    def failed(self, answer: Answer, error: str) -> None:
        self._store(replace(answer, error=error))
        self._finish(answer)

    def _finish(self, answer: Answer) -> None:
        self._forget()
        finished = [p for p in (self._place / "answers").glob("*.json") if self._over(p.stem)]
        for path in sorted(finished, key=lambda p: p.stat().st_mtime)[: -self._keep]:
            path.unlink()
            self.proof(path.stem).unlink(missing_ok=True)

    def _forget(self) -> None:
        """The entry that was taken last."""
        self._queue.ack(id=self._entry)
        self._queue.clear_acked_data(keep_latest=0)
        self._proving = ""

    def _over(self, name: str) -> bool:
        found = self.find(name)
        return found is not None and found[1] in (DONE, FAILED)

    def _store(self, answer: Answer) -> None:
        write(Written(self._place / "answers" / f"{answer.id}.json", json.dumps(asdict(answer)).encode()))
