"""Tables for the terminal. What comes out of a file may be anyone's text: nothing in it may act on the terminal."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zkcore.report.progress import StageTime

_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # controls, direction marks and what is no character


def printable(text: str) -> str:
    """The text with line breaks and tabs kept and every other control or invisible character spelled out."""
    keep = {"\n", "\t"}
    return "".join(c if c in keep or unicodedata.category(c) not in _UNSAFE else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def plain(value: object) -> Text:
    """A cell without markup; numbers with thousands separators."""
    if isinstance(value, Text):
        return value
    if isinstance(value, bool) or value is None:
        return Text({True: "yes", False: "no", None: "-"}[value])
    if isinstance(value, int):
        return Text(f"{value:,}", justify="right")
    if isinstance(value, float):
        return Text(f"{value:,.4g}", justify="right")
    return Text(printable(value if isinstance(value, str) else _inline(value)))


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def count(value: int) -> Text:
    """Three digits of a large number of operations."""
    for unit, power in (("T", 12), ("G", 9), ("M", 6), ("k", 3)):
        if value >= max(10**power, 100_000):
            return Text(f"{value / 10**power:#.3g}".rstrip(".") + f" {unit}", justify="right")
    return plain(value)


def _inline(value: object) -> str:
    """Nested values on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{k}: {_inner(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(_inner(v) for v in value)
    return str(value)


def _inner(value: object) -> str:
    return f"({_inline(value)})" if isinstance(value, (Mapping, list, tuple)) else str(plain(value))


def rows_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    table = Table(title=plain(title), title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_header=any(head))
    table.collapse_padding, table.pad_edge = True, False
    table.min_width = min(len(title), 80)  # a title is not broken for a narrow table
    cells = [[plain(v) for v in row] for row in rows]
    for i, name in enumerate(head):
        column = [row[i] for row in cells if i < len(row)]
        numbers = all(cell.justify == "right" or cell.plain in ("", "-") for cell in column)
        for cell in [] if numbers else column:
            cell.justify = None  # among words a number begins where they do
        side: Literal["left", "right"] = "right" if numbers and name else "left"
        table.add_column(plain(name), justify=side, overflow="fold", no_wrap=numbers)  # a number is not broken
    for row in cells:
        table.add_row(*row)
    return table


def summary_table(title: str, head: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """Large numbers to three digits: rows are there to be compared."""

    def cell(value: object) -> object:
        return count(value) if isinstance(value, int) and not isinstance(value, bool) else value

    return rows_table(title, head, [[cell(v) for v in row] for row in rows])


def pairs_table(title: str, pairs: Mapping[str, object]) -> Table:
    return rows_table(title, ("", ""), list(pairs.items()))


def stage_table(stages: Sequence[StageTime], title: str = "Stages") -> Table:
    """Stage, seconds, bytes (where any stage knows), and their sum."""
    sized = any(s.bytes for s in stages)
    total = StageTime("total", sum(s.seconds for s in stages), sum(s.bytes for s in stages))
    rows = [(s.name, Text(f"{s.seconds:,.2f}", justify="right"), s.bytes)[: 2 + sized] for s in [*stages, total]]
    return rows_table(title, ("stage", "seconds", "bytes")[: 2 + sized], rows)


def section_tables(content: Mapping[str, Any]) -> list[Table]:
    """`inspect`'s answer: one table per section; what is no section goes into the first."""
    loose = {k: v for k, v in content.items() if not isinstance(v, (Mapping, list, tuple))}
    tables = [pairs_table("File", loose)] if loose else []
    return tables + [_section(k, v) for k, v in content.items() if k not in loose]


def _section(title: str, value: Mapping[str, Any] | Sequence[Any]) -> Table:
    if isinstance(value, Mapping):
        return pairs_table(title, value)
    if value and all(isinstance(row, Mapping) for row in value):
        head = list(dict.fromkeys(k for row in value for k in row))
        return rows_table(title, head, [[row.get(k, "") for k in head] for row in value])
    rows = [row if isinstance(row, (list, tuple)) else (row,) for row in value]
    return rows_table(title, [""] * max((len(r) for r in rows), default=1), rows)


def console(stderr: bool = False) -> Console:
    """A file or a pipe has no width: wide enough for every table."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else 130
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, width=width)
