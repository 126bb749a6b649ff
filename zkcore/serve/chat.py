"""From messages to the one text that a proof is about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from jinja2 import TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from zkcore.errors import UsageError
from zkcore.serve.messages import Message


class ChatTemplate:
    """A checkpoint's own (in Jinja, or the tokenizer_config.json that has one). Without any, the messages' texts follow
    each other, one a line: a model that was never taught to chat knows no better."""

    def __init__(self, file: Path | None) -> None:
        self._template = None
        if file is None:
            return
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        try:
            text = file.read_text(encoding="utf-8")
            source = json.loads(text)["chat_template"] if file.suffix == ".json" else text
            self._template = environment.from_string(source)
        except (OSError, ValueError, KeyError, TypeError, TemplateError) as e:
            raise UsageError(f"{file}: no chat template: {type(e).__name__}: {e}") from None

    def prompt(self, messages: Sequence[Message]) -> str:
        """Special tokens at the beginning are the tokenizer's business."""
        if self._template is None:
            return "\n".join(m.content for m in messages)
        try:
            given = [m.model_dump() for m in messages]
            return self._template.render(messages=given, add_generation_prompt=True, bos_token="", eos_token="")
        except TemplateError as e:
            raise UsageError(f"the chat template refuses these messages: {e}") from None
