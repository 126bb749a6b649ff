"""Strategies on slices of large models: whole proofs of a few layers with made-up weights, one configuration of
benchmarks/large after the other.

    python benchmarks/strategies_large.py --shape llama-2-13b --layers 2 --seq-len 2048 --out DIR [NAME ...]

Made for a GPU. A configuration that does not fit the device's memory gets a row that says so.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from common import ROOT, save

from zkcore import api
from zkcore import config as configuration
from zkcore.bench import e2e, synthetic
from zkcore.models.family import Sequence
from zkcore.report.progress import QuietReporter

ARMS = ROOT / "benchmarks" / "large"
Row = dict[str, Any]


def counted(shape: str, layers: int, seq_len: int, config: configuration.Config) -> Row:
    """What is proved, before it is."""
    model = synthetic.Shape.of(shape, layers, config)
    prompt = synthetic.tokens(model.setup, seq_len)
    system = model.setup.system(Sequence((*prompt, 0), seq_len))
    return {
        "log2 of the row width": model.setup.parts.scheme.log_width,
        "committed values": system.committed_values(),
        "lookups": system.lookups(),
    }


def measured(shape: str, layers: int, seq_len: int, config: configuration.Config) -> Row:
    with TemporaryDirectory(prefix="zkcore-bench-") as place:
        done = e2e.run(shape, seq_len, layers, config, Path(place), api.cache_dir(), QuietReporter())
    work = [s.work for s in done.stages["proof"]]
    return {
        "device": done.device,
        "parameters": done.parameters,
        "field multiplications": sum(w["field_mults"] + w["small_mults"] for w in work),
        "proof bytes": done.proof_bytes,
        "commitment bytes": done.model_bytes,
        "GiB at the peak": round(done.memory / 2**30, 2),
        **{f"{part}, seconds": round(done.seconds(part), 3) for part in e2e.PARTS},
        "stages": {p: {s.name: round(s.seconds, 3) for s in done.stages[p]} for p in e2e.PARTS},
    }


def rows(names: list[str], shape: str, layers: int, seq_len: int) -> Iterator[Row]:
    for name in names:
        config = configuration.load(ARMS / f"{name}.yaml")
        row: Row = {"configuration": name, **counted(shape, layers, seq_len, config)}
        try:
            yield {**row, **measured(shape, layers, seq_len, config)}
        except torch.OutOfMemoryError as e:
            yield {**row, "does not fit": str(e).split(". ")[0]}
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of files in benchmarks/large; all of them by default")
    parser.add_argument("--shape", default="llama-2-13b")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--seq-len", type=int, default=2048)
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    chosen = parser.parse_args()
    names, done = chosen.names or sorted(p.stem for p in ARMS.glob("*.yaml")), list[Row]()
    about = {"shape": chosen.shape, "layers": chosen.layers, "tokens": chosen.seq_len}
    file = chosen.out / f"strategies-{chosen.shape}-{chosen.layers}.json"
    if file.exists():
        done = [r for r in json.loads(file.read_text(encoding="utf-8"))["rows"] if r["configuration"] not in names]
    for row in rows(names, chosen.shape, chosen.layers, chosen.seq_len):
        print(json.dumps(row), flush=True)
        done.append(row)
        save(file, {**about, "rows": done})


if __name__ == "__main__":
    main()
