"""What strategies gain, on models that a CPU proves in moments, and what they do not.

    python benchmarks/strategies.py [depth] [memory] [groups] [accumulate] [ablation] [--out benchmarks/results]

depth       proof bytes and verifier time against the number of layers: layer by layer, folded
memory      the most memory a prover takes against the number of layers, with one tree and with several
groups      grouped-query attention against repeated heads, at the ratios of published models
accumulate  answers that leave their opening to a settlement against complete ones, by row width
ablation    the configurations that ship, some with the other lookup argument, on the example model and on one made of
            it whose key and value heads are averaged to one: its text is worse, in floats as well
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml
from common import ROOT, save

from zkcore import api
from zkcore.commitment.hyrax import Hyrax
from zkcore.config import StrategyConfig, parse
from zkcore.errors import NotSettled
from zkcore.plugins import build_registry
from zkcore.report.tables import console
from zkcore.results import ProveResult
from zkcore.strategy.strategy import Strategy
from zkcore.testing.small_models import SmallLlama
from zkcore.testing.strategy_suite import PROMPT
from zkcore.testing.toolbox import Setup, commit_weights, prove_system, tools, verify_system

WIDE = Setup(hiding=True, scheme=Hyrax(11))
DEPTHS, REPEAT = (4, 8, 16, 32), 3
RATIOS = {"64/8": (64, 8), "32/8": (32, 8), "128/8": (128, 8), "MQA": (32, 1)}
WIDTHS, ANSWERS = (11, 14, 16), 2
MEMORY_DEPTHS = (4, 8, 16)
MEMORY_SHAPE = {
    "model_type": "llama",
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "vocab_size": 512,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
}
SHIPPED = (
    "default",
    "each_layer",
    "folding",
    "gqa",
    "ternary",
    "folding_gqa",
    "folding_ternary",
    "folding_ternary_gqa",
)
OTHER_LOOKUP = ("default + tlookup", "folding + tlookup", "folding_ternary_gqa + tlookup", "baseline")
GROUPED = ("default", "gqa", "folding_gqa", "folding_ternary_gqa")
TEXT, TOKENS = "Once upon a time there was a little fox named", 16
Row = dict[str, Any]


def middle(measured: Callable[[], object]) -> float:
    """Seconds of the processor, the median: who else is on the machine matters less than for seconds of the clock."""

    def once() -> float:
        start = time.process_time()
        measured()
        return time.process_time() - start

    return statistics.median(once() for _ in range(REPEAT))


def strategy(name: str) -> Strategy:
    return build_registry([name] if name == "folding" else []).strategy(name)(StrategyConfig(name=name))


def proved(model: SmallLlama, name: str) -> Row:
    """One proof of a small model."""
    system, given = model.prepare(strategy(name), model.answer(PROMPT, 2))
    weights = commit_weights(system, given, WIDE)
    before, start = tools().kernels.counters(), time.process_time()
    proof = prove_system(system, given, WIDE, weights=weights)
    seconds = time.process_time() - start
    work = {k: n - before[k] for k, n in tools().kernels.counters().items()}
    return {
        "committed values": system.committed_values(),
        "lookups": system.lookups(),
        "relations": len(system.relations),
        "proof bytes": len(proof),
        "prove, CPU seconds": round(seconds, 3),
        "verify, CPU seconds": round(middle(lambda: verify_system(system, proof, WIDE, weights=weights)), 4),
        **{k: work[k] for k in ("field_mults", "group_adds")},
    }


def depth() -> Iterator[Row]:
    for name in ("per_layer", "folding"):
        for layers in DEPTHS:
            yield {"strategy": name, "layers": layers, **proved(SmallLlama(layers=layers), name)}


def slopes(rows: Sequence[Row]) -> Row:
    """Per layer from the least to the most layers, and what a doubling adds at the end."""
    out: Row = {}
    for name in ("per_layer", "folding"):
        own = [r for r in rows if r["strategy"] == name]
        for what in ("proof bytes", "verify, CPU seconds"):
            values = [r[what] for r in own]
            out[f"{name}: {what}, per layer"] = round((values[-1] - values[0]) / (DEPTHS[-1] - DEPTHS[0]), 5)
            out[f"{name}: {what}, {DEPTHS[-1]} layers over {DEPTHS[0]}"] = round(values[-1] / values[0], 3)
    return out


def memory() -> Iterator[Row]:
    """Each in a process of its own: the most that a process took cannot be taken back."""
    trees = {"batching": "layer_trees", "tree_layers": 1}
    one: dict[str, object] = {}
    arms = [("per_layer", one), ("per_layer", trees), ("folding", one), ("folding", trees), ("folding", trees)]
    for (name, batching), limit in zip(arms, (None, None, None, None, 1), strict=True):
        for layers in MEMORY_DEPTHS:
            config = {"strategy": {"name": name, **batching}, "memory_limit": limit}
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                row = pool.submit(_memory_of, config, layers).result()
            asked = {
                "strategy": name,
                "batching": batching.get("batching", "one"),
                "memory_limit, GiB": config["memory_limit"],
            }
            yield {**asked, "layers": layers, **row}


def _memory_of(choice: dict[str, Any], layers: int) -> Row:
    """`idle`: with torch and the model, before anything is committed or proved."""
    from zkcore import memory
    from zkcore.bench import e2e, synthetic
    from zkcore.report.progress import QuietReporter

    vars(synthetic)["SHAPES"] = {"small": {**MEMORY_SHAPE, "num_hidden_layers": layers}}
    plugins = ["folding"] if choice["strategy"]["name"] == "folding" else []
    content = {**choice, "plugins": plugins, "device": "cpu", "model": {"table_bits": 12, "activation_bits": 14}}
    idle = memory.peak()
    with TemporaryDirectory(prefix="zkcore-bench-") as place:
        config = parse(content, "benchmark")
        done = e2e.run("small", 64, None, config, Path(place), api.cache_dir(), QuietReporter())
    return {"proof bytes": done.proof_bytes, "idle, MiB": idle >> 20, "peak, MiB": done.memory >> 20}


def groups() -> Iterator[Row]:
    for ratio, (heads, keys) in RATIOS.items():
        for attention in ("attention", "gqa"):
            plugins = ("gqa",) if attention == "gqa" else ()
            model = SmallLlama(1, heads, keys, attention=attention, plugins=plugins)
            yield {"heads": ratio, "attention": attention, **proved(model, "per_layer")}


def accumulate() -> Iterator[Row]:
    model = ROOT / "examples" / "tiny-llama"
    for width in WIDTHS:
        with TemporaryDirectory(prefix="zkcore-bench-") as name:
            yield _accumulated(model, Path(name), width)


def _accumulated(model: Path, place: Path, width: int) -> Row:
    """The same answer complete, and several times into an accumulator."""
    config = yaml.safe_load((ROOT / "configs" / "default.yaml").read_text(encoding="utf-8"))
    config["commitment"]["log_width"] = width
    (place / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    api.commit(model, place / "config.yaml", place / "com")
    public, open_, settlement = place / "com" / "public.zkc", place / "open.zka", place / "s.zks"
    whole = api.prove(place / "com", TEXT, TOKENS, place / "whole.zkp")
    answers = [place / f"{i}.zkp" for i in range(ANSWERS)]
    left = [api.prove(place / "com", TEXT, TOKENS, a, accumulate=open_) for a in answers]
    size = open_.stat().st_size
    start = time.process_time()
    settled = api.settle(open_, public, settlement)
    settling = time.process_time() - start

    def given() -> None:
        try:
            api.verify(place / "0.zkp", public)
        except NotSettled:
            return
        raise RuntimeError("an answer was accepted without its settlement")

    def opening(done: ProveResult) -> float:
        return round(sum([s.seconds for s in done.stages if s.name == "open"]), 3)

    return {
        "log2 of the row width": width,
        "complete: proof bytes": whole.proof_bytes,
        "deferred: proof bytes": left[-1].proof_bytes,
        "complete: opening, seconds": opening(whole),
        "deferred: opening, seconds": opening(left[-1]),
        "complete: verify, CPU seconds": round(middle(lambda: api.verify(place / "whole.zkp", public)), 3),
        "deferred: verify without settlement, CPU seconds": round(middle(given), 3),
        "deferred: verify with settlement, CPU seconds": round(
            middle(lambda: api.verify(place / "0.zkp", public, settlement=settlement)), 3
        ),
        "deferred: verify all with settlement, CPU seconds per answer": round(
            middle(lambda: api.verify_together(answers, public, settlement)) / ANSWERS, 3
        ),
        "answers settled": settled.answers,
        "settlement bytes": settled.settlement_bytes,
        "settle, CPU seconds": round(settling, 3),
        "accumulator bytes": size,
    }


def ablation() -> Iterator[Row]:
    with TemporaryDirectory(prefix="zkcore-bench-") as name:
        place, example = Path(name), ROOT / "examples" / "tiny-llama"
        other = grouped(example, place / "tiny-llama, one key head")
        for model, names in ((example, [*SHIPPED, *OTHER_LOOKUP]), (other, GROUPED)):
            for config in names:
                yield _arm(model, config, place / f"{model.name} {config}")


def _arm(model: Path, name: str, place: Path) -> Row:
    """A configuration that ships, perhaps with the other lookup argument."""
    file, _, lookup = name.partition(" + ")
    text = (ROOT / "configs" / f"{file}.yaml").read_text(encoding="utf-8")
    place.mkdir()
    (place / "config.yaml").write_text(text.replace("lookup: logup_gkr", f"lookup: {lookup or 'logup_gkr'}"))
    start = time.process_time()
    made = api.commit(model, place / "config.yaml", place / "com")
    committed, start = time.process_time() - start, time.process_time()
    done = api.prove(place / "com", TEXT, TOKENS, place / "a.zkp")
    proving = time.process_time() - start
    work: Counter[str] = sum((Counter(s.work) for s in done.stages), Counter())
    return {
        "model": model.name,
        "configuration": name,
        "field multiplications": work["field_mults"] + work["small_mults"],
        "group additions": work["group_adds"],
        "proof bytes": done.proof_bytes,
        "commitment bytes": made.commitment_bytes,
        "commit, CPU seconds": round(committed, 2),
        "prove, CPU seconds": round(proving, 2),
        "verify, CPU seconds": round(middle(lambda: api.verify(place / "a.zkp", place / "com" / "public.zkc")), 3),
        "perplexity, floats": round(made.perplexity_float, 4),
        "perplexity, integers": round(made.perplexity_integer, 4),
        "answer": done.text,
    }


def grouped(model: Path, place: Path) -> Path:
    """A checkpoint with the mean of all key heads, and of all value heads (Ainslie et al. 2023, but not trained)."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(model, place)
    config = json.loads((place / "config.json").read_text(encoding="utf-8"))
    heads, size = config["num_key_value_heads"], config["head_dim"]
    tensors = load_file(place / "model.safetensors")
    for name, w in tensors.items():
        if name.endswith(("k_proj.weight", "v_proj.weight")):
            tensors[name] = w.reshape(heads, size, -1).mean(0).contiguous()
    save_file(tensors, place / "model.safetensors", {"format": "pt"})
    (place / "config.json").write_text(json.dumps(config | {"num_key_value_heads": 1}), encoding="utf-8")
    return place


SECTIONS: dict[str, Callable[[], Iterator[Row]]] = {
    "depth": depth,
    "memory": memory,
    "groups": groups,
    "accumulate": accumulate,
    "ablation": ablation,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], default=list(SECTIONS))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    chosen = parser.parse_args()
    for name in chosen.sections or list(SECTIONS):
        rows = []
        for row in SECTIONS[name]():
            console().print(row)
            rows.append(row)
        content: dict[str, Any] = {"rows": rows}
        if name == "depth":
            content["slopes"] = slopes(rows)
        save(chosen.out / f"strategies-{name}.json", content)


if __name__ == "__main__":
    main()
