"""Grouped-query attention as one relation: K and V have no group axis, so one claim serves a whole group of heads."""

from functools import partial

from zkcore.hookspecs import RegisterOp, hookimpl
from zkcore.ops.attention import Attention


@hookimpl
def register_ops(register: RegisterOp) -> None:
    register("attention", "gqa", partial(Attention, grouped=True))
