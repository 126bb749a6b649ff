"""Ternary models: weights -1, 0 and 1, eight-bit activations with a proved scale per token."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zkcore.hookspecs import RegisterModelFamily, RegisterOp, hookimpl
from zkcore.ops.glu import Glu
from zkcore_ternary.family import Ternary
from zkcore_ternary.relu2 import RELU2

if TYPE_CHECKING:
    from torch import Tensor


@hookimpl
def register_ops(register: RegisterOp) -> None:
    register("mlp", "relu2", partial(Glu, RELU2))


@hookimpl
def register_model_families(register: RegisterModelFamily) -> None:
    for model_type in ("bitnet", "llama"):
        register(f"ternary {model_type}", AlreadyTernary(model_type))
        register(f"absmean {model_type}", partial(Ternary, "absmean", model_type))


class AlreadyTernary:
    """Makes families whose checkpoints are ternary."""

    def __init__(self, model_type: str) -> None:
        self.model_type = model_type

    def __call__(self) -> Ternary:
        return Ternary("ternary", self.model_type)

    def tensor(self, name: str, tensor: Tensor) -> Tensor:
        """For the attack kit, whose checkpoints are random: ternary projections."""
        return tensor.sign() / 8 if "_proj." in name else tensor
