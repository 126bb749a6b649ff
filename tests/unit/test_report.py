"""Reporters and tables."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from zkcore import memory
from zkcore.errors import UsageError
from zkcore.report.bars import RichReporter
from zkcore.report.progress import JsonReporter, QuietReporter, Reporter, StageTime
from zkcore.report.tables import plain, printable, section_tables, stage_table
from zkcore.report.trace import TraceReporter


class Clock:
    """A second passes at every look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1
        return self.now


def shown(*renderables: RenderableType) -> str:
    console = Console(file=StringIO(), width=100, markup=False)
    for r in renderables:
        console.print(r)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("kind", [QuietReporter, JsonReporter, RichReporter])
def test_stages_end_when_the_next_begins(kind: type[QuietReporter]) -> None:
    report: Reporter = kind(Clock())
    report.stage("forward")
    report.stage("commit", "layer 1/2")
    report.stage("commit", "layer 2/2")
    report.note("text")
    assert report.stages == [StageTime("forward", 1.0)]
    report.close()
    report.close()
    assert report.stages == [StageTime("forward", 1.0), StageTime("commit", 1.0)]


def test_json_events(capsys: pytest.CaptureFixture[str]) -> None:
    report = JsonReporter(Clock())
    report.stage("forward", "a\nb")
    report.close()
    begin, end = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert begin == {"event": "begin", "stage": "forward", "detail": "a\nb"}
    assert (end["event"], end["name"], end["seconds"]) == ("end", "forward", 1.0)
    assert 2**20 < end["peak_memory"] <= memory.peak() < 2**40


def test_json_says_where_a_stage_is_once(capsys: pytest.CaptureFixture[str]) -> None:
    report = JsonReporter(Clock())
    for step in range(6):
        report.stage("backward", f"layer {step // 2 + 1}/3", step, 6)
    report.close()
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(e["event"], e.get("detail")) for e in events[:-1]] == [
        ("begin", "layer 1/3"),
        ("progress", "layer 2/3"),
        ("progress", "layer 3/3"),
    ]
    assert (events[1]["done"], events[1]["total"]) == (2, 6)


def test_rich_progress_says_what_is_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("FORCE_COLOR", "1")
    report = RichReporter()
    report.expect({"commit": 600.0, "backward": 60.0})
    report.stage("commit", "layer 1/8", 1, 8)
    report._bar().refresh()
    report.close()
    said = capsys.readouterr().err
    assert "commit  layer 1/8" in said
    assert "9:5" in said.partition("left")[0] or "10:5" in said  # of both stages, or of the first


def test_a_trace_has_stages_and_what_is_within(tmp_path: Path) -> None:
    clock = Clock()
    report = TraceReporter(QuietReporter(clock), tmp_path / "t.json", clock)
    report.stage("forward")
    for step in range(4):
        report.stage("commit", f"layer {step // 2 + 1}/2", step, 4)
    report.note("a note")
    report.close()
    events = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    slices = {e["name"]: (e["ts"], e["ts"] + e["dur"]) for e in events if e["ph"] == "X"}
    assert list(slices) == ["forward", "layer 1/2", "layer 2/2", "commit"]
    assert slices["forward"][1] <= slices["commit"][0] <= slices["layer 1/2"][0]
    assert slices["layer 1/2"][1] <= slices["layer 2/2"][0] < slices["layer 2/2"][1] <= slices["commit"][1]
    assert [e["name"] for e in events if e["ph"] == "i"] == ["a note"]
    assert [s.name for s in report.stages] == ["forward", "commit"]


def test_a_trace_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be written"):
        TraceReporter(QuietReporter(), tmp_path)


def test_rich_progress_goes_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    report = RichReporter(Clock())
    report.stage("forward", "[bold]\x1b")
    report.note("[red]a note")
    report.close()
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "forward" in captured.err
    assert "[red]a note" in captured.err
    assert "MiB" in captured.err


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("plain ü 猫 [b]\n\t", "plain ü 猫 [b]\n\t"),
        ("\x1b[31m\x07\x9b", "\\x1b[31m\\x07\\x9b"),
        ("a\rb\u2028\u202e\ud800", "a\\rb\\u2028\\u202e\\ud800"),
    ],
)
def test_printable(text: str, safe: str) -> None:
    assert printable(text) == safe


def test_cells() -> None:
    cells = [1234567, 0.25, True, None, "x", [1000, ("a", 1)], {"k": [2000]}]
    assert [str(plain(c)) for c in cells] == ["1,234,567", "0.25", "yes", "-", "x", "1,000, (a, 1)", "k: (2,000)"]


def test_the_stage_table_has_a_sum_and_bytes_only_where_known() -> None:
    text = shown(stage_table([StageTime("a", 0.5, 2048), StageTime("b", 1.0)]))
    assert "1.50" in text
    assert "2,048" in text
    assert "bytes" not in shown(stage_table([StageTime("a", 0.5)]))


def test_section_tables_take_any_shape() -> None:
    content = {"x": 1, "m": {"a": [1]}, "l": [1, 2], "r": [{"p": 1}, {"q": 2}], "e": [], "n": [[1, 2], [3]]}
    tables = section_tables(content)
    assert len(tables) == 6
    assert "q" in shown(*tables)
