"""Two models that answer alike: can their proofs be told apart? With blinding off they can, or the tests are blind.

x A B is public. The second model has its hidden neurons in another order: columns of A, rows of B. From outside, all is
the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from tests.attacks.kit import TOOLS, Case, Coins, Naked
from tests.e2e.checkpoints import Place
from zkcore.claim import Claim, ClaimLedger
from zkcore.field.kernels import MODULUS
from zkcore.graph.builder import Builder
from zkcore.graph.public import Dense
from zkcore.graph.system import freeze
from zkcore.polynomial.point import eq, index_point, join
from zkcore.transcript.channel import ProverChannel
from zkcore.transcript.transcript import Transcript
from zkcore.transcript.values import Value
from zkcore.transcript.wire import POINT_BYTES, SCALAR_BYTES

X = np.array([[1, -1, 2], [0, 1, -2]])
A = np.array([[1, -1, 0, 2], [-2, 1, 1, 0], [0, 1, -1, -2]])
B = np.array([[1, 0], [-1, 1], [2, -2], [0, 1]])
ORDER = [2, 0, 3, 1]
COUNT = 64


@cache
def model(order: tuple[int, ...]) -> Case:
    b = Builder(3)
    x = b.public("x", Dense(X, -2, 2))
    first, second = b.weight("A", A.shape, -2, 2), b.weight("B", B.shape, -2, 2)
    hidden = b.einsum("hidden", "im,mh->ih", x, first)
    out = b.einsum("out", "ih,ho->io", hidden, second)
    said = b.public("answer", Dense(X @ A @ B, -99, 99))
    b.zero("tie", "io", out["io"] - said["io"])
    return Case(freeze(b), {"A": A[:, order], "B": B[list(order)]})


ONE, TWO = tuple(range(4)), tuple(ORDER)


@cache
def proofs(order: tuple[int, ...], naked: bool, count: int = COUNT) -> NDArray[np.uint8]:
    """[count, bytes]: commitments to the weights, and the proof. All is drawn anew for each."""
    made = []
    for k in range(count):
        channel: Callable[[], ProverChannel] = Naked if naked else lambda k=k: Coins(7919 * k + order[0])  # type: ignore[misc]
        case = committed(model(order), channel)
        proof = case.prove(channel=channel())
        rows = b"".join(rows for rows, _ in case.weights.values())
        made.append(np.frombuffer(rows + proof, dtype=np.uint8))
    return np.stack(made)


def committed(case: Case, channel: Callable[[], ProverChannel]) -> Case:
    """Like Case.committed, with the channel's blinders."""
    from zkcore.commitment.hyrax import Hyrax

    made, t = {}, channel()
    for tensor in case.system.of_kind("weight"):
        start = len(t.proof)
        scheme = Hyrax(case.log_width)
        rows = scheme.commit(
            Transcript(t, TOOLS, b"weights"), tensor.name, tensor.shape, lambda n=tensor.name: case.given[n]
        ).rows
        made[tensor.name] = bytes(t.proof[start:]), rows
    return Case(case.system, case.given, made, case.log_width, case.argument)


def test_both_answer_alike() -> None:
    assert (X @ A[:, ORDER] @ B[ORDER] == X @ A @ B).all()
    assert (A[:, ORDER] != A).any()
    assert proofs(ONE, False, 1).shape == proofs(TWO, False, 1).shape


# --- chi-squared by position (d4) -------------------------------------------------------------------------------------
def worst(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> tuple[float, int]:
    """The largest two-sample statistic over the last four bits of each byte position, and how many exceed 70."""
    statistics = []
    for a, b in zip(one.T & 15, two.T & 15, strict=True):
        m, n = (np.bincount(v, minlength=16).astype(float) for v in (a, b))
        seen = (m + n) > 0
        statistics.append(float((((m - n) ** 2)[seen] / (m + n)[seen]).sum()))
    return max(statistics), sum(s > 70 for s in statistics)


def test_no_position_tells_two_models_apart() -> None:
    """15 degrees of freedom: 70 is exceeded by chance with probability 4e-9, at one of some thousand positions with
    2e-5. The coins are seeded."""
    top, _ = worst(proofs(ONE, False), proofs(TWO, False))
    assert top < 70


def test_without_blinding_many_do() -> None:
    _, apart = worst(proofs(ONE, True, 40), proofs(TWO, True, 40))
    assert apart > 100


# --- a classifier (d5) ------------------------------------------------------------------------------------------------
def accuracy(one: NDArray[np.uint8], two: NDArray[np.uint8]) -> float:
    """Nearest mean over all bits, learnt on one half and asked about the other."""
    half = len(one) // 2
    bits = [np.unpackbits(v, axis=1).astype(float) for v in (one, two)]
    means = [v[:half].mean(0) for v in bits]
    axis = means[0] - means[1]
    middle = (means[0] + means[1]) @ axis / 2
    right = (bits[0][half:] @ axis > middle).sum() + (bits[1][half:] @ axis <= middle).sum()
    return float(right) / (2 * (len(one) - half))


def test_a_classifier_guesses() -> None:
    """64 questions: chance is 1/2, with a standard deviation of 1/16."""
    assert abs(accuracy(proofs(ONE, False), proofs(TWO, False)) - 0.5) < 4 / 16


def test_without_blinding_it_knows() -> None:
    assert accuracy(proofs(ONE, True, 40), proofs(TWO, True, 40)) == 1.0


# --- many proofs of one model (d7) ------------------------------------------------------------------------------------
def solved(rows: Sequence[Sequence[int]], values: Sequence[int]) -> list[int]:
    """rows * unknowns = values, mod r."""
    n = len(rows)
    table = [[*row, v] for row, v in zip(rows, values, strict=True)]
    for i in range(n):
        pivot = next(k for k in range(i, n) if table[k][i])
        table[i], table[pivot] = table[pivot], table[i]
        inverse = pow(table[i][i], -1, MODULUS)
        table[i] = [v * inverse % MODULUS for v in table[i]]
        for k in range(n):
            if k != i and table[k][i]:
                f = table[k][i]
                table[k] = [(a - f * b) % MODULUS for a, b in zip(table[k], table[i], strict=True)]
    return [row[-1] for row in table]


def equations(hiding: bool, count: int) -> tuple[list[list[int]], list[int]]:
    """From proofs with different nonces: weights of B's eight cells in each claim, and the number that is shown for it.
    In hiding mode no claim is shown; what is, and comes nearest, is the value of the folded witness."""
    case, rows, values = model(ONE).committed(seed=3), list[list[int]](), list[int]()
    for nonce in range(count):
        claims, channel = list[Claim](), Coins(nonce)
        t = Transcript(channel, TOOLS, case.statement() + bytes([nonce]), hiding=hiding)
        with pytest.MonkeyPatch.context() as patch:
            add = ClaimLedger.add
            patch.setattr(ClaimLedger, "add", lambda self, claim, c=claims, a=add: (c.append(claim), a(self, claim)))
            case.run(t, case.witness())
        claim = next(c for c in claims if c.tensor == "B")
        point = join(claim.place)
        rows.append([eq(point, index_point(k, len(point))) for k in range(8)])
        number = claim.value.number if isinstance(claim.value, Value) else claim.value
        values.append(shown(case, bytes(channel.proof)) if hiding else number or 0)
    return rows, values


def shown(case: Case, proof: bytes) -> int:
    at = next(at for label, at, size in case.elements() if label == "folded value" and size == SCALAR_BYTES)
    return int.from_bytes(proof[at : at + SCALAR_BYTES], "big")


def test_without_zero_knowledge_eight_proofs_give_the_weights() -> None:
    assert solved(*equations(False, 8)) == [int(v) % MODULUS for v in B.ravel()]


def test_many_proofs_give_no_equation_about_the_weights() -> None:
    rows, values = equations(True, 12)
    truth = [int(v) for v in B.ravel()]
    found = solved(rows[:8], values[:8])
    assert found != [v % MODULUS for v in truth]
    held = [sum(a * b for a, b in zip(row, found, strict=True)) % MODULUS for row in rows[8:]]
    assert all(a != b for a, b in zip(held, values[8:], strict=True)), "no linear law connects one proof with the next"


# --- what is printed (d9) ---------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_nothing_secret_is_printed(tiny: Place, tmp_path: Path) -> None:
    """Neither blinders nor rows of weights, in no form, on no channel; and no file is left but the proof."""
    command = [sys.executable, "-m", "zkcore", "--json", "prove", str(tiny.commitment), "--prompt", "The old"]
    root, work = Path(__file__).parents[2], tmp_path / "work"
    work.mkdir()
    environment = {**os.environ, "PYTHONPATH": str(root), "TMPDIR": str(work), "ZKCORE_TRACEBACK": "1"}
    ran = subprocess.run(
        [*command, "--max-new-tokens", "1", "--out", "a.zkp"],
        cwd=work,
        env=environment,
        capture_output=True,
        check=True,
    )
    said = ran.stdout + ran.stderr
    assert [p.name for p in work.iterdir()] == ["a.zkp"]
    for line in ran.stdout.splitlines():
        json.loads(line)
    everything = said + (work / "a.zkp").read_bytes() + tiny.public.read_bytes()
    tensors = load_file(tiny.commitment / "private" / "weights.safetensors")
    secrets = 0
    for name, values in tensors.items():
        data = np.ascontiguousarray(values)
        if name.startswith("blinds"):
            for limbs in data.reshape(-1, 4):
                whole = sum(int(v) << 64 * i for i, v in enumerate(limbs))
                number = TOOLS.kernels.to_scalars(limbs.reshape(1, 4))[0]
                for secret in (limbs.tobytes(), number.to_bytes(32, "big"), number.to_bytes(32, "little")):
                    assert secret not in everything
                assert not re.search(rb"%d|%x" % (number, number), said)
                assert str(whole).encode() not in said
                secrets += 1
        elif data.nbytes >= 32:
            assert data.tobytes()[:32] not in everything
    assert secrets > 20


def test_elements_are_points_and_scalars() -> None:
    """What the tests above look at is all there is."""
    case = model(ONE).committed()
    assert {size for _, _, size in case.elements()} == {POINT_BYTES, SCALAR_BYTES}
    assert sum(size for _, _, size in case.elements()) == len(case.prove())
