"""The map from attacks to tests leads somewhere."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CATALOGUE = (ROOT / "tests" / "attacks" / "CATALOGUE.md").read_text()
NAMED = sorted(set(re.findall(r"(?:tests|plugins)/[\w/]+\.py(?:::\w+)?", CATALOGUE)))


@cache
def functions_of(path: Path) -> set[str]:
    return {n.name for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)}


@pytest.mark.parametrize("name", NAMED)
def test_it_exists(name: str) -> None:
    path, _, test = name.partition("::")
    assert (ROOT / path).is_file()
    assert not test or test in functions_of(ROOT / path)


def test_every_attack_of_the_design_has_a_line() -> None:
    for kind, count in (("a", 19), ("b", 15), ("c", 9), ("d", 9)):
        for n in range(1, count + 1):
            assert re.search(rf"\b{kind}{n}\b", CATALOGUE), f"{kind}{n}"
