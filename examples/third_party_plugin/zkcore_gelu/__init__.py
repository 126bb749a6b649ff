"""A zkcore plugin: gated MLPs whose activation is the exact GELU (`hidden_act: gelu`)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from zkcore.hookspecs import RegisterOp, hookimpl
from zkcore.ops.glu import Activation, Glu
from zkcore_gelu.table import gelu

if TYPE_CHECKING:
    from torch import Tensor


def real(x: Tensor) -> Tensor:
    """The function that the table approximates. torch is imported here: the verifier never calls this."""
    from torch.nn.functional import gelu as exact_gelu

    return exact_gelu(x)


GELU = Activation("gelu", gelu, real)


@hookimpl
def register_ops(register: RegisterOp) -> None:
    register("mlp", "gelu", partial(Glu, GELU))
