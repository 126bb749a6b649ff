"""Whole studies: a process per step, results as JSON, plots and one page; a failing arm does not stop the others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.ablation.conftest import PROMPT
from tests.e2e.checkpoints import CONFIG
from zkcore.ablation import Arm, Step, Study, content, names, summary
from zkcore.report import ablation as results
from zkcore.report import html, machine, plots
from zkcore.report.progress import StageTime

WORK = {"field_mults": 70, "small_mults": 30, "group_adds": 5, "hashed_bytes": 400}
BAD = '<script src="https://example.org/x.js"></script>\u202e'


def _arm(name: str, error: str = "") -> Arm:
    if error:
        return Arm(name, "lookup: nothing", error=error)
    sections = {"sections": [["header", 10], ["commit", 90]], "proof_bytes": 100, "text": BAD}
    commit = {"sections": [["rows", 48]], "commitment_bytes": 50, "perplexity_integer": 2.5}
    steps = {
        "commit": Step([StageTime("commit", 2.0, 0, WORK)], 1 << 20, commit),
        "prove": Step([StageTime("lookups", 3.0, 90, WORK), StageTime("open", 1.0, 10, WORK)], 3 << 20, sections),
        "verify": Step([StageTime("open", 0.5)], 2 << 20, {}),
    }
    files = {"commitment: rows": 48, "commitment: header": 2, "proof: commit": 90, "proof: header": 10}
    return Arm(name, "lookup: logup_gkr", steps, files)


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return Study(Path("models/tiny"), BAD, 4, tmp_path)


def test_the_summary_has_a_row_per_arm() -> None:
    head, rows = summary([_arm("good"), _arm("bad", "commit: no")])
    first, second = (dict(zip(head, row, strict=True)) for row in rows)
    assert (first["commit s"], first["prove s"], first["verify s"]) == (2.0, 4.0, 0.5)
    assert (first["mults"], first["adds"], first["hashed bytes"]) == (200, 10, 800)
    assert (first["proof bytes"], first["commitment"], first["MiB"]) == (100, 50, 3)
    assert (first["perplexity"], first["verdict"]) == (2.5, "accepted")
    assert (second["prove s"], second["verdict"]) == (None, "failed")


def test_equal_names_are_numbered() -> None:
    paths = [Path("a/x.yaml"), Path("b/x.yaml"), Path("y.yaml")]
    assert [name for name, _ in names(paths)] == ["x", "x-2", "y"]


class _Links(HTMLParser):
    """Whatever a browser would load or run."""

    found: list[str]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        urls = [v for k, v in attrs if k in ("src", "href", "xlink:href", "data", "action") and v]
        self.found += [v for v in urls if not v.startswith("#")]
        if tag in ("script", "link", "iframe", "img", "object"):
            self.found.append(tag)


def test_the_page_needs_nothing_and_runs_nothing(study: Study) -> None:
    arms = [_arm("good"), _arm("bad", f"prove: {BAD}")]
    drawn = results.figures(arms) if plots.available() else {}
    page = results.page(study, arms, machine.describe(), drawn)
    links = _Links()
    links.found = []
    links.feed(page)
    assert links.found == []
    assert "<script" not in page
    assert "\u202e" not in page
    assert not re.search(r"url\((?!#)|@import", page)
    for text in ("good", "bad", "failed: prove", "lookup: logup_gkr", "&lt;script"):
        assert text in page


def test_tables_escape_and_align() -> None:
    made = html.table(("a<b",), [[1234.5], ["x & y"], [None], ["failed: x"]])
    for text in ("a&lt;b", '<td class="number">1,234</td>', "x &amp; y", "<td>-</td>", '<td class="failed">failed'):
        assert text in made


def test_plots_become_files(study: Study, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    arms = [_arm("good"), _arm("bad", "no")]
    made = results.write(tmp_path, study, arms, {})
    assert {p.name for p in made} == {f"{n}.{e}" for n in ("seconds", "work", "bytes") for e in ("png", "svg")} | {
        "report.html"
    }
    assert (tmp_path / "seconds.png").read_bytes()[:4] == b"\x89PNG"
    drawn = (tmp_path / "bytes.svg").read_text()
    assert drawn.startswith("<svg")
    assert "failed" in drawn
    assert drawn == plots.svg(results.figures(arms)["bytes"])  # the same figure, the same file


def test_results_are_json(study: Study) -> None:
    said = json.loads(json.dumps(content(study, [_arm("good")], machine.describe())))
    assert said["arms"][0]["steps"]["prove"]["stages"][0]["work"]["group_adds"] == 5
    assert said["machine"]["cores"] >= 1


def test_a_study_from_the_command_line(model: Path, tmp_path: Path) -> None:
    good, broken, out = tmp_path / "good.yaml", tmp_path / "broken.yaml", tmp_path / "out"
    good.write_text(CONFIG)
    broken.write_text(CONFIG + "lookup: nothing\n")
    arguments = [str(broken), str(good), "--model", str(model), "--prompt", PROMPT, "--tokens", "2", "--out", str(out)]
    done = _zkcore("--json", "ablate", *arguments)
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    kept = json.loads((out / "results.json").read_text())
    assert kept == {k: v for k, v in last.items() if k != "event"}
    bad, fine = kept["arms"]
    assert "no lookup argument is called 'nothing'" in bad["error"]
    assert (bad["steps"], fine["error"], set(fine["steps"])) == ({}, "", {"commit", "prove", "verify"})
    assert sum(n for name, n in fine["files"].items() if name.startswith("proof")) == len(
        (out / "good" / "answer.zkp").read_bytes()
    )
    assert sum(n for name, n in fine["files"].items() if name.startswith("commitment")) == len(
        (out / "good" / "commitment" / "public.zkc").read_bytes()
    )
    assert fine["steps"]["commit"]["stages"][2]["work"]["group_adds"] > 0
    assert min(step["peak_memory"] for step in fine["steps"].values()) > 1 << 24
    assert "good" in (out / "report.html").read_text()


def test_a_study_in_which_all_fail(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text("lookup: nothing\n")
    done = _zkcore("--quiet", "ablate", str(broken), str(tmp_path / "missing.yaml"), "--model", str(model))
    assert done.returncode == 2
    told = [line for line in done.stdout.splitlines() if "failed: commit: no lookup argument is called" in line]
    assert told and told[0].startswith("broken: ")  # on a line of its own, not folded into the table


def _zkcore(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "zkcore", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
