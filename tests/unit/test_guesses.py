"""Types that are guessed on a device: what does not fit is noticed, made again, and proved as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from zkcore.config import StrategyConfig
from zkcore.errors import WitnessError
from zkcore.field import native, space, torch_space
from zkcore.field.space import Form
from zkcore.field.torch_space import TorchSpace
from zkcore.graph import arrays, guesses
from zkcore.graph.guesses import Guesses
from zkcore.graph.system import System
from zkcore.graph.witness import Tamper, Witness
from zkcore.strategy.per_layer import PerLayer
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.testing import same_bytes
from zkcore.testing.small_models import SmallLlama
from zkcore.testing.torch_kernels import TorchKernels

K, HERE = native.load(), TorchSpace(torch.device("cpu"))
ROOMY = 1 << 30


def prepared(layers: int) -> tuple[System, Mapping[str, Any]]:
    """A tree a layer; what is committed, as a forward pass for a device leaves it."""
    model = SmallLlama(layers=layers)
    strategy = PerLayer(StrategyConfig(batching="each_layer"))
    system, given = model.prepare(strategy, model.answer((3, 1, 4, 1, 5)), LogupGkr.virtual_outputs)
    return system, {n: space.narrow(a) for n, a in given.items() if system.tensors[n].kind != "virtual"}


def asked(layers: int, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often a proof waits for the extent of an array."""
    count, real = [0], torch_space.extents

    def counted(tensors: Any) -> Any:
        count[0] += 1
        return real(tensors)

    system, given = prepared(layers)
    with monkeypatch.context() as patch:
        patch.setattr(torch_space, "extents", counted)
        same_bytes.prove(TorchKernels(), system, given, LogupGkr(), memory=ROOMY)
    return count[0]


def test_what_is_alike_in_all_layers_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was 580 for each layer. What is left of a layer: its multiplicities, and factors of 64 bits."""
    two, three = asked(2, monkeypatch), asked(3, monkeypatch)
    assert two <= 220
    assert three - two <= 20


def test_a_guess_that_is_too_narrow_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is guessed to be of 8 bits."""
    system, given = prepared(2)
    expected, wrong, real = same_bytes.prove(K, system, given, LogupGkr()), [0], Guesses.wrong

    def counted(self: Guesses, names: Sequence[str]) -> set[str] | None:
        found = real(self, names)
        wrong[0] += found is not None
        return found

    monkeypatch.setattr(Guesses, "_guess", lambda self, extent, within: "int8")
    monkeypatch.setattr(Guesses, "wrong", counted)
    assert same_bytes.prove(TorchKernels(), system, given, LogupGkr(), memory=ROOMY) == expected
    assert wrong[0] > 3
    monkeypatch.setattr(Guesses, "wrong", lambda self, names: self._doubts.clear())  # nobody looks
    with pytest.raises((AssertionError, WitnessError)):  # of wrong numbers another proof comes, or none
        assert same_bytes.prove(TorchKernels(), system, given, LogupGkr(), memory=ROOMY) == expected


def test_only_what_a_wrong_guess_led_to_is_made_again(monkeypatch: pytest.MonkeyPatch) -> None:
    system, given = prepared(2)
    made, real = list[str](), Witness._make

    def counted(self: Witness, name: str) -> Any:
        made.append(name)
        return real(self, name)

    witness, theirs = Witness(system, TorchKernels(), given, memory=ROOMY), Witness(system, K, given)
    for name in ("q_rope.y", "v_acc.y"):
        witness.array(f"layers.0.{name}")
    witness._guesses._kinds["q_acc.y"] = "int8"
    wanted = ["layers.1.q_rope.y", "layers.1.v_acc.y"]
    expected = [theirs.array(n) for n in wanted]
    monkeypatch.setattr(Witness, "_make", counted)
    found = witness.settled(lambda: [witness.array(n) for n in wanted])
    for array, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(witness.kernels.space.host(array), right)
    again = {n for n in made if n.startswith("layers.1.") and made.count(n) > 1}
    assert again == {f"layers.1.q_{n}" for n in ("acc.y", "rope.straight", "rope.swapped", "rope.turned", "rope.y")}
    assert witness._guesses._kinds["q_acc.y"] == "int16"


def lie(value: int) -> Callable[[Any, Witness], Any]:
    """One entry is `value`."""

    def told(array: Any, witness: Witness) -> Any:
        objects = arrays.to_objects(witness.kernels, array).copy()
        objects.flat[objects.size // 2] = value
        return arrays.from_objects(witness.kernels, objects)

    return told


@pytest.mark.parametrize("value", [-200, 40_000, 1 << 33, -(1 << 61), 1 << 80])
def test_a_cheaters_numbers_are_proved_as_they_are(value: int) -> None:
    """In the second layer, when types are known from the first: whatever follows from the lie is what it is on a CPU,
    no wrapped-around number that would perhaps be a better lie."""
    system, given = prepared(2)
    name = next(t.name for t in system.of_kind("committed") if t.name in given and t.name.startswith("layers.1."))
    tamper: Tamper = {name: lie(value)}
    ours = Witness(system, TorchKernels(), given, tamper, memory=ROOMY)
    theirs = Witness(system, K, {n: np.asarray(a, dtype=np.int64) for n, a in given.items()}, tamper)
    for tensor in system.tensors:
        expected = arrays.to_objects(K, theirs.array(tensor))
        assert (arrays.to_objects(ours.kernels, ours.array(tensor)) == expected).all(), tensor
    for r in system.relations:
        if r.kind == "lookup":
            for k, expr in enumerate(r.exprs):
                cells = system.domain(r)
                expected = arrays.to_objects(K, theirs.affine(expr, r.spec, cells))
                made = ours.settled(lambda r=r, k=k, cells=cells: ours.looked_up(r, k, cells))
                assert (arrays.to_objects(ours.kernels, made) == expected).all(), (r.name, k)


def forms(kind: str) -> list[tuple[Form, bool]]:
    """And whether the values fit int64's safe half. Repeated, cut short, of several types, transposed; digits."""
    draw, out = np.random.default_rng(3), []

    def some(dtype: str, *shape: int) -> Any:
        info = np.iinfo(dtype)
        return draw.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)

    wide = draw.integers(-(1 << 55), 1 << 55, (5, 6, 7))
    for digit in ((0, 0), (0, 7), (11, 9)):
        base = Form(((3, some("int8", 5, 6, 7)), (-1, some("int16", 1, 4, 7))), -5, (5, 6, 6), (5, 6, 8), digit)
        out.append((base, True))
        out.append((replace(base, terms=(*base.terms, (1 << 20, some("int32", 1, 1, 3)))), True))
        out.append((Form(((1, wide.transpose(2, 0, 1)),), 1 << 50, (7, 5, 6), (8, 5, 6), digit), True))
        out.append((Form(((1 << 9, wide), (-(1 << 9), wide)), 0, (5, 6, 7), (5, 6, 7), digit), False))
        out.append((Form(((1 << 40, wide),), 1, (5, 6, 7), (5, 6, 7), digit), False))
    out.append((Form((), 9, (3,), (4,)), True))
    out.append((Form(((1, np.zeros((0, 3), np.int16)),), 2, (0, 3), (0, 4)), True))
    return out


def by_hand(form: Form) -> Any:
    """Python integers."""
    total = np.zeros(form.shape, dtype=object)
    total[tuple(slice(0, n) for n in form.real)] += form.constant
    for c, a in form.terms:
        total[tuple(slice(0, n if n > 1 else None) for n in a.shape)] += c * a.astype(object)
    shift, bits = form.digit
    return (total >> shift) % (1 << bits) if bits else total


def check(here: Any, kind: str) -> None:
    """Values and doubts of a space that guesses."""
    for form, safe in forms(kind):
        expected = by_hand(form)
        laid = [(c, here.own(np.ascontiguousarray(a)) if k else _as_is(here, a)) for k, (c, a) in enumerate(form.terms)]
        made, doubt = here.affine(replace(form, terms=tuple(laid)), kind)
        [doubtful] = here.wrong([doubt])
        info = np.iinfo(kind)
        fits = all(info.min <= v <= info.max for v in expected.ravel())
        assert doubtful == (not fits or not safe), form
        if fits and safe:
            assert here.host(made).dtype == kind
            assert (here.host(made).astype(object) == expected).all()


def _as_is(here: Any, array: Any) -> Any:
    """With its strides."""
    order = sorted(range(array.ndim), key=lambda k: -array.strides[k])
    back = [order.index(k) for k in range(array.ndim)]
    return here.transpose(here.own(np.ascontiguousarray(array.transpose(order))), back)


@pytest.mark.parametrize("kind", guesses.KINDS)
def test_a_form_is_exact_or_doubted(kind: str) -> None:
    check(HERE, kind)


def test_looking_up() -> None:
    entries, index = np.arange(10, 17, dtype=np.int16), np.array([[-3, 4], [3, -4]], dtype=np.int16)
    for here in (space.NUMPY, HERE):
        made = here.host(here.look_up(here.own(entries), here.own(index), -3))
        assert made.dtype == np.int16
        assert made.tolist() == [[10, 10], [16, 10]]  # 4 and -4 lie outside: row 0
