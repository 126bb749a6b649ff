"""Answers whose opening is left to a settlement: what a cheater may try between the two.

The strongest cheater goes first: their answer is false, and everything in it holds but the opening that it leaves. Only
the settlement stands in their way, and it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.attacks.kit import (
    KERNELS,
    LOG_WIDTH,
    TOOLS,
    Attacker,
    Case,
    Lies,
    Step,
    X,
    corrected,
    freeze_challenge,
    matmul,
    scalars,
    shifted,
    small,
    two_weights,
)
from zkcore import settlement
from zkcore.commitment.deferred import Instance, Secret
from zkcore.commitment.hyrax import Hyrax
from zkcore.errors import ProofRejected
from zkcore.field.kernels import MODULUS
from zkcore.settlement import Entry
from zkcore.statement import ModelStatement, digest
from zkcore.transcript.channel import ProverChannel
from zkcore.transcript.transcript import Transcript

FALSE = 5
LIES = (Step("tie", ("evaluations", 0)), Step("acc", ("evaluations", 1)))


# --- answers and settlements ---
@dataclass(frozen=True)
class Answer:
    proof: bytes
    entry: Entry  # as whoever checks the answer finds it
    secret: Secret


def model(name: str = "a", hiding: bool = True) -> Any:
    """As much of a commitment file as settlements look at."""
    parts = SimpleNamespace(scheme=Hyrax(LOG_WIDTH), config=SimpleNamespace(zero_knowledge=hiding))
    return SimpleNamespace(
        statement=ModelStatement(1, {"lookup": "logup_gkr"}, (("zkcore", "1"),), {}, {}, "t", name),
        setup=SimpleNamespace(parts=parts),
    )


def answer(case: Case, lies: Lies = {}, hiding: bool = True) -> Answer:  # noqa: B006
    """Everything in it holds, whatever the lies: the check yields an instance, and says no more than that."""
    case = replace(case, defer=True)
    forged = case.forge(lies, hiding)
    assert forged.guards == []
    checked, own = case.verify(forged.proof, hiding), forged.pending
    assert checked is not None and own is not None and own.secret is not None
    if not lies:
        assert checked.instance() == own.instance(), "prover and verifier disagree about what is left open"
    told = replace(own.secret, value=forged.t.pinned[0])
    return Answer(forged.proof, Entry(digest(forged.proof), checked.instance()), told)


@cache
def honest() -> tuple[Answer, Answer]:
    return answer(small()), answer(two_weights())


@cache
def false() -> Answer:
    """About a false product: the weight's evaluation was made to fit."""
    case = matmul(FALSE)
    lies = corrected(case, {}, *LIES)
    return answer(case, lies)


def settled(*answers: Answer, of: Any = None, attacker: ProverChannel | None = None) -> bytes:
    """A settlement as a cheater makes it, who goes on whatever breaks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settlement, "ProverChannel", lambda secret: attacker or Attacker())
        patch.setattr(settlement, "toolbox", lambda cache_dir: TOOLS)
        return settlement.prove(of or model(), [(a.entry, a.secret) for a in answers], None)


def verdict(data: bytes, own: Answer, of: Any = None) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settlement, "toolbox", lambda cache_dir: TOOLS)
        try:
            settlement.judge(of or model(), data, None).require(of or model(), own.entry)
        except ProofRejected as e:
            return str(e)
    return ""


def test_what_was_judged_for_one_model_is_not_for_another() -> None:
    [own, _] = honest()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settlement, "toolbox", lambda cache_dir: TOOLS)
        judged = settlement.judge(model(), settled(own), None)
    judged.require(model(), own.entry)
    with pytest.raises(ProofRejected, match="another model"):
        judged.require(model("b"), own.entry)


def renamed(own: Answer, instance: Instance) -> Answer:
    """The same answer with another instance in its place."""
    return replace(own, entry=Entry(own.entry.answer, instance))


# --- the truth ---
@pytest.mark.parametrize("count", [1, 2])
def test_what_is_true_is_settled(count: int) -> None:
    """Each client needs the settlement and the own answer, nothing of the others."""
    answers, attacker = honest()[:count], Attacker()
    data = settled(*answers, attacker=attacker)
    assert attacker.guards == []
    assert [verdict(data, a) for a in answers] == [""] * count


def test_the_settlement_of_an_answer_proved_in_clear() -> None:
    own, clear = answer(two_weights(), hiding=False), model(hiding=False)
    data = settled(own, of=clear)
    assert verdict(data, own, clear) == ""
    assert verdict(data, own) != ""


def test_two_settlements_of_one_accumulator_share_no_byte_of_proof() -> None:
    """Masks and blinders are their own: nothing but what the instances are is repeated."""
    made = (settled(*honest(), attacker=ProverChannel(b"mine")) for _ in range(2))
    one, two = (settlement.parse(data, LOG_WIDTH) for data in made)
    assert one.entries == two.entries
    pieces = [{p.proof[i : i + 16] for i in range(0, len(p.proof), 16)} for p in (one, two)]
    assert pieces[0] & pieces[1] == {bytes(16)}, "the constraints' sum at 0 is 0, whoever proves"


# --- a false answer ---
def test_a_false_answer_has_only_the_settlement_against_it() -> None:
    """Alone, among honest ones, and to whoever asks: no settlement with it in it is accepted by anybody."""
    for among in ((false(),), (*honest(), false()), (false(), *honest())):
        attacker = Attacker()
        data = settled(*among, attacker=attacker)
        assert attacker.guards == ["opening"]
        for own in among:
            assert verdict(data, own) == "opening"


def test_two_false_answers_do_not_cancel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their errors cancel under a challenge that is known beforehand; it is not."""
    one, two = false(), answer(matmul(FALSE).committed(9), corrected(matmul(FALSE).committed(9), {}, *LIES))

    def traded(gamma: int) -> tuple[Answer, Answer]:
        """The second value is shifted until the sum is right: a forger pins what they like."""
        gap = (one.secret.value - true(one)) % MODULUS
        value = (true(two) - gap * pow(gamma, -1, MODULUS)) % MODULUS
        shift = (value - two.secret.value) % MODULUS
        point = KERNELS.decode(two.entry.instance.value)
        moved = KERNELS.encode(shifted(TOOLS.generators.take("message", 1), shift)(point))
        told = replace(two, secret=replace(two.secret, value=value))
        return one, renamed(told, replace(two.entry.instance, value=moved))

    assert verdict(settled(*traded(1000)), one) == "opening"
    freeze_challenge(monkeypatch, "opening batch", 1000)
    assert verdict(settled(*traded(1000)), one) == "", "the attack would not work even if it were possible"
    assert verdict(settled(*traded(1001)), one) == "opening"


def true(a: Answer) -> int:
    return KERNELS.dot(a.secret.vector, KERNELS.eq_table(a.entry.instance.point))


# --- another instance than the answer's ---
def other_value(a: Answer) -> Answer:
    """What the commitment really holds at the point, in a commitment of its own."""
    value, bases = true(a), [TOOLS.generators.take(n, 1) for n in ("message", "blind")]
    point = KERNELS.msm(np.concatenate(bases), scalars([value, 77])).reshape(1, 12)
    made = renamed(a, replace(a.entry.instance, value=KERNELS.encode(point)))
    return replace(made, secret=replace(a.secret, value=value, value_blind=77))


def other_point(a: Answer) -> Answer:
    """A point where the value is right: the zero of value - <a, eq>, which is affine in its last coordinate."""
    *head, _ = a.entry.instance.point
    at = [KERNELS.dot(a.secret.vector, KERNELS.eq_table([*head, x])) for x in (0, 1)]
    last = (a.secret.value - at[0]) * pow(at[1] - at[0], -1, MODULUS) % MODULUS
    return renamed(a, replace(a.entry.instance, point=(*head, last)))


def other_commitment(a: Answer) -> Answer:
    """To a vector that has the claimed value."""
    table = KERNELS.to_scalars(KERNELS.eq_table(a.entry.instance.point))
    vector = [a.secret.value * pow(table[0], -1, MODULUS)] + [0] * (len(table) - 1)
    rows = scalars(vector)
    blinder = KERNELS.fixed_base(TOOLS.generators.take("blind", 1))
    point = KERNELS.commit_rows(TOOLS.generators.take("tensor", len(vector)), rows[None], scalars([5]), blinder)
    made = renamed(a, replace(a.entry.instance, commitment=KERNELS.encode(point)))
    return replace(made, secret=replace(a.secret, vector=rows, blind=5))


@pytest.mark.parametrize("change", [other_value, other_point, other_commitment])
def test_a_true_instance_in_the_place_of_a_false_one(change: Any) -> None:
    """The settlement holds by itself; but it is not about what the answer left open."""
    told, attacker = change(false()), Attacker()
    data = settled(told, attacker=attacker)
    assert attacker.guards == []
    assert verdict(data, told) == ""
    assert "another instance" in verdict(data, false())


def test_an_instance_of_another_model_or_prompt() -> None:
    """Its commitment is of other rows: whoever checks the answer computes it from the model's."""
    here = two_weights()
    there = replace(here, given={"v": X[::-1].copy(), "w": X}).committed(5)
    foreign = answer(there)
    assert here.rejection(foreign.proof) != ""
    data = settled(replace(foreign, entry=Entry(answer(here).entry.answer, foreign.entry.instance)))
    assert "another instance" in verdict(data, answer(here))


# --- another settlement ---
def test_the_settlement_of_another_accumulator() -> None:
    mine, others = honest()
    data = settled(others)
    assert "not in this settlement" in (said := verdict(data, mine))
    assert mine.entry.answer[:16] in said and others.entry.answer[:16] in said


@pytest.mark.parametrize("keep", [0, 1])
def test_an_answer_dropped_from_a_settlement(keep: int) -> None:
    """Cut out of the file, and its entry left without its proof: the statement names all."""
    both = honest()
    whole = settlement.parse(settled(*both), LOG_WIDTH)
    data = packed(whole, [whole.entries[keep]])
    assert verdict(data, both[1 - keep]) == verdict(data, both[keep]) == "constraints"


def test_the_order_of_answers_is_part_of_the_settlement() -> None:
    whole = settlement.parse(settled(*honest()), LOG_WIDTH)
    assert verdict(packed(whole, whole.entries[::-1]), honest()[0]) != ""


def test_a_settled_point_in_another_encoding() -> None:
    """x + r is x, and no second file for one settlement."""
    own, data = honest()[0], settled(honest()[0])
    at = data.index(own.entry.instance.encode()) + Instance.size(0)
    x = int.from_bytes(data[at : at + 32], "big")
    assert x == own.entry.instance.point[0]
    other = data[:at] + (x + MODULUS).to_bytes(32, "big") + data[at + 32 :]
    assert verdict(other, own).startswith("non-canonical scalar")


def test_an_answer_named_for_anothers_instance() -> None:
    """Digests are absorbed: a settlement cannot be relabelled."""
    mine, other = honest()
    data = settled(replace(mine, entry=Entry(other.entry.answer, mine.entry.instance)))
    whole = settlement.parse(data, LOG_WIDTH)
    assert verdict(packed(whole, [mine.entry]), mine) != ""


def test_a_settlement_under_another_model() -> None:
    """Said in the header, or hidden there: it is in the transcript, too."""
    data = settled(*honest(), of=model("another"))
    assert "commitment_sha256: expected a, found another" in verdict(data, honest()[0])
    relabelled = settlement.parse(data, LOG_WIDTH)
    told = packed(replace(relabelled, model=settlement.plain(model().statement)), relabelled.entries)
    assert verdict(told, honest()[0]) != ""


def packed(found: settlement.Settlement, entries: Sequence[Entry]) -> bytes:
    from zkcore import proof as files

    header = {"model": dict(found.model), "answers": [e.answer for e in entries]}
    return files.pack(files.SETTLEMENT_MAGIC, header, [*(e.instance.encode() for e in entries), found.proof])


# --- adopted values ---
def test_an_adopted_value_is_what_its_commitment_holds() -> None:
    """The settlement's prover believes another number, or another blind, than the answer's pin holds."""
    [mine, _] = honest()
    for wrong in (
        replace(mine.secret, value=mine.secret.value + 1),
        replace(mine.secret, value_blind=mine.secret.value_blind + 1),
    ):
        attacker = Attacker()
        data = settled(replace(mine, secret=wrong), attacker=attacker)
        assert "witness row" in attacker.guards
        assert verdict(data, mine) in attacker.guards


def test_a_value_adopted_in_clear() -> None:
    """A false answer in clear mode: the settlement's prover tells the true number, which its pin does not hold."""
    case = matmul(FALSE)
    wrong = answer(case, corrected(case, {}, *LIES, hiding=False), hiding=False)
    assert wrong.secret.value != true(wrong)
    for told, guard in ((wrong.secret.value, "opening"), (true(wrong), "pin")):
        attacker = Attacker()
        lying = replace(wrong, secret=replace(wrong.secret, value=told))
        data = settled(lying, of=model(hiding=False), attacker=attacker)
        assert attacker.guards == [guard]
        assert verdict(data, wrong, model(hiding=False)) == guard


@pytest.mark.parametrize("purpose", ["tensor", "wide"])
def test_a_pin_with_junk_on_other_generators(purpose: str) -> None:
    """In the answer the pin is a message row, and that is checked there: junk would be free in the settlement's sum."""
    case = replace(two_weights(), defer=True)
    bases = TOOLS.generators.take(purpose, 1)
    forged = case.forge(point_lies={("pin", 0): shifted(bases, 3)})
    assert "witness row" in forged.guards
    assert case.rejection(forged.proof) == "witness row"


def test_the_two_ways_of_opening_are_two_proofs() -> None:
    """Neither is accepted for the other."""
    complete, deferred = two_weights(), replace(two_weights(), defer=True)
    assert deferred.rejection(complete.prove()) != ""
    assert complete.rejection(deferred.prove()) != ""


def test_a_transcript_settles_only_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the instances not in the statement, the points would still be absorbed when adopted; the rest would not."""
    seen: list[bytes] = []

    class Listening(Transcript):
        def __init__(self, channel: Any, tools: Any, statement: bytes, *, hiding: bool = True) -> None:
            seen.append(statement)
            super().__init__(channel, tools, statement, hiding=hiding)

    monkeypatch.setattr(settlement, "Transcript", Listening)
    settled(*honest())
    for a in honest():
        assert a.entry.instance.encode().hex().encode() in seen[0]
        assert a.entry.answer.encode() in seen[0]
    assert model().statement.encode() in seen[0]
