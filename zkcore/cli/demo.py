"""The whole life of a proof in one command, with a verifier that is a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from zkcore.cli.output import ACCEPTED, REJECTED, Output
from zkcore.errors import UsageError, ZkcoreError
from zkcore.report.progress import StageTime
from zkcore.report.tables import stage_table


class DemoFailed(ZkcoreError):
    """The verifier did not say what it must say."""


@contextmanager
def workplace(out: Path | None) -> Iterator[Path]:
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with TemporaryDirectory(prefix="zkcore-demo-") as name:
        yield Path(name)


def example() -> tuple[Path, Path]:
    """The small model and its configuration: they ship with the package, and lie beside it in the sources."""
    package = Path(__file__).parents[1]
    if (shipped := package / "example").is_dir():
        return shipped, shipped / "default.yaml"
    return package.parent / "examples" / "tiny-llama", package.parent / "configs" / "default.yaml"


@dataclass
class Demo:
    output: Output
    model: Path
    config: Path
    place: Path

    def run(self, prompt: str, max_new_tokens: int) -> None:
        for path in (self.model, self.config):
            if not path.exists():
                raise UsageError(f"{path}: not found; pass --dir and --config")
        self._commit()
        proof = self._prove(prompt, max_new_tokens)
        self._expect(ACCEPTED, "the proof", proof, prompt)
        self._expect(REJECTED, "the proof with one bit flipped", tampered(proof), prompt)

    def _commit(self) -> None:
        from zkcore import api

        with self.output.reporting() as report:
            done = api.commit(self.model, self.config, self.place / "commitment", overwrite=True, report=report)
        line = (
            f"committed to {done.parameters:,} parameters in {done.commitment_bytes:,} bytes; perplexity of the float "
            f"model {done.perplexity_float:.4f}, of the integer model {done.perplexity_integer:.4f}"
        )
        self.output.result("commit", asdict(done), line, stage_table(done.stages, "Commit"))

    def _prove(self, prompt: str, max_new_tokens: int) -> Path:
        from zkcore import api

        path = self.place / "answer.zkp"
        with self.output.reporting() as report:
            done = api.prove(self.place / "commitment", prompt, max_new_tokens, path, report=report)
        line = f"prompt: {done.prompt}\nanswer: {done.text}\nproved in {done.proof_bytes:,} bytes"
        self.output.result("prove", asdict(done), line, stage_table(done.stages, "Prove"))
        return path

    def _expect(self, code: int, what: str, proof: Path, prompt: str) -> None:
        """Another process verifies; anything but the expected exit code ends the demo as failed."""
        options = ["--commitment", str(self.place / "commitment" / "public.zkc"), f"--prompt={prompt}"]
        command = [sys.executable, "-m", "zkcore", "--json", "verify", str(proof), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        last = (done.stdout if done.returncode == ACCEPTED else done.stderr).strip().splitlines()
        said = json.loads(last[-1]) if last else {}
        verdict = "accepted" if done.returncode == ACCEPTED else "; ".join(said.get("lines", last))
        content = {"what": what, "exit": done.returncode, "said": said}
        stages = [StageTime(**s) for s in said.get("stages", [])]
        tables = [stage_table(stages, "Verify")] if stages else []
        self.output.result("verdict", content, f"{what}: {verdict}", *tables)
        self.output.warn_clear(said)
        if done.returncode != code:
            raise DemoFailed(f"{what}: the verifier's exit code is {done.returncode}, it must be {code}")


def tampered(proof: Path) -> Path:
    """A copy with one bit flipped in the middle."""
    data = bytearray(proof.read_bytes())
    data[len(data) // 2] ^= 1
    copy = proof.with_suffix(".tampered.zkp")
    copy.write_bytes(data)
    return copy
