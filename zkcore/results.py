"""What the functions of zkcore.api return."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zkcore.report.progress import StageTime

if TYPE_CHECKING:
    from zkcore.estimation.estimate import Estimate, ModelEstimate


@dataclass(frozen=True)
class CommitResult:
    parameters: int
    commitment_bytes: int
    perplexity_float: float
    perplexity_integer: float
    top1_agreement: float
    stages: list[StageTime]
    sections: list[tuple[str, int]]
    zero_knowledge: bool


@dataclass(frozen=True)
class ProveResult:
    """`estimate`: what was expected, if it was asked for. `peak_memory`: bytes, of this process."""

    prompt: str
    text: str
    tokens: int
    proof_bytes: int
    stages: list[StageTime]
    sections: list[tuple[str, int]]
    zero_knowledge: bool
    peak_memory: int = 0
    estimate: Estimate | None = None


@dataclass(frozen=True)
class SettleResult:
    answers: int
    settlement_bytes: int
    stages: list[StageTime]
    zero_knowledge: bool


@dataclass(frozen=True)
class EstimateResult:
    """`assumed_scales`: nobody calibrated; some shift may need one limb more or less. `limit`: what the configuration's
    memory limit means for the memory that is said, or empty."""

    source: str
    seq_len: int
    new_tokens: int
    assumed_scales: bool
    answer: Estimate
    model: ModelEstimate
    limit: str = ""


@dataclass(frozen=True)
class Accepted:
    """An accepted statement, as text."""

    prompt: str
    text: str
    tokens: int
    model: str
    plugins: list[tuple[str, str]]
    stages: list[StageTime]
    zero_knowledge: bool
