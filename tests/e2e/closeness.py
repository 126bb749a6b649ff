"""How close an integer model is to transformers' one."""

from __future__ import annotations

from pathlib import Path

from zkcore import evaluation, prover

PRECISE = """\
commitment: {log_width: 8}
model: {table_bits: 14, attention: {tile: 16}}
calibration: {tokens: 256, window: 64}
"""


def assert_close(model: Path, commitment: Path, text: str) -> None:
    """Of all logits about a text, in units of their standard deviation."""
    owner = prover.Owner.load(commitment)
    window = owner.public.codec.encode(text)[: owner.public.setup.architecture.max_positions]
    [exact] = evaluation.float_logits(model, [window])
    error = (exact - evaluation.integer_logits(owner.public.setup, owner.weights, window)) / exact.std()
    worst, usual = float(error.abs().max()), float(error.square().mean().sqrt())
    print(f"of {len(window)} tokens' logits, error {worst:.4f} sigma at most, {usual:.5f} root mean square")
    assert worst < 0.04
    assert usual < 0.005
