"""Run every notebook in examples/notebooks from an empty state; the executed ones go to build/notebooks."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parent.parent
OUT = ROOT / "build" / "notebooks"


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    for path in sorted((ROOT / "examples" / "notebooks").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(ROOT)}}).execute()
        nbformat.write(notebook, OUT / path.name)
        print(f"{path.name}: {len(notebook.cells)} cells")


if __name__ == "__main__":
    main()
