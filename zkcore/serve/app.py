"""The routes. An answer comes from the integer model at once; its proof comes later, and can be fetched by its id."""

from __future__ import annotations

import hmac
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from zkcore.errors import UsageError
from zkcore.prover import Owner
from zkcore.public import NAME
from zkcore.serve import messages
from zkcore.serve.answers import DONE, FAILED, Answers, QueueFull
from zkcore.serve.chat import ChatTemplate
from zkcore.serve.messages import Chat, Completion
from zkcore.serve.worker import Worker

LARGEST = 1 << 20  # bytes of a request
LOCAL = ["localhost", "127.0.0.1", "[::1]"]


@dataclass(frozen=True)
class Settings:
    """`key`: what clients must send as their API key; empty: nothing. `hosts`: names it may be called by; a page of
    another origin cannot ask in the user's name."""

    commitment: Path
    state: Path
    name: str
    most_tokens: int = 256
    most_waiting: int = 32
    keep: int = 1000
    key: str = ""
    hosts: tuple[str, ...] = tuple(LOCAL)
    template: Path | None = None
    cache: Path | None = None


class Service:
    """Answers prompts, one at a time."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.template = settings, ChatTemplate(settings.template)
        self.owner = Owner.load(settings.commitment)
        self.answers = Answers(settings.state, settings.most_waiting, settings.keep)
        self.worker = Worker(self.owner, self.answers, settings.cache)
        self._one = threading.Lock()

    def answer(self, kind: str, prompt: str, request: Chat | Completion) -> dict[str, Any]:
        name = self.settings.name
        if request.model not in (None, name):
            raise UsageError(f"there is no model {request.model!r} here, only {name!r}")
        self.answers.check_room()
        codec = self.owner.public.codec
        tokens = codec.encode(prompt)
        with self._one:
            sequence = self.owner.generate(tokens, self._most(request, len(tokens)))
        made = self.answers.add(sequence, prompt, codec.decode(sequence.generated), request.nonce.encode())
        ended = sequence.tokens[-1] in self.owner.public.setup.architecture.eos
        return messages.reply(kind, made, name, ended)

    def _most(self, request: Chat | Completion, prompt: int) -> int:
        """As many new tokens as were asked for; if nothing was said, as many as there is room for."""
        asked = request.max_completion_tokens or request.max_tokens
        if asked and asked > self.settings.most_tokens:
            raise UsageError(f"max_tokens {asked}: this server proves {self.settings.most_tokens} at most")
        room = self.owner.public.setup.architecture.max_positions - prompt
        return asked or max(1, min(self.settings.most_tokens, room))


def make(settings: Settings) -> FastAPI:
    service = Service(settings)

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        app.state.ended = True
        service.worker.start()
        yield
        app.state.ended = service.worker.stop()

    app = FastAPI(title="zkcore", lifespan=running, docs_url=None, redoc_url=None, openapi_url=None)
    _guard(app, settings)
    _routes(app, service)
    return app


def _routes(app: FastAPI, service: Service) -> None:
    @app.post("/v1/chat/completions")
    def chat(request: Chat) -> dict[str, Any]:
        return service.answer("chat.completion", service.template.prompt(request.messages), request)

    @app.post("/v1/completions")
    def complete(request: Completion) -> dict[str, Any]:
        return service.answer("text_completion", request.prompt, request)

    @app.get("/v1/models")
    def models() -> dict[str, Any]:
        return messages.models(service.settings.name)

    @app.get("/v1/commitment")
    def commitment() -> Response:
        return FileResponse(service.settings.commitment / NAME, media_type="application/octet-stream")

    @app.get("/v1/proofs/{name}")
    def proof(name: str) -> Response:
        """The proof; 202 and its state while there is none yet."""
        found = service.answers.find(name)
        if found is None:
            return _refused(404, f"there is no proof {name!r} here")
        answer, state = found
        if state == DONE:
            headers = {"X-Zkcore-Nonce": answer.nonce}
            return FileResponse(service.answers.proof(name), media_type="application/octet-stream", headers=headers)
        if state == FAILED:
            return _refused(500, f"there will be no proof {name}: {answer.error}", "server_error")
        content = {"id": name, "object": "proof", "status": state, "waiting": service.answers.waiting()}
        return JSONResponse(content, 202, headers={"Retry-After": "2"})


def _guard(app: FastAPI, settings: Settings) -> None:
    """Refusals in the form that OpenAI's clients show."""
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(settings.hosts))

    @app.middleware("http")
    async def check(request: Request, go_on: Callable[[Request], Any]) -> Response:
        sent = request.headers.get("authorization", "").removeprefix("Bearer ")
        if settings.key and not hmac.compare_digest(sent.encode(), settings.key.encode()):
            return _refused(401, "the API key is missing or wrong", "authentication_error")
        length = request.headers.get("content-length", "0")
        if request.method == "POST" and not (length.isascii() and length.isdigit() and 0 < int(length) <= LARGEST):
            return _refused(413, f"a request needs a length, of {LARGEST} bytes at most")
        response: Response = await go_on(request)
        return response

    @app.exception_handler(QueueFull)
    async def full(request: Request, e: QueueFull) -> Response:
        return _refused(429, str(e), "rate_limit_error", {"Retry-After": "30"})

    @app.exception_handler(UsageError)
    async def unusable(request: Request, e: UsageError) -> Response:
        return _refused(400, str(e))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, e: RequestValidationError) -> Response:
        problems = [f"{'.'.join(str(x) for x in p['loc'][1:])}: {p['msg']}" for p in e.errors()]
        return _refused(400, "; ".join(problems))

    @app.exception_handler(HTTPException)
    async def other(request: Request, e: HTTPException) -> Response:
        return _refused(e.status_code, str(e.detail))


def _refused(
    status: int, message: str, kind: str = "invalid_request_error", headers: dict[str, str] | None = None
) -> Response:
    return JSONResponse(messages.error(message, kind), status, headers=headers)
