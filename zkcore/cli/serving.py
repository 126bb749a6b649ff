"""The command that serves."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from zkcore.cli.commands import app
from zkcore.cli.output import BUG, Output
from zkcore.errors import UsageError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
KEY = "ZKCORE_API_KEY"


@app.command()
def serve(
    ctx: typer.Context,
    commitment_dir: Annotated[Path, typer.Argument(help="The directory that `commit` made.")],
    state: Annotated[Path, typer.Option(help="Answers, queue and proofs are kept here.")] = Path("zkcore-served"),
    host: Annotated[str, typer.Option(help=f"Beyond this machine only with {KEY} set.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    queue: Annotated[int, typer.Option(min=1, help="How many answers may wait for their proofs.")] = 32,
    keep: Annotated[int, typer.Option(min=1, help="How many finished proofs are kept.")] = 1000,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Of one answer, at most.")] = 256,
    chat_template: Annotated[Path | None, typer.Option(help="Jinja, or a tokenizer_config.json.")] = None,
) -> None:
    """Answer OpenAI's clients at once, and prove behind."""
    from zkcore.api import cache_dir

    key, output = os.environ.get(KEY, ""), ctx.obj
    assert_safe(host, key)
    try:
        import uvicorn

        from zkcore.serve.app import LOCAL, Settings, make
    except ImportError as e:
        raise UsageError(f"serving needs {e.name}: pip install 'zkcore[serve,prove]'") from None
    hosts = tuple(LOCAL) if host in LOOPBACK else ("*",)
    name = commitment_dir.resolve().name
    limits = {"most_tokens": max_new_tokens, "most_waiting": queue, "keep": keep}
    made = make(
        Settings(commitment_dir, state, name, key=key, hosts=hosts, template=chat_template, cache=cache_dir(), **limits)
    )
    announce(output, name, host, port)
    code: object = 0
    try:
        uvicorn.run(made, host=host, port=port, log_level="warning" if output.quiet else "info", server_header=False)
    except SystemExit as end:
        code = end.code
    if not made.state.ended:  # a proof is in the middle of a long step; what was promised is on disk
        os._exit(code if isinstance(code, int) else BUG)
    sys.exit(code if isinstance(code, int) else BUG)


def assert_safe(host: str, key: str) -> None:
    if host not in LOOPBACK and not key:
        raise UsageError(f"--host {host} lets other machines ask: set {KEY} to a secret that they must send")


def announce(output: Output, name: str, host: str, port: int) -> None:
    line = f"serving {name!r} on http://{host}:{port}/v1; proofs at /v1/proofs/ID, the commitment at /v1/commitment"
    output.result("serving", {"model": name, "host": host, "port": port}, line)
