"""What zkcore brings along, registered through the same hooks as any plugin."""

from __future__ import annotations

from zkcore.commitment.hyrax import Hyrax
from zkcore.hookspecs import RegisterCommitmentScheme, RegisterLookupArgument, hookimpl
from zkcore.subprotocols.logup_gkr import LogupGkr


@hookimpl
def register_lookup_arguments(register: RegisterLookupArgument) -> None:
    register("logup_gkr", LogupGkr)


@hookimpl
def register_commitment_schemes(register: RegisterCommitmentScheme) -> None:
    register("hyrax", Hyrax)
