"""The commands. Each imports what it needs when it runs: checking a proof loads neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zkcore.cli.output import Output
from zkcore.errors import UsageError
from zkcore.report.estimates import comparison_table
from zkcore.report.progress import StageTime
from zkcore.report.tables import counted, pairs_table, rows_table, section_tables, stage_table
from zkcore.version import __version__

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Prove in zero knowledge that a committed language model produced an output.",
)

Nonce = Annotated[str, typer.Option(help="A text of the client's choice that the proof answers to.")]
Prompt = Annotated[str, typer.Option(help="The text to continue.")]
NewTokens = Annotated[int, typer.Option(min=1, help="How many tokens to generate at most.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"zkcore {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="One JSON line per event.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress and no tables.")] = False,
    trace: Annotated[Path | None, typer.Option(help="Write a Chrome trace, for ui.perfetto.dev.")] = None,
    version: Annotated[
        bool, typer.Option("--version", help="Say which version this is.", is_eager=True, callback=_version)
    ] = False,
) -> None:
    output: Output = ctx.ensure_object(Output)
    output.json, output.quiet, output.trace = json, quiet, trace


@app.command()
def commit(
    ctx: typer.Context,
    model_dir: Annotated[Path, typer.Argument(help="A checkpoint directory in Hugging Face's format.")],
    out: Annotated[Path, typer.Option(help="Directory to make: public.zkc (share it) and private/ (keep it).")],
    config: Annotated[Path | None, typer.Option(help="What is proved how, in YAML; else the defaults.")] = None,
    calibrate: Annotated[Path | None, typer.Option(help="Text like that of later prompts; sets the scales.")] = None,
    heldout: Annotated[Path | None, typer.Option(help="Text on which the integer model is compared.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Give up a commitment that is there.")] = False,
) -> None:
    """Commit to a model, once."""
    from zkcore import api
    from zkcore.config import Config

    output: Output = ctx.obj
    with output.reporting() as report:
        done = api.commit(
            model_dir,
            config or Config(),
            out,
            calibrate=calibrate,
            heldout=heldout,
            overwrite=overwrite,
            report=report,
        )
    content = asdict(done)
    line = f"committed to {done.parameters:,} parameters: share {out / 'public.zkc'}, keep {out / 'private'}"
    tables = [*_tables(content, done.stages), pairs_table("Commitment", _figures(content))]
    output.result("commit", content, line, *tables)
    output.warn_clear(content)


@app.command()
def prove(
    ctx: typer.Context,
    commitment_dir: Annotated[Path, typer.Argument(help="The directory that `commit` made.")],
    prompt: Prompt,
    max_new_tokens: NewTokens,
    out: Annotated[Path, typer.Option(help="The proof file to write.")],
    nonce: Nonce = "",
    estimate: Annotated[bool, typer.Option(help="Predict first what it takes, and compare.")] = True,
    accumulate: Annotated[Path | None, typer.Option(help="Leave the opening to this accumulator's settlement.")] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="Keep finished stages in this directory: after a crash, the same command goes on."),
    ] = None,
) -> None:
    """Answer a prompt and prove the answer."""
    from zkcore import api

    output: Output = ctx.obj
    with output.reporting() as report:
        done = api.prove(
            commitment_dir,
            prompt,
            max_new_tokens,
            out,
            nonce=nonce.encode(),
            estimate=estimate,
            accumulate=accumulate,
            checkpoint=checkpoint,
            report=report,
        )
    content = asdict(done)
    tables = _tables(content, done.stages)
    if done.estimate:
        tables.append(comparison_table(done.estimate, done.stages, done.peak_memory))
    output.result("prove", content, f"{done.prompt}{done.text}", *tables)
    output.say(f"proof of {done.tokens:,} tokens, {done.proof_bytes:,} bytes: {out}")
    if accumulate:
        output.say(f"it is complete with the settlement of {accumulate}: zkcore settle")
    output.warn_clear(content)


@app.command()
def settle(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="The accumulator that `prove --accumulate` filled.")],
    commitment: Annotated[Path, typer.Option(help="The model's public.zkc.")],
    out: Annotated[Path, typer.Option(help="The settlement file to write: for whoever has one of its answers.")],
    answer: Annotated[list[Path] | None, typer.Option(help="A proof file that must be in it; may be repeated.")] = None,
) -> None:
    """Prove at once what the answers of an accumulator left open."""
    from zkcore import api

    output: Output = ctx.obj
    with output.reporting() as report:
        done = api.settle(file, commitment, out, answers=answer or (), report=report)
    content = asdict(done)
    line = f"settled {counted(done.answers, 'answer')} in {done.settlement_bytes:,} bytes: {out}"
    output.result("settle", content, line, stage_table(done.stages))
    output.warn_clear(content)


@app.command()
def verify(
    ctx: typer.Context,
    proof: Annotated[list[Path], typer.Argument(help="The proof file, or several that share a settlement.")],
    commitment: Annotated[Path, typer.Option(help="The model owner's public.zkc.")],
    prompt: Annotated[str | None, typer.Option(help="Accept only a proof about this prompt.")] = None,
    expect_text: Annotated[str | None, typer.Option(help="Accept only a proof of this answer.")] = None,
    nonce: Nonce = "",
    settlement: Annotated[Path | None, typer.Option(help="Of the accumulator that the answer was proved for.")] = None,
) -> None:
    """Check a proof. Exit code 0 only if it is accepted; 4 if it is, given a settled accumulator."""
    from zkcore import api

    output: Output = ctx.obj
    known, together = {"prompt": prompt, "expect_text": expect_text}, len(proof) > 1
    if together and (settlement is None or any(known.values())):
        raise UsageError("several proofs at once: only with the --settlement they share, and each of its own prompt")
    with output.reporting() as report:
        if together and settlement:
            done = api.verify_together(proof, commitment, settlement, nonce=_bytes(nonce), report=report)
        else:
            only = api.verify(proof[0], commitment, **known, nonce=_bytes(nonce), settlement=settlement, report=report)
            done = [only]
    for path, accepted in zip(proof, done, strict=True):
        content = asdict(accepted)
        line = f"accepted: {path}" if together else "accepted"
        output.result("accepted", content, line, stage_table(accepted.stages), pairs_table("Proved", _figures(content)))
        output.warn_clear(content)


@app.command()
def inspect(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A commitment, proof, settlement or configuration.")],
    commitment: Annotated[
        Path | None, typer.Option(help="A proof's public.zkc: how sound it is, term by term.")
    ] = None,
    graph: Annotated[Path | None, typer.Option(help="Draw a commitment's graph here (.svg or .html).")] = None,
) -> None:
    """Show what is in a file, what it hides, and how sound it is."""
    from zkcore import api

    if graph:
        from zkcore import reporting

        reporting.graph_page(file, graph)
    content = api.inspect(file, commitment)
    ctx.obj.result("inspect", content, str(file), *section_tables(content))


@app.command()
def plugins(ctx: typer.Context) -> None:
    """List the plugins that a configuration may name. Loads none of them."""
    from zkcore.plugins import build_registry, installed_plugins

    found = [asdict(p) for p in installed_plugins()]
    offers = [{"kind": o.kind, "name": o.name} for o in build_registry().offers.values()]
    tables = section_tables({"Built in": offers, "Installed": found})
    line = f"{len(found)} installed; a configuration loads those it names under `plugins`"
    ctx.obj.result("plugins", {"builtin": offers, "installed": found}, line, *tables)


@app.command()
def demo(
    ctx: typer.Context,
    dir: Annotated[Path | None, typer.Option(help="A checkpoint directory; else the small model that ships.")] = None,
    config: Annotated[Path | None, typer.Option(help="What is proved how; else the defaults.")] = None,
    prompt: Prompt = "Once upon a time there was a little fox named",
    max_new_tokens: NewTokens = 16,
    out: Annotated[Path | None, typer.Option(help="Keep the files here; else they are thrown away.")] = None,
) -> None:
    """Commit, prove, verify, see a tampered proof rejected."""
    from zkcore.cli.demo import Demo, example, workplace

    model, defaults = example()
    with workplace(out) as place:
        Demo(ctx.obj, dir or model, config or defaults, place).run(prompt, max_new_tokens)


def _bytes(nonce: str) -> bytes:
    try:
        return nonce.encode()
    except UnicodeEncodeError as e:
        raise UsageError(f"--nonce is not Unicode: {e.reason} at character {e.start}") from None


def _figures(content: dict[str, Any]) -> dict[str, Any]:
    return {k.replace("_", " "): v for k, v in content.items() if k not in ("stages", "sections")}


def _tables(content: dict[str, Any], stages: Sequence[StageTime]) -> list[Table]:
    """Where time went, and bytes, if no stage says so."""
    sections = [] if any(s.bytes for s in stages) else content.get("sections")
    return [stage_table(stages), *([rows_table("File", ("section", "bytes"), sections)] if sections else [])]
