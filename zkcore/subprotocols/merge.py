"""Several claims about one virtual tensor become one (protocols.md C.4):

sum_k gamma^k v_k = sum_x f(x) sum_k gamma^k eq(z_k, x)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zkcore.claim import Claim
from zkcore.field import space
from zkcore.field.kernels import MODULUS
from zkcore.graph import arrays
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import Point, eq, join, padded, split, total_vars
from zkcore.subprotocols.joint import Proving
from zkcore.subprotocols.session import Session, Wanted
from zkcore.transcript.values import Number


@dataclass(frozen=True)
class Merge:
    """A step of a joint sumcheck. Its factor is the tensor itself, at a point that no one has claimed anything of."""

    session: Session
    claims: Sequence[Claim]
    degree: int = 2

    @property
    def name(self) -> str:
        return self.claims[0].tensor

    @property
    def guard(self) -> str:
        return f"{self.name} merge"

    @property
    def shape(self) -> tuple[int, ...]:
        return self.session.system.tensors[self.name].shape

    @property
    def variables(self) -> int:
        return total_vars(self.shape)

    @property
    def entries(self) -> int:
        return 2 << self.variables

    def proving(self, powers: Sequence[int]) -> Proving:
        k = self.session.kernels
        flat = space.flat(arrays.pad_to(self.session.data().array(self.name), padded(self.shape)))
        points = [(p, join(c.place)) for p, c in zip(powers, self.claims, strict=True)]
        weight = multilinear.eq_sum(k, points, None)
        sumcheck = k.sumcheck([flat, weight], [(1, (0, 1))], 2)
        return Proving(sumcheck, lambda: sumcheck.finals()[:1])

    def wanted(self, point: Point) -> list[Wanted] | None:
        return None

    def weight(self, powers: Sequence[int], point: Point) -> int:
        return sum(p * eq(join(c.place), point) for p, c in zip(powers, self.claims, strict=True)) % MODULUS

    def merged(self, point: Point, value: Number) -> Claim:
        return Claim(self.name, split(point, self.shape), value)
