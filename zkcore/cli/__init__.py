"""The command line. Exit codes: 0 done or accepted, 1 rejected, 2 the request cannot be carried out, 3 a bug of ours."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from zkcore.cli.commands import app
from zkcore.cli.output import Output

TRACEBACK = "ZKCORE_TRACEBACK"  # set: errors come with their traceback


def main(argv: Sequence[str] | None = None) -> NoReturn:
    output = Output()
    try:
        app(args=argv, prog_name="zkcore", obj=output)
    except Exception as error:
        if os.environ.get(TRACEBACK):
            raise
        sys.exit(output.failure(error))
    sys.exit(0)
