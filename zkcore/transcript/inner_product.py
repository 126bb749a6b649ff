"""A zero-knowledge inner-product argument: <a, w> = v for the vector inside a Pedersen commitment, w public.

protocols.md E.3; Bulletproofs (Bünz et al. 2018, section 3) with a blinding term and a final Schnorr proof. With
C = <a, G> + alpha H and a fresh challenge c, the claim about P = C + c v U is halved log n times:

    L = <a_lo, G_hi> + c <a_lo, w_hi> U + lambda H      a' = x a_lo + x^-1 a_hi
    R = <a_hi, G_lo> + c <a_hi, w_lo> U + mu H          G' = x^-1 G_lo + x G_hi,  w' likewise,  P' = x^2 L + P + x^-2 R

What makes it sound is that U is independent of G and that c is drawn after C and v.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS, FieldArray, Kernels, Points
from zkcore.field.space import contiguous
from zkcore.transcript.wire import BLINDER, Combination, Known, Refs, Wire

FOLD = 8  # generators are folded once eight old ones make a new one: until then scalars carry the challenges


@dataclass
class Instance:
    """`commitment`: where a is, as a combination of received points. `value`: public, or (point, its blind)."""

    generators: Known  # n in all, a power of two
    unit: str  # U is the first generator of this purpose
    weights: FieldArray  # [n, 4]
    commitment: Combination
    value: int | tuple[Refs, int]
    secret: tuple[FieldArray, int] | None  # a and its blind, on the prover

    @property
    def rounds(self) -> int:
        return sum(count for _, count in self.generators).bit_length() - 1


class _Halving:
    """The prover's vectors. Generator j now is sum_p scale[p] * generators[p * len(vector) + j]."""

    def __init__(self, kernels: Kernels, generators: Points, vector: FieldArray, weights: FieldArray) -> None:
        self.kernels, self.generators, self.vector, self.weights = kernels, generators, vector, weights
        self.scale = [1]

    def cross(self, unit: Points, blinder: Points, c: int, blinds: tuple[int, int]) -> Points:
        """L and R, [2, 12]."""
        k, half = self.kernels, len(self.vector) // 2
        parts = self.generators.reshape(len(self.scale), 2, half, 12)
        out = []
        for side, blind in zip((0, 1), blinds, strict=True):
            own = self.vector[side * half : (side + 1) * half]
            other = self.weights[(1 - side) * half : (2 - side) * half]
            spread = [k.combine([(s, own)], 0, half) for s in self.scale]
            tail = k.from_scalars([c * k.dot(own, other) % MODULUS, blind])
            bases = [contiguous(parts[:, 1 - side]).reshape(-1, 12), unit, blinder]
            out.append(k.msm(k.space.concatenate(bases), k.space.concatenate([*spread, tail])))
        return k.space.stack([p.reshape(12) for p in out])

    def fold(self, x: int, y: int) -> None:
        k, half = self.kernels, len(self.vector) // 2
        v, w = self.vector, self.weights
        self.vector = k.combine([(x, v[:half]), (y, v[half:])], 0, half)
        self.weights = k.combine([(y, w[:half]), (x, w[half:])], 0, half)
        self.scale = [s * f % MODULUS for s in self.scale for f in (y, x)]
        if len(self.scale) == FOLD:
            self.generators = k.fold_points(self.generators, k.from_scalars(self.scale))
            self.scale = [1]

    def base(self) -> Points:
        """The last generator, [1, 12]."""
        return self.kernels.msm(self.generators, self.kernels.from_scalars(self.scale)).reshape(1, 12)


def prove(wire: Wire, label: str, instance: Instance) -> None:
    """Both sides. Each halving's equation is of degree 4 in its challenge (times x^2), those before and after the
    halvings are linear. Beside that: finding a relation between the generators."""
    wire.error("inner product", 4, instance.rounds)
    wire.error("inner product", 1, 2)
    c = wire.challenge(f"{label} scale")
    state, blind = _start(wire, instance, c)
    crosses, challenges = [], []
    for _ in range(instance.rounds):
        blinds = _pair(wire)
        ref = wire.points(f"{label} halving", 2, partial(_cross, state, wire, instance, c, blinds))
        x = wire.challenge(f"{label} halving")
        if not x:
            raise ProofRejected("zero challenge", label)
        y = pow(x, -1, MODULUS)
        if state:
            state.fold(x, y)
            blind += x * x * blinds[0] + y * y * blinds[1]
        crosses.append(ref)
        challenges.append((x, y))
    _schnorr(wire, label, instance, c, (state, blind), (crosses, challenges))


def _cross(state: _Halving | None, wire: Wire, instance: Instance, c: int, blinds: tuple[int, int]) -> Points:
    return _state(state).cross(wire.generators.take(instance.unit, 1), wire.blinder_base, c, blinds)


def _start(wire: Wire, instance: Instance, c: int) -> tuple[_Halving | None, int]:
    if instance.secret is None:
        return None, 0
    vector, blind = instance.secret
    if isinstance(instance.value, tuple):
        blind += c * instance.value[1]
    return _Halving(wire.kernels, wire.bases(instance.generators), vector, instance.weights), blind


def _schnorr(
    wire: Wire,
    label: str,
    instance: Instance,
    c: int,
    own: tuple[_Halving | None, int],
    log: tuple[list[Refs], list[tuple[int, int]]],
) -> None:
    """One coordinate is left: prove knowledge of a_f and its blind in P' = a_f (G_f + c w_f U) + blind H."""
    k, (state, blind), (crosses, challenges) = wire.kernels, own, log
    nonces = _pair(wire)

    def announce() -> Points:
        s = _state(state)
        [w] = k.to_scalars(s.weights)
        bases = k.space.concatenate([s.base(), wire.generators.take(instance.unit, 1), wire.blinder_base])
        scalars = k.from_scalars([nonces[0], nonces[0] * c * w % MODULUS, nonces[1]])
        return k.msm(bases, scalars).reshape(1, 12)

    announced = wire.points(f"{label} announcement", 1, announce)
    e = wire.challenge(f"{label} answer")
    z, z_blind = wire.scalars(
        f"{label} answer", 2, lambda: [nonces[0] + e * k.to_scalars(_state(state).vector)[0], nonces[1] + e * blind]
    )
    if wire.channel.judging:
        wire.require_group_zero(label, _equation(wire, instance, (c, e, z, z_blind), announced, crosses, challenges))


def _equation(
    wire: Wire,
    instance: Instance,
    numbers: tuple[int, int, int, int],
    announced: Refs,
    crosses: list[Refs],
    challenges: list[tuple[int, int]],
) -> Combination:
    """z (G_f + c w_f U) + z_blind H - D - e (C + c V + sum x^2 L + x^-2 R) = 0."""
    k, (c, e, z, z_blind) = wire.kernels, numbers
    last = _product_table(k, challenges, z)
    unit_scalar = c * k.dot(instance.weights, last) % MODULUS
    received = [(refs, k.combine([(-e % MODULUS, s)], 0, len(s))) for refs, s in instance.commitment.received]
    known = [(purpose, k.combine([(-e % MODULUS, s)], 0, len(s))) for purpose, s in instance.commitment.known]
    if isinstance(instance.value, tuple):
        received.append((instance.value[0], k.from_scalars([-e * c % MODULUS])))
    else:
        unit_scalar -= e * c * instance.value
    squares = [v * v * -e % MODULUS for pair in challenges for v in pair]
    received.append((np.concatenate([announced, *crosses]), k.from_scalars([MODULUS - 1, *squares])))
    known += wire.multiples(instance.generators, last)
    known.append((instance.unit, k.from_scalars([unit_scalar % MODULUS])))
    return Combination(received, [*known, (BLINDER, k.from_scalars([z_blind]))])


def _product_table(kernels: Kernels, challenges: list[tuple[int, int]], scale: int) -> FieldArray:
    """scale * prod_i (x_i where bit i is set, else y_i), all indices: an eq table, (y, x) = (x + y) (1 - t, t)."""
    point = []
    for x, y in challenges:
        total = (x + y) % MODULUS
        if not total:
            raise ProofRejected("unlucky challenge", "x + 1/x = 0")
        point.append(x * pow(total, -1, MODULUS) % MODULUS)
        scale = scale * total % MODULUS
    return kernels.eq_table(point, scale)


def _pair(wire: Wire) -> tuple[int, int]:
    a, b = wire.channel.blinders(2) if wire.proving else (0, 0)
    return a, b


def _state(state: _Halving | None) -> _Halving:
    if state is None:
        raise TypeError("only the prover makes messages")
    return state
