"""The command that writes pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zkcore.cli.commands import app
from zkcore.cli.output import REJECTED, Output
from zkcore.errors import UsageError


@app.command()
def report(
    ctx: typer.Context,
    what: Annotated[Path, typer.Argument(help="A proof, or the results.json of an ablation.")],
    html: Annotated[Path, typer.Option(help="The page to write: one file that needs nothing else.")],
    commitment: Annotated[Path | None, typer.Option(help="Of a proof: the public.zkc it is about.")] = None,
    settlement: Annotated[Path | None, typer.Option(help="Of an accumulated answer: what settles it.")] = None,
) -> None:
    """Put a proof, or a comparison, on one page. A proof is verified for it: exit code 1 if it is rejected."""
    from zkcore import reporting

    output: Output = ctx.obj
    if reporting.is_results(what):
        reporting.write(html, reporting.ablation_page(what))
        output.result("report", {"page": str(html)}, f"wrote {html}")
        return
    if commitment is None:
        raise UsageError(f"{what}: a proof is about a commitment: pass --commitment")
    with output.reporting() as progress:
        page = reporting.proof_page(what, commitment, settlement, progress)
    reporting.write(html, reporting.page_of(page))
    output.result("report", {"page": str(html), "verdict": page.verdict}, f"{page.verdict}; wrote {html}")
    if not page.accepted:
        raise typer.Exit(REJECTED)
