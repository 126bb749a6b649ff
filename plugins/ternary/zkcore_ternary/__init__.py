"""Ternary models: weights -1, 0 and 1, eight-bit activations with a proved scale per token."""

from functools import partial

from zkcore.hookspecs import RegisterModelFamily, RegisterOp, hookimpl
from zkcore.ops.glu import Glu
from zkcore_ternary.family import Ternary
from zkcore_ternary.relu2 import RELU2


@hookimpl
def register_ops(register: RegisterOp) -> None:
    register("mlp", "relu2", partial(Glu, RELU2))


@hookimpl
def register_model_families(register: RegisterModelFamily) -> None:
    for model_type in ("bitnet", "llama"):
        register(f"ternary {model_type}", partial(Ternary, "ternary", model_type))
        register(f"absmean {model_type}", partial(Ternary, "absmean", model_type))
