"""The commands as users run them: in processes of their own, the verifier's without the prover's packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.checkpoints import Place, write_checkpoint
from tests.e2e.files import File, flipped

ROOT = Path(__file__).parents[2]
# Runs before anything else in our processes. The memory that the system reports of a child includes its parent's.
SITE = """
import atexit, os, re, sys
from pathlib import Path

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "safetensors", "huggingface_hub"}:
            raise ImportError(f"{name} is not for verifiers")

def measure():
    status = Path("/proc/self/status").read_text()
    Path(os.environ["PEAK"]).write_text(re.search(r"VmHWM:\\s+(\\d+)", status)[1])

if "BLOCK" in os.environ:
    sys.meta_path.insert(0, Block())
atexit.register(measure)
"""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str
    seconds: float  # of all cores
    megabytes: float

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        last: dict[str, Any] = json.loads(self.err.splitlines()[-1])
        return last


class Cli:
    """Runs commands in an empty directory of their own; what they leave there is checked in the end."""

    def __init__(self, place: Path) -> None:
        self.cwd, self.home, self.site = place / "cwd", place / "home", place / "site"
        for folder in (self.cwd, self.home, self.site):
            folder.mkdir()
        (self.site / "sitecustomize.py").write_text(SITE)

    def __call__(self, *argv: object, blocked: bool = False, flags: tuple[str, ...] = (), **environment: str) -> Ran:
        known = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "XDG_CACHE_HOME", "OMP_NUM_THREADS")}
        env = {**known, "HOME": str(self.home), "PYTHONPATH": f"{self.site}{os.pathsep}{ROOT}", **environment}
        env |= {"PYTHONDONTWRITEBYTECODE": "1", "PEAK": str(self.home / "peak")} | ({"BLOCK": "1"} if blocked else {})
        command = [sys.executable, *flags, "-m", "zkcore", *(a if isinstance(a, bytes) else str(a) for a in argv)]
        out, err = self.home / "out", self.home / "err"
        with out.open("wb") as o, err.open("wb") as e:
            process = subprocess.Popen(command, stdout=o, stderr=e, stdin=subprocess.DEVNULL, env=env, cwd=self.cwd)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        seconds, megabytes = usage.ru_utime + usage.ru_stime, int((self.home / "peak").read_text()) / 1024
        ran = Ran(process.returncode, out.read_text(), err.read_text(), seconds, megabytes)
        assert "Traceback" not in ran.out + ran.err
        assert "internal error" not in ran.err
        assert ran.code in (0, 1, 2)
        return ran

    def listing(self) -> list[str]:
        return sorted(str(p.relative_to(self.cwd)) for p in self.cwd.rglob("*"))


@pytest.fixture
def cli(tmp_path: Path, generator_cache: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def client(cli: Cli, tiny: Place) -> Cli:
    """Has the two files that a client has, and nothing else."""
    shutil.copy(tiny.public, cli.cwd / "public.zkc")
    shutil.copy(tiny.proof, cli.cwd / "answer.zkp")
    return cli


VERIFY = ("verify", "answer.zkp", "--commitment", "public.zkc")


# --- the whole way -------------------------------------------------------------------------------------------------
def test_commit_prove_verify(cli: Cli) -> None:
    write_checkpoint(cli.cwd / "model", num_hidden_layers=1)
    before = cli.listing()
    made = cli("--json", "commit", "model", "--config", "model/config.yaml", "--out", "com")
    assert (made.code, made.err) == (0, "")
    assert [e["event"] for e in made.events if e["event"] not in ("begin", "progress", "note", "end")] == ["commit"]
    said = made.events[-1]
    assert said["parameters"] > 20_000
    assert 0 < said["top1_agreement"] <= 1
    assert said["perplexity_integer"] == pytest.approx(said["perplexity_float"], rel=0.01)
    new = ["com", "com/accuracy.json", "com/private", "com/private/weights.safetensors", "com/public.zkc"]
    assert cli.listing() == sorted([*before, *new])
    assert said["commitment_bytes"] == (cli.cwd / "com/public.zkc").stat().st_size

    options = ("--prompt", "The weather", "--max-new-tokens", 4, "--out", "a.zkp", "--nonce", "n°1")
    proved = cli("--json", "prove", "com", *options)
    assert (proved.code, proved.err) == (0, "")
    assert cli.listing() == sorted([*before, *new, "a.zkp"])
    answer = proved.events[-1]
    assert (answer["event"], answer["prompt"], answer["tokens"]) == ("prove", "The weather", 4)
    assert answer["proof_bytes"] == (cli.cwd / "a.zkp").stat().st_size

    client = cli.cwd / "client"
    client.mkdir()
    for name in ("com/public.zkc", "a.zkp"):
        shutil.move(cli.cwd / name, client)
    for name in ("com", "model"):
        shutil.rmtree(cli.cwd / name)
    options = ("--prompt", "The weather", f"--expect-text={answer['text']}", "--nonce", "n°1")
    accepted = cli("--json", "verify", "client/a.zkp", "--commitment", "client/public.zkc", *options, blocked=True)
    assert (accepted.code, accepted.err) == (0, "")
    last = accepted.events[-1]
    assert (last["event"], last["text"], last["zero_knowledge"]) == ("accepted", answer["text"], True)
    assert cli.listing() == ["client", "client/a.zkp", "client/public.zkc"]


@pytest.mark.slow
def test_the_demo(cli: Cli, tiny: Place) -> None:
    ran = cli("--json", "demo", "--dir", tiny.model, "--config", tiny.config, "--max-new-tokens", 3, "--out", "demo")
    assert ran.code == 0
    assert [e["exit"] for e in ran.events if e["event"] == "verdict"] == [0, 1]
    assert not [f for f in cli.listing() if f.startswith("demo/.")]


# --- verify --------------------------------------------------------------------------------------------------------
def test_verify_accepts_what_the_client_expects(client: Cli, tiny: Place) -> None:
    options = ("--nonce", tiny.nonce.decode(), f"--prompt={tiny.prompt}", f"--expect-text={tiny.text}")
    ran = client(*VERIFY, *options, blocked=True)
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "accepted"
    assert "blind" in ran.err
    assert client("--quiet", *VERIFY, "--nonce", tiny.nonce.decode(), blocked=True).out == "accepted\n"
    directory = ("verify", "answer.zkp", "--commitment", ".", "--nonce", tiny.nonce.decode())
    assert client("--quiet", *directory, blocked=True).out == "accepted\n"
    assert client.listing() == ["answer.zkp", "public.zkc"]
    assert ran.megabytes < 500
    print(f"verify: {ran.seconds:.2f} s, {ran.megabytes:.0f} MiB")


def test_the_block_is_alive(client: Cli) -> None:
    ran = client("prove", ".", "--prompt", "x", "--max-new-tokens", 1, "--out", "x.zkp", blocked=True)
    assert (ran.code, ran.out) == (2, "")
    assert "this needs torch" in ran.err


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--prompt", "Another prompt"], "wrong prompt"),
        (["--prompt", "The old mill "], "wrong prompt"),
        (["--expect-text", "another text"], "wrong text"),
        (["--nonce", "another nonce"], "wrong nonce"),
        (["--nonce", ""], "wrong nonce"),
    ],
)
def test_verify_rejects_what_the_client_does_not_expect(
    client: Cli, tiny: Place, options: list[str], reason: str
) -> None:
    given = [] if "--nonce" in options else ["--nonce", tiny.nonce.decode()]
    ran = client("--json", *VERIFY, *given, *options, blocked=True)
    assert ran.code == 1
    assert (ran.error["event"], ran.error["exit"], ran.error["kind"]) == ("error", 1, "ProofRejected")
    assert reason in ran.error["lines"][0]
    assert "accepted" not in ran.out


@pytest.mark.parametrize("part", [0.3, 0.9, 1.0])
def test_verify_rejects_a_changed_proof(client: Cli, tiny: Place, part: float) -> None:
    path = client.cwd / "answer.zkp"
    data = path.read_bytes()
    path.write_bytes(flipped(data, int((len(data) - 1) * part)))
    ran = client(*VERIFY, "--nonce", tiny.nonce.decode(), blocked=True)
    assert ran.code == 1
    assert "rejected: " in ran.err
    assert "accepted" not in ran.out


@pytest.mark.parametrize(
    "environment", [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "77", "OMP_NUM_THREADS": "1"}, {"LANG": "C"}]
)
def test_the_verdict_hangs_on_the_files_alone(client: Cli, tiny: Place, environment: dict[str, str]) -> None:
    """Also where Python strips assertions."""
    nonce = ("--nonce", tiny.nonce.decode())
    (client.cwd / "bad.zkp").write_bytes(flipped((client.cwd / "answer.zkp").read_bytes(), -1))
    assert client(*VERIFY, *nonce, flags=("-OO",), blocked=True, **environment).code == 0
    bad = ("verify", "bad.zkp", "--commitment", "public.zkc")
    assert client(*bad, *nonce, flags=("-OO",), blocked=True, **environment).code == 1


def test_verify_in_a_read_only_home(client: Cli, tiny: Place) -> None:
    """Generators that cannot be cached are computed."""
    (client.home / "cache").write_text("in the way")
    ran = client(*VERIFY, "--nonce", tiny.nonce.decode(), XDG_CACHE_HOME=str(client.home / "cache"), blocked=True)
    assert ran.code == 0


def test_generators_in_the_cache_are_not_believed(client: Cli, tiny: Place) -> None:
    cache = client.home / "cache"
    for _ in range(2):
        ran = client(*VERIFY, "--nonce", tiny.nonce.decode(), XDG_CACHE_HOME=str(cache), blocked=True)
        assert ran.code == 0
        files = list(cache.rglob("*.g1"))
        assert files
        for path in files:
            path.write_bytes(path.read_bytes()[::-1])


def test_starting_up_is_quick(client: Cli) -> None:
    ran = min((client("verify", "--help", blocked=True) for _ in range(3)), key=lambda r: r.seconds)
    print(f"verify --help: {ran.seconds:.2f} s")
    assert ran.code == 0
    assert "--commitment" in ran.out
    assert ran.seconds < 2


def test_a_bomb_is_refused_quickly(client: Cli) -> None:
    """In a process of its own, memory can be measured."""
    file = File.of((client.cwd / "public.zkc").read_bytes())
    for path, value in ((("architecture", "vocab_size"), 1 << 24), (("architecture", "head_dim"), 1 << 10)):
        (client.cwd / "bomb.zkc").write_bytes(file.edited(path, value))
        for command in (("verify", "answer.zkp", "--commitment", "bomb.zkc"), ("inspect", "bomb.zkc")):
            ran = client(*command, blocked=True)
            assert ran.code == 2
            assert ran.megabytes < 500
            assert ran.seconds < 4
            print(f"{path[-1]} {command[0]}: {ran.seconds:.2f} s, {ran.megabytes:.0f} MiB")


# --- inspect and plugins -------------------------------------------------------------------------------------------
def test_inspect(client: Cli, tiny: Place) -> None:
    shutil.copy(tiny.config, client.cwd / "c.yaml")
    for name, kind in (("public.zkc", "commitment"), ("answer.zkp", "proof"), ("c.yaml", "configuration")):
        ran = client("--json", "inspect", name, blocked=True)
        assert (ran.code, ran.err) == (0, "")
        [event] = ran.events
        assert (event["event"], event["kind"]) == ("inspect", kind)
        assert client("inspect", name, blocked=True).code == 0
    assert "weights" in client("inspect", "public.zkc", blocked=True).out
    assert client.listing() == ["answer.zkp", "c.yaml", "public.zkc"]


def test_plugins(cli: Cli) -> None:
    [event] = cli("--json", "plugins", blocked=True).events
    assert {"kind": "strategy", "name": "per_layer"} in event["builtin"]
    assert "logup_gkr" in cli("plugins", blocked=True).out


# --- what cannot be done -------------------------------------------------------------------------------------------
PROVE = ("--prompt", "x", "--max-new-tokens", 1, "--out")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("verify", "gone.zkp", "--commitment", "public.zkc"), "gone.zkp"),
        (("verify", "answer.zkp", "--commitment", "gone.zkc"), "gone.zkc"),
        (("verify", "answer.zkp", "--commitment", "answer.zkp"), "commitment file"),
        (("verify", ".", "--commitment", "public.zkc"), "no regular file"),
        (("verify", "answer.zkp"), "--commitment"),
        (("inspect", "gone"), "gone"),
        (("inspect", "/"), "/public.zkc"),
        (("inspect", "notes.txt"), "notes.txt"),
        (("prove", ".", *PROVE, "a.zkp"), "weights.safetensors"),
        (("prove", ".", "--prompt", "x", "--max-new-tokens", 0, "--out", "a.zkp"), "--max-new-tokens"),
        (("prove", "gone", *PROVE, "a.zkp"), "public.zkc"),
        (("prove", ".", *PROVE, "."), "is a directory"),
        (("prove", ".", *PROVE, "notes.txt/a.zkp"), "cannot be written"),
        (("commit", "gone", "--config", "gone.yaml", "--out", "x"), "gone.yaml"),
        (("commit", "gone", "--config", "empty.yaml", "--out", "x"), "gone"),
        (("commit", ".", "--config", "wrong.yaml", "--out", "x"), "model.weight_bits"),
        (("demo", "--dir", "gone"), "gone"),
        ((*VERIFY, "--nonce", "from the client", "--prompt", b"\xff"), "Unicode"),
        ((*VERIFY, "--nonce", b"\xff"), "Unicode"),
        (("nonsense",), "nonsense"),
    ],
    ids=lambda v: " ".join(map(str, v))[:40] if isinstance(v, tuple) else "",
)
def test_what_cannot_be_carried_out(client: Cli, argv: tuple[object, ...], said: str) -> None:
    (client.cwd / "notes.txt").write_text("just notes")
    (client.cwd / "empty.yaml").write_text("")
    (client.cwd / "wrong.yaml").write_text("modle: {}\nmodel: {weight_bits: 99}\n")
    before = client.listing()
    ran = client(*argv, PYTHONUTF8="1")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert client.listing() == before


def test_all_problems_of_a_configuration_are_printed(client: Cli) -> None:
    (client.cwd / "wrong.yaml").write_text("modle: {}\nmodel: {weight_bits: 99}\ncommitment: {log_width: x}\n")
    ran = client("--json", "commit", ".", "--config", "wrong.yaml", "--out", "x")
    assert ran.code == 2
    assert ran.error["kind"] == "ConfigError"
    assert len(ran.error["lines"]) == 3


def test_a_prompt_that_is_too_long_leaves_nothing(cli: Cli, tiny: Place) -> None:
    (cli.cwd / "old.zkp").write_text("an older proof")
    ran = cli("prove", tiny.commitment, "--prompt", "x" * 500, "--max-new-tokens", 1, "--out", "old.zkp")
    assert ran.code == 2
    assert "128 positions" in ran.err
    assert cli.listing() == ["old.zkp"]
    assert (cli.cwd / "old.zkp").read_text() == "an older proof"


def test_a_model_that_is_not_supported_leaves_nothing(cli: Cli, tiny: Place) -> None:
    shutil.copytree(tiny.model, cli.cwd / "model")
    content = json.loads((cli.cwd / "model/config.json").read_text())
    (cli.cwd / "model/config.json").write_text(json.dumps(content | {"attention_bias": True, "mlp_bias": True}))
    before = cli.listing()
    ran = cli("commit", "model", "--config", "model/config.yaml", "--out", "com")
    assert ran.code == 2
    assert "attention_bias" in ran.err
    assert "mlp_bias" in ran.err
    assert cli.listing() == before


@pytest.mark.slow
def test_runs_beside_each_other(cli: Cli, tiny: Place) -> None:
    """Two proofs written to one name: the file is one of them, whole."""
    command = [sys.executable, "-m", "zkcore", "prove", str(tiny.commitment), *map(str, PROVE), "a.zkp"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [subprocess.Popen(command, cwd=cli.cwd, env=env, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [p.wait() for p in both] == [0, 0]
    assert cli.listing() == ["a.zkp"]
    assert cli("verify", "a.zkp", "--commitment", tiny.public, blocked=True).code == 0
