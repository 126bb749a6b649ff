"""A GPU's memory: the engine takes it from torch's allocator, and a prover may be held to a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import zkcore._engine as _engine
from zkcore.field.room import Tree, TreePlan, tree_plan

if TYPE_CHECKING:
    import torch

Tensor: TypeAlias = "torch.Tensor"
TYPES = {"int8": 0, "int16": 1, "int32": 2, "int64": 3, "uint64": 4}  # ColumnType


class CudaMemory:
    """`tree_room`: bytes that a fraction tree may take, None for any number; the less, the more is computed again.
    `plan_with` bounds all that the prover takes."""

    def __init__(self, torch: Any, device: int | None, tree_room: int | None) -> None:
        self.torch = torch
        self._types = {getattr(torch, name): kind for name, kind in TYPES.items()}
        self._raw: Any = torch._C  # what torch.cuda's functions of these names call, after 10 us of checks of their own
        self.device = torch.device("cuda", torch.cuda.current_device() if device is None else device)
        self.tree_room = tree_room
        self._limit: int | None = None
        _engine.cuda.set_allocator(self._allocate, self._release)

    def stream(self) -> int:
        return int(self._raw._cuda_getCurrentRawStream(self.device.index))

    def empty(self, *shape: int) -> Tensor:
        """uint64."""
        made: Tensor = self.torch.empty(shape, dtype=self.torch.uint64, device=self.device)
        return made

    def column(self, tensor: Tensor) -> tuple[int, int, int]:
        """A tensor of the device, as the engine takes it: address, type, entries."""
        kind = self._types.get(tensor.dtype)
        if kind is None:
            raise TypeError(f"expected int8, int16, int32, int64 or uint64 [..., 4], not {tensor.dtype}")
        if kind != TYPES["uint64"]:
            return tensor.data_ptr(), kind, tensor.numel()
        if tensor.ndim == 0 or tensor.shape[-1] != 4:
            raise ValueError("a field array has shape [..., 4]")
        return tensor.data_ptr(), kind, tensor.numel() // 4

    def _allocate(self, size: int, stream: int) -> int:
        return int(self._raw._cuda_cudaCachingAllocator_raw_alloc(size, stream))

    def _release(self, address: int) -> None:
        self._raw._cuda_cudaCachingAllocator_raw_delete(address)

    def plan_with(self, limit: int | None) -> None:
        """Bytes of the device for all tensors together, None for all that it has: torch's allocator takes no more, and
        grows its segments instead of keeping unused ones. What can do with less memory asks how much is left."""
        if limit == self._limit:
            return
        self._limit = limit
        _engine.cuda.plan_with(limit or 0)
        cuda, has = self.torch.cuda, self.memory()
        cuda.empty_cache()
        self._raw._accelerator_setAllocatorSettings(f"expandable_segments:{limit is not None}")
        cuda.set_per_process_memory_fraction(min(1.0, (limit or has) / has), self.device)

    def memory(self) -> int:
        """Bytes that the device has."""
        return int(self.torch.cuda.get_device_properties(self.device).total_memory)

    @property
    def limit(self) -> int | None:
        return self._limit

    def taken(self) -> int:
        return int(self.torch.cuda.memory_allocated(self.device))

    def tree_plan(self, tree: Tree) -> TreePlan:
        """Raises OutOfMemory if the tree does not fit beside what is there already."""
        return tree_plan(self, tree, self.tree_room)
