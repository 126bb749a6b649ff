"""Write docs/configuration.md from the schema: python scripts/config_reference.py (tests compare)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from zkcore.config import Config

TARGET = Path(__file__).parent.parent / "docs" / "configuration.md"
HEAD = """\
# Configuration reference

<!-- Written by scripts/config_reference.py from the schema in zkcore/config.py: change that, and run it again. -->

What is proved, and how, is one YAML file. Every key has a default; an unknown key, a key that is there twice and a
value out of range are refused, all of them at once. The whole configuration is part of the statement: proofs made under
another one are about something else.
"""


def reference() -> str:
    return "\n".join([HEAD, *_section(Config, "")]) + "\n"


def _section(model: type[BaseModel], path: str) -> Iterator[str]:
    """A heading, what the class says of its keys, a table, and the sections within."""
    schema, inner = model.model_json_schema(), list[tuple[type[BaseModel], str]]()
    yield f"## {path or 'Top level'}\n" if not path else f"## `{path}`\n"
    if text := inspect.getdoc(model):
        yield text + "\n"
    yield "| key | default | values |"
    yield "|---|---|---|"
    for name, field in model.model_fields.items():
        key = f"{path}.{name}" if path else name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            inner.append((kind, key))
            continue
        yield f"| `{name}` | `{_yaml(field.default)}` | {_values(schema['properties'][name])} |"
    yield ""
    for kind, key in inner:
        yield from _section(kind, key)


def _yaml(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _values(schema: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "anyOf" in schema:
        return ", or ".join(_values(s) for s in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(f"`{_yaml(v)}`" for v in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of: {_values(schema.get('items', {'type': 'anything'}))}"
    low, high = schema.get("minimum"), schema.get("maximum")
    bounds = f" {low} to {high}" if high is not None else f" from {low}" if low is not None else ""
    return f"{schema.get('type', 'anything')}{bounds}"


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
