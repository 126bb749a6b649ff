"""Small files, small functions: what one can read in one go."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE, FUNCTION = 300, 60  # lines, at most
SOURCES = sorted((ROOT / "zkcore").rglob("*.py"))


def test_no_file_is_too_long() -> None:
    assert len(SOURCES) > 60
    long = {str(p.relative_to(ROOT)): n for p in SOURCES if (n := len(p.read_text().splitlines())) > FILE}
    assert long == {}


def test_no_function_is_too_long() -> None:
    long = {}
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION:
                    long[f"{path.relative_to(ROOT)}:{node.name}"] = lines
    assert long == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [p for p in SOURCES if (text := p.read_text()).strip() and not ast.get_docstring(ast.parse(text))]
    assert [str(p.relative_to(ROOT)) for p in silent] == []
