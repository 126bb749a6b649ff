"""The three ends a proof can have: one writes it, one reads it, one only counts its bytes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import NoReturn, Protocol

from zkcore.errors import ProofRejected, WitnessError
from zkcore.field.kernels import MODULUS

Make = Callable[[], bytes]


class Channel(Protocol):
    """Moves bytes from the prover to the verifier. The transcript absorbs what `move` returns."""

    proving: bool
    judging: bool  # does this end decide whether equations hold?
    ahead: bool  # is all there before it is read, and nobody watching message by message?

    def move(self, label: str, size: int, make: Make) -> bytes: ...

    def blinders(self, count: int) -> list[int]:
        """Fresh uniform scalars, for the prover."""
        ...

    def violated(self, guard: str) -> None:
        """An equation does not hold: raises."""
        ...

    def close(self) -> None:
        """Nothing may be left to read."""
        ...


class ProverChannel:
    """Collects the proof. Refuses to go on once a guard is violated: a proof of something false is never written."""

    proving, judging, ahead = True, False, False

    def __init__(self, secret: bytes) -> None:
        """`secret`: something only the prover knows; with all that was sent it hedges a broken system generator."""
        self.proof = bytearray()
        self._hedge = hashlib.sha512(b"zkcore hedge" + secret).digest()
        self._drawn = 0

    def move(self, label: str, size: int, make: Make) -> bytes:
        data = make()
        if len(data) != size:
            raise ValueError(f"{label}: the verifier expects {size} bytes, got {len(data)}")
        self.proof += data
        self._hedge = hashlib.sha512(self._hedge + data).digest()
        return data

    def blinders(self, count: int) -> list[int]:
        """As uniform as the system's generator makes them; if it is broken, as the hedge does."""
        noise = os.urandom(64 * count)
        self._drawn += count
        pad = hashlib.shake_256(self._hedge + self._drawn.to_bytes(8, "big")).digest(len(noise))
        mixed = (int.from_bytes(noise, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(noise), "big")
        return [int.from_bytes(mixed[i : i + 64], "big") % MODULUS for i in range(0, len(mixed), 64)]

    def violated(self, guard: str) -> None:
        raise WitnessError(guard)

    def close(self) -> None:
        """The prover has nothing to read."""


class VerifierChannel:
    """Reads the proof strictly in order."""

    proving, judging, ahead = False, True, True

    def __init__(self, proof: bytes) -> None:
        self._proof, self._at = proof, 0

    def move(self, label: str, size: int, make: Make) -> bytes:
        data = self._proof[self._at : self._at + size]
        if len(data) != size:
            raise ProofRejected("proof too short", label)
        self._at += size
        return data

    def blinders(self, count: int) -> NoReturn:
        raise TypeError("the verifier draws no randomness")

    def violated(self, guard: str) -> None:
        raise ProofRejected(guard)

    def close(self) -> None:
        if self._at != len(self._proof):
            raise ProofRejected("trailing bytes", f"{len(self._proof) - self._at} left")


class DryChannel:
    """A proof without a witness: yields its exact size and shape, decides nothing."""

    proving, judging, ahead = False, False, False

    def __init__(self) -> None:
        self.size = 0
        self.messages: list[tuple[str, int]] = []

    def move(self, label: str, size: int, make: Make) -> bytes:
        self.size += size
        self.messages.append((label, size))
        return bytes(size)

    def blinders(self, count: int) -> NoReturn:
        raise TypeError("a dry run draws no randomness")

    def violated(self, guard: str) -> None:
        """Nothing is decided here."""

    def close(self) -> None:
        """Nothing to read."""
