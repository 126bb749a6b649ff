"""What a configuration may choose: each choice proves, verifies and rejects, and is part of the statement."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.checkpoints import CONFIG, Place, write_checkpoint
from tests.e2e.files import File, flipped
from tests.e2e.limits import refused
from zkcore import api, public
from zkcore.errors import ConfigError, FormatError, PluginError, ProofRejected
from zkcore.models.family import Sequence

ZKATTN = {"segment_bits": ["auto", 12, 12], "theta_bits": [5, 11], "step_bits": 14}
CHOICES: dict[str, dict[str, Any]] = {
    "a tree for each layer": {"strategy": {"batching": "each_layer"}},
    "zkattn": {"model": {"attention": {"name": "zkattn", "zkattn": ZKATTN}}},
    "tlookup": {"lookup": "tlookup"},
    "zkattn, tlookup": {"lookup": "tlookup", "model": {"attention": {"name": "zkattn", "zkattn": ZKATTN}}},
    "folding": {"plugins": ["folding"], "strategy": {"name": "folding"}},
    "gqa": {"plugins": ["gqa"], "model": {"attention": {"name": "gqa"}}},
    "folding, gqa": {
        "plugins": ["gqa", "folding"],
        "strategy": {"name": "folding"},
        "model": {"attention": {"name": "gqa"}},
    },
    "clear": {"zero_knowledge": False},
    "narrow rows": {"commitment": {"log_width": 3}},
    "wide rows": {"commitment": {"log_width": 12}},
    "few bits": {
        "model": {"weight_bits": 6, "activation_bits": 9, "hidden_bits": 12, "attention": {"step_bits": 4}},
    },
    "small tables": {"model": {"table_bits": 8, "attention": {"step_bits": 4}}},
    "no headroom": {"calibration": {"headroom_bits": 0, "tokens": 1024}},
    "one tile": {"model": {"attention": {"tile": 64}}},
}
QUICK = ("zkattn, tlookup", "folding, gqa")


def merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    deeper = {k: merged(one[k], v) for k, v in two.items() if isinstance(v, dict) and isinstance(one.get(k), dict)}
    return one | two | deeper


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Callable[[str], Place]:
    """By name of the choice, made when first asked for."""
    made: dict[str, Place] = {}

    def get(name: str) -> Place:
        if name not in made:
            place, choice = tmp_path_factory.mktemp("choice"), CHOICES[name]
            groups = {"num_key_value_heads": 2} if "gqa" in str(choice) else {}
            model = write_checkpoint(place / "model", **groups)
            (model / "config.yaml").write_text(yaml.safe_dump(merged(yaml.safe_load(CONFIG), choice)))
            api.commit(model, model / "config.yaml", place / "commitment")
            proved = api.prove(place / "commitment", "The old mill stands where two", 6, place / "a.zkp", nonce=b"n")
            made[name] = Place(model, place / "commitment", place / "a.zkp", proved.prompt, proved.text, b"n")
        return made[name]

    return get


@pytest.mark.parametrize("name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in CHOICES])
def test_a_choice(chosen: Callable[[str], Place], name: str, tmp_path: Path) -> None:
    place = chosen(name)
    accepted = api.verify(place.proof, place.public, prompt=place.prompt, expect_text=place.text, nonce=b"n")
    assert accepted.tokens == 6
    data = place.proof.read_bytes()
    print(f"{name}: {len(data)} bytes of proof, {place.public.stat().st_size} of commitment")
    for at in (len(data) // 3, 2 * len(data) // 3, len(data) - 1):
        (tmp_path / "x").write_bytes(flipped(data, at))
        refused(lambda: api.verify(tmp_path / "x", place.public, nonce=b"n"), ProofRejected, seconds=5)
    refused(lambda: api.verify(place.proof, place.public, nonce=b"m"), ProofRejected, "nonce", seconds=5)
    assert api.inspect(place.public)["kind"] == "commitment"


@pytest.mark.parametrize("part", ["zkattn, tlookup", "folding, gqa"])
def test_a_choice_is_part_of_the_statement(chosen: Callable[[str], Place], part: str, tmp_path: Path) -> None:
    """The same file under another choice, as far as it can be read."""
    place = chosen(part)
    file = File.of(place.public.read_bytes())
    changes: list[tuple[tuple[str | int, ...], object]] = [
        (("config", "strategy", "name"), "per_layer"),
        (("config", "lookup"), "logup_gkr"),
        (("config", "model", "attention", "name"), "attention"),
        (("config", "plugins"), []),
        (("config", "zero_knowledge"), False),
    ]
    for path, value in changes:
        if (data := file.edited(path, value)) != file.pack():
            (tmp_path / "x").write_bytes(data)
            refused(lambda: api.verify(place.proof, tmp_path / "x", nonce=b"n"), seconds=5)


# --- plugins -------------------------------------------------------------------------------------------------------
def test_a_plugin_that_is_missing(chosen: Callable[[str], Place], monkeypatch: pytest.MonkeyPatch) -> None:
    place = chosen("folding, gqa")
    monkeypatch.setattr(metadata, "entry_points", lambda **_: ())
    refused(lambda: api.verify(place.proof, place.public, nonce=b"n"), PluginError, "not installed")


def test_a_plugin_of_another_version(chosen: Callable[[str], Place], tmp_path: Path) -> None:
    """Also one that is older, or has another name; the first in the list is as good as the last."""
    place = chosen("folding, gqa")
    file = File.of(place.public.read_bytes())
    listed = file.header["plugins"]
    assert [name for name, _ in listed] == ["folding", "gqa", "zkcore"]
    for at, (name, version) in enumerate(listed):
        for told in ([name, version + ".1"], [name, "0"], [name + "x", version], [name], name):
            (tmp_path / "x").write_bytes(file.edited(("plugins", at), told))
            refused(lambda: api.verify(place.proof, tmp_path / "x", nonce=b"n"), FormatError, "plugins")
    for told in (listed[1:], listed[::-1], [*listed, ["more", "1"]], [*listed, listed[-1]]):
        (tmp_path / "x").write_bytes(file.edited(("plugins",), told))
        refused(lambda: api.verify(place.proof, tmp_path / "x", nonce=b"n"), FormatError, "plugins")


TOO_MUCH: dict[str, dict[str, Any]] = {
    "many segments": {"segment_bits": [20] * 100_000, "low": 99_999, "theta_bits": [5]},
    "many bits": {"segment_bits": [20] * 60, "low": 59, "theta_bits": [5]},
    "many tables": {"segment_bits": [1] * 250, "low": 200, "theta_bits": [1] * 50},
    "negative": {"low": -1},
    "all are low": {"low": 1 << 40},
    "all are high": {"high": 1 << 40},
    "large entries": {"theta_bits": [1 << 40, 11]},
    "small steps": {"step_bits": 1 << 40},
}


@pytest.mark.parametrize("name", list(TOO_MUCH))
def test_segments_that_ask_for_too_much(chosen: Callable[[str], Place], name: str) -> None:
    file = File.of(chosen("zkattn, tlookup").public.read_bytes())
    header = file.header
    for model in (header["config"]["model"], header["quantisation"]["bits"]):
        model["attention"]["zkattn"].update(TOO_MUCH[name])
    data = file.pack(header=header)
    refused(lambda: public.parse(data).system(Sequence((0,) * 9, 1)))


def test_choices_that_do_not_go_together(tiny: Place, here: Path, tmp_path: Path) -> None:
    text = "plugins: [folding]\nstrategy: {name: folding, batching: each_layer}\n"
    (tmp_path / "c.yaml").write_text(text)
    said = ["strategy.batching: each_layer", "strategy.name: folding", "do not go together"]
    refused(lambda: api.commit(tiny.model, tmp_path / "c.yaml", here / "x"), ConfigError, *said)
