"""The command line. Exit codes: 0 done or accepted, 1 rejected, 2 cannot be carried out, 3 a bug of ours; 130 and 143
after an interrupt (Ctrl-C) and a request to end."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import NoReturn

from zkcore.cli import attack, bench, reports, serving, studies  # noqa: F401 - they register their commands
from zkcore.cli.commands import app
from zkcore.cli.output import Output
from zkcore.interrupts import ending

TRACEBACK = "ZKCORE_TRACEBACK"  # set: errors come with their traceback


def main(argv: Sequence[str] | None = None) -> NoReturn:
    output = Output()
    _print_anything()
    try:
        with ending():
            app(args=argv, prog_name="zkcore", obj=output)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        sys.exit(output.failure(error))
    sys.exit(0)


def _print_anything() -> None:
    """A model's text may have characters that the terminal's encoding lacks: they are spelled out."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
