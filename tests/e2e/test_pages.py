"""Reports: one page each, which says what the proof says, runs nothing and fetches nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.e2e.checkpoints import Place
from tests.e2e.files import flipped
from zkcore import ablation, public
from zkcore.ablation import Arm, Step, Study
from zkcore.cli import main
from zkcore.report import answer, graph
from zkcore.report.progress import StageTime
from zkcore.reporting import graph_of
from zkcore.testing.small_models import SmallLlama

SVG = "{http://www.w3.org/2000/svg}"
Run = Callable[..., int]


@pytest.fixture
def run() -> Run:
    def runs(*argv: str | Path) -> int:
        with pytest.raises(SystemExit) as done:
            main(["--quiet", *(str(a) for a in argv)])
        return int(done.value.code or 0)

    return runs


class _Tags(HTMLParser):
    """Every tag that is opened is closed; what may load something is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe", "object"):
            self.loads.append(tag)
        self.loads += [f"{tag} {name}" for name, _ in attrs if name.startswith("on") or name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(page: str) -> str:
    tags = _Tags()
    tags.feed(page)
    tags.close()
    assert tags.open == []
    assert tags.loads == []
    assert re.findall(r"https?://[^\"<]*", page.replace("http://www.w3.org/2000/svg", "")) == []
    return page


def test_an_accepted_proof(tiny: Place, run: Run, tmp_path: Path) -> None:
    assert run("report", tiny.proof, "--commitment", tiny.commitment, "--html", tmp_path / "p.html") == 0
    page = checked((tmp_path / "p.html").read_text())
    for said in (
        "accepted",
        tiny.prompt,
        tiny.nonce.hex(),
        "perplexity integer",
        "backward",
        "Quantisation",
        "mlp_in",
        "Ledger",
    ):
        assert said in page
    assert public.load(tiny.public).statement.commitment_sha256 in page


def test_a_rejected_proof_has_a_page_and_an_exit_code(tiny: Place, run: Run, tmp_path: Path) -> None:
    data = tiny.proof.read_bytes()
    (tmp_path / "x.zkp").write_bytes(flipped(data, len(data) - 9))
    assert run("report", tmp_path / "x.zkp", "--commitment", tiny.public, "--html", tmp_path / "p.html") == 1
    page = checked((tmp_path / "p.html").read_text())
    assert "rejected: " in page
    assert "accepted" not in page.split("<h2>")[0]


def test_a_proof_that_hides_nothing_says_so(clear: Place, run: Run, tmp_path: Path) -> None:
    assert run("report", clear.proof, "--commitment", clear.public, "--html", tmp_path / "p.html") == 0
    assert answer.HIDES_NOTHING in checked((tmp_path / "p.html").read_text())


@pytest.mark.parametrize(
    ("file", "code"), [("x.zkp", 2), ("x.json", 2), ("missing", 2)], ids=["no proof", "no results", "nothing"]
)
def test_what_is_no_proof_has_no_page(tiny: Place, run: Run, tmp_path: Path, file: str, code: int) -> None:
    (tmp_path / "x.zkp").write_bytes(b"ZKCPROOF")
    (tmp_path / "x.json").write_text('{"arms": [{}]}')
    assert run("report", tmp_path / file, "--commitment", tiny.public, "--html", tmp_path / "p.html") == code
    assert not (tmp_path / "p.html").exists()


def test_hostile_text_is_shown_not_run() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=y>\u202e"
    page = answer.Page("p", evil, False, evil, evil, {evil: evil}, [StageTime(evil, 1.0, 5)], 3, True, {evil: evil})
    shown = checked(answer.render(replace(page, sections={evil: [{evil: evil}], "b": {evil: [evil]}})))
    assert "\u202e" not in shown


def test_results_of_an_ablation(run: Run, tmp_path: Path) -> None:
    step = Step(
        [StageTime("commit", 1.5, 100, {"field_mults": 7})], 1 << 20, {"text": "<b>", "perplexity_integer": 2.5}
    )
    arms = [Arm("one", "a: 1", {"prove": step}, {"proof: commit": 100}), Arm("two", "", {}, {}, "no memory")]
    content = ablation.content(Study(Path("m"), "a prompt", 3, tmp_path), arms, {"cpu": "some"})
    (tmp_path / "r.json").write_text(json.dumps(content))
    assert ablation.from_content(json.loads(json.dumps(content)))[1] == arms
    assert run("report", tmp_path / "r.json", "--html", tmp_path / "p.html") == 0
    page = (tmp_path / "p.html").read_text()
    assert "a prompt" in page and "no memory" in page and "&lt;b&gt;" in page


# --- the graph -------------------------------------------------------------------------------------------------------
def test_every_op_is_drawn_once_and_what_it_reads(tiny: Place) -> None:
    setup = public.load(tiny.public).setup
    drawing = ElementTree.fromstring(graph_of(public.load(tiny.public)))
    model = setup.shortest()
    nodes = [n.name for stage in (model.prologue, model.block, model.epilogue) for n in stage.nodes]
    names = [t.text for t in drawing.iter(f"{SVG}text") if t.get("class") == "name"]
    assert sorted(names) == sorted([*nodes, "prologue", f"block, {model.layers} times", "epilogue"])
    hints = "\n".join(t.text or "" for t in drawing.iter(f"{SVG}title")).splitlines()
    system = setup.expand(replace(model, layers=1))
    assert sorted(hints) == sorted(r.name for r in system.relations)


def test_boxes_do_not_overlap() -> None:
    small = SmallLlama(kv_heads=2)
    model = small.graph(small.answer((1, 2, 3)))
    drawing = ElementTree.fromstring(graph.draw(model, 8))
    boxes = [r for r in drawing.iter(f"{SVG}rect") if r.get("class") != "stage"]
    places = [tuple(float(r.get(k) or 0) for k in ("x", "y", "width", "height")) for r in boxes]
    for i, (x, y, w, h) in enumerate(places):
        for u, v, width, height in places[:i]:
            assert x + w <= u or u + width <= x or y + h <= v or v + height <= y


@pytest.mark.parametrize("name", ["g.svg", "g.html"])
def test_inspect_draws(tiny: Place, run: Run, tmp_path: Path, name: str) -> None:
    assert run("inspect", tiny.commitment / "public.zkc", "--graph", tmp_path / name) == 0
    assert "argmax" in (tmp_path / name).read_text()


def test_another_ending_is_refused(tiny: Place, run: Run, tmp_path: Path) -> None:
    assert run("inspect", tiny.public, "--graph", tmp_path / "g.png") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not shutil.which("chromium"), reason="Chromium is not installed: apt-get install chromium")
def test_a_browser_shows_it(tiny: Place, run: Run, tmp_path: Path) -> None:
    run("report", tiny.proof, "--commitment", tiny.public, "--html", tmp_path / "p.html")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1200,1600"]
    shot = [f"--screenshot={tmp_path / 'p.png'}", (tmp_path / "p.html").as_uri()]
    subprocess.run(["chromium", *options, *shot], check=True, capture_output=True, timeout=60)
    assert (tmp_path / "p.png").stat().st_size > 20_000
