"""The verifier is a function of two files: no floats, no clock, no chance, no environment, nothing that -O strips."""

from __future__ import annotations

import ast
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.e2e.checkpoints import Place
from zkcore import api, prover, public, verifier
from zkcore.errors import ProofRejected

ROOT = Path(__file__).parents[2]
VERIFY = """
import json, sys
from pathlib import Path
from zkcore import public, verifier
proof, expected = Path(sys.argv[2]).read_bytes(), verifier.Expected(nonce=sys.argv[3].encode())
verifier.verify(public.load(Path(sys.argv[1])), proof, expected, None)
print(json.dumps({n: m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "zkcore" and m.__file__}))
"""
MODULE = "*"  # in place of a function: outside of all

# (module, function): what may look impure there, and why it does not matter
EXCEPTIONS = {
    (
        "zkcore.field.generators",
        "Generators._load",
    ): "a path; what it leads to is checked against digests in the source",
    ("zkcore.proof", "_temporary"): "names a file to write",
    ("zkcore.transcript.channel", "ProverChannel.blinders"): "the prover's randomness; VerifierChannel has none",
    (
        "zkcore.field.space",
        "NumpySpace.einsum",
    ): "the witness's; rounding is excluded, and the order of a product does not matter",
    ("zkcore.models.config_json", "_Rope"): "reads a checkpoint's config.json; a commitment's header has decimal text",
    ("zkcore.models.config_json", "_Config"): "reads a checkpoint's config.json",
    ("zkcore.models.gpt2", "_Config"): "reads a checkpoint's config.json",
    ("zkcore.models.layout", "weights"): "a checkpoint's real weights, when a model is committed to",
    ("zkcore.models.quantisation", "fraction"): "chooses scales, when a model is committed to",
    ("zkcore.models.quantisation", "choose"): "chooses scales",
    ("zkcore.models.quantisation", "_index_bits"): "chooses scales",
    ("zkcore.models.rope", "frequencies"): "divides decimals, in a context of its own",
    ("zkcore.models.rope", "_llama3"): "divides decimals, in a context of its own",
    ("zkcore.ops.tables", "score_step"): "divides decimals, in a context of its own",
    ("zkcore.ops.tables", "gelu_tanh"): "divides decimals, in a context of its own",
    ("zkcore.ops.rmsnorm", "RmsNorm.real"): "on real numbers, for calibration",
    ("zkcore.ops.layernorm", "LayerNorm.real"): "on real numbers, for calibration",
    ("zkcore.ops.softmax", "real_attention"): "on real numbers, for calibration",
    ("zkcore.ops.segments", "Segments.nats"): "an error bound, for reports",
    ("zkcore.ops.segments", "error_bound"): "an error bound, for reports",
    ("zkcore.ops.segments", "_published"): "an error bound, for reports",
    ("zkcore.ops.segments", "_built"): "an error bound, for reports",
}
CLOCKS = {"time", "datetime", "random", "secrets", "uuid", "getpass", "socket", "platform", "locale"}
EXACT_MATH = {"isqrt", "prod", "gcd", "comb", "factorial"}
FLOAT_NAMES = {"float", "complex", "float64", "float32", "float16", "double", "rint"}
SURROUNDINGS = {"environ", "getenv", "urandom", "getrandom", "getcwd", "expanduser", "hash", "id", "input"}


@dataclass(frozen=True, order=True)
class Found:
    module: str
    function: str
    line: int
    what: str


@cache
def loaded(public: str, proof: str, nonce: str) -> dict[str, str]:
    """Modules of ours that a verification loads, with their files."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", VERIFY, public, proof, nonce]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, cwd=ROOT)
    found: dict[str, str] = json.loads(done.stdout)
    return {n: f for n, f in found.items() if f.endswith(".py")}


def scan(module: str, tree: ast.Module) -> Iterator[Found]:
    def visit(node: ast.AST, function: str) -> Iterator[Found]:
        for child in ast.iter_child_nodes(node):
            name = function
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                name = f"{function}.{child.name}".removeprefix(f"{MODULE}.")
            if what := impure(child):
                yield Found(module, name, getattr(child, "lineno", 0), what)
            yield from visit(child, name)

    yield from visit(tree, MODULE)


def impure(node: ast.AST) -> str:
    """What makes a node suspect; empty if nothing does."""
    match node:
        case ast.Assert():
            return "assert"
        case ast.Constant(value=float() | complex()):
            return "a float"
        case ast.BinOp(op=ast.Div()) | ast.AugAssign(op=ast.Div()):
            return "a true division"
        case ast.Import(names=names) if {n.name.partition(".")[0] for n in names} & CLOCKS:
            return "a clock or chance"
        case ast.ImportFrom(module=str(origin)) if origin.partition(".")[0] in CLOCKS:
            return "a clock or chance"
        case ast.Attribute(value=ast.Name(id="math"), attr=attr) if attr not in EXACT_MATH:
            return "inexact mathematics"
        case ast.Attribute(value=ast.Name(id="np" | "numpy"), attr="random"):
            return "a clock or chance"
        case ast.Attribute(attr=attr) if attr in FLOAT_NAMES:
            return "a float"
        case ast.Call(func=ast.Name(id=name)) if name in FLOAT_NAMES:
            return "a float"
        case ast.Attribute(attr=attr) if attr in SURROUNDINGS:
            return "the environment"
        case ast.Call(func=ast.Name(id=name)) if name in SURROUNDINGS:
            return "the environment"
        case ast.Call(func=ast.Name(id="zip"), keywords=keywords):
            strict = any(k.arg == "strict" and isinstance(k.value, ast.Constant) and k.value.value for k in keywords)
            return "" if strict else "a zip that may drop what is left over"
        case ast.For(iter=over) | ast.comprehension(iter=over) if unordered(over):
            return "an order that is not fixed"
    return ""


def unordered(node: ast.AST) -> bool:
    """Is this the iteration over a set?"""
    match node:
        case ast.Set() | ast.SetComp():
            return True
        case ast.Call(func=ast.Name(id="set" | "frozenset")):
            return True
        case ast.BinOp(left=left, right=right, op=ast.BitOr() | ast.BitAnd() | ast.Sub() | ast.BitXor()):
            return unordered(left) or unordered(right)
    return False


@pytest.fixture(scope="module")
def modules(tiny: Place) -> dict[str, str]:
    return loaded(str(tiny.public), str(tiny.proof), tiny.nonce.decode())


def test_what_the_verifier_loads_is_pure(modules: dict[str, str]) -> None:
    assert len(modules) > 50
    assert {"zkcore.verifier", "zkcore.models.llama", "zkcore.transcript.transcript"} <= modules.keys()
    everything = [f for n, path in modules.items() for f in scan(n, ast.parse(Path(path).read_text()))]
    bad = [f for f in everything if (f.module, f.function) not in EXCEPTIONS]
    assert [f"{f.module}:{f.line} {f.function}: {f.what}" for f in sorted(bad)] == []


def test_no_exception_is_stale(modules: dict[str, str]) -> None:
    found = {(f.module, f.function) for n, path in modules.items() for f in scan(n, ast.parse(Path(path).read_text()))}
    assert [e for e in EXCEPTIONS if e not in found] == []


def test_the_verifier_loads_neither_the_prover_nor_its_packages(modules: dict[str, str]) -> None:
    ours = (
        "committer",
        "prover",
        "evaluation",
        "models.passes",
        "graph.forward",
        "ops.exact",
        "testing",
        "report",
        "cli",
    )
    assert [n for n in modules for o in ours if n == f"zkcore.{o}" or n.startswith(f"zkcore.{o}.")] == []


@pytest.mark.parametrize("collecting", [True, False])
def test_python_collects_as_before(collecting: bool, tiny: Place) -> None:
    """A verification puts its collector off, whatever comes of it, and touches nothing for who has done so already."""
    seen, before = list[bool](), gc.isenabled()
    model, proof, found = public.load(tiny.public), tiny.proof.read_bytes(), list[bool]()
    try:
        (gc.enable if collecting else gc.disable)()
        for nonce in (tiny.nonce, b"another"):
            with nullcontext() if nonce == tiny.nonce else pytest.raises(ProofRejected):
                expected = verifier.Expected(nonce=nonce)
                verifier.verify(model, proof, expected, None, lambda *a: seen.append(gc.isenabled()))
            found.append(gc.isenabled())
    finally:
        (gc.enable if before else gc.disable)()
    assert found == [collecting] * 2 and seen and not any(seen)


def test_a_prover_collects_as_before(tiny: Place) -> None:
    owner, seen = prover.Owner.load(tiny.commitment), list[bool]()
    sequence = owner.generate(owner.public.codec.encode(tiny.prompt), 1)
    assert gc.isenabled()
    prover.prove(owner, sequence, b"", api.cache_dir(), lambda *a: seen.append(gc.isenabled()))
    assert gc.isenabled() and seen and not any(seen)


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n assert x",
        "y = 1.5",
        "y = 1 / 2",
        "import random",
        "from time import monotonic",
        "import math\ny = math.log2(3)",
        "y = np.random.default_rng()",
        "y = a.astype(np.float64)",
        "y = float('1')",
        "y = os.environ['X']",
        "y = zip(a, b)",
        "y = [x for x in {1, 2}]",
        "for x in set(a) - b: pass",
        "y = hash('x')",
    ],
)
def test_the_scan_is_alive(source: str) -> None:
    assert list(scan("m", ast.parse(source)))


@pytest.mark.parametrize("source", ["import math\ny = math.isqrt(3)", "y = 3 // 2", "y = zip(a, b, strict=True)"])
def test_the_scan_lets_the_rest_pass(source: str) -> None:
    assert not list(scan("m", ast.parse(source)))
