"""The same model and the same prompt under several configurations, each in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from zkcore.report.progress import StageTime

STEPS = ("commit", "prove", "verify")
Say = Callable[[str], None]


class StepFailed(Exception):
    """What a step's process said when it ended with an error."""


@dataclass(frozen=True)
class Step:
    """One process: commit, prove or verify. `result`: what its last event said. `peak_memory`: bytes."""

    stages: list[StageTime]
    peak_memory: int
    result: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        return sum(s.seconds for s in self.stages)

    def work(self, name: str) -> int:
        return sum(s.work.get(name, 0) for s in self.stages)


@dataclass
class Arm:
    """A configuration and what became of it. `error`: why it went no further than its `steps`."""

    name: str
    config: str
    steps: dict[str, Step] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)  # bytes on disk: "commitment: rows", "proof: lookups", ...
    error: str = ""

    def figure(self, step: str, key: str) -> Any:
        return self.steps[step].result.get(key) if step in self.steps else None

    def total(self, file: str) -> int:
        return sum(n for section, n in self.files.items() if section.startswith(file + ": "))


@dataclass(frozen=True)
class Study:
    """What all arms have in common."""

    model: Path
    prompt: str
    tokens: int
    place: Path  # a directory per arm: its commitment and its proof

    def run(self, configs: Sequence[Path], say: Say = lambda text: None) -> list[Arm]:
        return [self.arm(name, path, say) for name, path in names(configs)]

    def arm(self, name: str, config: Path, say: Say) -> Arm:
        """Commit, prove, verify; the first error ends it, and the others go on."""
        arm = Arm(name, _text(config))
        try:
            for step, arguments in self._commands(name, config).items():
                say(f"{name}: {step}")
                arm.steps[step] = run_step(step, arguments)
        except StepFailed as error:
            arm.error = str(error)
            say(f"{name}: failed: {error}")
        arm.files = _files(arm.steps)
        return arm

    def _commands(self, name: str, config: Path) -> dict[str, list[str]]:
        place = self.place / name
        commitment, proof = place / "commitment", place / "answer.zkp"
        about = [f"--prompt={self.prompt}"]
        prove = [str(commitment), *about, "--max-new-tokens", str(self.tokens), "--out", str(proof), "--no-estimate"]
        return {
            "commit": [str(self.model), "--config", str(config), "--out", str(commitment), "--overwrite"],
            "prove": prove,
            "verify": [str(proof), "--commitment", str(commitment / "public.zkc"), *about],
        }


def names(configs: Sequence[Path]) -> list[tuple[str, Path]]:
    """Each file's name less its ending; equal ones are numbered."""
    seen: Counter[str] = Counter()
    out = []
    for path in configs:
        seen[path.stem] += 1
        out.append((path.stem if seen[path.stem] == 1 else f"{path.stem}-{seen[path.stem]}", path))
    return out


def run_step(step: str, arguments: Sequence[str]) -> Step:
    command = [sys.executable, "-m", "zkcore", "--json", step, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StepFailed(f"{step}: {_said(done.stderr) or f'exit code {done.returncode}'}")
    events = [json.loads(line) for line in done.stdout.splitlines() if line]
    last = events[-1]
    stages = [StageTime(**s) for s in last.pop("stages")]
    memory = max((e["peak_memory"] for e in events if e["event"] == "end"), default=0)
    return Step(stages, memory, last)


def _said(stderr: str) -> str:
    """The lines of the error event; of anything else, the end."""
    lines = stderr.strip().splitlines()
    try:
        said = json.loads(lines[-1])
        return "; ".join(said["lines"])
    except (ValueError, KeyError, IndexError, TypeError):
        return "\n".join(lines[-3:])


def _text(config: Path) -> str:
    try:
        return config.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _files(steps: Mapping[str, Step]) -> dict[str, int]:
    """Sections, and what is left of each file: its header."""
    out: dict[str, int] = {}
    for step, file, key in (("commit", "commitment", "commitment_bytes"), ("prove", "proof", "proof_bytes")):
        if step in steps:
            result = steps[step].result
            sections = {str(name): int(size) for name, size in result["sections"]}
            sections["header"] = int(result[key]) - sum(n for name, n in sections.items() if name != "header")
            out |= {f"{file}: {name}": size for name, size in sections.items()}
    return out


def content(study: Study, arms: Sequence[Arm], machine: Mapping[str, Any]) -> dict[str, Any]:
    """All of it, as JSON."""
    return {
        "model": study.model.name,
        "prompt": study.prompt,
        "tokens": study.tokens,
        "machine": dict(machine),
        "arms": [asdict(arm) for arm in arms],
    }


def from_content(saved: Mapping[str, Any]) -> tuple[Study, list[Arm], dict[str, Any]]:
    """What `content` made: study, arms, machine. Raises KeyError or TypeError for anything else."""
    arms = []
    for one in saved["arms"]:
        steps = {n: Step(**{**s, "stages": [StageTime(**t) for t in s["stages"]]}) for n, s in one["steps"].items()}
        arms.append(Arm(**{**one, "steps": steps}))
    study = Study(Path(saved["model"]), str(saved["prompt"]), int(saved["tokens"]), Path())
    return study, arms, dict(saved["machine"])


def summary(arms: Sequence[Arm]) -> tuple[list[str], list[list[object]]]:
    """Head and one row per arm. Of proving: field multiplications, group additions, hashed bytes; the peak of memory is
    that of any step, the commitment in bytes."""
    head = ["configuration", *(f"{step} s" for step in STEPS), "mults", "adds", "hashed bytes"]
    head += ["proof bytes", "commitment", "MiB", "perplexity", "verdict"]
    return head, [_row(arm) for arm in arms]


def _row(arm: Arm) -> list[object]:
    prove = arm.steps.get("prove")
    seconds = [round(arm.steps[s].seconds, 2) if s in arm.steps else None for s in STEPS]
    work: list[object] = [None] * 3
    if prove:
        work = [prove.work("field_mults") + prove.work("small_mults"), prove.work("group_adds")]
        work.append(prove.work("hashed_bytes"))
    memory = max((s.peak_memory for s in arm.steps.values()), default=0) >> 20
    sizes = [arm.total("proof") or None, arm.total("commitment") or None, memory or None]
    verdict = "failed" if arm.error else "accepted"
    return [arm.name, *seconds, *work, *sizes, arm.figure("commit", "perplexity_integer"), verdict]
