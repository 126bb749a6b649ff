"""Ternary weights from a checkpoint's tensors: packed as transformers packs them, floats that are -s, 0 or s already,
or floats to be converted by their mean magnitude (absmean)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from zkcore.errors import ModelError
from zkcore.models.checkpoint import check_tensors
from zkcore_ternary.absmax import LEVELS
from zkcore_ternary.graph import PROJECTIONS, TernaryArchitecture

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.models.checkpoint import Tensors

    Ternary = tuple[TorchTensor, TorchTensor]  # [outputs, inputs] of -1, 0, 1, and what to multiply with [1]

PER_BYTE = 4  # transformers.integrations.bitnet
EMBED, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"
PLACES = {**{n: f"self_attn.{n}_proj" for n in "qkvo"}, **{n: f"mlp.{n}_proj" for n in ("gate", "up", "down")}}
GAINS = {"attention_in_gain": "input_layernorm.weight", "mlp_in_gain": "post_attention_layernorm.weight"}
SUB_GAINS = {"o_in_gain": "self_attn.attn_sub_norm.weight", "down_in_gain": "mlp.ffn_sub_norm.weight"}


def weights(a: TernaryArchitecture, tensors: Tensors) -> dict[str, TorchTensor]:
    """Real weights by graph name, in the graph's shapes; those of projections are -1, 0 and 1."""
    _check(a, tensors)
    out = {"embed": tensors[EMBED]}
    for i in range(a.layers):
        scope, place = f"layers.{i}.", f"model.layers.{i}."
        for name in PROJECTIONS:
            ternary, scale = READERS[a.stored](tensors, place + PLACES[name])
            out[scope + name] = ternary.t().reshape(_graph_shape(a, name))
            out[f"{scope}{name}_scale"] = scale.reshape(1) / LEVELS
        out.update({scope + gain: tensors[place + name] for gain, name in _gains(a).items()})
    if a.tied:
        out["final_gain"] = tensors[NORM]
    else:
        out["head"] = tensors[HEAD] * tensors[NORM]
    return out


def _gains(a: TernaryArchitecture) -> Mapping[str, str]:
    return {**GAINS, **SUB_GAINS} if a.sub_norms else GAINS


def _shapes(a: TernaryArchitecture) -> dict[str, tuple[int, int]]:
    """[outputs, inputs] of the projections."""
    q, kv, h = a.heads * a.head_dim, a.kv_heads * a.head_dim, a.hidden
    attention = {"q": (q, h), "k": (kv, h), "v": (kv, h), "o": (h, q)}
    return {**attention, "gate": (a.ffn, h), "up": (a.ffn, h), "down": (h, a.ffn)}


def _graph_shape(a: TernaryArchitecture, name: str) -> tuple[int, ...]:
    rows, columns = _shapes(a)[name]
    if name == "o":
        return (a.heads, a.head_dim, rows)
    return (columns, rows // a.head_dim, a.head_dim) if name in ("q", "k", "v") else (columns, rows)


# --- what the checkpoint must hold ------------------------------------------------------------------------------------
def _check(a: TernaryArchitecture, tensors: Tensors) -> None:
    """Names, shapes and types; all differences at once."""
    packed = a.stored.startswith("packed")
    if packed:
        _check_packing(a, tensors)
    expected: dict[str, tuple[int, ...]] = {EMBED: (a.vocab_size, a.hidden), NORM: (a.hidden,)}
    twice = a.tied and HEAD in tensors
    if twice or not a.tied:
        expected[HEAD] = (a.vocab_size, a.hidden)
    sizes = {"o_in_gain": a.heads * a.head_dim, "down_in_gain": a.ffn}
    for i in range(a.layers):
        place = f"model.layers.{i}."
        for name, (rows, columns) in _shapes(a).items():
            expected[f"{place}{PLACES[name]}.weight"] = (rows // PER_BYTE if packed else rows, columns)
            if packed:
                expected[f"{place}{PLACES[name]}.weight_scale"] = (1,)
        expected.update({place + n: (sizes.get(gain, a.hidden),) for gain, n in _gains(a).items()})
    check_tensors(tensors, expected)
    if twice and not bool((tensors[HEAD] == tensors[EMBED]).all()):
        raise ModelError(f"config.json says tie_word_embeddings, but {HEAD} is not {EMBED}")


def _check_packing(a: TernaryArchitecture, tensors: Tensors) -> None:
    problems = []
    for i in range(a.layers):
        for name, (rows, columns) in _shapes(a).items():
            weight = f"model.layers.{i}.{PLACES[name]}.weight"
            if weight in tensors:
                found, wanted = (tensors.dtype(weight), tensors.shape(weight)), (rows // PER_BYTE, columns)
                if rows % PER_BYTE or found != ("U8", wanted):
                    problems.append(f"  {weight}: expected U8 {wanted}, found {found[0]} {found[1]}")
    if problems:
        raise ModelError(
            "these are no ternary weights packed as transformers packs them (four rows in a byte: row i of the bytes "
            "holds rows i, i + n/4, i + n/2 and i + 3n/4 of n, two bits each, the first lowest):\n"
            + "\n".join(problems)
        )


# --- readers ----------------------------------------------------------------------------------------------------------
def _packed(tensors: Tensors, name: str) -> Ternary:
    import torch

    data = tensors.packed(f"{name}.weight")
    codes = torch.cat([data >> 2 * k & 3 for k in range(PER_BYTE)])
    if bool((codes == 3).any()):
        raise ModelError(f"{name}.weight: a code 3, where 0, 1, 2 stand for -1, 0, 1: it is packed in another way")
    return codes.float() - 1, tensors[f"{name}.weight_scale"]


def _packed_inverse(tensors: Tensors, name: str) -> Ternary:
    """BitLinear of transformers divides by the scale, AutoBitLinear multiplies with it."""
    ternary, scale = _packed(tensors, name)
    if not bool(scale != 0):
        raise ModelError(f"{name}.weight_scale: a division by 0")
    return ternary, 1 / scale


def _scaled(tensors: Tensors, name: str) -> Ternary:
    w = tensors[f"{name}.weight"]
    scale = w.abs().max()
    ternary = w.sign()
    if not bool((ternary * scale == w).all()):
        raise ModelError(
            f"{name}.weight: float weights, where model.encoding: ternary expects -s, 0 and s for one s; "
            "choose model.encoding: absmean to convert them"
        )
    return ternary, scale


def _absmean(tensors: Tensors, name: str) -> Ternary:
    """The nearest of -s, 0 and s, where s is the mean magnitude (Ma et al. 2024, equations 1 to 3)."""
    w = tensors[f"{name}.weight"].double()
    scale = w.abs().mean().clamp(min=1e-5)
    return (w / scale).round().clamp(-1, 1).float(), scale.float()


READERS: Mapping[str, Callable[[Tensors, str], Ternary]] = {
    "packed": _packed,
    "packed_inverse": _packed_inverse,
    "scaled": _scaled,
    "absmean": _absmean,
}
