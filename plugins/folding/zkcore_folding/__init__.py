"""Folding: the identical layers of a model are proved as one block with a layer axis."""

from zkcore.hookspecs import RegisterStrategy, hookimpl
from zkcore_folding.strategy import Folding


@hookimpl
def register_strategies(register: RegisterStrategy) -> None:
    register("folding", Folding)
