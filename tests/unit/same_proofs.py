"""Small models under strategies and arguments that between them reach every verb: for proofs that must be the same
bytes whatever computes them."""

from __future__ import annotations

from zkcore_folding.strategy import Folding

from zkcore.config import StrategyConfig
from zkcore.strategy.per_layer import PerLayer
from zkcore.strategy.strategy import Strategy
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.subprotocols.tlookup import TLookup
from zkcore.testing.small_models import SmallLlama

KINDS = ["plain", "trees", "folding", "gqa", "tlookup", "zkattn"]


def small(kind: str) -> tuple[SmallLlama, Strategy, LookupArgument]:
    config = StrategyConfig()
    return {
        "plain": (SmallLlama(layers=1), PerLayer(config), LogupGkr()),
        "trees": (SmallLlama(), PerLayer(StrategyConfig(batching="each_layer")), LogupGkr()),
        "folding": (SmallLlama(layers=3), Folding(config), LogupGkr()),
        "gqa": (SmallLlama(1, 6, 2, attention="gqa", plugins=("gqa",)), PerLayer(config), LogupGkr()),
        "tlookup": (SmallLlama(layers=1), PerLayer(config), TLookup()),
        "zkattn": (SmallLlama(layers=1, attention="zkattn"), PerLayer(config), TLookup()),
    }[kind]
