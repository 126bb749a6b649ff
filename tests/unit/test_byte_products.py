"""GEMMs of signed bytes against 64-bit integers: extremes of every type, odd shapes, sums that just fit 32 bits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.unit import byte_cases as cases
from zkcore.field import byte_products, torch_space
from zkcore.field.torch_space import exact_einsum


class Slow:
    """byte_products.Passes, as its docstring has it."""

    def split_bytes(self, matrix: Tensor, across: bool, digits: int) -> tuple[Tensor, Tensor]:
        assert matrix.is_contiguous()
        values = (matrix.t() if across else matrix).long()
        rest = values - byte_products.offset(digits)
        parts = []
        for k in range(digits):
            parts.append((rest + 128) % 256 - 128 if k < digits - 1 else rest)
            rest = (rest - parts[-1]) >> 8
        made = torch.stack(parts)
        assert -128 <= int(made.min()) <= int(made.max()) <= 127
        return made.to(torch.int8), values.sum(1)

    def join_products(self, products: Tensor, inner: int, terms: Sequence[tuple[Tensor, int]], constant: int) -> Tensor:
        (of_rows, left), (of_columns, right) = terms
        n, rows, m, columns = products.shape
        whole = left * of_rows[:, None] + right * of_columns[None, :] + constant
        for i, j in product(range(n), range(m)):
            whole = whole + (products[i, :, j].long() << 8 * (i + j))
        return whole.reshape(rows, columns // inner, inner).transpose(0, 1).contiguous()


@pytest.fixture
def by_bytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[byte_products.Plan]]:
    """Every product that has a plan goes through it, on the host; which were made."""
    monkeypatch.setattr(torch_space, "_passes", lambda device: Slow())
    yield from cases.spied(monkeypatch)


@pytest.mark.parametrize(("given", "kinds"), list(product(cases.SHAPES, cases.KINDS)))
def test_products_are_exact(
    given: tuple[str, dict[str, int]], kinds: tuple[str, str], by_bytes: list[byte_products.Plan]
) -> None:
    spec, sizes = given
    factors = spec.split("->")[0].split(",")
    a, b = (
        cases.values(kind, cases.shape(f, sizes), 3 + i) for i, (f, kind) in enumerate(zip(factors, kinds, strict=True))
    )
    made = exact_einsum(spec, [torch.from_numpy(a), torch.from_numpy(b)])
    assert made is not None
    assert made.dtype == torch.int64
    assert len(by_bytes) == 1
    np.testing.assert_array_equal(made.numpy(), cases.exact(spec, a, b))


@pytest.mark.parametrize(("spec", "sizes"), cases.REFUSED)
def test_what_has_no_plan_is_exact_too(spec: str, sizes: dict[str, int], by_bytes: list[byte_products.Plan]) -> None:
    a, b = (torch.from_numpy(cases.values("int16", cases.shape(f, sizes), 5)) for f in spec.split("->")[0].split(","))
    if "ii" not in spec:
        made = exact_einsum(spec, [a, b])
        assert made is not None
        np.testing.assert_array_equal(made.numpy(), cases.exact(spec, a.numpy(), b.numpy()))
    assert byte_products.plan(*spec.replace("->", ",").split(","), tuple(sizes.items())) is None
    assert not by_bytes


@pytest.mark.parametrize("kind", ["int8", "int16"])
@pytest.mark.parametrize("other", ["min", "max"])
def test_as_many_places_as_the_bound_allows(kind: str, other: str, by_bytes: list[byte_products.Plan]) -> None:
    """Of extremes alone, whose sums of digits are the largest; with sixteen more there is no such product."""
    info, steps = np.iinfo(kind), cases.MOST_STEPS
    a = np.full((17, steps), info.min, dtype=kind)
    b = np.full((steps, 16), getattr(info, other), dtype=kind)
    made = exact_einsum("im,mo->io", [torch.from_numpy(a), torch.from_numpy(b)])
    assert made is not None
    assert len(by_bytes) == 1
    assert made.unique().tolist() == [steps * int(info.min) * int(getattr(info, other))]
    longer = byte_products.plan("im", "mo", "io", (("i", 17), ("m", steps + 16), ("o", 16)))
    assert longer is not None
    assert not longer.fits((1, 1))


def test_wide_types_are_taken_by_what_they_hold(by_bytes: list[byte_products.Plan]) -> None:
    """int64 as a forward pass has them: two bytes and three of eight; nothing that might leave 2^62."""
    small, b = cases.values("int16", (40, 64), 1).astype(np.int64), cases.values("int16", (64, 32), 2)
    wide = small << 7
    for a in (small, wide):
        made = exact_einsum("im,mo->io", [torch.from_numpy(a), torch.from_numpy(b)])
        assert made is not None
        np.testing.assert_array_equal(made.numpy(), cases.exact("im,mo->io", a, b))
    assert len(by_bytes) == 2
    huge = torch.full((40, 64), -(1 << 31))
    refused = torch.full((64, 32), -(1 << 31))
    assert exact_einsum("im,mo->io", [huge, refused]) is None
    assert len(by_bytes) == 2


@pytest.mark.parametrize(
    ("sizes", "taken"),
    [
        ((2048, 5120, 5120), True),
        ((128, 5120, 13824), True),
        ((112, 5120, 13824), False),
        ((81920, 128, 1024), False),
        ((2048, 1024, 1024), False),
        ((2048, 5120, 32001), False),
        ((2049, 5120, 5120), True),
    ],
)
def test_which_products_are_large_enough(sizes: tuple[int, int, int], taken: bool) -> None:
    plan = byte_products.plan("im", "mo", "io", tuple(zip("imo", sizes, strict=True)))
    assert (plan is not None) == taken
