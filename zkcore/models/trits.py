"""Integers -1, 0 and 1 on disk: five in a byte, 1.6 bits each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from zkcore.errors import FormatError

PER_BYTE = 5
_POWERS = 3 ** np.arange(PER_BYTE, dtype=np.int64)


def pack(values: NDArray[np.int8]) -> NDArray[np.uint8]:
    """[n], flattened -> [ceil(n / 5)]: sum of 3^i (w_i + 1); what is missing in the last byte counts as -1."""
    flat = values.reshape(-1)
    if flat.size and not -1 <= flat.min() <= flat.max() <= 1:
        raise ValueError("only -1, 0 and 1 can be packed")
    padded = np.full(-(-flat.size // PER_BYTE) * PER_BYTE, -1, dtype=np.int64)
    padded[: flat.size] = flat
    return ((padded.reshape(-1, PER_BYTE) + 1) @ _POWERS).astype(np.uint8)


def unpack(packed: NDArray[np.uint8], shape: tuple[int, ...], what: str) -> NDArray[np.int8]:
    """Raises FormatError: one encoding for each tensor."""
    count = int(np.prod(shape))
    if packed.dtype != np.uint8 or packed.shape != (-(-count // PER_BYTE),):
        raise FormatError(f"{what}: {packed.dtype} {packed.shape} cannot hold {count} ternary weights")
    if packed.size and packed.max() >= 3**PER_BYTE:
        raise FormatError(f"{what}: a byte of {int(packed.max())} is no five ternary weights")
    trits = (packed[:, None].astype(np.int64) // _POWERS % 3 - 1).astype(np.int8).reshape(-1)
    if (trits[count:] != -1).any():
        raise FormatError(f"{what}: something follows the last weight")
    return trits[:count].reshape(shape)
