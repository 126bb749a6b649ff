"""The driver: one walk over the relations, the same on both sides. With a witness it proves, without one it verifies.

commit activations -> lookups -> zeros -> claims flow from outputs to inputs, in waves -> definitions
-> one opening for everything committed in a group -> the transcript's own argument.
Every claim is discharged exactly once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from zkcore.commitment.deferred import Pending
from zkcore.commitment.scheme import Commitment, CommitmentScheme, Opening, Wanted
from zkcore.errors import GraphError
from zkcore.graph.arrays import Array
from zkcore.graph.system import System
from zkcore.graph.witness import Witness
from zkcore.polynomial.point import num_vars, total_vars
from zkcore.progress import Progress, layer, layers_in, silent
from zkcore.relation import Relation
from zkcore.subprotocols import waves
from zkcore.subprotocols.lookup import Definition, LookupArgument, together
from zkcore.subprotocols.session import Session
from zkcore.transcript.transcript import Transcript

Work = dict[str, int]


@dataclass
class Driver:
    """`weights`: commitments that came with the statement. `work`: what each stage took, see Transcript.work. `defer`:
    leave the opening to a settlement; `pending` is then what it must prove."""

    scheme: CommitmentScheme
    argument: LookupArgument
    weights: Mapping[str, Commitment]
    progress: Progress = silent
    defer: bool = False
    pending: Pending | None = None
    committed: dict[str, Commitment] = field(default_factory=dict)
    work: dict[str, Work] = field(default_factory=dict)
    _extra: dict[str, str] = field(default_factory=dict)  # groups of what a lookup argument commits
    _group: str = ""
    _running: tuple[str, Work] | None = None

    def run(self, system: System, t: Transcript, witness: Witness | None) -> None:
        self.committed = dict(self.weights)
        for tensor in system.of_kind("weight"):
            if tensor.name in self.weights and self.weights[tensor.name].layout.shape != tensor.shape:
                raise GraphError(f"{tensor.name}: committed in another shape")
        session = Session(system, t, witness, lambda name, shape, make: self._commit(t, name, shape, make))
        layers = layers_in(system.tensors)
        self._stage(t, "commit")
        tensors = system.of_kind("committed")
        wanted = [Wanted(f"commit {x.name}", x.shape, partial(_array, witness, x.name)) for x in tensors]
        if witness:
            wanted = [replace(w, settled=witness.settled) for w in wanted]
        for k, (tensor, made) in enumerate(zip(tensors, self.scheme.commit_all(t, wanted), strict=True)):
            self.progress("commit", layer(tensor.name, layers), k, len(tensors))
            self._keep(tensor.name, made)
        self._stage(t, "lookups")
        self._lookups(session)
        self._stage(t, "backward")
        for relation in system.relations:
            if relation.kind == "zero":
                _zero(session, relation)
        definitions = self._backward(session)
        self._stage(t, "definitions")
        for group, own in together(system, definitions).items():
            self.argument.define(session, own, group)
        self._stage(t, "open")
        if session.witness:
            session.witness.release()
        self._open(t, self._openings(session))
        session.ledger.assert_empty()
        self._stage(t, "blind")
        t.finish()
        self._stage(t, "")

    def _stage(self, t: Transcript, name: str) -> None:
        """A stage begins, and with it the one before ends; no name: nothing begins."""
        now = t.work()
        if self._running:
            before, start = self._running
            self.work[before] = {k: n - start[k] for k, n in now.items()}
        self._running = (name, now) if name else None
        if name:
            self.progress(name)

    def _commit(self, t: Transcript, name: str, shape: tuple[int, ...], make: Callable[[], Array]) -> None:
        self._keep(name, self.scheme.commit(t, f"commit {name}", shape, make))

    def _keep(self, name: str, commitment: Commitment) -> None:
        if name in self.committed:
            raise GraphError(f"{name}: committed twice; claims about one would be opened in the other")
        self._extra[name] = self._group
        self.committed[name] = commitment

    def _lookups(self, session: Session) -> None:
        relations = [r for r in session.system.relations if r.kind == "lookup" and not r.outs]
        groups = list(dict.fromkeys(r.group for r in relations))
        for k, group in enumerate(groups):
            if len(groups) > 1:
                self.progress("lookups", f"tree {k + 1}/{len(groups)}", k, len(groups))
            self._group = group
            self.argument.check(session, [r for r in relations if r.group == group], group)
        session.t.catch_up()
        self._group = ""

    def _backward(self, session: Session) -> list[Definition]:
        """What is left of claims about virtual tensors: those that lookups define."""
        waves.reduce(session, lambda done, of: self.progress("backward", "", done, of))
        return [
            Definition(relation, column, claim)
            for relation in reversed(session.system.relations)
            if relation.kind == "lookup"
            for column, out in enumerate(relation.outs, 1)
            for claim in session.ledger.take(out)
        ]

    def _open(self, t: Transcript, groups: Mapping[str, Sequence[Opening]]) -> None:
        """What is left to a settlement is one instance, whatever the groups."""
        if self.defer:
            self.pending = self.scheme.defer(t, [o for openings in groups.values() for o in openings])
            return
        for openings in groups.values():
            self.scheme.open(t, openings)

    def _openings(self, session: Session) -> dict[str, list[Opening]]:
        """By group: all claims about its tensors are opened at once."""
        openings: dict[str, list[Opening]] = {}
        known = {t.group for t in session.system.tensors.values()}
        for name, commitment in self.committed.items():
            tensor = session.system.tensors.get(name)
            group = tensor.group if tensor else self._extra[name] if self._extra[name] in known else ""
            claims = [Opening(commitment, c.place, c.value) for c in session.ledger.take(name)]
            openings.setdefault(group, []).extend(claims)
        return {group: found for group, found in openings.items() if found}


def _array(witness: Witness | None, name: str) -> Array:
    """The prover's. Commitments keep this, and must not keep the session, which keeps them."""
    if witness is None:
        raise TypeError("only the prover has a witness")
    return witness.array(name)


def _zero(session: Session, relation: Relation) -> None:
    """A multilinear extension that vanishes at a random point is zero. Error: variables / r."""
    shape = session.system.domain(relation)
    session.t.error("zero", 1, total_vars(shape))
    at = {x: session.t.challenges("zero", num_vars(n)) for x, n in zip(relation.spec, shape, strict=True)}
    session.t.require_zero(session.only(relation, at), relation.name)
