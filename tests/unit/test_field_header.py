"""The C++ field header against Python integers, with and without the x86 instructions. Needs a C++ compiler."""

from __future__ import annotations

import platform
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PRIMES = {
    "r": 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001,
    "q": 0x1A0111EA397FE69A4B1BA7B6434BACD764774B84F38512BF6730D2A0F6B0F6241EABFFFEB153FFFFB9FEFFFFFFFFAAAB,
}
BITS = {"r": 256, "q": 384}
COMPILER = shutil.which("c++") or shutil.which("g++")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")


def processor_has_adx() -> bool:
    info = Path("/proc/cpuinfo")
    return platform.machine() == "x86_64" and info.exists() and {"adx", "bmi2"} <= set(info.read_text().split())


def signed(value: int) -> int:
    low = value % 2**64
    return low - 2**64 if low >= 2**63 else low


OPERATIONS: dict[str, Callable[[int, int, int], int]] = {
    "add": lambda a, b, p: a + b,
    "sub": lambda a, b, p: a - b,
    "neg": lambda a, b, p: -a,
    "dbl": lambda a, b, p: 2 * a,
    "mul": lambda a, b, p: a * b,
    "sqr": lambda a, b, p: a * a,
    "inverse": lambda a, b, p: pow(a, -1, p) if a else 0,
    "fermat": lambda a, b, p: pow(a, -1, p) if a else 0,
    "pow": lambda a, b, p: pow(a, b, p),
    "int64": lambda a, b, p: signed(a),
    "wide": lambda a, b, p: 0,
    "product": lambda a, b, p: 0,
    "equal": lambda a, b, p: int(a == b),
    "bytes": lambda a, b, p: a,
}


def values(field: str) -> list[int]:
    """Borders of limbs and of the modulus, also as Montgomery residues (so that the raw limbs are extreme)."""
    p = PRIMES[field]
    rng = random.Random(field)
    plain = [0, 1, 2, p - 1, p - 2, (p - 1) // 2, 2**63, 2**64 - 1, 2**64, 2**128, p - 2**64, p - 2**192]
    unit = pow(2 ** BITS[field], -1, p)
    return plain + [v * unit % p for v in plain] + [rng.randrange(p) for _ in range(30)]


def questions(field: str) -> list[tuple[str, int]]:
    """Input lines with their answers."""
    p = PRIMES[field]
    rng = random.Random(0)
    asked = []
    numbers = values(field)
    for a in numbers:
        for b in [*numbers[:14], rng.choice(numbers), a]:
            for operation in ("add", "sub", "mul", "equal"):
                asked.append((f"{field} {operation} {a:x} {b:x}", OPERATIONS[operation](a, b, p) % p))
        b = rng.choice(numbers)
        for operation, meaning in OPERATIONS.items():
            asked.append((f"{field} {operation} {a:x} {b:x}", meaning(a, b, p) % p))
    top = 2 ** BITS[field] - 1
    for raw in [p, p + 1, 2 * p, top, top - 1, *(rng.randrange(top) for _ in range(20))]:
        asked.append((f"{field} integer {raw:x} 0", raw % p))
    for raw in (0, p - 1, p, p + 1, top):
        asked.append((f"{field} canonical {raw:x} 0", int(raw < p)))
    return asked


@pytest.mark.parametrize("flags", [["-DZKCORE_NO_ASM"], ["-mbmi2", "-madx"]], ids=["portable", "adx"])
def test_field_header(flags: list[str], tmp_path: Path) -> None:
    if "-madx" in flags and not processor_has_adx():
        pytest.skip("the processor lacks the instructions")
    program = tmp_path / "field_header"
    source = Path(__file__).with_name("field_header.cpp")
    command = [COMPILER, "-std=c++20", "-O1", "-Wall", "-Wextra", "-Werror", *flags, "-I", str(ROOT / "csrc/include")]
    subprocess.run([*command, str(source), "-o", str(program)], check=True)
    asked = [*questions("r"), *questions("q")]
    lines = "\n".join(line for line, _ in asked) + "\n"
    output = subprocess.run([str(program)], input=lines, capture_output=True, text=True, check=True).stdout.split()
    wrong = [line for (line, answer), got in zip(asked, output, strict=True) if int(got, 16) != answer]
    assert not wrong, wrong[:3]
