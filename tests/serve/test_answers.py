"""The queue on disk, without a server around it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("persistqueue")

from zkcore.models.family import Sequence
from zkcore.serve.answers import ATTEMPTS, DONE, FAILED, PROVING, QUEUED, Answer, Answers, QueueFull

SEQUENCE = Sequence((1, 2, 3), 2)


def add(answers: Answers) -> Answer:
    return answers.add(SEQUENCE, "ab", "c", b"n")


def taken(answers: Answers) -> Answer:
    found = answers.take(0.1)
    assert found
    return found


def state(answers: Answers, name: str) -> str:
    found = answers.find(name)
    assert found
    return found[1]


def test_an_answer_on_its_way(tmp_path: Path) -> None:
    answers = Answers(tmp_path, 2, 10)
    first, second = add(answers), add(answers)
    with pytest.raises(QueueFull, match="2 answers wait"):
        add(answers)
    assert (taken(answers).id, state(answers, first.id), state(answers, second.id)) == (first.id, PROVING, QUEUED)
    assert answers.waiting() == 2
    answers.done(first, b"proof")
    assert (state(answers, first.id), answers.waiting()) == (DONE, 1)
    answers.failed(taken(answers), "no memory")
    assert (state(answers, second.id), answers.waiting()) == (FAILED, 0)
    assert answers.take(0.01) is None


def test_a_proof_that_ends_every_server_is_given_up(tmp_path: Path) -> None:
    made = add(Answers(tmp_path, 2, 10))
    for _ in range(ATTEMPTS):
        assert taken(Answers(tmp_path, 2, 10)).id == made.id
    answers = Answers(tmp_path, 2, 10)
    assert answers.take(0.1) is None
    assert (state(answers, made.id), answers.waiting()) == (FAILED, 0)


def test_old_proofs_make_room(tmp_path: Path) -> None:
    answers, made = Answers(tmp_path, 9, 2), list[Answer]()
    for _ in range(3):
        made.append(add(answers))
        answers.done(taken(answers), b"proof")
    assert [answers.find(a.id) is not None for a in made] == [False, True, True]
    assert len(list((tmp_path / "proofs").iterdir())) == 2


@pytest.mark.parametrize("name", ["", "..", "../queue/data", "x" * 32, "A" * 32])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    assert Answers(tmp_path, 2, 10).find(name) is None
