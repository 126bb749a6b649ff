"""The Fiat-Shamir hash chain: SHA-512, every item framed by its length and labelled."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from zkcore.field.kernels import MODULUS, FollowsRounds

PROTOCOL = b"zkcore/3"


class Sponge:
    """state' = SHA-512(frame(state), frame(label), frame(data)). A challenge is the state mod r (bias 2^-257)."""

    def __init__(self) -> None:
        self.state = PROTOCOL
        self.hashed_bytes = 0

    def absorb(self, label: str, data: bytes) -> None:
        state = self.state
        framed = b"".join((_size(len(state)), state, _frame(label), _size(len(data)), data))
        self.hashed_bytes += len(framed)
        self.state = hashlib.sha512(framed).digest()

    def challenge(self, label: str) -> int:
        self.absorb("challenge", label.encode())
        return int.from_bytes(self.state, "big") % MODULUS

    def follow(
        self, kernels: FollowsRounds, label: str, messages: bytes, rounds: int, pieces: int, degree: int
    ) -> tuple[list[int], list[int]]:
        """In every round, `absorb` each piece of its message, then draw a `challenge`, all with one label. Returns the
        challenges, and the last claim's weights: see FollowsRounds."""
        frames = (
            _size(len(self.state)),
            _frame(label) + _size(len(messages) // (rounds * pieces)),
            _frame("challenge") + _frame(label),
        )
        self.state, challenges, weights = kernels.follow_rounds(self.state, frames, messages, rounds, pieces, degree)
        before, message, challenge = map(len, frames)
        each = (pieces + 1) * (before + len(self.state)) + pieces * message + challenge
        self.hashed_bytes += rounds * each + len(messages)
        return challenges, weights


_SIZES = tuple(n.to_bytes(8, "big") for n in range(1024))


def _size(length: int) -> bytes:
    return _SIZES[length] if length < len(_SIZES) else length.to_bytes(8, "big")


@lru_cache(maxsize=1024)
def _frame(label: str) -> bytes:
    """There are few labels, and tens of thousands of messages."""
    return _size(len(label.encode())) + label.encode()
