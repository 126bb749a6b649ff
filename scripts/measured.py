"""Write docs/includes/measured.md from benchmarks/results: python scripts/measured.py (tests compare)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
RESULTS, TARGET = ROOT / "benchmarks" / "results", ROOT / "docs" / "includes" / "measured.md"


def tables() -> str:
    parts = (_example, _ablation, _depth, _groups, _accumulated)
    return "\n".join(line for part in parts for line in (part(), ""))


def _result(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return found


def _where(result: dict[str, Any]) -> str:
    machine = result["machine"]
    return f"{machine['cores']} cores of {machine['cpu']}, {result['date']}, commit {result['commit']}"


def _example() -> str:
    """Whole proofs of the trained example."""
    rows = []
    for name in ("default", "baseline"):
        f = _result(f"tiny_llama-{name}")["figures"]
        seconds = [f"{f[f'{step}, seconds']:.2f} s" for step in ("prove", "verify")]
        memory = f"{f['peak memory of proving, bytes'] / 1e6:,.0f} MB"
        rows.append(f"| `configs/{name}.yaml` | {seconds[0]} | {seconds[1]} | {f['proof, bytes']:,} bytes | {memory} |")
    first = _result("tiny_llama-default")
    head = f"`examples/tiny-llama`, {first['tokens']} tokens ({_where(first)}):\n\n"
    return head + _table("configuration | prove | verify | proof | peak memory of proving", rows)


def _depth() -> str:
    """What a layer more costs."""
    result, rows = _result("strategies-depth"), []
    for r in result["rows"]:
        if r["layers"] in (4, 32):
            figures = f"{r['proof bytes']:,} | {r['verify, CPU seconds']:.2f} | {r['prove, CPU seconds']:.1f}"
            rows.append(f"| {r['strategy']} | {r['layers']} | {figures} |")
    head = f"Depth, on a very small model ({_where(result)}):\n\n"
    return head + _table("strategy | layers | proof bytes | verify, CPU seconds | prove, CPU seconds", rows)


def _groups() -> str:
    """What repeated keys and values cost."""
    result, rows = _result("strategies-groups"), []
    for r in result["rows"]:
        figures = f"{r['committed values']:,} | {r['lookups']:,} | {r['proof bytes']:,}"
        rows.append(f"| {r['heads']} | {r['attention']} | {figures} |")
    head = f"Query heads over key heads, one layer of a very small model ({_where(result)}):\n\n"
    return head + _table("heads | attention | committed values | lookups | proof bytes", rows)


def _ablation() -> str:
    """Configurations side by side."""
    result, rows = _result("strategies-ablation"), []
    for r in result["rows"]:
        work = f"{r['field multiplications'] / 1e6:.1f} M | {r['group additions'] / 1e6:.1f} M"
        seconds = " | ".join(f"{r[f'{step}, CPU seconds']:.1f}" for step in ("prove", "verify"))
        perplexity = f"{r['perplexity, floats']:.4g} | {r['perplexity, integers']:.4g}"
        model = "one" if "one key head" in r["model"] else "four"
        figures = f"{work} | {r['proof bytes']:,} | {seconds} | {perplexity}"
        rows.append(f"| {r['configuration']} | {model} | {figures} |")
    head = (
        f"Configurations, with either lookup argument, on `examples/tiny-llama` and on the same with its four key "
        f"heads averaged to one, 16 new tokens ({_where(result)}):\n\n"
    )
    names = "configuration | key heads | field mults | group adds | proof bytes | prove, CPU s | verify, CPU s"
    return head + _table(f"{names} | perplexity, floats | integers", rows)


def _accumulated() -> str:
    """What leaving the opening to a settlement saves."""
    result, rows = _result("strategies-accumulate"), []
    for r in result["rows"]:
        size = f"{r['complete: proof bytes']:,} | {r['deferred: proof bytes']:,}"
        ways = ("complete: verify", "deferred: verify without settlement", "deferred: verify with settlement")
        seconds = " | ".join(f"{r[f'{way}, CPU seconds']:.2f}" for way in ways)
        settled = f"{r['settlement bytes']:,} | {r['settle, CPU seconds']:.1f}"
        rows.append(f"| 2^{r['log2 of the row width']} | {size} | {seconds} | {settled} |")
    head = f"Answers that leave their opening to a settlement, of two answers ({_where(result)}):\n\n"
    names = "row width | proof bytes, complete | deferred | verify, complete, CPU s | given a settlement"
    return head + _table(f"{names} | with it | settlement bytes | settle, CPU s", rows)


def _table(head: str, rows: list[str]) -> str:
    return "\n".join([f"| {head} |", "|" + "---|" * (head.count("|") + 1), *rows])


if __name__ == "__main__":
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(tables(), encoding="utf-8")
