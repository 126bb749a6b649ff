"""What zkcore brings along, registered through the same hooks as any plugin."""

from __future__ import annotations

from functools import partial

from zkcore.commitment.hyrax import Hyrax
from zkcore.hookspecs import (
    RegisterCommitmentScheme,
    RegisterLookupArgument,
    RegisterModelFamily,
    RegisterOp,
    RegisterStrategy,
    hookimpl,
)
from zkcore.models.gemma import gemma
from zkcore.models.gpt2 import gpt2
from zkcore.models.llama import llama, mistral
from zkcore.models.phi3 import phi3
from zkcore.models.qwen import qwen2, qwen3
from zkcore.ops.attention import Attention
from zkcore.ops.glu import GELU_TANH, SILU, Activate, Glu
from zkcore.ops.zkattn import ZkAttention
from zkcore.strategy.per_layer import PerLayer
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.tlookup import TLookup


@hookimpl
def register_ops(register: RegisterOp) -> None:
    register("attention", "attention", Attention)
    register("attention", "zkattn", ZkAttention)
    register("mlp", "silu", partial(Glu, SILU))
    for name in ("gelu_new", "gelu_pytorch_tanh"):
        register("mlp", name, partial(Glu, GELU_TANH))
        register("activation", name, partial(Activate, GELU_TANH))


@hookimpl
def register_lookup_arguments(register: RegisterLookupArgument) -> None:
    register("logup_gkr", LogupGkr)
    register("tlookup", TLookup)


@hookimpl
def register_commitment_schemes(register: RegisterCommitmentScheme) -> None:
    register("hyrax", Hyrax)


@hookimpl
def register_strategies(register: RegisterStrategy) -> None:
    register("per_layer", PerLayer)


@hookimpl
def register_model_families(register: RegisterModelFamily) -> None:
    for family in (llama, mistral, qwen2, qwen3, phi3, gemma, gpt2):
        register(family().name, family)
