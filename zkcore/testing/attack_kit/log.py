"""What happened in a proof, in order: messages, columns, challenges and checks; and what crossed where."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from zkcore.field.kernels import MODULUS

Key = tuple[str, int]  # a label, and how many of it came before
MESSAGE, COLUMN, CHALLENGE, CHECK = "message", "column", "challenge", "check"


@dataclass(frozen=True)
class Event:
    """`size`: numbers in a message, cells in a column. `value`: of a challenge; of a check: left less right."""

    kind: str
    key: Key
    size: int = 0
    value: int = 0


@dataclass(frozen=True)
class Element:
    """A point or a scalar of the proof. `before`: challenges drawn before it crossed."""

    label: str
    start: int
    size: int
    before: int


class Log:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.drawn = 0
        self._crossed: list[tuple[str, int, int, int, int]] = []
        self._seen: Counter[tuple[str, str]] = Counter()

    def add(self, kind: str, label: str, size: int = 0, value: int = 0) -> Key:
        key = label, self._seen[kind, label]
        self._seen[kind, label] += 1
        self.events.append(Event(kind, key, size, value % MODULUS))
        return key

    def crossing(self, label: str, start: int, unit: int, count: int) -> None:
        self._crossed.append((label, start, unit, count, self.drawn))

    @property
    def elements(self) -> list[Element]:
        return [
            Element(label, start + i * unit, unit, drawn)
            for label, start, unit, count, drawn in self._crossed
            for i in range(count)
        ]
