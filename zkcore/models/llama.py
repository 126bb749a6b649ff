"""The LLaMA family: RMSNorm, rotary positions, causal attention, gated MLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from zkcore.config import problems_in
from zkcore.errors import ModelError
from zkcore.graph.model import ModelGraph
from zkcore.models import llama_config, llama_graph
from zkcore.models.family import Architecture, Ops, Sequence
from zkcore.models.llama_config import LlamaArchitecture
from zkcore.models.quantisation import Quantisation

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.models.checkpoint import Tensors

__all__ = ["Llama", "LlamaArchitecture"]
EMBED, HEAD, NORM = "model.embed_tokens.weight", "lm_head.weight", "model.norm.weight"


class Llama:
    name = "llama"

    def architecture(self, config: Mapping[str, Any]) -> LlamaArchitecture:
        return llama_config.read(config)

    def parse(self, data: Mapping[str, Any]) -> LlamaArchitecture:
        try:
            return llama_config.checked(LlamaArchitecture.model_validate({**data, "eos": tuple(data.get("eos", ()))}))
        except ValidationError as e:
            raise ModelError("\n".join(f"architecture: {p}" for p in problems_in(e))) from None
        except TypeError as e:
            raise ModelError(f"architecture: {e}") from None

    def weights(self, architecture: Architecture, tensors: Tensors) -> dict[str, TorchTensor]:
        from zkcore.models.checkpoint import check_tensors

        a = _own(architecture)
        twice = a.tied and HEAD in tensors
        check_tensors(tensors, {**_shapes(a), **({HEAD: (a.vocab_size, a.hidden)} if twice else {})})
        out = {"embed": tensors[EMBED]}
        for i in range(a.layers):
            out.update({f"layers.{i}.{k}": v for k, v in _layer(a, tensors, f"model.layers.{i}.").items()})
        if twice and not bool((tensors[HEAD] == out["embed"]).all()):
            raise ModelError(f"config.json says tie_word_embeddings, but {HEAD} is not {EMBED}")
        if a.tied:
            out["final_gain"] = tensors[NORM]
        else:
            out["head"] = tensors[HEAD] * tensors[NORM]
        return out

    def kind(self, weight: str) -> str:
        last = weight.rsplit(".", 1)[-1]
        return "embedding" if last == "embed" else last

    def observed(self, architecture: Architecture) -> Mapping[str, str]:
        residual = {"embedding.y": "hidden", "attention_residual.y": "hidden", "mlp_residual.y": "hidden"}
        kinds = {n: n.removesuffix(".y") for n in ("attention_in.y", "q.y", "k.y", "v.y", "mlp_in.y", "final.y")}
        extra = {"attention.t": "score_spread", "mlp.gate": "gate", "mlp.act": "act", "mlp.y": "mid"}
        return {**residual, **kinds, **extra}

    def graph(self, architecture: Architecture, quantisation: Quantisation, ops: Ops, sequence: Sequence) -> ModelGraph:
        return llama_graph.build(_own(architecture), quantisation, ops, sequence)


def _own(architecture: Architecture) -> LlamaArchitecture:
    if not isinstance(architecture, LlamaArchitecture):
        raise ModelError(f"not a llama architecture: {architecture.family}")
    return architecture


def _shapes(a: LlamaArchitecture) -> dict[str, tuple[int, ...]]:
    """Every tensor of the checkpoint."""
    q, kv = a.heads * a.head_dim, a.kv_heads * a.head_dim
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm": (a.hidden,),
        "post_attention_layernorm": (a.hidden,),
        "self_attn.q_proj": (q, a.hidden),
        "self_attn.k_proj": (kv, a.hidden),
        "self_attn.v_proj": (kv, a.hidden),
        "self_attn.o_proj": (a.hidden, q),
        "mlp.gate_proj": (a.ffn, a.hidden),
        "mlp.up_proj": (a.ffn, a.hidden),
        "mlp.down_proj": (a.hidden, a.ffn),
    }
    ends: dict[str, tuple[int, ...]] = {EMBED: (a.vocab_size, a.hidden), NORM: (a.hidden,)}
    if not a.tied:
        ends[HEAD] = (a.vocab_size, a.hidden)
    return ends | {f"model.layers.{i}.{n}.weight": s for i in range(a.layers) for n, s in layer.items()}


def _layer(a: LlamaArchitecture, tensors: Tensors, prefix: str) -> dict[str, TorchTensor]:
    """Projections as [inputs, outputs...], with the gain of the norm before them folded in."""
    first, second = (tensors[f"{prefix}{n}_layernorm.weight"] for n in ("input", "post_attention"))
    out = {}
    for name, heads in (("q", a.heads), ("k", a.kv_heads), ("v", a.kv_heads)):
        w = tensors[f"{prefix}self_attn.{name}_proj.weight"] * first
        out[name] = w.t().reshape(a.hidden, heads, a.head_dim)
    o = tensors[f"{prefix}self_attn.o_proj.weight"]
    out["o"] = o.t().reshape(a.heads, a.head_dim, a.hidden)
    out["gate"] = (tensors[f"{prefix}mlp.gate_proj.weight"] * second).t()
    out["up"] = (tensors[f"{prefix}mlp.up_proj.weight"] * second).t()
    out["down"] = tensors[f"{prefix}mlp.down_proj.weight"].t()
    return out
