"""Attack what is registered: a plugin author's first question about their own code."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zkcore import proof as files
from zkcore.cli.commands import app
from zkcore.cli.output import REJECTED, Output

if TYPE_CHECKING:
    from zkcore.testing.attack_kit.outcome import Report


@app.command()
def attack(
    ctx: typer.Context,
    plugin: Annotated[str | None, typer.Option(help="Attack what this plugin offers, and nothing else.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write every attack and what came of it here, as JSON.")] = None,
    budget: Annotated[Literal["quick", "full"], typer.Option(help="full: every tensor and message; hours.")] = "quick",
    jobs: Annotated[int, typer.Option(min=1, help="Subjects that are attacked at a time, each in a process.")] = 1,
) -> None:
    """Attack what is registered, by provers that lie. Ops, lookup arguments, schemes, strategies and families are
    attacked, those of installed plugins too, and every lie is proved anew. Exit code 1 if anything false is accepted, a
    message is not read, or a part was not reached."""
    from zkcore import api
    from zkcore.report import attacks

    api.need("torch", "transformers", "safetensors")
    from zkcore.testing.attack_kit import kit
    from zkcore.testing.attack_kit.budget import BUDGETS

    output: Output = ctx.obj
    found: list[Report] = []
    start = time.monotonic()
    _write(report, found)
    with output.reporting() as progress:
        for done in kit.run(plugin, BUDGETS[budget], progress.stage, jobs):
            found.append(done)
            _write(report, found)
            progress.note(attacks.short(done))
    content = {
        "failures": sum(len(r.failures) for r in found),
        "seconds": round(time.monotonic() - start, 1),
        "reports": [_short(r) for r in found],
    }
    output.result("attack", content, attacks.line(found), *attacks.tables(found))
    if content["failures"]:
        raise typer.Exit(REJECTED)


@app.command("self-test")
def self_test(ctx: typer.Context) -> None:
    """See whether this installation rejects bad proofs. Makes hundreds, in seconds. Exit code 1 if one is accepted."""
    from zkcore.testing import self_test as tests

    output: Output = ctx.obj
    made = list(tests.run())
    accepted = [bad.what for bad in made if not bad.rejected]
    line = f"{len(made)} bad proofs, {len(accepted)} accepted" + (": DO NOT USE THIS INSTALLATION" if accepted else "")
    output.result("self-test", {"tried": len(made), "accepted": accepted}, line)
    if accepted:
        raise typer.Exit(REJECTED)


def _write(path: Path | None, found: list[Report]) -> None:
    """After each subject: a long run may end before its time."""
    if path:
        text = json.dumps([r.content() for r in found], indent=1)
        files.write(files.Written(path, text.encode()))


def _short(report: Report) -> dict[str, object]:
    return {k: v for k, v in report.content().items() if k != "outcomes"}
