"""One more axis for a whole system: what a builder stated for one block holds for a stack of them.

Every relation is a statement about all cells of its axes. Giving each tensor of a template the same leading axis, and
each relation that axis' letter, states it for every block at once; nothing is contracted along the new axis, so all
intervals and all uniqueness arguments of the template carry over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from zkcore.errors import GraphError
from zkcore.graph.builder import Builder
from zkcore.graph.rules import Digit, Entry
from zkcore.graph.tensor import Tensor
from zkcore.relation import Expr, Relation


@dataclass(frozen=True)
class Axis:
    """`given`: template tensors that the target makes itself, with the axis: {name in the template: name there}.
    `groups`: of the template's relations that do not share the target's lookup tree, by name."""

    letter: str
    size: int
    scope: str
    given: Mapping[str, str]
    groups: Mapping[str, str] = field(default_factory=dict)


class Stack:
    """Adds a finished template to `target`, under a scope and with one more axis. Public tensors stay as they are.
    `declare` its tensors; then the target may relate what is `given` to them; then `relate` them."""

    def __init__(self, template: Builder, target: Builder, axis: Axis) -> None:
        if any(axis.letter in r.spec for r in template.relations):
            raise GraphError(f"axis letter {axis.letter!r} is taken by a relation of the block")
        self.template, self.target, self.axis = template, target, axis
        self.relations: dict[Relation, Relation] = {}
        self.looked_up = {n for r in template.relations if r.kind == "lookup" for n in r.outs}

    def relate(self) -> None:
        for name in self.axis.given.values():
            if name not in self.target.tensors:
                raise GraphError(f"{name}: the stack reads it, but nobody made it")
        for relation in self.template.relations:
            self.relations[relation] = self.relation(relation)
            self.target.relate(self.relations[relation])
        for name, rule in self.template.digits.items():
            self.target.digits[self.name(name)] = self.rule(rule)

    def declare(self) -> None:
        for name, tensor in self.template.tensors.items():
            if name in self.template.publics:
                self.target.public(name, self.template.publics[name])
            elif name not in self.axis.given:
                self.target.add(self.tensor(tensor))

    def name(self, name: str) -> str:
        if name in self.template.publics:
            return name
        return self.axis.given.get(name, self.axis.scope + name)

    def letters(self, name: str, letters: str) -> str:
        return letters if name in self.template.publics else self.axis.letter + letters

    def tensor(self, tensor: Tensor) -> Tensor:
        """Padding along the new axis is that of committed tensors, which nobody trusts: only what a lookup defines is
        zero there by construction."""
        support = tensor.support and (tensor.support[0], tuple(k + 1 for k in tensor.support[1]))
        shape = (self.axis.size, *tensor.shape)
        whole = self.axis.size & (self.axis.size - 1) == 0 or tensor.name in self.looked_up
        clean = tensor.clean and whole
        return replace(tensor, name=self.name(tensor.name), shape=shape, support=support, clean=clean)

    def expr(self, expr: Expr) -> Expr:
        return Expr(tuple((c, self.name(n), self.letters(n, a)) for c, n, a in expr.terms), expr.const)

    def relation(self, r: Relation) -> Relation:
        return replace(
            r,
            name=self.axis.scope + r.name,
            spec=self.spec(r),
            exprs=tuple(self.expr(e) for e in r.exprs),
            outs=tuple(self.name(n) for n in r.outs),
            group=self.axis.groups.get(r.name, self.target.group),
        )

    def spec(self, r: Relation) -> str:
        if r.kind != "einsum":
            if any(n in self.template.publics for n, _ in r.reads()):
                raise GraphError(f"{r.name}: an affine sum with a public tensor cannot be stacked; use an einsum")
            return self.axis.letter + r.spec
        factors, out = r.factors()
        if all(n in self.template.publics for n, _ in r.reads()):
            raise GraphError(f"{r.name}: a product of public tensors belongs outside the block")
        ins = [self.letters(n, f) for (n, _), f in zip(r.reads(), factors, strict=True)]
        return ",".join(ins) + "->" + self.axis.letter + out

    def rule(self, rule: Digit | Entry) -> Digit | Entry:
        if isinstance(rule, Entry):
            return replace(rule, relation=self.relations[rule.relation])
        return replace(rule, expr=self.expr(rule.expr), letters=self.axis.letter + rule.letters)
