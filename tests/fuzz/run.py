"""Feeds strange files to whatever reads them, for as long as one likes.

    python tests/fuzz/run.py [--seconds 300] [--seed N]     structure-aware changes of real files
    python tests/fuzz/run.py --guided [--seconds 300]       led by coverage (atheris)

A finding is any exception that is not zkcore's own, or an input that takes more than five seconds. It is written to
tests/fuzz/findings/; put it into tests/fuzz/corpus/ with the fix.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

SLOW = 5.0  # seconds


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--guided", action="store_true")
    asked = parser.parse_args()
    if asked.guided:
        guided(int(asked.seconds))
        return 0
    from tests.fuzz import targets

    rng = random.Random(asked.seed)
    pool = [*targets.corpus(), *model_files()]
    tried, found, end = 0, 0, time.monotonic() + asked.seconds
    while time.monotonic() < end:
        data = targets.changed(rng.choice(pool), rng)
        tried, began = tried + 1, time.monotonic()
        try:
            targets.one(data)
            why = "" if time.monotonic() - began < SLOW else "slow"
        except Exception:
            why = traceback.format_exc()
        if why:
            found += 1
            keep(data, why)
        elif rng.random() < 0.002 and len(pool) < 500:
            pool.append(data)  # changes of changes
    print(f"{tried} inputs, {found} findings")
    return bool(found)


def model_files() -> list[bytes]:
    from tests.conftest import prove_something
    from tests.fuzz import targets

    with tempfile.TemporaryDirectory() as place:
        prove_something(Path(place), 0, "zero_knowledge: false\n")
        return targets.of_a_model(Path(place))


def keep(data: bytes, why: str) -> None:
    folder = Path(__file__).parent / "findings"
    folder.mkdir(exist_ok=True)
    name = hashlib.sha256(data).hexdigest()[:16]
    (folder / name).write_bytes(data)
    print(f"{name}: {why.strip().splitlines()[-1]}", flush=True)


def guided(seconds: int) -> None:
    import atheris

    # An editable installation's loader cannot be instrumented; the sources beside it are the same.
    sys.meta_path[:] = [f for f in sys.meta_path if not type(f).__module__.startswith("_")]
    with atheris.instrument_imports(include=["zkcore"]):
        from tests.fuzz import targets

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        rng = random.Random(seed)
        return targets.changed(data or targets.corpus()[0], rng)[:most]

    folder, findings = (Path(__file__).parent / name for name in ("corpus", "findings"))
    findings.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as grown:
        limits = [f"-max_total_time={seconds}", "-timeout=5", "-rss_limit_mb=2048", "-max_len=16384"]
        argv = [sys.argv[0], grown, str(folder), *limits, f"-artifact_prefix={findings}/"]
        atheris.Setup(argv, targets.one, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
