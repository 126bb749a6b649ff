"""`zkcore bench`: what this machine does."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from zkcore.cli.commands import app
from zkcore.cli.demo import workplace
from zkcore.cli.output import Output
from zkcore.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from zkcore.bench.e2e import Result
    from zkcore.bench.engine import Measured

bench = typer.Typer(help="Measure this machine.", no_args_is_help=True)
app.add_typer(bench, name="bench")


@bench.command()
def e2e(
    ctx: typer.Context,
    config: Annotated[Path, typer.Option(help="What is proved how.")],
    shape: Annotated[str, typer.Option(help="A well-known model's name, such as llama-2-13b.")] = "llama-2-13b",
    seq_len: Annotated[int, typer.Option(min=1, help="Tokens of the prompt.")] = 2048,
    layers: Annotated[int | None, typer.Option(min=1, help="Fewer layers than the shape has.")] = None,
    out: Annotated[Path | None, typer.Option(help="Keep files and results here.")] = None,
) -> None:
    """Commit, prove and verify one answer of a model with made-up weights, and say where the time goes."""
    from zkcore import api
    from zkcore import config as configuration
    from zkcore.bench import e2e as measured

    output: Output = ctx.obj
    with workplace(out) as place, output.reporting() as report:
        done = measured.run(shape, seq_len, layers, configuration.load(config), place, api.cache_dir(), report)
        if out:
            (place / "e2e.json").write_text(json.dumps(asdict(done), indent=1), encoding="utf-8")
    output.result("bench", asdict(done), summary(done), *tables(done))


@bench.command()
def engine(
    ctx: typer.Context,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    log: Annotated[int | None, typer.Option(min=12, max=28, help="log2 of the sizes.")] = None,
    only: Annotated[str, typer.Option(help="columns, folds, sumchecks, trees or commitments.")] = "",
    out: Annotated[Path | None, typer.Option(help="Keep the results in this directory.")] = None,
) -> None:
    """Measure each of the engine's verbs, and say how near it comes to what the chip could do."""
    from zkcore.bench import engine as verbs
    from zkcore.bench.machine import Machine
    from zkcore.report import machine as reports

    output: Output = ctx.obj
    if device not in ("auto", "cpu", "cuda"):
        raise UsageError(f"--device {device}: expected auto, cpu or cuda")
    with output.reporting() as report:
        done = verbs.run(Machine.of(cast(Any, device)), log, only, report.stage)
    content = {**reports.describe(), **asdict(done)}
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "engine.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
    chip = f"{done.chip.products / 1e9:,.2f} G products/s, copies at {done.chip.copy / 1e9:,.0f} GB/s"
    output.result("bench", content, f"{done.device}: {chip}", verb_table(done))


def verb_table(measured: Measured) -> Table:
    from zkcore.report.tables import rows_table

    head = ("verb", "ms", "G/s", "of", "bound G/s", "ratio", "note")
    rows = [
        (r.verb, r.milliseconds, r.rate / 1e9, r.unit, r.bound / 1e9, f"{r.ratio:.0%}", r.note) for r in measured.rows
    ]
    return rows_table("Engine", head, rows)


def summary(r: Result) -> str:
    lines = [
        f"{r.shape}, {r.layers} of {r.whole} layers, {r.seq_len:,} tokens, made-up weights, on {r.device}: "
        f"proved in {r.seconds('proof'):,.1f} s, {r.proof_bytes:,} bytes, accepted in {r.seconds('verify'):,.1f} s; "
        f"model committed in {r.seconds('model'):,.1f} s; {r.memory / 2**30:,.1f} GiB at the peak"
    ]
    if r.projected:
        parts = ", ".join(f"{part} {seconds:,.0f} s" for part, seconds in r.projected.items())
        lines.append(f"NOT MEASURED, every stage of this run times {r.whole}/{r.layers}: {parts}")
    return "\n".join(lines)


def tables(r: Result) -> list[Table]:
    from zkcore.report.tables import rows_table

    head = ("part", "stage", "seconds", "work")
    rows = [(part, s.name, s.seconds, dict(s.work)) for part, stages in r.stages.items() for s in stages]
    return [rows_table("Stages", head, rows)]
