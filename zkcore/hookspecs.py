"""What a plugin may register. Each hook is called once, when the registry is built; none is called during a proof."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

import pluggy

from zkcore.commitment.scheme import CommitmentScheme
from zkcore.graph.op import Op
from zkcore.subprotocols.lookup import LookupArgument

if TYPE_CHECKING:
    from zkcore.config import StrategyConfig
    from zkcore.models.family import ModelFamily
    from zkcore.strategy.strategy import Strategy

PROJECT = "zkcore"  # of the hook markers, and the entry-point group
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

OpFactory = Callable[..., Op]  # its arguments are the slot's business
LookupArgumentFactory = Callable[[], LookupArgument]
CommitmentSchemeFactory = Callable[[int], CommitmentScheme]  # log2 of the row width
StrategyFactory = Callable[["StrategyConfig"], "Strategy"]
ModelFamilyFactory = Callable[[], "ModelFamily"]


class RegisterOp(Protocol):
    def __call__(self, slot: str, name: str, factory: OpFactory) -> None: ...


class RegisterLookupArgument(Protocol):
    def __call__(self, name: str, factory: LookupArgumentFactory) -> None: ...


class RegisterCommitmentScheme(Protocol):
    def __call__(self, name: str, factory: CommitmentSchemeFactory) -> None: ...


class RegisterStrategy(Protocol):
    def __call__(self, name: str, factory: StrategyFactory) -> None: ...


class RegisterModelFamily(Protocol):
    def __call__(self, name: str, factory: ModelFamilyFactory) -> None: ...


@hookspec
def register_ops(register: RegisterOp) -> None:
    """Offer ops.

    :param register: ``register(slot, name, factory)``. The slot says which place in a model the op fills: "mlp" (the
        name is the checkpoint's ``hidden_act``, such as "silu"; ``factory(glu_settings)``), "activation" (the same for
        an MLP without a gate; ``factory(activation_settings)``) or "attention" (the name is the configuration's
        ``model.attention.name``; ``factory(attention_settings, tile)``).
    """


@hookspec
def register_lookup_arguments(register: RegisterLookupArgument) -> None:
    """Offer ways to prove lookups.

    :param register: ``register(name, factory)``; the name is the one used in the configuration.
    """


@hookspec
def register_commitment_schemes(register: RegisterCommitmentScheme) -> None:
    """Offer commitment schemes.

    :param register: ``register(name, factory)``; ``factory(log_width)`` makes the scheme.
    """


@hookspec
def register_strategies(register: RegisterStrategy) -> None:
    """Offer ways to prove the repeated block of a model.

    :param register: ``register(name, factory)``; the factory gets the configuration's ``strategy`` section.
    """


@hookspec
def register_model_families(register: RegisterModelFamily) -> None:
    """Offer model families.

    :param register: ``register(name, factory)``; the name is the checkpoint's ``model_type``, such as "llama". For
        another encoding of weights than "plain" (``model.encoding`` in the configuration) it stands before that name:
        "ternary llama".
    """
