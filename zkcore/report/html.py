"""HTML pages that need nothing else: no scripts, no fonts, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from zkcore.report.tables import plain, printable

STYLE = """
:root { color-scheme: light; --line: #d8dde3; --soft: #f5f7f9; --text: #1c2733; --dim: #5c6b7a; --bad: #b3261e; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--text); max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem; }
p.about { color: var(--dim); margin: .3rem 0; }
div.wide { overflow-x: auto; } svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 600; } td.number { text-align: right; } tr:hover td { background: var(--soft); }
.failed { color: var(--bad); } blockquote { margin: .4rem 0; padding-left: 1rem; border-left: 3px solid var(--line); }
.verdict { font-size: 1.2rem; font-weight: 600; } .good { color: #1a7f37; }
details { margin: .4rem 0; } summary { cursor: pointer; }
pre { background: var(--soft); padding: .8rem; overflow: auto; }
"""


def page(title: str, about: Sequence[str], body: Sequence[str]) -> str:
    """`about` is text; `body` is made of the pieces below."""
    lines = "".join(f'<p class="about">{text(line)}</p>' for line in about)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{text(title)}</title>'
    return (
        f'<!DOCTYPE html><html lang="en"><head>{head}<style>{STYLE}</style></head>'
        f"<body><h1>{text(title)}</h1>{lines}{''.join(body)}</body></html>\n"
    )


def text(value: object) -> str:
    """What came out of files may be anyone's: it is shown, never run."""
    return escape(printable(str(value)))


def heading(title: str, level: int = 2) -> str:
    return f"<h{level}>{text(title)}</h{level}>"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Without a head, numbers stand among words, and begin where they do."""
    cells, aligned = "".join(f"<th>{text(name)}</th>" for name in head), any(head)
    body = "".join(f"<tr>{''.join(_cell(v, aligned) for v in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: object, aligned: bool) -> str:
    number = aligned and isinstance(value, (int, float)) and not isinstance(value, bool)
    shown = text(plain(value))
    kind = ' class="number"' if number else ' class="failed"' if shown.startswith("failed") else ""
    return f"<td{kind}>{shown}</td>"


def verdict(value: str, good: bool) -> str:
    return f'<p class="verdict {"good" if good else "failed"}">{text(value)}</p>'


def quote(value: str) -> str:
    return f"<blockquote>{text(value)}</blockquote>"


def details(summary: str, preformatted: str) -> str:
    return f"<details><summary>{text(summary)}</summary><pre>{text(preformatted)}</pre></details>"


def figure(svg: str) -> str:
    """An SVG of our own making."""
    return f'<div class="wide">{svg}</div>'


def pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in values.items())
