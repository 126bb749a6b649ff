"""Several claims about one virtual tensor become one: a random combination and a sumcheck (protocols.md C.4)."""

from __future__ import annotations

from collections.abc import Sequence

from zkcore.claim import Claim
from zkcore.field import space
from zkcore.field.kernels import MODULUS, Sumcheck
from zkcore.graph import arrays
from zkcore.polynomial import univariate
from zkcore.polynomial.point import eq, join, padded, split, total_vars
from zkcore.subprotocols.session import Session
from zkcore.transcript.rounds import weighted


def merge(session: Session, claims: Sequence[Claim]) -> Claim:
    """sum_k gamma^k v_k = sum_x f(x) sum_k gamma^k eq(z_k, x). Error: (claims - 1 + 2 n) / r."""
    if len(claims) == 1:
        return claims[0]
    name, t = claims[0].tensor, session.t
    shape = session.system.tensors[name].shape
    gamma = t.challenge("merge")
    t.error("merge", len(claims) - 1)
    powers = univariate.powers(gamma, len(claims))
    total = weighted(list(zip(powers, (c.value for c in claims), strict=True)))
    prover = _prover(session, claims, powers, shape) if t.proving else None
    point, final = session.sumcheck(total, total_vars(shape), 2, prover)
    [value] = t.message("merged", 1, lambda: prover.finals()[:1] if prover else [])
    weight = sum(p * eq(join(c.place), point) for p, c in zip(powers, claims, strict=True)) % MODULUS
    t.require_zero(weighted([(1, final), (-weight, value)]), f"{name} merge")
    return Claim(name, split(point, shape), value)


def _prover(session: Session, claims: Sequence[Claim], powers: Sequence[int], shape: Sequence[int]) -> Sumcheck:
    k = session.kernels
    flat = space.flat(arrays.pad_to(session.data().array(claims[0].tensor), padded(shape)))
    tables = [k.eq_table(join(c.place), p) for p, c in zip(powers, claims, strict=True)]
    weight = k.combine([(1, table) for table in tables], 0, len(flat))
    return k.sumcheck([flat, weight], [(1, (0, 1))], 2)
