"""One small proof, and what small proofs have none of, a product by bytes and a long table's count: what
compute-sanitizer looks at.

compute-sanitizer --tool racecheck python scripts/gpu_small_proof.py     # all tools: scripts/gpu_check.sh sanitize
"""

from __future__ import annotations

import torch

from zkcore.config import StrategyConfig
from zkcore.field import byte_products, cuda, devices
from zkcore.strategy.per_layer import PerLayer
from zkcore.subprotocols.logup_gkr import LogupGkr
from zkcore.testing import same_bytes
from zkcore.testing.small_models import SmallLlama


def prove() -> int:
    """Bytes of the proof."""
    model, argument = SmallLlama(layers=1), LogupGkr()
    system, given = model.prepare(PerLayer(StrategyConfig()), model.answer((3, 1, 4, 1, 5)), argument.virtual_outputs)
    proof = same_bytes.prove(devices.choose("cuda").kernels, system, given, argument)[1]
    return len(proof)


def multiply() -> None:
    """Odd rows, extremes of int16; exact in doubles."""
    sizes = (("i", 131), ("m", 400), ("o", 208))
    plan = byte_products.Plan("i", "m", "", "o", False, sizes)
    kernels = cuda.load()
    ends = torch.tensor([-32768, 32767, 0, 1, -1], dtype=torch.int16, device=kernels.device)
    a, b = (ends[torch.arange(n * m, device=kernels.device) % 5].reshape(n, m) for n, m in ((131, 400), (400, 208)))
    made = byte_products.product(kernels.passes, plan, "im", a, "mo", b, (2, 2))
    if not torch.equal(made, (a.double() @ b.double()).long()):
        raise SystemExit("the product by bytes is wrong")


def count() -> None:
    """Of a table that no block has room for; half the cells are of one row."""
    space = cuda.load().space
    index = torch.arange(-7, 400_000, device=space.device)
    index[::2] = 123_456
    made = space.host(space.tally(index, None, 0, 300_000))
    held = index.where((index >= 0) & (index < 300_000), 0)
    if made.tolist() != torch.bincount(held, minlength=300_000).tolist():
        raise SystemExit("the count of a long table is wrong")


if __name__ == "__main__":
    print(prove(), "bytes")
    multiply()
    count()
