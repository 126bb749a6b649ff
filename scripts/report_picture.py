"""Write docs/images/report.png: a report's page, as a headless Chromium shows it. It makes the proof first."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
TARGET = ROOT / "docs" / "images" / "report.png"
PROMPT = "Once upon a time there was a little fox named"


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        made, proof, page = place / "commitment", place / "answer.zkp", place / "answer.html"
        zkcore("commit", ROOT / "examples" / "tiny-llama", "--out", made)
        zkcore("prove", made, "--prompt", PROMPT, "--max-new-tokens", 16, "--out", proof)
        zkcore("report", proof, "--commitment", made, "--html", page)
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1000,1560"]
        subprocess.run(
            ["chromium", *options, f"--screenshot={TARGET}", page.as_uri()],
            check=True,
            capture_output=True,
            timeout=120,
        )
    Image.open(TARGET).convert("RGB").quantize(64).save(TARGET, optimize=True)


def zkcore(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "zkcore", "--quiet", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main()
