"""What OpenAI's clients send and expect: the part of it that can be proved. The rest is refused by name."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from zkcore.serve.answers import Answer


class _Request(BaseModel):
    """Decoding is greedy: parameters that sample, and those that ask for several answers, have one value."""

    model_config = ConfigDict(extra="forbid")
    model: str | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Literal[0] | None = None
    top_p: Literal[1] | None = None
    n: Literal[1] | None = None
    stream: Literal[False] | None = None
    stop: None = None
    seed: int | None = None
    user: str | None = None
    nonce: Annotated[str, Field(max_length=1024)] = ""


class Completion(_Request):
    prompt: Annotated[str, Field(min_length=1)]


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")
    role: Literal["system", "user", "assistant"]
    content: str


class Chat(_Request):
    messages: Annotated[list[Message], Field(min_length=1, max_length=1000)]


def usage(answer: Answer) -> dict[str, int]:
    prompt, whole = answer.prompt_length, len(answer.tokens)
    return {"prompt_tokens": prompt, "completion_tokens": whole - prompt, "total_tokens": whole}


def reply(kind: str, answer: Answer, model: str, ended: bool) -> dict[str, Any]:
    """`proof_id` is ours; `prompt` is what the proof is about, as `zkcore verify --prompt` asks for it."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": "stop" if ended else "length", "logprobs": None}
    if kind == "chat.completion":
        choice["message"] = {"role": "assistant", "content": answer.text}
    else:
        choice["text"] = answer.text
    return {
        "id": f"zkcore-{answer.id}",
        "object": kind,
        "created": answer.created,
        "model": model,
        "choices": [choice],
        "usage": usage(answer),
        "proof_id": answer.id,
        "prompt": answer.prompt,
    }


def models(name: str) -> dict[str, Any]:
    return {
        "object": "list",
        "data": [{"id": name, "object": "model", "created": int(time.time()), "owned_by": "zkcore"}],
    }


def error(message: str, kind: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": None}}
