"""Commands that study rather than prove: what a proof will take, and how configurations compare."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from zkcore.cli.commands import app
from zkcore.cli.output import Output
from zkcore.report.estimates import estimate_tables


@app.command()
def estimate(
    ctx: typer.Context,
    what: Annotated[str, typer.Argument(help="A commitment, a checkpoint directory, or a shape such as llama-2-13b.")],
    seq_len: Annotated[int, typer.Option(min=2, help="Tokens of prompt and answer together.")],
    config: Annotated[Path | None, typer.Option(help="What is proved how; a commitment has its own.")] = None,
    new_tokens: Annotated[int, typer.Option(min=1, help="How many of them are generated.")] = 1,
    calibrate: Annotated[Path | None, typer.Option(help="Text that sets a checkpoint's scales.")] = None,
    assume: Annotated[bool, typer.Option("--assume-scales", help="Do not calibrate a checkpoint.")] = False,
) -> None:
    """Predict what a proof takes: exact counts and bytes, seconds on this machine, memory."""
    from zkcore import api

    output: Output = ctx.obj
    with output.reporting() as report:
        done = api.estimate(what, config, seq_len, new_tokens, calibrate=calibrate, assume=assume, report=report)
    seconds = sum(s.seconds for s in done.answer.stages)
    size = done.answer.message_bytes + done.answer.header_bytes
    line = f"{done.source}, {seq_len:,} tokens: about {seconds:,.1f} s on this machine, a proof of {size:,} bytes"
    if done.assumed_scales:
        line += "\nscales are assumed: once a model is calibrated, a shift may need one limb more or less"
    output.result("estimate", asdict(done), line, *estimate_tables(done.answer, done.model))
