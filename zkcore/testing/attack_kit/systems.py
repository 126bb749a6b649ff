"""Two small systems that use every kind of relation: what lookup arguments and commitment schemes are attacked on. Each
comes with falsehoods: the same system about a witness that breaks one thing, with public claims that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zkcore.graph.arrays import Array
from zkcore.graph.builder import Builder
from zkcore.graph.public import Dense
from zkcore.graph.system import System, freeze
from zkcore.graph.tensor import Tensor
from zkcore.graph.witness import Tamper
from zkcore.relation import Table

SQUARE = Table(
    "square",
    5,  # no power of two: its padding rows must not count
    ((-2, 2), (1, 5)),
    lambda: [np.arange(-2, 3, dtype=np.int64), np.arange(-2, 3, dtype=np.int64) ** 2 + 1],
)
X = np.array([[1, -1, 0], [0, 1, 2], [-1, -1, 1]])
W = np.array([[1, -1], [-1, 1], [0, 1]])
Y = (X @ W + 1) >> 1
BIG = np.array([300, 5, 0])
FAR = 1 << 20


@dataclass(frozen=True)
class Case:
    """`what`: what is false about it; empty for the truth."""

    what: str
    system: System
    given: Mapping[str, Array]
    tamper: Tamper = field(default_factory=dict)


def lookups(virtual_outputs: bool) -> list[Case]:
    """y = round(x w / 2), a function of it by a table, sums of it and of x w in public; numbers of two limbs. The truth
    comes first."""
    big, e = BIG + np.array([1024, 0, 0]), Y**2 + 1
    wrong = e + (Y == 0)  # 2 instead of 1
    nowhere = e.copy()  # (0, 0) is no row of the table, but what an empty one looks like
    nowhere.flat[int(np.flatnonzero(Y == 0)[0])] = 0
    told, empty = ({"e": lambda array, witness, v=v: np.array(v)} for v in (wrong, nowhere))
    beyond = {"big range.4": lambda array, witness: array + 64 * (np.arange(len(array)) == 0)}
    return [
        Case("", *_lookups(virtual_outputs)),
        Case("a false public sum", *_lookups(virtual_outputs, false=1)),
        Case("a number outside its range", *_lookups(virtual_outputs, big=big), beyond),
        Case("a false function value", *_lookups(virtual_outputs, e=wrong), told),
        Case("a row of zeros that the table does not have", *_lookups(virtual_outputs, e=nowhere), empty),
    ]


def _lookups(
    virtual_outputs: bool, e: Any = None, big: Array = BIG, false: int = 0
) -> tuple[System, Mapping[str, Array]]:
    e = Y**2 + 1 if e is None else e
    b = Builder(4, virtual_outputs)
    x, w = b.public("x", Dense(X, -2, 2)), b.weight("w", (3, 2), -2, 1)
    acc = b.einsum("acc", "im,mo->io", x, w)
    out = b.committed("y", (3, 2), -2, 2)
    b.requantise(out, "io", acc, 1, ranged=False)
    [value] = b.lookup("square", SQUARE, "io", [out["io"]], defines={"e": 1})
    rows, squares = b.einsum("rows", "io->i", value), b.einsum("squares", "io,io->o", value, value)
    total = b.einsum("total", "io->o", acc)
    numbers = b.committed("big", (3,), 0, 1023)
    b.nonneg("big range", "i", numbers["i"], 10)
    _tie(b, numbers, big)
    _tie(b, rows, e.sum(1) + np.array([false, 0, 0]))
    _tie(b, squares, (e * e).sum(0))
    _tie(b, total, (X @ W).sum(0))
    return freeze(b), {"w": W, "y": Y, "big": big}


def commitments() -> list[Case]:
    """Committed tensors of several shapes, sums of which are public. One has two rows that are alike."""
    return [Case("", *_commitments()), Case("a false public sum", *_commitments(1))]


def _commitments(false: int = 0) -> tuple[System, Mapping[str, Array]]:
    b = Builder(2)
    v, w = b.weight("v", (3, 2), -2, 1), b.weight("w", (3, 2), -2, 1)
    a = b.committed("a", (12,), 0, 3)
    b.nonneg("a range", "i", a["i"], 2)
    one, two, own = X[:, :2], W, np.array([3, 0, 1, 2] * 3)
    total = b.linear("sum", "io", v["io"] + w["io"])
    _tie(b, total, one + two + np.array([[false, 0], [0, 0], [0, 0]]))
    _tie(b, b.einsum("squared", "i,i->i", a, a), own**2)
    return freeze(b), {"v": one, "w": two, "a": own}


def _tie(b: Builder, tensor: Tensor, truth: Array) -> None:
    letters = "io"[: truth.ndim]
    said = b.public(f"the {tensor.name}", Dense(np.asarray(truth, dtype=np.int64), -FAR, FAR))
    b.zero(f"{tensor.name} tie", letters, tensor[letters] - said[letters])
