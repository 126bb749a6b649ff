"""Products of matrices by GEMMs of signed bytes on the GPU, against 64-bit integers of the host."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
import torch

from tests.unit import byte_cases as cases
from zkcore.field import byte_products, cuda
from zkcore.field.torch_space import exact_einsum

REASON = cuda.missing()
pytestmark = [pytest.mark.gpu, pytest.mark.skipif(REASON is not None, reason=REASON or "")]


def here(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values).to(cuda.load().device)


@pytest.fixture
def by_bytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[byte_products.Plan]]:
    yield from cases.spied(monkeypatch)


@pytest.mark.parametrize(("given", "kinds"), list(product(cases.SHAPES, [*cases.KINDS, ("int64", "int16")])))
def test_products_are_exact(
    given: tuple[str, dict[str, int]], kinds: tuple[str, str], by_bytes: list[byte_products.Plan]
) -> None:
    spec, sizes = given
    a, b = (
        cases.values("int16" if kind == "int64" else kind, cases.shape(f, sizes), 3 + i).astype(kind)
        for i, (f, kind) in enumerate(zip(spec.split("->")[0].split(","), kinds, strict=True))
    )
    made = exact_einsum(spec, [here(a), here(b)])
    assert made is not None
    assert made.dtype == torch.int64
    assert len(by_bytes) == 1
    np.testing.assert_array_equal(made.cpu().numpy(), cases.exact(spec, a, b))


@pytest.mark.parametrize("kind", ["int8", "int16"])
@pytest.mark.parametrize("other", ["min", "max"])
def test_as_many_places_as_the_bound_allows(kind: str, other: str, by_bytes: list[byte_products.Plan]) -> None:
    steps, info = cases.MOST_STEPS, np.iinfo(kind)
    a = np.full((130, steps), info.min, dtype=kind)
    b = np.full((steps, 144), getattr(info, other), dtype=kind)
    made = exact_einsum("im,mo->io", [here(a), here(b)])
    assert made is not None
    assert len(by_bytes) == 1
    assert made.unique().tolist() == [steps * int(info.min) * int(getattr(info, other))]


@pytest.mark.parametrize(("rows", "steps", "columns"), [(2048, 5120, 1024), (1000, 13824, 320), (70_000, 512, 128)])
def test_large_matrices_take_it(rows: int, steps: int, columns: int) -> None:
    """As they are chosen, on every cell, against doubles, which hold these sums; more rows than a grid has."""
    a, b = here(cases.values("int16", (rows, steps), 1)), here(cases.values("int16", (steps, columns), 2))
    plan = byte_products.plan("im", "mo", "io", (("i", rows), ("m", steps), ("o", columns)))
    assert plan is not None
    made = exact_einsum("im,mo->io", [a, b])
    assert made is not None
    assert torch.equal(made, (a.double() @ b.double()).long())
