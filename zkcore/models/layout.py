"""Where a family keeps its weights, and how they become the graph's: projections as [inputs, outputs...], with gain and
bias of the norm before them folded in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkcore.errors import ModelError
from zkcore.models.decoder import DecoderArchitecture

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.models.checkpoint import Tensors

    Parts = Mapping[str, TorchTensor]

Shape = tuple[int, ...]
PROJECTIONS = ("q", "k", "v", "o", "gate", "up", "down")
NORM_BEFORE = {**dict.fromkeys("qkv", "attention_norm"), **dict.fromkeys(("gate", "up"), "mlp_norm")}


@dataclass(frozen=True)
class Stored:
    """A tensor of the checkpoint: the parts of a layer (or of the ends) that it holds, one after the other along the
    outputs. transposed: [inputs, outputs], as GPT-2 keeps them."""

    name: str
    parts: tuple[str, ...]
    transposed: bool = False


@dataclass(frozen=True)
class Layout:
    """Names are completed by a prefix; of several, the one is taken under which the checkpoint has the embedding.
    gain_offset: what is added to every stored gain. scaled_embedding: the embedding is multiplied by sqrt(hidden)."""

    embed: str
    norm: str
    layer: tuple[Stored, ...]
    layers: str = "layers"
    prefixes: tuple[str, ...] = ("model.",)
    head: str = "lm_head.weight"
    positions: str = ""
    gain_offset: int = 0
    scaled_embedding: bool = False

    def ends(self) -> list[Stored]:
        named = {self.embed: "embed", f"{self.norm}.weight": "norm", f"{self.norm}.bias": "norm_bias"}
        return [Stored(n, (part,)) for n, part in (named | {self.positions: "positions"}).items() if n]


def part_shapes(a: DecoderArchitecture) -> dict[str, Shape]:
    """Everything that a checkpoint of this architecture holds, by part: the ends, and one layer."""
    q, kv, h = a.heads * a.head_dim, a.kv_heads * a.head_dim, a.hidden
    found: dict[str, Shape] = {"q": (q, h), "k": (kv, h), "v": (kv, h), "o": (h, q)}
    found |= {"up": (a.ffn, h), "down": (h, a.ffn)} | ({"gate": (a.ffn, h)} if a.gated else {})
    found |= {f"{n}_bias": found[n][:1] for n in a.biases if n in found}
    for norm in ("attention_norm", "mlp_norm", "norm"):
        found |= {norm: (h,)} | ({f"{norm}_bias": (h,)} if a.norm == "layer" else {})
    if a.qk_norm:
        found |= {"q_gain": (a.head_dim,), "k_gain": (a.head_dim,)}
    found["embed"] = (a.vocab_size, h)
    if a.rope is None:
        found["positions"] = (a.max_positions, h)
    return found


def weights(a: DecoderArchitecture, layout: Layout, tensors: Tensors) -> dict[str, TorchTensor]:
    """Real weights by graph name, in the graph's shapes."""
    reader = _Reader(a, layout, tensors)
    ends = reader.parts("", layout.ends())
    out = {"embed": ends["embed"] * _embedding_scale(a, layout)}
    if a.rope is None:
        out["positions"] = ends["positions"]
    for i in range(a.layers):
        parts = reader.parts(f"{layout.layers}.{i}.", layout.layer)
        out.update({f"layers.{i}.{name}": w for name, w in _layer(a, layout, parts)})
    gain = ends["norm"] + layout.gain_offset
    head = ends["embed"] if a.tied else tensors[layout.head]
    if a.tied:
        out["final_gain"] = gain / _embedding_scale(a, layout)
    else:
        out["head"] = head * gain
    if "head" in a.biases:
        out["head_bias"] = head @ ends["norm_bias"]
    return out


def _embedding_scale(a: DecoderArchitecture, layout: Layout) -> TorchTensor:
    import torch

    return torch.tensor(a.hidden if layout.scaled_embedding else 1).sqrt()


def _layer(a: DecoderArchitecture, layout: Layout, parts: Parts) -> Iterator[tuple[str, TorchTensor]]:
    heads = {"q": a.heads, "k": a.kv_heads, "v": a.kv_heads}
    for name in (n for n in PROJECTIONS if n in parts):
        w, norm = parts[name], NORM_BEFORE.get(name)
        folded = (w * (parts[norm] + layout.gain_offset) if norm else w).t()
        inputs = (a.heads, a.head_dim) if name == "o" else folded.shape[:1]
        outputs = (heads[name], a.head_dim) if name in heads else folded.shape[1:]
        yield name, folded.reshape((*inputs, *outputs))
        if name in a.biases:
            through = w @ parts[f"{norm}_bias"] if f"{norm}_bias" in parts else 0
            yield f"{name}_bias", (parts[f"{name}_bias"] + through).reshape(outputs)
    for name in ("q_gain", "k_gain"):
        if name in parts:
            yield name, parts[name] + layout.gain_offset


class _Reader:
    """A checkpoint whose names and shapes are those of the architecture: anything else is refused at once."""

    def __init__(self, a: DecoderArchitecture, layout: Layout, tensors: Tensors) -> None:
        from zkcore.models.checkpoint import check_tensors

        self._shapes, self._tensors = part_shapes(a), tensors
        there = [p for p in layout.prefixes if p + layout.embed in tensors]
        self._prefix = there[0] if there else layout.prefixes[0]
        expected = dict(self._expected("", layout.ends()))
        for i in range(a.layers):
            expected.update(self._expected(f"{layout.layers}.{i}.", layout.layer))
        if not a.tied or layout.head in tensors:
            expected[layout.head] = (a.vocab_size, a.hidden)
        check_tensors(tensors, expected)
        embed = self._prefix + layout.embed
        if a.tied and layout.head in expected and not bool((tensors[layout.head] == tensors[embed]).all()):
            raise ModelError(f"config.json says tie_word_embeddings, but {layout.head} is not {embed}")

    def parts(self, scope: str, stored: list[Stored] | tuple[Stored, ...]) -> Parts:
        import torch

        out: dict[str, TorchTensor] = {}
        for s in self._present(stored):
            whole = self._tensors[self._prefix + scope + s.name]
            sizes = [self._shapes[p][0] for p in s.parts]
            out |= zip(s.parts, torch.split(whole.t() if s.transposed else whole, sizes), strict=True)
        return out

    def _present(self, stored: list[Stored] | tuple[Stored, ...]) -> list[Stored]:
        """Those whose parts this architecture has."""
        return [s for s in stored if all(p in self._shapes for p in s.parts)]

    def _expected(self, scope: str, stored: list[Stored] | tuple[Stored, ...]) -> Iterator[tuple[str, Shape]]:
        for s in self._present(stored):
            shapes = [self._shapes[p] for p in s.parts]
            whole = (sum(shape[0] for shape in shapes), *shapes[0][1:])
            yield self._prefix + scope + s.name, whole[::-1] if s.transposed else whole
