"""What is attacked: a system, a witness and the parts that prove it. With a model behind it, lies can be followed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from zkcore.backward import Driver
from zkcore.commitment.deferred import Pending, settle
from zkcore.commitment.plain import Plain
from zkcore.commitment.scheme import CommitmentScheme
from zkcore.errors import RangeError
from zkcore.field.unmade import whole
from zkcore.graph.arrays import Array
from zkcore.graph.forward import Run, Store
from zkcore.graph.model import ModelGraph, Node
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.models.family import Sequence as Tokens
from zkcore.settlement import Entry, stated
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.testing.attack_kit.systems import Case
from zkcore.testing.toolbox import Setup, Weights, adopted, commit_weights, tools
from zkcore.transcript.transcript import Transcript

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

    from zkcore.setup import Setup as ModelSetup

Change = Callable[[Any], Any]  # of a torch tensor


@dataclass(frozen=True, eq=False)
class Subject:
    """`offer`: what of the registry this is about. `scheme`: what commits in zero knowledge, and in clear mode if it is
    itself under attack (`bare`). `scope`: prefixes of the tensors and relations that are the offer's own. `falsehoods`:
    statements of the same form that are false, with the witness that comes closest."""

    offer: str
    name: str
    system: System
    given: Mapping[str, Array]
    scheme: CommitmentScheme
    argument: LookupArgument
    scope: tuple[str, ...] = ("",)
    bare: bool = False
    falsehoods: Sequence[Case] = ()
    model: Model | None = None
    _weights: dict[bool, Weights] = field(default_factory=dict)
    transcripts = 1  # in one run

    def setup(self, hiding: bool) -> Setup:
        return Setup(hiding, self.scheme if hiding or self.bare else Plain(), self.argument)

    @property
    def hides(self) -> bool:
        return bool(getattr(self.scheme, "hides", True))

    def weights(self, hiding: bool) -> Weights:
        """Committed to once."""
        if hiding not in self._weights:
            self._weights[hiding] = commit_weights(self.system, self.given, self.setup(hiding))
        return self._weights[hiding]

    def with_weights(self, hiding: bool, weights: Weights) -> Subject:
        return replace(self, _weights={hiding: weights})

    def falsely(self, case: Case) -> Subject:
        return replace(self, system=case.system, given=case.given, falsehoods=())

    def statement(self, hiding: bool) -> bytes:
        weights = self.weights(hiding)
        return b"".join([self.system.describe(), *(weights[n].public for n in sorted(weights))])

    def run(self, t: Transcript, scheme: Any, witness: Witness | None) -> None:
        """Both sides."""
        setup = replace(self.setup(t.hiding), scheme=scheme)
        kept = adopted(t, self.system, setup, self.weights(t.hiding))
        Driver(setup.scheme, setup.argument, kept).run(self.system, t, witness)

    def concerns(self, name: str) -> bool:
        return name.startswith(self.scope)


@dataclass(frozen=True, eq=False)
class Settled(Subject):
    """Two answers that leave their opening to a settlement, and that settlement, one after the other in one proof. A
    lie about a tensor is the first answer's; the second one's witness is honest. What an answer pinned, its settlement
    is told: a cheater who says otherwise there is found by the pin, and learns nothing about the opening."""

    transcripts = 3

    def run(self, t: Transcript, scheme: Any, witness: Witness | None) -> None:
        other = Witness(self.system, tools().kernels, self.given) if witness else None
        pending = [
            self._answer(t, scheme, witness),
            self._answer(self._next(t, b"other" + self.statement(t.hiding)), scheme, other),
        ]
        # As the verifier computes it from what crossed, whatever the prover's secrets are.
        open_ones = [replace(p, secret=None).instance() for p in pending]
        entries = [Entry(f"answer {k}", instance) for k, instance in enumerate(open_ones)]
        secrets = [p.secret for p in pending if p.secret]
        settle(self._next(t, stated(self.statement(t.hiding), entries)), scheme, open_ones, secrets or None)

    def _answer(self, t: Transcript, scheme: Any, witness: Witness | None) -> Pending:
        kept = adopted(t, self.system, replace(self.setup(t.hiding), scheme=scheme), self.weights(t.hiding))
        driver = Driver(scheme, self.argument, kept, defer=True)
        driver.run(self.system, t, witness)
        if driver.pending is None:
            raise TypeError(f"{self.scheme.name} left nothing open")
        if driver.pending.secret is None:
            return driver.pending
        told: int = t.pinned  # type: ignore[attr-defined]
        return replace(driver.pending, secret=replace(driver.pending.secret, value=told))

    def _next(self, t: Transcript, statement: bytes) -> Transcript:
        """Of the same log and the same bytes."""
        following: Callable[[bytes], Transcript] = t.following  # type: ignore[attr-defined]
        return following(statement)


@dataclass(frozen=True, eq=False)
class Model:
    """A small model: what a forward pass makes of a lie is what a cheater would go on with."""

    setup: ModelSetup
    weights: Mapping[str, TorchTensor]
    prompt: tuple[int, ...]

    def graph(self, token: int) -> ModelGraph:
        return self.setup.graph(Tokens((*self.prompt, token), len(self.prompt)))

    def answer(self, lies: Mapping[str, Change] | None = None) -> int:
        """The token that follows from the lies."""
        graph = self.graph(0)
        logits: TorchTensor = _run(graph, self.weights, lies or {})[graph.logits.name][-1]
        return int((logits == logits.max()).nonzero()[0])

    def prepare(self, token: int, lies: Mapping[str, Change] | None = None) -> tuple[System, dict[str, Array]]:
        graph = self.graph(token)
        system = self.setup.expand(graph)
        return system, self._given(system, _run(graph, self.weights, lies or {}))

    def _given(self, system: System, store: Store) -> dict[str, Array]:
        own = self.setup.arrange({n: w.numpy() for n, w in self.weights.items()})
        given = {**self.setup.parts.strategy.given(system, store), **own}
        return {name: whole(array) for name, array in given.items()}

    def lied(self, name: str, change: Change) -> tuple[System, dict[str, Array]] | None:
        """After a lie about one tensor of the forward pass, with all that follows, claiming the token that it leads to.
        None if a later op cannot go on from there."""
        try:
            return self.prepare(self.answer({name: change}), {name: change})
        except RangeError:
            return None

    def cut(self, name: str, change: Change) -> Iterator[tuple[str, System, dict[str, Array]]]:
        """The same, but the lie itself is taken back: what comes after it reads something else than it says. Where a
        strategy keeps a value in several tensors, it is taken back in one of them at a time."""
        try:
            system, lied = self.prepare(self.answer({name: change}), {name: change})
        except RangeError:
            return
        graph = self.graph(self.answer({name: change}))
        store = _run(graph, self.weights, {name: change})
        back = self._given(system, {**store, name: self.made()[name]})
        for tensor in [n for n in lied if not np.array_equal(lied[n], back[n])]:
            yield tensor, system, {**lied, tensor: back[tensor]}

    def handed_on(self) -> list[str]:
        """What one stage hands to the next: where a strategy may lose the thread."""
        return [f"{scope}{stage.out.name}" for scope, stage in self.graph(0).stages() if stage.out.kind == "node"]

    def made(self) -> dict[str, TorchTensor]:
        """Every tensor of the honest forward pass."""
        return _run(self.graph(self.answer()), self.weights, {})


def _run(graph: ModelGraph, weights: Mapping[str, TorchTensor], lies: Mapping[str, Change]) -> Store:
    from zkcore.models.passes import publics

    return _Lying(graph, weights, publics(graph), lies=lies).all()


@dataclass
class _Lying(Run):
    lies: Mapping[str, Change] = field(default_factory=dict)

    def _node(self, scope: str, node: Node, local: Store, carry: TorchTensor | None) -> None:
        super()._node(scope, node, local, carry)
        for name in list(local):
            if name.startswith(f"{node.name}.") and scope + name in self.lies:
                local[name] = self.lies[scope + name](local[name])
