"""The rounds of a sumcheck without carrying the claim along: the last one is a single linear form in the first and in
all that was sent.

What `rounds.run_rounds` does round by round, `follow` does for all of them at once, for a verifier who has the whole
proof before it; `lead` leaves out of a prover's rounds what a GPU would only wait for. The same bytes are absorbed in
the same order, the same challenges drawn, the same slots handed out. `run_rounds` is the definition, and what dry runs
and clear transcripts go through; tests/unit/test_replay.py compares them.
"""

from __future__ import annotations

from collections.abc import Callable

from zkcore.field.kernels import FieldKernels, FollowsRounds, Sumcheck
from zkcore.polynomial.point import Point
from zkcore.transcript.blind import Grid
from zkcore.transcript.rounds import LABEL
from zkcore.transcript.values import Number
from zkcore.transcript.wire import Wire


def follow(
    wire: Wire, grid: Grid, kernels: FollowsRounds, claim: Number, num_vars: int, degree: int
) -> tuple[Point, Number]:
    """As `run_rounds`, of hidden messages: each is as many rows as `degree` numbers take."""
    pieces = -(-degree // grid.width)
    refs, point, weights = wire.follow(kernels, LABEL, num_vars, pieces, degree)
    grid.refs.extend(refs.tolist())
    grid.blinds.extend([None] * len(refs))
    return tuple(point), grid.follow(claim, degree, [None] * (num_vars * degree), weights)


def lead(
    send: Callable[[str, int, Callable[[], list[int]]], list[int]],
    draw: Callable[[str], int],
    grid: Grid,
    kernels: FieldKernels,
    claim: Number,
    num_vars: int,
    degree: int,
    prover: Sumcheck,
) -> tuple[Point, Number]:
    """As `run_rounds`, of hidden messages. `send` commits to a message's numbers and returns them."""
    numbers, point = list[int](), list[int]()
    for _ in range(num_vars):
        numbers += send(LABEL, degree, prover.round)
        point.append(draw(LABEL))
        prover.bind(point[-1])  # a GPU computes the next round meanwhile
    return tuple(point), grid.follow(claim, degree, numbers, kernels.fold_rounds(point, degree))
