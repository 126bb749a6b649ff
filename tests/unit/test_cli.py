"""The command line with a made-up API behind it: what it asks, what it prints where, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import zkcore
from zkcore.cli import main
from zkcore.cli.demo import tampered
from zkcore.errors import ConfigError, ModelError, ProofRejected, WitnessError
from zkcore.report.progress import Reporter, StageTime

ROOT = Path(__file__).parents[2]
STAGES = [StageTime("forward", 1.25), StageTime("commit", 61.5, 4096)]


@dataclass
class Committed:
    parameters: int = 12_345
    commitment_bytes: int = 6_789
    perplexity_float: float = 3.25
    perplexity_integer: float = 3.26
    top1_agreement: float = 0.99
    stages: list[StageTime] = field(default_factory=lambda: list(STAGES))


@dataclass
class Expected:
    stages: list[StageTime] = field(default_factory=lambda: [StageTime("commit", 60.25, 4096, {"field_mults": 77_000})])
    memory: int = 1 << 30


@dataclass
class Proved:
    prompt: str = "Once upon"
    text: str = " a time"
    tokens: int = 5
    proof_bytes: int = 4_321
    stages: list[StageTime] = field(default_factory=lambda: list(STAGES))
    sections: list[tuple[str, int]] = field(default_factory=lambda: [("openings", 1_234)])
    zero_knowledge: bool = False
    peak_memory: int = 1 << 30
    estimate: Expected | None = None


@dataclass
class Accepted:
    prompt: str = "Once upon"
    text: str = " a time"
    tokens: int = 5
    model: str = "tiny"
    plugins: tuple[str, ...] = ("zkcore 1",)
    stages: list[StageTime] = field(default_factory=lambda: list(STAGES))
    zero_knowledge: bool = True


class FakeApi(ModuleType):
    """Records the calls; `raises` is thrown, `accepted` returned by verify."""

    def __init__(self) -> None:
        super().__init__("zkcore.api")
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []
        self.raises: Exception | None = None
        self.accepted, self.proved = Accepted(), Proved()
        self.content: dict[str, Any] = {}

    def _called(self, name: str, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        report: Reporter | None = options.pop("report", None)
        self.calls.append((name, args, options))
        if report:
            report.stage("forward")
            report.note("half way")
        if self.raises:
            raise self.raises

    def commit(self, *args: Any, **options: Any) -> Committed:
        self._called("commit", args, options)
        return Committed()

    def prove(self, *args: Any, **options: Any) -> Proved:
        self._called("prove", args, options)
        args[3].write_bytes(bytes(100))
        return self.proved

    def verify(self, *args: Any, **options: Any) -> Accepted:
        self._called("verify", args, options)
        return self.accepted

    def inspect(self, *args: Any) -> dict[str, Any]:
        self._called("inspect", args, {})
        return self.content


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    monkeypatch.setitem(sys.modules, "zkcore.api", fake)
    monkeypatch.setattr(zkcore, "api", fake, raising=False)
    return fake


@pytest.fixture
def run(api: FakeApi, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """(exit code, stdout, stderr) of a command."""

    def runs(*argv: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            main(argv)
        captured = capfd.readouterr()
        return int(done.value.code or 0), captured.out, captured.err

    return runs


Run = Callable[..., tuple[int, str, str]]
VERIFY = ("verify", "answer.zkp", "--commitment", "public.zkc")


def test_commit_passes_its_arguments_on(run: Run, api: FakeApi) -> None:
    code, out, _ = run("commit", "model", "--config", "c.yaml", "--out", "made", "--calibrate", "some.txt")
    assert code == 0
    assert api.calls == [
        (
            "commit",
            (Path("model"), Path("c.yaml"), Path("made")),
            {"calibrate": Path("some.txt"), "heldout": None, "overwrite": False},
        )
    ]
    assert "12,345 parameters" in out
    assert "62.75" in out  # the sum of the stages
    assert "perplexity integer" in out


def test_prove_passes_its_arguments_on(run: Run, api: FakeApi, tmp_path: Path) -> None:
    file = str(tmp_path / "a.zkp")
    code, out, err = run("prove", "made", "--prompt", "Hi", "--max-new-tokens", "4", "--out", file, "--nonce", "ü")
    assert code == 0
    assert api.calls == [
        (
            "prove",
            (Path("made"), "Hi", 4, Path(file)),
            {"nonce": "ü".encode(), "estimate": True, "accumulate": None, "checkpoint": None},
        )
    ]
    assert "Once upon a time" in out
    assert "4,321 bytes" in out
    assert "4,096" in out  # of a stage
    assert "NOT ZERO KNOWLEDGE" in out
    assert "forward" in err
    assert "half way" in err
    assert "half way" not in out


def test_prove_shows_estimate_and_actual_side_by_side(
    run: Run, api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    api.proved = Proved(estimate=Expected())
    file = str(tmp_path / "a.zkp")
    code, out, _ = run("prove", "made", "--prompt", "Hi", "--max-new-tokens", "4", "--out", file)
    assert code == 0
    row = next(line.split() for line in out.split("Estimated, and actual")[1].splitlines() if "commit" in line)
    assert row == ["commit", "60.25", "61.50", "4,096", "4,096", "77,000", "0", "0", "0"]
    run("prove", "made", "--prompt", "Hi", "--max-new-tokens", "4", "--out", file, "--no-estimate")
    assert api.calls[-1][2] == {"nonce": b"", "estimate": False, "accumulate": None, "checkpoint": None}


def test_verify_passes_its_arguments_on(run: Run, api: FakeApi) -> None:
    code, out, _ = run(*VERIFY, "--prompt", "Once upon", "--expect-text", " a time", "--nonce", "n")
    assert code == 0
    wanted = {"prompt": "Once upon", "expect_text": " a time", "nonce": b"n", "settlement": None}
    assert api.calls == [("verify", (Path("answer.zkp"), Path("public.zkc")), wanted)]
    assert out.splitlines()[-1] == "accepted"
    assert "HIDES NOTHING" not in out.upper()


def test_a_prompt_that_is_not_asked_for_is_not_checked(run: Run, api: FakeApi) -> None:
    run(*VERIFY)
    assert api.calls[0][2] == {"prompt": None, "expect_text": None, "nonce": b"", "settlement": None}


@pytest.mark.parametrize("options", [[], ["--quiet"]])
def test_clear_mode_is_announced(run: Run, api: FakeApi, options: list[str]) -> None:
    api.accepted = replace(api.accepted, zero_knowledge=False)
    code, out, _ = run(*options, *VERIFY)
    assert code == 0
    assert "NOT ZERO KNOWLEDGE" in out


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (ProofRejected("constraints", "blind"), 1, ["rejected: constraints (blind)"]),
        (ModelError("no config.json"), 2, ["no config.json"]),
        (
            ConfigError(["model.bits: too few", "plugin: unknown key"]),
            2,
            ["model.bits: too few", "plugin: unknown key"],
        ),
        (WitnessError("layers.0.rest", "off by 1"), 2, ["refused to write a proof: layers.0.rest: off by 1"]),
        (FileNotFoundError(2, "No such file or directory", "x.zkc"), 2, ["x.zkc: No such file or directory"]),
        (KeyError("x"), 3, ["internal error: KeyError: 'x'", "Set ZKCORE_TRACEBACK=1 to see where."]),
    ],
)
def test_errors(run: Run, api: FakeApi, error: Exception, code: int, lines: list[str]) -> None:
    api.raises = error
    got, out, err = run("--quiet", *VERIFY)
    assert (got, out, err.splitlines()) == (code, "", lines)
    got, out, err = run("--json", *VERIFY)
    assert got == code
    said = json.loads(err)
    assert (said["event"], said["exit"], said["lines"]) == ("error", code, lines)
    assert "accepted" not in out


def test_an_error_with_a_traceback_on_request(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.raises = ProofRejected("constraints")
    monkeypatch.setenv("ZKCORE_TRACEBACK", "1")
    with pytest.raises(ProofRejected):
        main(VERIFY)


def test_json_is_one_line_per_event(run: Run) -> None:
    code, out, err = run("--json", *VERIFY)
    events = [json.loads(line) for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert [e["event"] for e in events] == ["begin", "note", "end", "accepted"]
    assert events[-1]["text"] == " a time"
    assert events[-1]["stages"][1] == {"name": "commit", "seconds": 61.5, "bytes": 4096, "work": {}}


def test_quiet_prints_the_answer_only(run: Run) -> None:
    assert run("--quiet", *VERIFY) == (0, "accepted\n", "")


def test_nothing_in_a_file_acts_on_the_terminal(run: Run, api: FakeApi) -> None:
    api.accepted = replace(api.accepted, text="\x1b[2J[red]\u202eaccepted\r", model="[link=x]y")
    _, out, _ = run(*VERIFY)
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\r" not in out
    assert "\\x1b[2J[red]\\u202eaccepted\\r" in out
    assert "[link=x]y" in out
    api.raises = ProofRejected("\x1b]0;title\x07")
    assert "\x1b" not in run(*VERIFY)[2]


def test_inspect_prints_sections_as_tables(run: Run, api: FakeApi) -> None:
    api.content = {
        "kind": "proof",
        "hidden": ["weights", "activations"],
        "sections": [{"name": "openings", "bytes": 1234}, {"name": "blind", "note": "last"}],
        "model": {"layers": 4, "zero_knowledge": True, "eos": [1, 2]},
        "pairs": [["a", 1], ["b", 2, 3]],
        "nothing": [],
    }
    code, out, _ = run("inspect", "file")
    assert code == 0
    for text in ("proof", "weights", "openings", "1,234", "last", "layers", "yes", "1, 2"):
        assert text in out
    assert json.loads(run("--json", "inspect", "file")[1])["model"]["layers"] == 4


def test_plugins_lists_the_builtins(run: Run) -> None:
    code, out, _ = run("plugins")
    assert code == 0
    assert "logup_gkr" in out
    assert {"kind": "commitment scheme", "name": "hyrax"} in json.loads(run("--json", "plugins")[1])["builtin"]


@pytest.mark.parametrize("argv", [["verify"], ["nonsense"], ["prove", "x"], ["--wrong"]])
def test_wrong_usage_is_exit_code_2(run: Run, argv: list[str]) -> None:
    code, out, err = run(*argv)
    assert (code, out) == (2, "")
    assert "Usage" in err


def test_zero_new_tokens_are_refused(run: Run) -> None:
    assert run("prove", "made", "--prompt", "Hi", "--max-new-tokens", "0", "--out", "x")[0] == 2


def test_help_works_without_an_api() -> None:
    done = subprocess.run([sys.executable, "-m", "zkcore", "--help"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0
    assert "verify" in done.stdout


def test_the_version(run: Run) -> None:
    code, out, _ = run("--version")
    assert (code, out.strip()) == (0, f"zkcore {zkcore.__version__}")


def test_starting_up_is_light() -> None:
    """What is imported before a command runs: neither torch nor transformers, nor numpy."""
    program = "import sys, zkcore.cli; sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'numpy')))"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


class FakeVerifier:
    """Stands in for the verifier's process: an exit code for each call, in order."""

    def __init__(self, *codes: int) -> None:
        self.codes, self.commands = list(codes), list[list[str]]()

    def __call__(self, command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        code = self.codes.pop(0)
        accepted = json.dumps({"event": "accepted", "stages": [], "zero_knowledge": True})
        rejected = json.dumps({"event": "error", "lines": ["rejected: constraints"]})
        return subprocess.CompletedProcess(command, code, "" if code else accepted, rejected if code else "")


@pytest.fixture
def model(tmp_path: Path) -> list[str]:
    """The demo's options."""
    (tmp_path / "model").mkdir()
    (tmp_path / "c.yaml").write_text("")
    return ["--dir", str(tmp_path / "model"), "--config", str(tmp_path / "c.yaml"), "--out", str(tmp_path / "out")]


@pytest.mark.parametrize(
    ("codes", "expected"), [((0, 1), 0), ((1,), 2), ((0, 0), 2), ((0, 2), 2), ((0, 3), 2), ((3,), 2)]
)
def test_the_demo_succeeds_only_if_both_verdicts_are_right(
    run: Run, monkeypatch: pytest.MonkeyPatch, model: list[str], codes: tuple[int, ...], expected: int
) -> None:
    monkeypatch.setattr(subprocess, "run", FakeVerifier(*codes))
    assert run("demo", *model)[0] == expected


def test_the_demo_shows_everything(run: Run, api: FakeApi, monkeypatch: pytest.MonkeyPatch, model: list[str]) -> None:
    verifier = FakeVerifier(0, 1)
    monkeypatch.setattr(subprocess, "run", verifier)
    code, out, _ = run("demo", *model, "--prompt", "-x", "--max-new-tokens", "3")
    assert code == 0
    assert [c[0] for c in api.calls] == ["commit", "prove"]
    assert api.calls[1][1][1:3] == ("-x", 3)
    assert "--prompt=-x" in verifier.commands[0]
    for text in (
        "prompt: Once upon",
        "answer:  a time",
        "the proof: accepted",
        "one bit flipped: rejected: constraints",
    ):
        assert text in out


def test_the_demo_says_what_is_missing(run: Run) -> None:
    code, _, err = run("demo", "--dir", "/nowhere")
    assert code == 2
    assert "/nowhere: not found" in err


def test_tampering_flips_one_bit_in_the_middle(tmp_path: Path) -> None:
    proof = tmp_path / "a.zkp"
    proof.write_bytes(bytes(9))
    copy = tampered(proof)
    assert proof.read_bytes() == bytes(9)
    assert copy.read_bytes() == bytes(4) + b"\x01" + bytes(4)


def test_a_terminal_without_unicode_is_no_reason_to_fail() -> None:
    program = "from zkcore.cli import app, main; app.command('say')(lambda: print('\\xfc \\u732b')); main(['say'])"
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "\\xfc \\u732b\n")
