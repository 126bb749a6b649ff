"""The whole life of a proof on the example model: commit, prove 64 tokens, verify, each in a process of its own.

    python benchmarks/tiny_llama.py [--config configs/default.yaml] [--repeat 3] [--out benchmarks/results]

Stage table, bytes, peak memory and counted work; the estimate beside what happened; and where Python's time goes.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import pstats
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from common import ROOT, save

from zkcore import api
from zkcore.ablation import Step, run_step
from zkcore.models.text import TextCodec
from zkcore.report.estimates import comparison_table, work_table
from zkcore.report.tables import console, pairs_table

PROMPT, TOKENS = "Once upon a time there was a little fox named", 64
LINES = 40


def middle(steps: Sequence[Step]) -> Step:
    """The run of median time."""
    return sorted(steps, key=lambda s: s.seconds)[len(steps) // 2]


def new_tokens(model: Path) -> int:
    """So that prompt and answer are 64 tokens together."""
    return TOKENS - len(TextCodec((model / "tokenizer.json").read_bytes()).encode(PROMPT))


def measure(model: Path, config: Path, place: Path, repeat: int) -> dict[str, list[Step]]:
    commitment, proof = place / "commitment", place / "answer.zkp"
    prove = [str(commitment), f"--prompt={PROMPT}", "--max-new-tokens", str(new_tokens(model)), "--out", str(proof)]
    verify = [str(proof), "--commitment", str(commitment / "public.zkc"), f"--prompt={PROMPT}"]
    return {
        "commit": [run_step("commit", [str(model), "--config", str(config), "--out", str(commitment)])],
        "prove": [run_step("prove", [*prove, "--no-estimate"]) for _ in range(repeat)],
        "verify": [run_step("verify", verify) for _ in range(repeat)],
    }


def profile(commitment: Path, place: Path, count: int) -> str:
    """One proof in this process: the functions that took longest themselves."""
    profiler = cProfile.Profile()
    api.prove(commitment, PROMPT, count, place / "warm.zkp")
    profiler.runcall(api.prove, commitment, PROMPT, count, place / "profiled.zkp")
    out = io.StringIO()
    stats = pstats.Stats(profiler, stream=out).strip_dirs().sort_stats("tottime")
    stats.print_stats(LINES)
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return f"{share(stats)}\n\n" + "\n".join(lines[lines.index("") + 1 :]).strip() + "\n"


def share(stats: pstats.Stats) -> str:
    """Of the engine (whose constructors count as their callers), of other native code, of Python."""
    total = engine = others = 0.0
    for (file, _, name), (_, _, own, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        total += own
        constructor = file == "native_field.py" and name in ("fraction_tree", "sumcheck")
        if "zkcore._engine" in name or constructor:
            engine += own
        elif file == "~":
            others += own
    python = total - engine - others
    return (
        f"{total:.2f} s, of them engine {engine / total:.0%}, other native code (torch, numpy, hashing, big integers) "
        f"{others / total:.0%}, Python itself {python / total:.0%}; the profiler's own cost is in the last"
    )


def show(steps: dict[str, list[Step]]) -> dict[str, object]:
    commit, prove, verify = (middle(steps[name]) for name in ("commit", "prove", "verify"))
    figures = {
        "prove, seconds": round(prove.seconds, 2),
        "verify, seconds": round(verify.seconds, 2),
        "commit, seconds": round(commit.seconds, 2),
        "proof, bytes": prove.result["proof_bytes"],
        "commitment, bytes": commit.result["commitment_bytes"],
        "peak memory of proving, bytes": prove.peak_memory,
        "peak memory of verifying, bytes": verify.peak_memory,
        "perplexity of the float model": commit.result["perplexity_float"],
        "perplexity of the integer model": commit.result["perplexity_integer"],
        "agreement on the first choice": commit.result["top1_agreement"],
    }
    for name, step in (("Commit", commit), ("Prove", prove), ("Verify", verify)):
        console().print(work_table(name, step.stages))
    console().print(pairs_table(f"{TOKENS} tokens", figures))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=ROOT / "examples" / "tiny-llama")
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "default.yaml")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    chosen = parser.parse_args()
    with TemporaryDirectory(prefix="zkcore-bench-") as name:
        place, count = Path(name), new_tokens(chosen.model)
        steps = measure(chosen.model, chosen.config, place, chosen.repeat)
        figures = show(steps)
        done = api.prove(place / "commitment", PROMPT, count, place / "again.zkp", estimate=True)
        where = profile(place / "commitment", place, count)
    if done.estimate:
        console().print(comparison_table(done.estimate, done.stages, done.peak_memory))
    name = f"tiny_llama-{chosen.config.stem}"
    runs = {step: [asdict(run) for run in made] for step, made in steps.items()}
    expected = {"estimate": asdict(done)["estimate"], "stages": [asdict(s) for s in done.stages]}
    content = {"tokens": TOKENS, "figures": figures, "runs": runs, "estimated_and_actual": expected}
    save(chosen.out / f"{name}.json", content)
    (chosen.out / f"{name}-profile.txt").write_text(where, encoding="utf-8")
    print(f"wrote {chosen.out / name}-profile.txt: {where.splitlines()[0]}")


if __name__ == "__main__":
    main()
