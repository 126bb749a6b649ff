"""The machine under measurement: its engine, numbers to feed it, a clock, and the two limits that verbs are held to."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from zkcore.field import devices
from zkcore.field.kernels import MODULUS, Kernels

POINT = [pow(7, i + 1000, MODULUS) for i in range(64)]
LONG = 3.0  # seconds after which a verb is not run again


@dataclass(frozen=True)
class Chip:
    """Per second: products of field elements, and bytes that a copy reads and writes. On a GPU products are chained in
    registers; a CPU is held to what its own `multiply` reaches."""

    products: float
    copy: float


@dataclass
class Machine:
    """`k`'s arrays are made of torch tensors of its device."""

    k: Kernels
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        self.device = torch.device(self.k.space.device)

    @staticmethod
    def of(device: devices.Wanted) -> Machine:
        return Machine(devices.choose(device).kernels)

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    @property
    def name(self) -> str:
        return torch.cuda.get_device_name(self.device) if self.gpu else "CPU"

    # ---- numbers
    def ints(self, kind: str, *shape: int) -> Any:
        """Of the whole range of their type."""
        info = torch.iinfo(getattr(torch, kind))
        return self._own(torch.randint(info.min, info.max, shape, dtype=getattr(torch, kind), device=self.device))

    def below(self, most: int, count: int) -> Any:
        return self._own(torch.randint(0, most, (count,), dtype=torch.int64, device=self.device))

    def trits(self, *shape: int) -> Any:
        return self._own(torch.randint(-1, 2, shape, dtype=torch.int8, device=self.device))

    def fields(self, *shape: int) -> Any:
        limbs = torch.randint(0, 2**62, (*shape, 4), dtype=torch.int64, device=self.device)
        return self._own(limbs.view(torch.uint64))

    def _own(self, tensor: torch.Tensor) -> Any:
        return self.k.space.own(tensor)

    # ---- time
    def wait(self) -> None:
        if self.gpu:
            torch.cuda.synchronize()

    def seconds(self, run: Callable[[], object], repeat: int = 5) -> float:
        """Median wall-clock time; a warm-up before."""
        run()
        times: list[float] = []
        while not times or (len(times) < repeat and sum(times) < LONG):
            self.wait()
            start = time.perf_counter()
            run()
            self.wait()
            times.append(time.perf_counter() - start)
        return statistics.median(times)

    def peak(self, run: Callable[[], object]) -> str:
        """The most memory that `run` takes, in words; empty on a CPU."""
        if not self.gpu:
            run()
            return ""
        torch.cuda.reset_peak_memory_stats()
        run()
        return f"peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"

    def chip(self) -> Chip:
        """Measured in every run, beside what is held against it."""
        a = torch.empty(1 << (30 if self.gpu else 24), dtype=torch.int32, device=self.device)
        b = torch.empty_like(a)
        copy = 2 * a.numel() * 4 / self.seconds(lambda: b.copy_(a))
        if not self.gpu:
            x = self.fields(1 << 18)
            return Chip((1 << 18) / self.seconds(lambda: self.k.multiply(x, x)), copy)
        return Chip(self._chained(), copy)

    def _chained(self) -> float:
        from zkcore import _engine
        from zkcore.field import cuda

        k, values, out = cuda.load(), self.fields(2**20), self.fields(2**19)
        done = 0

        def chains() -> None:
            nonlocal done
            column = k.column(values)
            done = _engine.cuda.multiply_chains(column, 1000, out.data_ptr(), k.stream())

        taken = self.seconds(chains)
        return done / taken
