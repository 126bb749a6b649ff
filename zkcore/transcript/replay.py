"""All rounds of a sumcheck at once, for a verifier who has the whole proof before it.

What `rounds.run_rounds` does round by round is done here for all of them: the same bytes are read and absorbed in the
same order, the same challenges drawn, the same slots handed out. Only the claim is not carried along: the last one is a
single linear form in the first and in all that was sent. `run_rounds` is the definition, and what provers, dry runs and
clear transcripts go through; tests/unit/test_replay.py compares the two.
"""

from __future__ import annotations

from zkcore.field.kernels import FollowsRounds
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
    return tuple(point), grid.follow(refs.tolist(), num_vars, degree, claim, weights)
