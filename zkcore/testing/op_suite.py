"""Judges an op. A plugin's whole test may be

    @pytest.mark.parametrize("n", SIZES)
    def test_my_op(n: int) -> None:
        x, gain = sample((n, 1, 5), bits=8), sample((5,), bits=8)
        check_op(MyOp(), {"x": activation(x, bits=8, positions=0), "gain": weight(gain, bits=8)})

and says: the forward pass satisfies the relations, in clear and in zero knowledge; intervals hold; no other value of
any output satisfies them (the prover names the guard, the verifier rejects); garbage in committed padding reaches
nothing; a proof has the size that a dry run announces; a KV cache changes nothing. A fault raises Nonconformant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from zkcore.claim import Place
from zkcore.errors import WitnessError
from zkcore.graph import arrays
from zkcore.graph.arrays import Array, Objects
from zkcore.graph.builder import Builder
from zkcore.graph.model import CARRY, ModelGraph, Ref, Stage, place
from zkcore.graph.op import Op
from zkcore.graph.public import Dense
from zkcore.graph.system import System, freeze
from zkcore.graph.tensor import PublicTensor, Tensor, signed
from zkcore.graph.witness import Tamper, Witness
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import num_vars, padded
from zkcore.relation import Integers
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.testing.direct import unsatisfied
from zkcore.testing.toolbox import (
    CLEAR,
    HIDING,
    Attacker,
    Lie,
    Setup,
    commit_weights,
    plus,
    proof_size,
    prove_system,
    rejection,
    tools,
)
from zkcore.transcript.sponge import Sponge

if TYPE_CHECKING:
    from torch import Tensor as TorchTensor

SIZES = (1, 2, 3, 5, 7, 8, 9)
LETTERS = "abcdefgh"
SCOPE = "op."
NOTHING: Mapping[str, Lie] = {}


class Nonconformant(AssertionError):
    """The op (or the core) breaks a rule of the suite."""


# --- what goes in -----------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Input:
    """`positions`: the tile axis, where there is one; it and the next are one axis in forward passes."""

    kind: str
    array: Integers
    bits: int = 0
    positions: int | None = None
    source: PublicTensor | None = None

    def flat(self) -> Integers:
        if self.positions is None:
            return self.array
        shape, k = self.array.shape, self.positions
        return self.array.reshape(*shape[:k], shape[k] * shape[k + 1], *shape[k + 2 :])


def activation(array: Integers, bits: int, positions: int | None = None) -> Input:
    """Signed `bits`-bit integers that an earlier op made."""
    return Input("committed", _fitting(array, bits), bits, positions)


def weight(array: Integers, bits: int) -> Input:
    return Input("weight", _fitting(array, bits), bits)


def _fitting(array: Integers, bits: int) -> Integers:
    lo, hi = signed(bits)
    if array.size == 0 or not lo <= array.min() <= array.max() <= hi:
        raise Nonconformant(f"a sample input is empty, or leaves {bits} bits")
    return np.ascontiguousarray(array, dtype=np.int64)


def public(source: PublicTensor, positions: int | None = None) -> Input:
    return Input("public", source.array(), positions=positions, source=source)


def sample(shape: tuple[int, ...], bits: int, seed: int = 0) -> Integers:
    """Signed `bits`-bit integers, both ends among them where there is room."""
    lo, hi = signed(bits)
    out = np.random.default_rng(seed).integers(lo, hi + 1, size=shape, dtype=np.int64)
    out.flat[: min(2, out.size)] = [lo, hi][: out.size]
    return out


@dataclass
class Report:
    """`guards`: the relations that a lie about a tensor breaks, by tensor."""

    guards: dict[str, set[str]] = field(default_factory=dict)
    committed_values: int = 0
    lookups: int = 0
    proof_bytes: int = 0


def check_op(
    op: Op,
    inputs: Mapping[str, Input],
    *,
    table_bits: int = 8,
    samples: int = 6,
    hiding: bool = True,
    follow: Mapping[str, Lie] = NOTHING,
    argument: LookupArgument = CLEAR.argument,
) -> Report:
    """`samples`: cells of each output that are lied about (all of them, if there are no more). `follow`: how a cheater
    makes a committed output follow from a lie about an earlier one, by role; without it each lie stands alone.
    `argument`: how lookups are proved."""
    for role, i in inputs.items():
        if i.source is not None:
            check_public(i.source, role)
    bench = Bench(op, inputs, table_bits, _run(op, {r: i.flat() for r, i in inputs.items()}), argument)
    _check_description(bench)
    _check_witness(bench)
    _check_real(bench)
    _check_cache(bench)
    report = Report()
    _check_honest(bench, report, hiding)
    _check_padding(bench)
    _check_lies(bench, report, samples, {})
    if follow:
        _check_lies(bench, report, samples, {SCOPE + role: lie for role, lie in follow.items()})
    _check_other_inputs(bench)
    return report


def check_public(source: PublicTensor, name: str = "a public tensor") -> None:
    """Entries keep to the declared bounds, and closed forms are the entries' multilinear extensions."""
    cells, kernels = source.array(), tools().kernels
    if cells.shape != source.shape or not source.lo <= cells.min() <= cells.max() <= source.hi:
        raise Nonconformant(f"{name}: its entries are not of the declared shape and interval")
    for axes, bound in source.l1.items():
        if int(np.abs(cells).sum(axis=axes).max()) > bound:
            raise Nonconformant(f"{name}: its norm along axes {axes} exceeds {bound}")
    here, there = (_random_place(source.shape, label) for label in ("here", "there"))
    if source.evaluate(here) not in (None, multilinear.evaluate(kernels, cells, here)):
        raise Nonconformant(f"{name}: evaluate() is not its extension")
    weights = kernels.multiply(multilinear.eq_over(kernels, here), multilinear.eq_over(kernels, there))
    flat = np.ascontiguousarray(arrays.pad_to(cells, padded(cells.shape))).reshape(-1)
    if source.paired(here, there) not in (None, kernels.dot(flat, weights)):
        raise Nonconformant(f"{name}: paired() is not the extension of eq times the tensor")


def _random_place(shape: tuple[int, ...], label: str) -> Place:
    """One point per axis, the same each time."""
    sponge = Sponge()
    sponge.absorb("shape", json.dumps(shape).encode())
    return tuple(tuple(sponge.challenge(label) for _ in range(num_vars(n))) for n in shape)


# --- the system around an op ------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Bench:
    """`made`: what the op's forward pass returned."""

    op: Op
    inputs: Mapping[str, Input]
    table_bits: int
    made: Mapping[str, Integers]
    argument: LookupArgument = CLEAR.argument

    def setup(self, hiding: bool = False) -> Setup:
        return replace(HIDING if hiding else CLEAR, argument=self.argument)

    def builder(self) -> Builder:
        """The op on its inputs, nothing reading its outputs yet."""
        build = Builder(self.table_bits, self.argument.virtual_outputs)
        for role, i in self.inputs.items():
            _declare(build, role, i)
        stage = Stage(out=Ref("node", next(iter(self.inputs))))
        stage.add(SCOPE[:-1], self.op, **{role: Ref("node", role) for role in self.inputs})
        place(build, ModelGraph(stage, Stage(), 0, Stage(), {}, CARRY, 0), "", stage, None)
        build.scope = ""
        return build

    def system(self, claims: Mapping[str, Integers], uses: int = 1) -> System:
        """`claims`: what the statement says of tensors. Each is read `uses` times, at points of its own."""
        build = self.builder()
        for name, values in claims.items():
            letters = LETTERS[: values.ndim]
            said = build.public(f"claimed {name}", Dense(values, int(values.min()), int(values.max())))
            for k in range(uses):
                build.zero(f"use {k} {name}", letters, build.tensors[name][letters] - said[letters])
        return freeze(build)

    def outputs(self) -> dict[str, Tensor]:
        """Tensors by role."""
        build = self.builder()
        specs = {role: build.tensors[role] for role in self.inputs}
        return {role: build.tensors[SCOPE + role] for role in self.op.outputs(specs)}

    def given(self) -> dict[str, Array]:
        """Inputs and committed outputs by tensor."""
        found: dict[str, Array] = {r: i.array for r, i in self.inputs.items() if i.kind != "public"}
        for role, tensor in self.outputs().items():
            if tensor.kind == "committed":
                found[tensor.name] = self.made_as(role, tensor)
        return found

    def made_as(self, role: str, tensor: Tensor) -> Integers:
        if role not in self.made:
            raise Nonconformant(f"forward does not make the committed output {role}")
        if self.made[role].size != int(np.prod(tensor.shape)):
            raise Nonconformant(f"{role}: forward makes {self.made[role].shape}, outputs() promises {tensor.shape}")
        return self.made[role].reshape(tensor.shape)

    def witness(self, given: Mapping[str, Array], tamper: Tamper | None = None) -> Witness:
        build = self.builder()
        loose = System(build.tensors, tuple(build.relations), build.publics, build.digits)
        return Witness(loose, tools().kernels, given, tamper)

    def claims(self, witness: Witness, kinds: tuple[str, ...] = ("virtual",)) -> dict[str, Integers]:
        """What a prover with this witness says of the op's outputs: what comes after a lie follows from it."""
        wanted = [t for t in self.outputs().values() if t.kind in kinds and t.support is None]
        return {t.name: _real(witness.array(t.name), t.shape) for t in wanted}


def _declare(build: Builder, role: str, i: Input) -> None:
    shape, (lo, hi) = i.array.shape, signed(i.bits or 1)
    if i.source is not None:
        build.public(role, i.source)
    elif i.kind == "weight":
        build.weight(role, shape, lo, hi)
    else:
        letters = LETTERS[: len(shape)]
        tensor = build.committed(role, shape, lo, hi)
        build.nonneg(f"{role}.range", letters, tensor[letters] - lo, i.bits)


def _real(array: Array, shape: tuple[int, ...]) -> Integers:
    """The real cells of an array that may be padded."""
    if arrays.is_field(array):
        raise Nonconformant("an output beyond 64 bits: the suite cannot claim it")
    return np.ascontiguousarray(array[tuple(slice(0, n) for n in shape)], dtype=np.int64)


def _run(op: Op, inputs: Mapping[str, Integers]) -> dict[str, Integers]:
    """The forward pass."""
    from torch import as_tensor

    made: Mapping[str, TorchTensor] = op.forward({r: as_tensor(np.ascontiguousarray(a)) for r, a in inputs.items()})
    return {role: np.asarray(value.numpy(), dtype=np.int64) for role, value in made.items()}


# --- forward against relations ----------------------------------------------------------------------------------------
def _check_description(bench: Bench) -> None:
    """Names and parameters enter the statement as JSON, the same each time."""
    if not bench.op.name:
        raise Nonconformant("an op needs a name")
    try:
        json.dumps(bench.op.describe())
    except TypeError as e:
        raise Nonconformant(f"describe(): {e}") from None
    if unknown := set(bench.op.cached) - set(bench.inputs):
        raise Nonconformant(f"cached names roles that are no inputs: {sorted(unknown)}")
    one, two = (bench.system(bench.claims(bench.witness(bench.given()))).describe() for _ in range(2))
    if one != two:
        raise Nonconformant("the same op on the same inputs states two different systems")


def _check_witness(bench: Bench) -> None:
    """Forward makes every committed output; its virtual ones are what the relations say; intervals hold everywhere."""
    witness = bench.witness(bench.given())
    for role, tensor in bench.outputs().items():
        found = _real(witness.array(tensor.name), tensor.shape)
        if role in bench.made and (found != bench.made_as(role, tensor)).any():
            raise Nonconformant(f"{role}: forward and relations disagree")
    if broken := unsatisfied(witness.system, witness):
        raise Nonconformant(f"what forward makes violates {broken}")
    for tensor in witness.system.tensors.values():
        _check_interval(witness, tensor)


def _check_interval(witness: Witness, tensor: Tensor) -> None:
    cells = _objects(witness, tensor)[_inside(witness, tensor)]
    if cells.size and not tensor.lo <= min(cells) <= max(cells) <= tensor.hi:
        raise Nonconformant(f"{tensor.name}: {min(cells)} to {max(cells)} leave [{tensor.lo}, {tensor.hi}]")


def _objects(witness: Witness, tensor: Tensor) -> Objects:
    cells = arrays.to_objects(witness.kernels, witness.array(tensor.name))
    return cells[tuple(slice(0, n) for n in tensor.shape)]


def _inside(witness: Witness, tensor: Tensor) -> Array:
    """Where a tensor's interval is proved, and its cells are read."""
    if tensor.support is None:
        return np.ones(tensor.shape, dtype=bool)
    mask, axes = tensor.support
    letters = LETTERS[: len(tensor.shape)]
    laid = arrays.spread(witness.array(mask), "".join(letters[k] for k in axes), letters)
    return np.broadcast_to(laid != 0, tensor.shape)


def _check_real(bench: Bench) -> None:
    """The float pass makes finite outputs of the same shape (where no mask leaves cells unread), for calibration."""
    from torch import as_tensor

    made = bench.op.real({r: as_tensor(np.ascontiguousarray(i.flat())).double() for r, i in bench.inputs.items()})
    loose = {r for r, t in bench.outputs().items() if t.support}
    for role in set(made) & set(bench.made) - loose:
        if not bool(made[role].isfinite().all()):
            raise Nonconformant(f"{role}: real makes numbers that are not finite")
        if tuple(made[role].shape) != bench.made[role].shape:
            raise Nonconformant(f"{role}: real makes {tuple(made[role].shape)}, forward {bench.made[role].shape}")


def _check_cache(bench: Bench) -> None:
    """The last positions alone, with the cached inputs whole, yield the last rows of the full pass."""
    if not bench.op.cached:
        return
    length = next(bench.inputs[r].flat().shape[axis] for r, axis in bench.op.cached.items())
    for n in sorted({1, (length + 1) // 2}):
        made = _run(bench.op, {r: _last(bench, r, n) for r in bench.inputs})
        for role, part in made.items():
            whole = bench.made[role]
            axes = [k for k, (a, b) in enumerate(zip(part.shape, whole.shape, strict=True)) if a != b]
            if not np.array_equal(part, np.take(whole, range(length - n, length), axes[0]) if axes else whole):
                raise Nonconformant(f"{role}: with a cache, the last {n} of {length} positions come out differently")


def _last(bench: Bench, role: str, n: int) -> Integers:
    i = bench.inputs[role]
    if i.positions is None or role in bench.op.cached:
        return i.flat()
    length = i.flat().shape[i.positions]
    return np.take(i.flat(), range(length - n, length), i.positions)


# --- honest proofs ----------------------------------------------------------------------------------------------------
def _check_honest(bench: Bench, report: Report, hiding: bool) -> None:
    given = bench.given()
    claims = bench.claims(bench.witness(given), ("virtual", "committed"))
    for uses in (1, 2):
        system = bench.system(claims, uses)
        for hidden in (False, True) if hiding and uses == 1 else (False,):
            report.proof_bytes = _check_accepted(system, given, bench.setup(hidden))
        report.committed_values, report.lookups = system.committed_values(), system.lookups()


def _check_accepted(system: System, given: Mapping[str, Array], setup: Setup) -> int:
    weights = commit_weights(system, given, setup)
    try:
        proof = prove_system(system, given, setup, weights=weights)
    except WitnessError as e:
        raise Nonconformant(f"what forward makes violates {e.guard}") from None
    if reason := rejection(system, proof, setup, weights=weights):
        raise Nonconformant(f"an honest proof is rejected: {reason}")
    announced = proof_size(system, setup, weights=weights)
    if announced != len(proof):
        raise Nonconformant(f"a dry run announces {announced} bytes, the proof has {len(proof)}")
    return len(proof)


# --- lies -------------------------------------------------------------------------------------------------------------
def _check_padding(bench: Bench) -> None:
    """Garbage in all committed padding: what is called clean stays zero there, and real cells do not change."""
    honest = bench.witness(bench.given())
    dirty = {n: _soiled(a, honest.system.tensors[n].shape) for n, a in bench.given().items()}
    witness = bench.witness(dirty)
    for tensor in witness.system.tensors.values():
        cells = arrays.to_objects(witness.kernels, witness.array(tensor.name))
        cells[tuple(slice(0, n) for n in tensor.shape)] = 0
        if tensor.clean and cells.any():
            raise Nonconformant(f"{tensor.name} is called clean, but committed padding reaches its padding")
    claims, truth = bench.claims(witness), bench.claims(honest)
    system = bench.system(claims)
    _, reason = _attack(bench, system, dirty, None)
    if not reason and any((claims[n] != truth[n]).any() for n in truth):
        raise Nonconformant("garbage in committed padding changes an output, and is accepted")


def _soiled(array: Array, shape: tuple[int, ...]) -> Array:
    out = np.full(padded(shape), 3, dtype=np.int64)
    out[tuple(slice(0, n) for n in shape)] = array
    return out


def _check_lies(bench: Bench, report: Report, samples: int, follow: Mapping[str, Lie]) -> None:
    """+1 and -1 in cells of every committed output, +1 in one cell of whatever else the op makes."""
    given = bench.given()
    honest = bench.witness(given)
    outputs = [t.name for t in bench.outputs().values() if t.kind == "committed"]
    for name in [n for n in honest.system.tensors if n.startswith(SCOPE)]:
        later = outputs[outputs.index(name) + 1 :] if name in outputs else outputs
        behind = {n: follow[n] for n in later if n in follow}
        if follow and not behind:
            continue
        cells = np.flatnonzero(_inside(honest, honest.system.tensors[name]))
        for at in _some(cells, samples if name in outputs else 1):
            for delta in (1, -1) if name in outputs else (1,):
                tamper = {**behind, name: plus(delta, at)}
                guards = _check_rejected(bench, given, tamper, f"{name} {delta:+} at {at}")
                report.guards.setdefault(name, set()).update(guards)


def _some(cells: Array, count: int) -> list[int]:
    """First, last and some between."""
    if len(cells) <= count:
        return [int(c) for c in cells]
    if count == 1:
        return [int(cells[len(cells) // 2])]
    inner = np.random.default_rng(len(cells)).choice(cells[1:-1], max(0, count - 2), replace=False)
    return [int(cells[0]), int(cells[-1]), *(int(c) for c in inner)]


def _check_other_inputs(bench: Bench) -> None:
    """Outputs that belong to other inputs (each one shifted along each of its axes) are not accepted for these."""
    for role, axis, shifted in _neighbours(bench):
        other = replace(bench, made=_run(bench.op, {**{r: i.flat() for r, i in bench.inputs.items()}, role: shifted}))
        if all(np.array_equal(other.made[r], bench.made[r]) for r in bench.made):
            continue
        given = {**other.given(), **{r: i.array for r, i in bench.inputs.items() if i.kind != "public"}}
        virtual = {r: t for r, t in bench.outputs().items() if t.kind == "virtual" and r in other.made}
        claims = {t.name: other.made[r].reshape(t.shape) for r, t in virtual.items()}
        system = bench.system({**bench.claims(bench.witness(given)), **claims})
        _reject(bench, system, given, None, f"outputs for {role} shifted along axis {axis}")


def _neighbours(bench: Bench) -> Iterator[tuple[str, int, Integers]]:
    for role, i in bench.inputs.items():
        if i.kind == "public":
            continue
        for axis in range(i.flat().ndim):
            yield role, axis, np.roll(i.flat(), 1, axis)


def _check_rejected(bench: Bench, given: Mapping[str, Array], tamper: Tamper, lie: str) -> set[str]:
    system = bench.system(bench.claims(bench.witness(given, tamper)))
    return _reject(bench, system, given, tamper, lie)


def _reject(bench: Bench, system: System, given: Mapping[str, Array], tamper: Tamper | None, lie: str) -> set[str]:
    broken = set(unsatisfied(system, Witness(system, tools().kernels, given, tamper)))
    guards, reason = _attack(bench, system, given, tamper)
    if not broken:
        raise Nonconformant(f"{lie}: it satisfies all relations")
    if not reason or reason not in guards:
        raise Nonconformant(f"{lie}: breaks {sorted(broken)}, and is rejected as {reason!r}")
    return broken


def _attack(bench: Bench, system: System, given: Mapping[str, Array], tamper: Tamper | None) -> tuple[set[str], str]:
    """The guards that a cheating prover met, and the verifier's reason."""
    weights, attacker = commit_weights(system, given), Attacker()
    proof = prove_system(system, given, bench.setup(), weights=weights, tamper=tamper, channel=attacker)
    return set(attacker.guards), rejection(system, proof, bench.setup(), weights=weights)
