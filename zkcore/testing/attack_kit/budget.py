"""How long to attack."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """`elements`: points and scalars of a proof that are changed, in each mode. `messages`: that are lied in, with the
    prover going on. `cells`: lies about each tensor. `tensors`: that are lied about. `walks`: lies that are corrected
    guard by guard, and `steps` of each. `kernels`: numbers among which pairs are sought that cancel. `follow`: tensors
    of a forward pass that are lied about with all that follows. `hints`: cells of each committed tensor for which the
    reference tries other values."""

    elements: int
    messages: int
    cells: int
    tensors: int
    walks: int
    steps: int
    kernels: int
    follow: int
    hints: int


QUICK = Budget(elements=24, messages=8, cells=1, tensors=24, walks=1, steps=6, kernels=8, follow=4, hints=6)
FULL = Budget(elements=600, messages=200, cells=4, tensors=2000, walks=24, steps=300, kernels=120, follow=200, hints=64)
BUDGETS = {"quick": QUICK, "full": FULL}
