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
from zkcore.models.llama import Llama
from zkcore.ops.attention import Attention
from zkcore.ops.glu import SILU, Glu
from zkcore.ops.zkattn import ZkAttention
from zkcore.strategy.per_layer import PerLayer
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.tlookup import TLookup


@hookimpl
def register_ops(register: RegisterOp) -> None:
    register("attention", "attention", Attention)
    register("attention", "zkattn", ZkAttention)
    register("mlp", "silu", partial(Glu, SILU))


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
    register("llama", Llama)
