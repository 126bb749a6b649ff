"""Write docs/images/demo.svg: what `zkcore demo` prints, as a picture of a terminal. It runs the demo."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

TARGET = Path(__file__).parent.parent / "docs" / "images" / "demo.svg"
TITLE = "zkcore demo"


def main() -> None:
    done = subprocess.run([sys.executable, "-m", "zkcore", "demo"], capture_output=True, text=True, check=True)
    console = Console(record=True, width=100, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115
    console.print(Text(f"$ {TITLE}\n", style="bold"))
    for line in done.stdout.rstrip().splitlines():
        console.print(Text(line, style=_style(line)))
    svg = console.export_svg(title=TITLE, unique_id="zkcore-demo")
    TARGET.write_text(re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL), encoding="utf-8")  # no fonts fetched


def _style(line: str) -> str:
    if "rejected" in line:
        return "bold red"
    return "bold green" if line.endswith("accepted") else ""


if __name__ == "__main__":
    main()
