"""Large tensors on their way from the host to a GPU, through two pinned buffers: the driver's own way for memory that
is not pinned moves some 5 GB/s, and to pin a model takes as much memory again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

Tensor: TypeAlias = "torch.Tensor"

BUFFER = 1 << 26  # bytes
WORTHWHILE = 1 << 25


class Staging:
    """Of one device. A piece is copied into one buffer while the other's is on its way. `torch`: the module."""

    def __init__(self, torch: Any, device: torch.device) -> None:
        self._torch, self._device = torch, device
        self._buffers: list[tuple[Tensor, torch.cuda.Event]] = []

    def to_device(self, tensor: Tensor) -> Tensor:
        """Ready on the current stream."""
        torch = self._torch
        size = tensor.numel() * tensor.element_size()
        if tensor.device.type != "cpu" or size < WORTHWHILE or not tensor.is_contiguous() or tensor.is_pinned():
            moved: Tensor = tensor.to(self._device)
            return moved
        out: Tensor = torch.empty(tensor.shape, dtype=tensor.dtype, device=self._device)
        source, target = (t.view(-1).view(torch.uint8) for t in (tensor, out))
        if not self._buffers:
            self._buffers = [
                (torch.empty(BUFFER, dtype=torch.uint8, pin_memory=True), torch.cuda.Event()) for _ in range(2)
            ]
        for i, start in enumerate(range(0, size, BUFFER)):
            buffer, sent = self._buffers[i % 2]
            sent.synchronize()
            piece = source[start : start + BUFFER]
            buffer[: len(piece)].copy_(piece)
            target[start : start + BUFFER].copy_(buffer[: len(piece)], non_blocking=True)
            sent.record(torch.cuda.current_stream(self._device))
        return out
