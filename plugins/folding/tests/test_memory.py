"""What a prover holds at its peak, counted: the prover's own code on arrays without contents (zkcore.estimation). With
a limit and runs of layers it is the largest run's work and, of every layer, the integers that were committed."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from zkcore_folding.strategy import Folding

from zkcore import config as configuration
from zkcore.config import StrategyConfig
from zkcore.estimation.run import count
from zkcore.field import devices, native
from zkcore.field.space import narrow, narrowest
from zkcore.field.unmade import Given, Stacked, whole
from zkcore.graph import witness
from zkcore.graph.system import System
from zkcore.models import passes
from zkcore.models.family import Sequence
from zkcore.prover import committed
from zkcore.resumption import Checkpoint, Request
from zkcore.setup import Parts, Setup
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.testing import same_bytes
from zkcore.testing.small_models import SmallLlama
from zkcore.testing.strategy_suite import PROMPT

LIMIT = 20_000  # bytes of virtual tensors
SMALLER = 2_000
TOKENS = 128
RUNS = {"name": "folding", "batching": "layer_trees", "tree_layers": 1, "folded_layers": 4}


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(witness, "SMALL", 0)
    yield


def system_of(layers: int, strategy: Mapping[str, object]) -> tuple[Setup, System]:
    """In the clear: what a zero-knowledge argument holds grows with the proof's messages."""
    asked = {"plugins": ("folding",), "strategy": strategy, "zero_knowledge": False, "model": {"table_bits": 8}}
    config = configuration.Config.model_validate({**asked, "commitment": {"log_width": 8}})
    model = SmallLlama(layers=layers, ffn=40)
    setup = Setup(Parts.of(config, "llama"), model.architecture, model.quantisation)
    return setup, setup.system(Sequence((1,) * TOKENS, TOKENS - 1))


def peak(layers: int, strategy: Mapping[str, object]) -> int:
    return count(*system_of(layers, strategy)).memory


def answer_itself(layers: int) -> int:
    """Bytes of the committed integers, in the narrowest type that their intervals allow, and of the weights."""
    _, system = system_of(layers, RUNS)
    held = (t for kind in ("committed", "weight") for t in system.of_kind(kind))
    return sum(int(np.prod(t.shape)) * np.dtype(narrowest((t.lo, t.hi))).itemsize for t in held)


def test_with_a_limit_only_the_answer_itself_grows_with_depth(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "passing", lambda limit: LIMIT)
    peaks, own = ([f(n) for n in (8, 16, 32)] for f in (lambda n: peak(n, RUNS), answer_itself))
    beyond = [p - o for p, o in zip(peaks, own, strict=True)]
    assert max(beyond) < 1.02 * min(beyond)
    assert own[2] > 3.5 * own[0]
    assert peaks[2] < 1.6 * peaks[0]


def test_a_limit_changes_what_is_resident(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one all virtual tensors of all layers stay, in 64 bits; folded all at once, a sumcheck takes all layers'
    cells, and a tree at least one op's lookups of them: that is what runs are for."""
    free = [peak(n, RUNS) for n in (8, 20)]
    monkeypatch.setattr(devices, "passing", lambda limit: LIMIT)
    limited, whole = ([peak(n, s) for n in (8, 20)] for s in (RUNS, {**RUNS, "folded_layers": "all"}))
    assert limited[0] < free[0] / 2 and limited[1] < free[1] / 3
    assert free[1] - free[0] > 8 * (limited[1] - limited[0])
    assert whole[1] - whole[0] > 8 * (limited[1] - limited[0])


def given(model: SmallLlama, folding: Folding, memory: int | None) -> tuple[System, dict[str, Given]]:
    """As `prove` has it: what is committed, narrow, if memory is limited; everything, if not."""
    graph = model.graph(model.answer(PROMPT))
    system = folding.expand(graph, model.quantisation.bits.table_bits)
    weights = {n: narrow(w) for n, w in model.weights().items()}
    keep = None if memory is None else committed(system)
    store = passes.witness(graph, {n: torch.from_numpy(w) for n, w in weights.items()}, keep=keep)
    return system, {**folding.given(system, store), **folding.arrange(graph, weights)}


def test_stacks_are_let_go_where_memory_is_limited() -> None:
    system, held = given(SmallLlama(layers=8), Folding(StrategyConfig(name="folding")), SMALLER)
    stacked = [n for n, g in held.items() if isinstance(g, Stacked)]
    for memory, most in ((SMALLER, SMALLER), (None, 1 << 40)):
        read = witness.Witness(system, native.load(), held, memory=memory)
        made = [weakref.ref(read.array(n)) for n in stacked]
        alive = [array.nbytes for ref in made if (array := ref()) is not None]
        assert sum(alive) <= most or len(alive) <= witness.AT_ONCE
        assert (len(alive) == len(made)) == (memory is None)


def test_a_checkpoint_keeps_stacks(tmp_path: Path) -> None:
    """What one process put aside, layer by layer, another finds whole."""
    system, held = given(SmallLlama(layers=3), Folding(StrategyConfig(name="folding")), SMALLER)
    names = {t.name for t in system.of_kind("committed")} - system.digits.keys()
    assert any(isinstance(held[n], Stacked) for n in names)
    stages = Checkpoint(tmp_path, Request("0" * 64, PROMPT, 1, b"", "complete"))
    stages.witness(b"statement", names, lambda: held)
    found = stages.witness(b"statement", names, dict)
    assert found.keys() == names
    assert all(np.array_equal(whole(found[n]), whole(held[n])) for n in names)


@pytest.mark.parametrize("runs", [2, "all"])
def test_a_limit_changes_no_byte(runs: int | str) -> None:
    model = SmallLlama(layers=3)
    folding = Folding(StrategyConfig(name="folding", folded_layers=runs))  # type: ignore[arg-type]

    def proof(memory: int | None) -> tuple[bytes, bytes]:
        return same_bytes.prove(native.load(), *given(model, folding, memory), LogupGkr(), memory=memory)

    free, limited = proof(None), proof(SMALLER)
    assert free == limited
    same_bytes.verify(native.load(), given(model, folding, None)[0], limited, LogupGkr())
