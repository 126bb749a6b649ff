"""Ops that are only linear algebra: their outputs stay virtual, nothing is committed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zkcore.graph.builder import Builder
from zkcore.graph.public import Ones
from zkcore.graph.tensor import Output, Specs
from zkcore.relation import Relation

if TYPE_CHECKING:
    from zkcore.graph.op import Arrays

POSITION = "Ii"  # tile and place within it; one axis "p" in forward passes


@dataclass(frozen=True)
class Contract:
    """y = einsum(spec, x, w): a projection. E.g. "Iim,mhd->hIid"."""

    spec: str
    name: str = "contract"
    cached: Mapping[str, int] = field(default_factory=dict)
    kept: frozenset[str] = frozenset({"w"})

    def describe(self) -> list[object]:
        return [self.name, self.spec]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        factors, out = Relation("einsum", "", self.spec, ()).factors()
        size: dict[str, int] = {}
        for letters, t in zip(factors, (inputs["x"], inputs["w"]), strict=True):
            size.update(zip(letters, t.shape, strict=True))
        return {"y": Output(tuple(size[x] for x in out))}

    def forward(self, inputs: Arrays) -> Arrays:
        from zkcore.ops import exact

        return {"y": exact.einsum(self.spec.replace(POSITION, "p"), inputs["x"], inputs["w"])}

    def real(self, inputs: Arrays) -> Arrays:
        from torch import einsum

        return {"y": einsum(self.spec.replace(POSITION, "p"), inputs["x"], inputs["w"])}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        build.einsum("y", self.spec, inputs["x"], inputs["w"])


@dataclass(frozen=True)
class Bias:
    """y = x + bias, the same at every position. `axes`: letters of x and of the bias, e.g. "hIid,hd"."""

    axes: str
    name: str = "bias"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name, self.axes]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output(inputs["x"].shape)}

    def forward(self, inputs: Arrays) -> Arrays:
        whole, own = self.axes.replace(POSITION, "p").split(",")
        shape = [inputs["x"].shape[k] if x in own else 1 for k, x in enumerate(whole)]
        return {"y": inputs["x"] + inputs["bias"].reshape(shape)}

    real = forward

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        """The sum is of tensors with all axes: the bias is repeated on real cells only."""
        whole, own = self.axes.split(",")
        missing = "".join(x for x in whole if x not in own)
        shape = tuple(inputs["x"].shape[whole.index(x)] for x in missing)
        ones = build.public(f"ones {shape}", Ones(shape))
        repeated = build.einsum("repeated", f"{own},{missing}->{whole}", inputs["bias"], ones)
        build.linear("y", whole, inputs["x"][whole] + repeated[whole])


@dataclass(frozen=True)
class Add:
    """y = a + b, at one scale."""

    name: str = "add"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output(inputs["a"].shape)}

    def forward(self, inputs: Arrays) -> Arrays:
        return {"y": inputs["a"] + inputs["b"]}

    real = forward

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        axes = "abcdefgh"[: len(inputs["a"].shape)]
        build.linear("y", axes, inputs["a"][axes] + inputs["b"][axes])


@dataclass(frozen=True)
class Embedding:
    """Public tokens select rows of the committed table: tokens is one-hot [tiles, tile, vocab]."""

    name: str = "embedding"
    cached: Mapping[str, int] = field(default_factory=dict)
    kept: frozenset[str] = frozenset({"table"})

    def describe(self) -> list[object]:
        return [self.name]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output((*inputs["tokens"].shape[:2], inputs["table"].shape[1]))}

    def forward(self, inputs: Arrays) -> Arrays:
        return {"y": self.real(inputs)["y"].long()}

    def real(self, inputs: Arrays) -> Arrays:
        return {"y": inputs["table"][inputs["tokens"].argmax(-1)]}

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        build.einsum("y", "Iiv,vm->Iim", inputs["tokens"], inputs["table"])


@dataclass(frozen=True)
class Select:
    """The positions whose successor is proved: pick is one-hot [proved, tiles, tile]."""

    name: str = "select"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output((inputs["pick"].shape[0], inputs["x"].shape[2]))}

    def forward(self, inputs: Arrays) -> Arrays:
        return {"y": inputs["x"][inputs["pick"].argmax(-1)]}

    real = forward

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        build.einsum("y", "pIi,Iim->pm", inputs["pick"], inputs["x"])


@dataclass(frozen=True)
class Replicate:
    """Grouped-query attention the plain way: K and V repeated for every query head. heads is one-hot [heads, kv]."""

    name: str = "replicate"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output((inputs["heads"].shape[0], *inputs["x"].shape[1:]))}

    def forward(self, inputs: Arrays) -> Arrays:
        return {"y": inputs["x"][inputs["heads"].argmax(-1)]}

    real = forward

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        build.einsum("y", "kIid,hk->hIid", inputs["x"], inputs["heads"])


@dataclass(frozen=True)
class Rope:
    """Rotary embedding (Su et al. 2021, in the half-split form of transformers): y = x * cos + (x swap) * sin, where
    the public swap [d, e] exchanges the halves of a head and negates one. cos, sin: [tiles, tile, d], scaled;
    requantise once, afterwards. (x swap) is a tensor of its own: as one product of three, its sumcheck would have
    both d and e, 2^25 entries for a head of 128 and 2,048 positions where two of 2^18 and 2^7 do."""

    name: str = "rope"
    cached: Mapping[str, int] = field(default_factory=dict)

    def describe(self) -> list[object]:
        return [self.name]

    def outputs(self, inputs: Specs) -> Mapping[str, Output]:
        return {"y": Output(inputs["x"].shape)}

    def forward(self, inputs: Arrays) -> Arrays:
        from torch import cat

        x, half = inputs["x"], inputs["x"].shape[-1] // 2
        turned = cat([-x[..., half:], x[..., :half]], dim=-1)
        return {"y": x * inputs["cos"] + turned * inputs["sin"]}

    real = forward

    def relations(self, build: Builder, inputs: Specs, outputs: Specs) -> None:
        row = "hg"[: len(inputs["x"].shape) - 3] + POSITION
        straight = build.einsum("straight", f"{row}d,Iid->{row}d", inputs["x"], inputs["cos"])
        swapped = build.einsum("swapped", f"{row}d,de->{row}e", inputs["x"], inputs["swap"])
        turned = build.einsum("turned", f"{row}e,Iie->{row}e", swapped, inputs["sin"])
        build.linear("y", row + "d", straight[row + "d"] + turned[row + "d"])
