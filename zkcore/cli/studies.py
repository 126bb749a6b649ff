"""Commands that study rather than prove: what a proof will take, and how configurations compare."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zkcore.cli.commands import app
from zkcore.cli.demo import workplace
from zkcore.cli.output import UNUSABLE, Output
from zkcore.report.estimates import estimate_tables

if TYPE_CHECKING:
    from zkcore.ablation import Arm, Study

PROMPT = "Once upon a time there was a little fox named"


@app.command()
def estimate(
    ctx: typer.Context,
    what: Annotated[
        str, typer.Argument(help="A commitment, a checkpoint directory, a config.json, or a name: llama-2-13b.")
    ],
    seq_len: Annotated[int, typer.Option(min=2, help="Tokens of prompt and answer together.")],
    config: Annotated[
        Path | None, typer.Option(help="What is proved how, in YAML; else the defaults. Not for a commitment.")
    ] = None,
    new_tokens: Annotated[int, typer.Option(min=1, help="How many of them are generated.")] = 1,
    calibrate: Annotated[Path | None, typer.Option(help="Text that sets a checkpoint's scales.")] = None,
    assume: Annotated[bool, typer.Option("--assume-scales", help="Do not calibrate a checkpoint.")] = False,
) -> None:
    """Predict what a proof takes. Counts and bytes are exact, seconds and memory are of this machine."""
    from zkcore import api

    output: Output = ctx.obj
    with output.reporting() as report:
        done = api.estimate(what, config, seq_len, new_tokens, calibrate=calibrate, assume=assume, report=report)
    seconds = sum(s.seconds for s in done.answer.stages)
    size = done.answer.message_bytes + done.answer.header_bytes
    line = f"{done.source}, {seq_len:,} tokens: about {seconds:,.1f} s on this machine, a proof of {size:,} bytes"
    if done.assumed_scales:
        line += "\nscales are assumed: once a model is calibrated, a shift may need one limb more or less"
    if done.limit:
        line += f"\n{done.limit}"
    output.result("estimate", asdict(done), line, *estimate_tables(done.answer, done.model))


@app.command()
def ablate(
    ctx: typer.Context,
    configs: Annotated[list[Path], typer.Argument(help="Configurations to compare, in YAML.")],
    model: Annotated[Path, typer.Option(help="A checkpoint directory.")],
    prompt: Annotated[str, typer.Option(help="The text to continue.")] = PROMPT,
    tokens: Annotated[int, typer.Option(min=1, help="How many tokens to generate at most.")] = 16,
    out: Annotated[Path | None, typer.Option(help="Keep results, plots, commitments and proofs here.")] = None,
) -> None:
    """Compare configurations. Each proves the same answer."""
    from zkcore import ablation
    from zkcore.report import machine
    from zkcore.report.tables import summary_table

    output: Output = ctx.obj
    with workplace(out) as place, output.reporting() as report:
        study = ablation.Study(model, prompt, tokens, place)
        arms = study.run(configs, report.note)
        where = machine.describe()
        content = ablation.content(study, arms, where)
        made = _keep(place, study, arms, where) if out else []
    lines = [f"{arm.name}: failed: {arm.error}" for arm in arms if arm.error]
    lines += [f"wrote {path}" for path in made] or ["give --out DIR to keep plots, JSON and an HTML page"]
    output.result("ablate", content, "\n".join(lines), summary_table("Ablation", *ablation.summary(arms)))
    if all(arm.error for arm in arms):
        raise typer.Exit(UNUSABLE)


def _keep(place: Path, study: Study, arms: Sequence[Arm], where: Mapping[str, object]) -> list[Path]:
    from zkcore import ablation
    from zkcore.report import ablation as results

    path = place / "results.json"
    path.write_text(json.dumps(ablation.content(study, arms, where), indent=1), encoding="utf-8")
    return [path, *results.write(place, study, arms, where)]
