"""GPT-2, the odd one: LayerNorm, learned positions, an MLP without gate, biases everywhere, matrices transposed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zkcore.errors import ModelError
from zkcore.models.config_json import PLAIN, Read, architecture_of, end_tokens, refused, validated
from zkcore.models.decoder import DecoderArchitecture, checked, said
from zkcore.models.decoder_family import Decoder
from zkcore.models.family import Size
from zkcore.models.layout import Layout, Stored

OWN_PLAIN: Mapping[str, Any] = {
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "add_cross_attention": False,
}


def _stored(name: str, *parts: str) -> tuple[Stored, Stored]:
    return (
        Stored(f"{name}.weight", parts, transposed=True),
        Stored(f"{name}.bias", tuple(f"{part}_bias" for part in parts)),
    )


def _norm(name: str, part: str) -> tuple[Stored, Stored]:
    return Stored(f"{name}.weight", (part,)), Stored(f"{name}.bias", (f"{part}_bias",))


LAYOUT = Layout(
    "wte.weight",
    "ln_f",
    (
        *_norm("ln_1", "attention_norm"),
        *_stored("attn.c_attn", "q", "k", "v"),
        *_stored("attn.c_proj", "o"),
        *_norm("ln_2", "mlp_norm"),
        *_stored("mlp.c_fc", "up"),
        *_stored("mlp.c_proj", "down"),
    ),
    layers="h",
    prefixes=("transformer.", ""),
    positions="wpe.weight",
)


class _Config(Read):
    vocab_size: Size
    n_positions: Size
    n_embd: Size
    n_layer: Size
    n_head: Size
    n_inner: Size | None = None
    activation_function: str = "gelu_new"
    layer_norm_epsilon: float = 1e-5
    tie_word_embeddings: bool = True
    eos_token_id: int | list[int] | None = 50256


def gpt2() -> Decoder:
    return Decoder("gpt2", _read, LAYOUT)


def _read(config: Mapping[str, Any]) -> DecoderArchitecture:
    problems = refused(config, OWN_PLAIN) + refused(config, PLAIN)
    c = validated(_Config, config, problems)
    if c.n_embd % c.n_head:
        raise ModelError(said([f"n_embd {c.n_embd} is no multiple of {c.n_head} heads"]))
    return checked(
        architecture_of(
            family="gpt2",
            vocab_size=c.vocab_size,
            layers=c.n_layer,
            max_positions=c.n_positions,
            eos=end_tokens(c.eos_token_id),
            hidden=c.n_embd,
            heads=c.n_head,
            kv_heads=c.n_head,
            head_dim=c.n_embd // c.n_head,
            ffn=c.n_inner or 4 * c.n_embd,
            activation=c.activation_function,
            epsilon=repr(c.layer_norm_epsilon),
            tied=c.tie_word_embeddings,
            rope=None,
            norm="layer",
            gated=False,
            biases=("q", "k", "v", "o", "up", "down", "head"),
        )
    )
