"""The prover on torch tensors: the same proofs as on numpy arrays, and nothing reads the one as the other."""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest
import torch

from tests.unit.same_proofs import KINDS as MODELS
from tests.unit.same_proofs import small
from zkcore.commitment import columns, hyrax
from zkcore.field import native, space
from zkcore.field.torch_space import TorchSpace, exact_einsum
from zkcore.graph import witness
from zkcore.polynomial import boxes
from zkcore.subprotocols import waves
from zkcore.testing import same_bytes
from zkcore.testing.torch_kernels import Held, TorchKernels

HERE = TorchSpace(torch.device("cpu"))


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_the_same_proof_whatever_holds_the_arrays(kind: str, cut: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if cut:  # as large tensors are
        monkeypatch.setattr(boxes, "WORTHWHILE", 1)
        monkeypatch.setattr(waves, "SMALL", 5)
        monkeypatch.setattr("zkcore.graph.system.LEAST_JOINT", 1 << 8)
        monkeypatch.setattr(hyrax, "POINTS", 7)
    model, strategy, argument = small(kind)
    answer = model.answer((3, 1, 4, 1, 5))
    system, given = model.prepare(strategy, answer, argument.virtual_outputs)
    on_numpy = same_bytes.prove(native.load(), system, given, argument)
    assert same_bytes.prove(TorchKernels(), system, given, argument) == on_numpy
    same_bytes.verify(native.load(), system, on_numpy, argument)


@pytest.mark.parametrize("kind", ["trees", "folding", "tlookup"])
def test_the_same_proof_however_little_is_kept(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Virtual tensors are derived again whenever they are read, arrays are of the narrowest types, and what is opened
    is made again in every round until it fits."""
    made_again = columns._MadeAgain
    monkeypatch.setattr(witness, "SMALL", 0)
    monkeypatch.setattr(witness, "AT_ONCE", 1)
    model, strategy, argument = small(kind)
    system, given = model.prepare(strategy, model.answer((3, 1, 4, 1, 5)), argument.virtual_outputs)
    committed = {n: a for n, a in given.items() if system.tensors[n].kind != "virtual"}
    assert len(committed) < len(given)
    roomy = same_bytes.prove(native.load(), system, given, argument)
    again: list[columns.Plan] = []
    monkeypatch.setattr(columns, "_MadeAgain", lambda k, own: again.append(own.plan) or made_again(k, own))
    for kernels in (native.load(), TorchKernels()):
        assert same_bytes.prove(kernels, system, committed, argument, memory=0) == roomy
    assert not again
    for planned in (columns.Plan(1, True), columns.Plan(3, True), columns.Plan(2, False), columns.Plan(4, False)):
        again.clear()
        monkeypatch.setattr(columns, "plan", lambda points, variables, room, planned=planned: planned)
        assert same_bytes.prove(TorchKernels(), system, committed, argument, memory=0) == roomy
        assert set(again) == {planned}


def test_arrays_of_a_device_do_not_become_numpy_by_themselves() -> None:
    held = TorchKernels().space.zeros((3, 4), "int64")
    for read in (np.asarray, np.atleast_1d, lambda a: np.concatenate([a, a]), lambda a: np.pad(a, 1), Held.numpy):
        with pytest.raises(TypeError, match="move it"):
            read(held)  # type: ignore[operator]
    with pytest.raises(TypeError, match="of the host"):
        TorchKernels().from_ints(np.zeros(3, dtype=np.int64))


KINDS = ["int8", "int16", "int32", "int64", "uint64"]


def some(kind: str, *shape: int) -> np.ndarray:
    info = np.iinfo(kind)
    return np.random.default_rng(7).integers(info.min, info.max, shape, dtype=kind, endpoint=True)


@pytest.mark.parametrize("kind", KINDS)
def test_spaces_agree_on_moves(kind: str) -> None:
    a = some(kind, 5, 3, 4)
    t = HERE.own(a)
    for f in (
        lambda s, x: s.pad(x, (8, 3, 6)),
        lambda s, x: s.contiguous(s.transpose(x, (2, 0, 1))),
        lambda s, x: s.contiguous(s.broadcast(x[:1], (7, 3, 4))),
        lambda s, x: s.concatenate([x, x[:2]]),
        lambda s, x: s.stack([x, x]),
        lambda s, x: s.take(x, [4, 0, 0]),
        lambda s, x: s.take(x, np.array([[1, 2], [3, 4]])),
        lambda s, x: s.zeros((2, 3), kind),
        lambda s, x: space.flat(x),
    ):
        np.testing.assert_array_equal(HERE.host(f(HERE, t)), f(space.NUMPY, a))


@pytest.mark.parametrize("kind", KINDS[:4])
def test_spaces_agree_on_integers(kind: str) -> None:
    a, b = some(kind, 6, 1), some("int8", 6, 5)
    assert HERE.extent(HERE.own(a)) == space.NUMPY.extent(a)
    totals = []
    for here in (space.NUMPY, HERE):
        total = here.own(some("int32", 6, 5).astype(np.int64))
        here.accumulate(total, -(1 << 20), here.own(a))
        totals.append(here.host(total))
        chosen = here.own((b > 0).astype(np.int8))
        index = here.own((np.abs(b.astype(np.int64)) % 9 - 4).astype(np.int16))  # -4 and 4 lie outside
        totals.append(here.host(here.tally(index, chosen, -3, 7)))
        totals.append(here.host(here.table_rows(index, -3, 7)))
        assert totals[-1].dtype == np.int64
        assert (totals[-1] <= 6).all()
    for one, other in zip(totals[:3], totals[3:], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("value", "kind"), [(127, "int8"), (-129, "int16"), (40000, "int32"), (1 << 40, "int64")])
def test_the_narrowest_type(value: int, kind: str) -> None:
    for here in (space.NUMPY, HERE):
        made = space.narrow(here.own(np.array([0, value])))
        assert str(made.dtype).endswith(kind)
        assert here.host(made).tolist() == [0, value]


SPECS = ["ij,jk->ik", "hi,hi->hi", "hij,hj->hi", "ij,ij,j->i", "ij,jk,ki->ik", "ij->i", "abi,ta->tbi"]
SIZES = {"i": 4, "j": 5, "k": 3, "h": 2, "a": 2, "b": 3, "t": 6}


@pytest.mark.parametrize(("spec", "bits"), list(product(SPECS, (8, 24, 28, 31, 40))))
def test_exact_products(spec: str, bits: int) -> None:
    """Floats, pieces, single entries: whatever is chosen is exact, or refused."""
    rng, values = random.Random(bits), []
    for letters in spec.split("->")[0].split(","):
        shape = [SIZES[x] for x in letters]
        own = min(bits, 61)
        cells = [rng.choice((-1, 1)) * (rng.getrandbits(own) | 1 << own - 1) for _ in range(int(np.prod(shape)))]
        values.append(np.array(cells, dtype=object).reshape(shape))
    expected = np.einsum(spec, *values, optimize=False)
    made = exact_einsum(spec, [torch.from_numpy(v.astype(np.int64)) for v in values])
    if made is None:
        assert max(abs(int(v)) for v in expected.ravel()) > 1 << 55 or len(values) > 2
    else:
        assert made.dtype == torch.int64
        np.testing.assert_array_equal(made.numpy().astype(object), expected)


def test_a_product_of_small_and_large_numbers_is_not_refused() -> None:
    """2^40 * 2^40 would leave 64 bits, but the two never meet."""
    a, b = torch.tensor([1 << 40, 3]), torch.tensor([5, 1 << 40])
    made = exact_einsum("i,i->i", [a, b])
    assert made is not None
    assert made.tolist() == [5 << 40, 3 << 40]
    assert exact_einsum("i,i->i", [a, a]) is None
