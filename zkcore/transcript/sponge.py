"""The Fiat-Shamir hash chain: SHA-512, every item framed by its length and labelled."""

from __future__ import annotations

import hashlib

from zkcore.field.kernels import MODULUS

PROTOCOL = b"zkcore/1"


class Sponge:
    """state' = SHA-512(frame(state), frame(label), frame(data)). A challenge is the state mod r (bias 2^-257)."""

    def __init__(self) -> None:
        self.state = PROTOCOL
        self.hashed_bytes = 0

    def absorb(self, label: str, data: bytes) -> None:
        framed = b"".join(len(part).to_bytes(8, "big") + part for part in (self.state, label.encode(), data))
        self.hashed_bytes += len(framed)
        self.state = hashlib.sha512(framed).digest()

    def challenge(self, label: str) -> int:
        self.absorb("challenge", label.encode())
        return int.from_bytes(self.state, "big") % MODULUS
