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
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from zkcore.claim import Place
from zkcore.errors import WitnessError
from zkcore.graph import arrays
from zkcore.graph.arrays import Array, Objects
from zkcore.graph.op import Op
from zkcore.graph.system import System
from zkcore.graph.tensor import PublicTensor, Tensor
from zkcore.graph.witness import Witness
from zkcore.polynomial import multilinear
from zkcore.polynomial.point import num_vars, padded
from zkcore.relation import Integers
from zkcore.subprotocols.lookup import LookupArgument
from zkcore.testing.direct import unsatisfied
from zkcore.testing.op_bench import (
    NOTHING,
    SCOPE,
    Bench,
    Input,
    Nonconformant,
    activation,
    inside,
    public,
    real_cells,
    run_op,
    sample,
    weight,
)
from zkcore.testing.op_lies import Report, check_lies, check_other_inputs, check_padding
from zkcore.testing.toolbox import (
    CLEAR,
    Lie,
    Setup,
    commit_weights,
    proof_size,
    prove_system,
    rejection,
    tools,
)
from zkcore.transcript.sponge import Sponge

if TYPE_CHECKING:
    pass

__all__ = [
    "SIZES",
    "Bench",
    "Input",
    "Nonconformant",
    "Report",
    "activation",
    "check_op",
    "check_public",
    "public",
    "sample",
    "weight",
]
SIZES = (1, 2, 3, 5, 7, 8, 9)


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
    bench = Bench(op, inputs, table_bits, run_op(op, {r: i.flat() for r, i in inputs.items()}), argument)
    _check_description(bench)
    _check_witness(bench)
    _check_real(bench)
    _check_cache(bench)
    report = Report()
    _check_honest(bench, report, hiding)
    check_padding(bench)
    check_lies(bench, report, samples, {})
    if follow:
        check_lies(bench, report, samples, {SCOPE + role: lie for role, lie in follow.items()})
    check_other_inputs(bench)
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
        found = real_cells(witness.array(tensor.name), tensor.shape)
        if role in bench.made and (found != bench.made_as(role, tensor)).any():
            raise Nonconformant(f"{role}: forward and relations disagree")
    if broken := unsatisfied(witness.system, witness):
        raise Nonconformant(f"what forward makes violates {broken}")
    for tensor in witness.system.tensors.values():
        _check_interval(witness, tensor)


def _check_interval(witness: Witness, tensor: Tensor) -> None:
    cells = _objects(witness, tensor)[inside(witness, tensor)]
    if cells.size and not tensor.lo <= min(cells) <= max(cells) <= tensor.hi:
        raise Nonconformant(f"{tensor.name}: {min(cells)} to {max(cells)} leave [{tensor.lo}, {tensor.hi}]")


def _objects(witness: Witness, tensor: Tensor) -> Objects:
    cells = arrays.to_objects(witness.kernels, witness.array(tensor.name))
    return cells[tuple(slice(0, n) for n in tensor.shape)]


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
        made = run_op(bench.op, {r: _last(bench, r, n) for r in bench.inputs})
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
