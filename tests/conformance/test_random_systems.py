"""Random systems: what holds cell by cell is accepted, what does not is rejected, padding is never read."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest

from zkcore.graph import arrays
from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.public import Dense
from zkcore.graph.system import System, freeze
from zkcore.graph.tensor import Tensor
from zkcore.graph.witness import Tamper, Witness
from zkcore.polynomial.point import padded
from zkcore.relation import Expr, Table
from zkcore.testing.direct import unsatisfied
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Setup,
    commit_weights,
    plus,
    proof_size,
    prove_system,
    rejection,
    tools,
)

AXES = "abcd"
COLUMNS = ((-2, -1, 0, 1, 2), (7, 9, 0, -3, 1), (1, 0, 0, 1, 0))
CURVE = Table("curve", 5, ((-2, 2), (-3, 9), (0, 1)), lambda: [np.array(c) for c in COLUMNS])


@dataclass
class Maker:
    """A builder with dice. `letters`: each tensor's axes; a letter has one size throughout. `dirty`: all committed
    padding is noise, and what is claimed follows from it."""

    seed: int
    dirty: bool = False
    build: Builder = field(init=False)
    given: dict[str, Array] = field(default_factory=dict)
    letters: dict[str, str] = field(default_factory=dict)
    pool: list[Tensor] = field(default_factory=list)
    read: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.dice, self.noise = random.Random(self.seed), np.random.default_rng(self.seed)
        self.size = {x: self.dice.choice([1, 1, 2, 3, 3, 4, 5, 6]) for x in AXES}
        self.build = Builder(self.dice.choice([2, 3, 8]))

    def make(self) -> tuple[System, dict[str, Array]]:
        for k in range(self.dice.randint(2, 4)):
            self._input(f"t{k}")
        for k in range(self.dice.randint(1, 6)):
            self.dice.choice([self._einsum, self._einsum, self._linear, self._lookup])(f"r{k}")
        if self.dirty:
            self.given = {n: soiled(self, a) for n, a in self.given.items()}
        self._tie()
        return freeze(self.build), self.given

    def _keep(self, tensor: Tensor, letters: str) -> None:
        self.letters[tensor.name] = letters
        self.pool.append(tensor)

    def _input(self, name: str) -> None:
        letters = "".join(self.dice.sample(AXES, self.dice.randint(1, 3)))
        shape = tuple(self.size[x] for x in letters)
        values = self.noise.integers(-2, 2, shape)
        kind = self.dice.choice(["committed", "committed", "weight", "public"])
        if kind == "public":
            return self._keep(self.build.public(name, Dense(values, -2, 1)), letters)
        self.given[name] = values
        if kind == "weight":
            return self._keep(self.build.weight(name, shape, -2, 1), letters)
        tensor = self.build.committed(name, shape, -2, 1)
        self.build.nonneg(f"{name}.range", letters, tensor[letters] + 2, 2)
        return self._keep(tensor, letters)

    def _some(self, tensors: list[Tensor]) -> list[Tensor]:
        chosen = [self.dice.choice(tensors) for _ in range(self.dice.randint(1, 3))]
        self.read |= {t.name for t in chosen}
        return chosen

    def _einsum(self, name: str) -> None:
        factors = self._some(self.pool)
        ins = [self.letters[t.name] for t in factors]
        there = sorted(set("".join(ins)))
        out = "".join(self.dice.sample(there, self.dice.randint(0, len(there))))
        self._keep(self.build.einsum(name, f"{','.join(ins)}->{out}", *factors), out)

    def _linear(self, name: str) -> None:
        base = self.letters[self.dice.choice(self.pool).name]
        if base:
            terms = self._some([t for t in self.pool if sorted(self.letters[t.name]) == sorted(base)])
            expr = Expr(const=self.dice.randint(-2, 2))
            for t in terms:
                expr = expr + self.dice.choice([-3, 1, 2]) * t[self.letters[t.name]]
            letters = "".join(self.dice.sample(base, len(base)))
            self._keep(self.build.linear(name, letters, expr), letters)

    def _lookup(self, name: str) -> None:
        """A function of a committed index, perhaps under a mask."""
        letters = "".join(self.dice.sample(AXES, self.dice.randint(1, 3)))
        shape, mask = tuple(self.size[x] for x in letters), None
        self.given[f"{name}.index"] = self.noise.integers(-2, 3, shape)
        index = self.build.committed(f"{name}.index", shape, -2, 2)
        if self.dice.random() < 0.5:
            on = "".join(self.dice.sample(letters, self.dice.randint(1, len(letters))))
            values = self.noise.integers(0, 2, [self.size[x] for x in on])
            mask = self.build.public(f"{name}.mask", Dense(values, 0, 1)), on
            self.build.nonneg(f"{name}.more", letters, index[letters] + 2, 3, mask)
        defines = {f"{name}.f": 1, f"{name}.g": 2} if self.dice.random() < 0.5 else {f"{name}.f": 1}
        for tensor in self.build.lookup(name, CURVE, letters, [index[letters]], mask=mask, defines=defines):
            self._keep(tensor, letters)

    def _tie(self) -> None:
        """Whatever nothing reads is claimed in public, and some of what is read, too."""
        build = self.build
        loose = System(build.tensors, tuple(build.relations), build.publics, build.digits)
        witness = Witness(loose, tools().kernels, self.given)
        for t in self.pool:
            unread = t.name not in self.read and t.kind in ("virtual", "weight")
            if unread or (t.kind == "virtual" and self.dice.random() < 0.3):
                values = np.array(witness.array(t.name)[tuple(slice(0, n) for n in t.shape)])
                self._claim(t, self.letters[t.name], values)

    def _claim(self, t: Tensor, letters: str, values: Array) -> None:
        """The real cells have these values; nothing is said of the padding."""
        said = self.build.public(f"claimed {t.name}", Dense(values, int(values.min()), int(values.max())))
        real = self.build.public(f"real {t.name}", Dense(np.ones(t.shape, dtype=np.int64), 0, 1))
        inside = self.build.einsum(f"inside {t.name}", f"{letters},{letters}->{letters}", t, real)
        self.build.zero(f"claim {t.name}", letters, inside[letters] - said[letters])


def outcome(system: System, given: dict[str, Array], setup: Setup, tamper: Tamper | None = None) -> str:
    weights = commit_weights(system, given, setup)
    proof = prove_system(system, given, setup, weights=weights, tamper=tamper, channel=Attacker())
    return rejection(system, proof, setup, weights=weights)


def check_honest(system: System, given: dict[str, Array], setup: Setup) -> None:
    weights = commit_weights(system, given, setup)
    proof = prove_system(system, given, setup, weights=weights)
    assert rejection(system, proof, setup, weights=weights) == ""
    assert proof_size(system, setup, weights=weights) == len(proof)


def check_lies(maker: Maker, system: System, setup: Setup) -> None:
    """One cell of a tensor is changed, and everything after it follows: rejected if, and only if, a relation breaks."""
    names = [n for n, t in system.tensors.items() if t.kind in ("virtual", "committed")]
    for name in maker.dice.sample(names, min(3, len(names))):
        cell = maker.dice.randrange(int(np.prod(system.tensors[name].shape)))
        tamper = {name: plus(maker.dice.choice([1, -1]), cell)}
        broken = unsatisfied(system, Witness(system, tools().kernels, maker.given, tamper))
        assert bool(outcome(system, maker.given, setup, tamper)) == bool(broken), (name, cell, broken)


def check_padding(seed: int) -> None:
    """Nothing called clean is touched by noise in the padding, and no sum that read it passes."""
    system, given = Maker(seed, dirty=True).make()
    witness = Witness(system, tools().kernels, given)
    for t in system.tensors.values():
        cells = arrays.to_objects(tools().kernels, witness.array(t.name)).copy()
        cells[tuple(slice(0, n) for n in t.shape)] = 0
        assert not (t.clean and np.any(cells)), t.name
    if unsatisfied(system, witness):
        assert outcome(system, given, CLEAR)


def soiled(maker: Maker, array: Array) -> Array:
    out = maker.noise.integers(-2, 2, padded(array.shape))
    out[tuple(slice(0, n) for n in array.shape)] = array
    return out


@pytest.mark.parametrize("block", range(8))
def test_in_clear(block: int) -> None:
    for seed in range(16 * block, 16 * block + 16):
        maker = Maker(seed)
        system, given = maker.make()
        check_honest(system, given, CLEAR)
        check_lies(maker, system, CLEAR)
        check_padding(seed)


@pytest.mark.parametrize("seed", range(8))
def test_in_zero_knowledge(seed: int) -> None:
    maker = Maker(seed)
    system, given = maker.make()
    check_honest(system, given, HIDING)
    check_lies(maker, system, HIDING)
