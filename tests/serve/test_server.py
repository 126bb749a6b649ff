"""The server as a process of its own, asked by OpenAI's client; what it promised outlives it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.checkpoints import Place
from zkcore import api

openai = pytest.importorskip("openai")
httpx = pytest.importorskip("httpx2", reason="what openai's client speaks with")
pytest.importorskip("fastapi")
pytest.importorskip("persistqueue")

TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"


@contextmanager
def serving(place: Place, state: Path, *options: str, key: str = "") -> Iterator[str]:
    """The address of a server; it is killed in the end."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "zkcore", "--quiet", "serve", str(place.commitment), "--state", str(state)]
    environment = {**os.environ, "ZKCORE_API_KEY": key}
    running = subprocess.Popen([*command, "--port", str(port), *options], env=environment)
    address = f"http://127.0.0.1:{port}"
    try:
        wait(lambda: _listens(port) or running.poll() is not None)
        assert running.poll() is None
        yield address
    finally:
        running.kill()
        running.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait(until: Callable[[], Any], seconds: float = 90) -> Any:
    end = time.monotonic() + seconds
    while not (found := until()):
        assert time.monotonic() < end, "it takes too long"
        time.sleep(0.05)
    return found


def client(address: str, key: str = "none") -> Any:
    return openai.OpenAI(base_url=f"{address}/v1", api_key=key, max_retries=0)


def ask(place: Place, address: str, prompt: str = "The old mill", **more: Any) -> Any:
    return client(address).completions.create(model=place.commitment.name, prompt=prompt, max_tokens=3, **more)


def proof(address: str, name: str) -> bytes:
    """Once it is there."""
    response = wait(lambda: (r := httpx.get(f"{address}/v1/proofs/{name}")).status_code != 202 and r)
    assert response.status_code == 200, response.text
    return bytes(response.content)


def test_a_chat_is_answered_at_once_and_proved_behind(tiny: Place, tmp_path: Path) -> None:
    (tmp_path / "template.jinja").write_text(TEMPLATE)
    with serving(tiny, tmp_path / "state", "--chat-template", str(tmp_path / "template.jinja")) as address:
        asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}]
        options = {"max_tokens": 4, "temperature": 0, "extra_body": {"nonce": "mine"}}
        model = client(address).models.list().data[0].id
        said = client(address).chat.completions.create(model=model, messages=asked, **options)
        early = httpx.get(f"{address}/v1/proofs/{said.proof_id}")
        assert (early.status_code, early.json()["status"] in ("queued", "proving")) == (202, True)
        assert said.usage.completion_tokens == 4
        assert said.choices[0].finish_reason == "length"
        assert said.prompt == "system: Be brief.\nuser: Why?\nassistant:"
        (tmp_path / "a.zkp").write_bytes(proof(address, said.proof_id))
        (tmp_path / "public.zkc").write_bytes(httpx.get(f"{address}/v1/commitment").content)
    text = said.choices[0].message.content
    accepted = api.verify(
        tmp_path / "a.zkp", tmp_path / "public.zkc", prompt=said.prompt, expect_text=text, nonce=b"mine"
    )
    assert accepted.tokens == 4


def test_a_promise_outlives_the_server(tiny: Place, tmp_path: Path) -> None:
    """Killed while it proves the first of two answers: the next server proves both."""
    with serving(tiny, tmp_path / "state") as address:
        names = [ask(tiny, address, prompt).proof_id for prompt in ("The old mill", "Once")]
        wait(lambda: httpx.get(f"{address}/v1/proofs/{names[0]}").json()["status"] == "proving")
    with serving(tiny, tmp_path / "state") as address:
        for name, prompt in zip(names, ("The old mill", "Once"), strict=True):
            (tmp_path / "a.zkp").write_bytes(proof(address, name))
            assert api.verify(tmp_path / "a.zkp", tiny.public, prompt=prompt).tokens == 3
    assert not [p for p in (tmp_path / "state").rglob("*") if p.name.startswith(".")]


def test_ctrl_c_in_the_middle_of_a_proof(tiny: Place, tmp_path: Path) -> None:
    """It ends at once and cleanly; the proof is begun anew, and no attempt at it is used up."""
    state = tmp_path / "state"
    command = [sys.executable, "-m", "zkcore", "--quiet", "serve", str(tiny.commitment), "--state", str(state)]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([*command, "--port", str(port)], stderr=subprocess.PIPE, text=True) as running:
        wait(lambda: _listens(port) or running.poll() is not None)
        name = ask(tiny, f"http://127.0.0.1:{port}", prompt="The old mill stands where two streams meet").proof_id
        stored = state / "answers" / f"{name}.json"
        wait(lambda: json.loads(stored.read_text())["attempts"] == 1)
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert "terminate" not in errors and "Traceback" not in errors
    if not (state / "proofs" / f"{name}.zkp").exists():  # it may have been quick
        assert json.loads(stored.read_text())["attempts"] == 0
    with serving(tiny, state) as address:
        assert proof(address, name)


def test_what_cannot_be_answered_is_refused_by_name(tiny: Place, tmp_path: Path) -> None:
    with serving(tiny, tmp_path / "state", "--queue", "1", "--max-new-tokens", "8") as address:
        for more, said in [
            ({"extra_body": {"stream": True}}, "stream"),
            ({"temperature": 0.7}, "temperature"),
            ({"n": 2}, "n: "),
            ({"logprobs": 3}, "logprobs"),
            ({"extra_body": {"tools": []}}, "tools"),
            ({"extra_body": {"max_tokens": 9}}, "8 at most"),
            ({"extra_body": {"model": "gpt-5"}}, "no model 'gpt-5'"),
            ({"prompt": "x" * 500}, "128 positions"),
            ({"prompt": ""}, "prompt"),
        ]:
            with pytest.raises(openai.BadRequestError, match=said):
                ask(tiny, address, **more)
        first = ask(tiny, address)
        with pytest.raises(openai.RateLimitError, match="no more than 1 may"):
            ask(tiny, address)
        assert len(proof(address, first.proof_id)) > 1000
        assert wait(lambda: _room(tiny, address)).choices[0].text == first.choices[0].text
        for path in ("/v1/proofs/" + "0" * 32, "/v1/proofs/..%2fqueue", "/v2/x"):
            assert httpx.get(address + path).status_code == 404
        assert httpx.get(f"{address}/v1/models", headers={"Host": "evil.example"}).status_code == 400
        large = httpx.post(f"{address}/v1/completions", content=b"{" + b" " * (1 << 20))
        assert (large.status_code, large.json()["error"]["type"]) == (413, "invalid_request_error")


def _room(place: Place, address: str) -> Any:
    try:
        return ask(place, address)
    except openai.RateLimitError:
        return None


def test_a_key_where_one_is_set(tiny: Place, tmp_path: Path) -> None:
    with serving(tiny, tmp_path / "state", key="secret") as address:
        with pytest.raises(openai.AuthenticationError):
            client(address, "other").models.list()
        assert client(address, "secret").models.list().data


def test_other_machines_need_a_key(tiny: Place, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "ZKCORE_API_KEY"}
    command = [sys.executable, "-m", "zkcore", "--json", "serve", str(tiny.commitment), "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "ZKCORE_API_KEY" in json.loads(done.stderr.splitlines()[-1])["lines"][0]
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_it(tiny: Place, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "zkcore", "--json", "serve", str(tiny.commitment), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as running:
        assert running.stdout and running.stderr
        assert json.loads(running.stdout.readline())["event"] == "serving"
        while "startup complete" not in running.stderr.readline():
            assert running.poll() is None
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=30)
    assert running.returncode in (0, 130)
    assert "Traceback" not in errors
