"""Whatever is wrong with what we are given: a typed error that names it, at once, and nothing written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, processors

from tests.e2e.checkpoints import Place, edit_json, tokenizer
from tests.e2e.limits import refused
from zkcore import api, config, proof, prover
from zkcore.errors import (
    ConfigError,
    ModelError,
    PluginError,
    ProofRejected,
    RangeError,
    UsageError,
    WitnessError,
    ZkcoreError,
)
from zkcore.models.family import Sequence
from zkcore.models.llama import llama

TENSOR = "model.layers.1.mlp.up_proj.weight"
NEVER = "sentinel"


@pytest.fixture
def model(tiny: Place, tmp_path: Path) -> Path:
    """A copy of the checkpoint, to be damaged."""
    return Path(shutil.copytree(tiny.model, tmp_path / "model"))


def commit(model: Path, out: Path, **options: Any) -> None:
    api.commit(model, model / "config.yaml", out / "commitment", **options)


# --- configuration -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("modle: {}", ["modle: unknown key"]),
        ("model: {weight_bits: 99}", ["model.weight_bits: ", "99"]),
        ("model: {weight_bits: '16'}", ["model.weight_bits: ", "'16'"]),
        ("model: {weight_bits: 16.0}", ["model.weight_bits: ", "16.0"]),
        ("model: {attention: {tile: 17}}", ["model.attention.tile: ", "17"]),
        ("model: {attention: {index_bits: 60}}", ["model.attention.index_bits: ", "60"]),
        ("commitment: {log_width: 60}", ["commitment.log_width: ", "60"]),
        ("commitment: 5", ["commitment: ", "5"]),
        ("zero_knowledge: 1", ["zero_knowledge: ", "1"]),
        ("version: 2", ["version: "]),
        ("version: true", ["version: ", "True"]),
        ("plugins: folding", ["plugins: "]),
        ("plugins: [1]", ["plugins.0: "]),
        ("device: tpu", ["device: ", "tpu"]),
        ("1: 2", ["1: "]),
        ("- a list", ["expected a mapping"]),
        ("just text", ["expected a mapping"]),
        ("a: [", ["not YAML"]),
        ("model: {weight_bits: 8}\nmodel: {}", ["not YAML", "'model' is there twice"]),
        ("model: {weight_bits: 8, weight_bits: 9}", ["'weight_bits' is there twice"]),
        ("? [a]\n: b", ["not YAML"]),
        ("a: 1\n---\nb: 2", ["not YAML"]),
        ("a: 2020-13-45", ["not YAML"]),
        ("a: &x [1]\nb: *x", ["not YAML", "alias"]),
        ("&x a: [*x]", ["not YAML", "alias"]),
        ("[" * 100_000, ["not YAML", "nested more than 32 deep"]),
        ("a: {b: " * 2_000, ["not YAML"]),
        ("a: " + "{b: " * 2_000, ["not YAML", "nested more than 32 deep"]),
        ("a: " + "[" * 31 + "]" * 31, ["a: unknown key"]),
        ("model: {weight_bits: " + "9" * 5000 + "}", ["not YAML"]),
        ("device: " + "x" * 100_000, ["device: "]),
        ("\x00", ["not YAML"]),
        ("a: !!python/object/apply:os.mkdir ['" + NEVER + "']", ["not YAML"]),
        ("!!python/object/new:os.mkdir ['" + NEVER + "']", ["not YAML"]),
        ("a: !!python/name:os.mkdir", ["not YAML"]),
    ],
)
def test_a_wrong_configuration(text: str, said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "c.yaml"
    path.write_text(text)
    error = refused(lambda: config.load(path), ConfigError, str(path), *said)
    assert len(str(error)) < 1000
    assert not (tmp_path / NEVER).exists()
    refused(lambda: api.inspect(path), ConfigError, str(path), *said)


def test_all_problems_of_a_configuration_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(
        "modle: {}\nmodel: {weight_bits: x, attention: {tile: 3}}\ncommitment: {log_width: 99, colour: red}"
    )
    said = ["modle:", "model.weight_bits:", "model.attention.tile:", "commitment.log_width:", "commitment.colour:"]
    error = refused(lambda: config.load(path), ConfigError, *said)
    assert isinstance(error, ConfigError)
    assert len(error.problems) == len(said)


@pytest.mark.parametrize("bad", ["missing.yaml", ".", "latin1.yaml"])
def test_a_configuration_that_cannot_be_read(tmp_path: Path, bad: str) -> None:
    (tmp_path / "latin1.yaml").write_bytes(b"device: \xff")
    refused(lambda: config.load(tmp_path / bad), ConfigError, "cannot be read")


@pytest.mark.parametrize(
    ("key", "name"),
    [("lookup", "nonsense"), ("strategy.name", "nonsense"), ("commitment.name", "nonsense"), ("plugins", "nonsense")],
)
def test_an_unknown_part_is_named_before_any_work(tiny: Place, here: Path, key: str, name: str) -> None:
    outer, _, inner = key.partition(".")
    value = {inner: name} if inner else [name] if key == "plugins" else name
    chosen = config.parse({outer: value}, "here")
    refused(lambda: api.commit(tiny.model, chosen, here / "x"), PluginError, name)


# --- a checkpoint's config.json --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"attention_bias": True}, ["attention_bias"]),
        ({"mlp_bias": True}, ["mlp_bias"]),
        ({"sliding_window": 4096}, ["sliding_window"]),
        ({"quantization_config": {"quant_method": "gptq"}}, ["quantization_config"]),
        ({"partial_rotary_factor": 0.5}, ["partial_rotary_factor"]),
        ({"rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, ["rope_type", "yarn"]),
        ({"rope_parameters": {"rope_type": "dynamic", "factor": 4.0}}, ["rope_type", "dynamic"]),
        ({"rope_parameters": {"rope_type": "linear"}}, ["linear", "factor"]),
        ({"rope_parameters": {"rope_type": "llama3", "factor": 8.0}}, ["llama3", "low_freq_factor"]),
        ({"rope_parameters": {"rope_type": "linear", "factor": 0.0}}, ["factor"]),
        ({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}}, ["partial_rotary_factor"]),
        ({"rope_parameters": {"rope_theta": 0.0}}, ["rope_theta"]),
        ({"rope_parameters": {"rope_theta": -5.0}}, ["theta"]),
        ({"rope_parameters": ["default"]}, ["rope_parameters"]),
        ({"rope_scaling": {"rope_type": "linear", "factor": 2.0}}, ["rope_parameters and rope_scaling"]),
        ({"original_max_position_embeddings": 64}, ["original_max_position_embeddings"]),
        ({"hidden_act": 7}, ["hidden_act"]),
        ({"hidden_size": "32"}, ["hidden_size"]),
        ({"hidden_size": 32.5}, ["hidden_size"]),
        ({"hidden_size": True}, ["hidden_size"]),
        ({"hidden_size": 0}, ["hidden_size"]),
        ({"hidden_size": -32}, ["hidden_size"]),
        ({"hidden_size": 1 << 40}, ["hidden_size"]),
        ({"hidden_size": 30, "head_dim": None}, ["hidden_size 30", "4 heads"]),
        ({"head_dim": 7}, ["head_dim 7"]),
        ({"head_dim": 1 << 33}, ["head_dim"]),
        ({"num_attention_heads": 0}, ["num_attention_heads"]),
        ({"num_key_value_heads": 3}, ["3 key-value heads", "4 heads"]),
        ({"num_key_value_heads": 0}, ["num_key_value_heads"]),
        ({"num_hidden_layers": ...}, ["num_hidden_layers"]),
        ({"vocab_size": ...}, ["vocab_size"]),
        ({"rms_norm_eps": -1e-5}, ["epsilon"]),
        ({"rms_norm_eps": "small"}, ["rms_norm_eps"]),
        ({"rms_norm_eps": float("inf")}, ["rms_norm_eps"]),
        ({"tie_word_embeddings": "false"}, ["tie_word_embeddings"]),
        ({"eos_token_id": "2"}, ["eos_token_id"]),
        ({"eos_token_id": [1, "2"]}, ["eos_token_id"]),
        ({"attention_bias": True, "mlp_bias": True, "vocab_size": "x"}, ["attention_bias", "mlp_bias", "vocab_size"]),
    ],
    ids=lambda v: json.dumps({k: repr(x) for k, x in v.items()}) if isinstance(v, dict) else "",
)
def test_a_model_we_cannot_prove(tiny: Place, changes: dict[str, Any], said: list[str]) -> None:
    raw = json.loads((tiny.model / "config.json").read_text()) | changes
    raw = {k: v for k, v in raw.items() if v is not ...}
    refused(lambda: llama().architecture(raw), ModelError, "config.json", *said)


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"model_type": "mixtral"}, PluginError, "mixtral"),
        ({"model_type": ...}, ModelError, "model_type"),
        ({"model_type": ["llama"]}, ModelError, "model_type"),
        ({"hidden_act": "gelu"}, PluginError, "gelu"),
        ({"attention_bias": True}, ModelError, "attention_bias"),
        ({"num_hidden_layers": 3}, ModelError, "missing tensor model.layers.2."),
        ({"num_hidden_layers": 1}, ModelError, "unexpected tensor model.layers.1."),
        ({"intermediate_size": 40}, ModelError, TENSOR),
        ({"vocab_size": 100}, ModelError, "model.embed_tokens.weight"),
        ({"tie_word_embeddings": True}, ModelError, "lm_head.weight"),
        ({"max_position_embeddings": 1}, ModelError, "max_position_embeddings"),
    ],
)
def test_a_checkpoint_that_contradicts_its_config(
    model: Path, here: Path, changes: dict[str, Any], kind: type[ZkcoreError], said: str
) -> None:
    edit_json(model / "config.json", **changes)
    refused(lambda: commit(model, here), kind, said, seconds=10)


def test_code_beside_the_weights_is_not_run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (model / "evil.py").write_text(f"import os\nos.mkdir({NEVER!r})\nclass Evil: pass\n")
    edit_json(model / "config.json", auto_map={"AutoModelForCausalLM": "evil.Evil", "AutoConfig": "evil.Evil"})
    commit(model, tmp_path / "out")
    assert not (tmp_path / NEVER).exists()


# --- weights -------------------------------------------------------------------------------------------------------
def rename(t: dict[str, torch.Tensor]) -> None:
    t["model.layers.1.mlp.up.weight"] = t.pop(TENSOR)


def reshape(t: dict[str, torch.Tensor]) -> None:
    t[TENSOR] = t[TENSOR].t().contiguous()


def fill(value: float) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(t: dict[str, torch.Tensor]) -> None:
        t[TENSOR][3, 4] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop(TENSOR), [f"missing tensor {TENSOR}"]),
        (rename, [f"missing tensor {TENSOR}", "unexpected tensor model.layers.1.mlp.up.weight"]),
        (reshape, [TENSOR, "(48, 32)", "(32, 48)"]),
        (lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.zeros(32)}), ["unexpected", "q_proj.bias"]),
        (fill(float("nan")), [TENSOR, "NaN"]),
        (fill(float("inf")), [TENSOR, "NaN or infinite"]),
        (lambda t: t.update({TENSOR: t[TENSOR].double()}), [TENSOR, "F64"]),
        (fill(3e38), ["too much in size"]),
    ],
    ids=["missing", "renamed", "transposed", "bias", "nan", "inf", "double", "huge"],
)
def test_wrong_weights(
    model: Path, here: Path, change: Callable[[dict[str, torch.Tensor]], None], said: list[str]
) -> None:
    tensors = load_file(model / "model.safetensors")
    change(tensors)
    save_file(tensors, model / "model.safetensors")
    refused(lambda: commit(model, here), (ModelError, RangeError), *said, seconds=20)


def overlapping(data: bytes) -> bytes:
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    first, second = [n for n in header if n != "__metadata__"][:2]
    header[second]["data_offsets"][0] = header[first]["data_offsets"][0]
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


@pytest.mark.parametrize(
    "damage",
    [lambda d: d[:-1], lambda d: d[:5], lambda d: b"", lambda d: b"\xff" * 8 + d[8:], overlapping, lambda d: d + b"x"],
    ids=["cut", "cut early", "empty", "huge header", "overlapping", "extended"],
)
def test_a_damaged_weight_file(model: Path, here: Path, damage: Callable[[bytes], bytes]) -> None:
    path = model / "model.safetensors"
    path.write_bytes(damage(path.read_bytes()))
    refused(lambda: commit(model, here), ModelError, "safetensors")


def test_pickles_are_never_opened(model: Path, here: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(b"cos\nmkdir\n(S'" + NEVER.encode() + b"'\ntR.")
    refused(lambda: commit(model, here), ModelError, "pytorch_model.bin", "safetensors")
    assert not (tmp_path / NEVER).exists()


@pytest.mark.parametrize("missing", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_checkpoint_with_a_file_missing(model: Path, here: Path, missing: str) -> None:
    (model / missing).unlink()
    refused(lambda: commit(model, here), ModelError, missing)


@pytest.mark.parametrize("text", ["", "{", "{}", "null", "[]", "\x00", "[" * 100_000, '{"version":"1.0"}'])
def test_a_damaged_tokenizer(model: Path, here: Path, text: str) -> None:
    (model / "tokenizer.json").write_text(text)
    refused(lambda: commit(model, here), ZkcoreError, "tokenizer")


def test_a_tokenizer_of_a_larger_vocabulary(model: Path, here: Path) -> None:
    content = json.loads(tokenizer(280))
    content["model"]["vocab"] = {k: v + 1000 for k, v in content["model"]["vocab"].items()}
    (model / "tokenizer.json").write_text(json.dumps(content))
    refused(lambda: commit(model, here), ModelError, "the vocabulary has 280")


@pytest.mark.parametrize("name", ["calibrate", "heldout"])
@pytest.mark.parametrize(
    ("content", "said"), [(b"", "no tokens"), (b"a", "too short"), (b"\xff\xfe", "utf-8"), (None, "")]
)
def test_an_unusable_text(tiny: Place, here: Path, tmp_path: Path, name: str, content: bytes | None, said: str) -> None:
    path = tmp_path / "text.txt"
    if content is not None:
        path.write_bytes(content)
    options: dict[str, Any] = {name: path}
    refused(lambda: commit(tiny.model, here, **options), UsageError, said)


def test_a_checkpoint_that_is_no_directory(tiny: Place, here: Path) -> None:
    for path in (tiny.model / "config.json", here / "missing"):
        refused(lambda path=path: api.commit(path, tiny.config, here / "x"), ModelError, str(path))  # type: ignore[misc]


# --- prompts ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("prompt", "count", "said"),
    [
        ("", 1, "no tokens"),
        ("a" * 127, 2, "128 positions"),
        ("a" * 5000, 1, "128 positions"),
        ("a", 1 << 40, "128 positions"),
        ("a", 0, "at least 1"),
        ("a", -1, "at least 1"),
        ("a\udcff", 1, "Unicode"),
    ],
)
def test_a_prompt_that_cannot_be_answered(tiny: Place, here: Path, prompt: str, count: int, said: str) -> None:
    refused(lambda: api.prove(tiny.commitment, prompt, count, here / "a.zkp"), UsageError, said)


@pytest.mark.parametrize(
    ("tokens", "length", "said"),
    [
        ((280, 1), 1, "token 280"),
        ((1, 280), 1, "token 280"),
        ((-1, 1), 1, "token -1"),
        ((1 << 40, 1), 1, "token"),
        ((1, 2), 0, "the prompt is empty"),
        ((1, 2), 2, "no answer"),
        ((1,) * 129, 1, "128 positions"),
    ],
)
def test_tokens_that_the_model_does_not_know(tiny: Place, tokens: tuple[int, ...], length: int, said: str) -> None:
    owner = prover.Owner.load(tiny.commitment)
    refused(lambda: prover.prove(owner, Sequence(tokens, length), b"", api.cache_dir()), UsageError, said)
    if length == 1 and len(tokens) == 2:
        refused(lambda: owner.generate(tokens, 1), UsageError, said)
    refused(lambda: owner.generate((), 1), UsageError, "the prompt is empty")


def test_an_answer_that_the_model_does_not_give_is_not_proved(tiny: Place) -> None:
    owner = prover.Owner.load(tiny.commitment)
    right = owner.generate((5, 6, 7), 1)
    wrong = Sequence((5, 6, 7, (right.tokens[-1] + 1) % 280), 3)
    with pytest.raises(WitnessError):
        prover.prove(owner, wrong, b"", api.cache_dir())


# --- where things are read and written -----------------------------------------------------------------------------
def test_files_that_are_not_there(tiny: Place, here: Path) -> None:
    gone = here / "gone"
    refused(lambda: api.verify(gone, tiny.public), UsageError, str(gone))
    refused(lambda: api.verify(tiny.proof, gone), UsageError, str(gone))
    refused(lambda: api.prove(gone, "a", 1, here / "a.zkp"), UsageError, str(gone))
    refused(lambda: api.inspect(gone), UsageError, str(gone))


def test_directories_in_the_place_of_files(tiny: Place, here: Path) -> None:
    refused(lambda: api.verify(here, tiny.public), UsageError, "no regular file")
    refused(lambda: api.verify(tiny.proof, here), UsageError, "public.zkc: No such file")
    refused(lambda: api.inspect(here), UsageError, "public.zkc: No such file")
    refused(lambda: api.prove(tiny.proof, "a", 1, here / "a.zkp"), UsageError, "public.zkc: Not a directory")
    refused(lambda: api.verify(Path("a\0b"), tiny.public), UsageError)


def test_what_is_too_large_is_not_read(tiny: Place, tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(1 << 40)
    refused(lambda: api.verify(tmp_path / "large", tiny.public), UsageError, "too many")
    refused(lambda: api.verify(tiny.proof, tmp_path / "large"), UsageError, "too many")
    refused(lambda: api.inspect(tmp_path / "large"), UsageError, "too many")


def test_what_never_ends_is_not_read(tiny: Place) -> None:
    refused(lambda: api.verify(Path("/dev/zero"), tiny.public), UsageError, "no regular file")
    refused(lambda: api.verify(tiny.proof, Path("/dev/zero")), UsageError, "no regular file")


@pytest.mark.parametrize("place", ["a file/answer", "a directory"])
def test_an_output_that_cannot_be_written_is_found_first(
    tiny: Place, tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("mine")
    (tmp_path / "a directory").mkdir()
    (tmp_path / "a directory" / "public.zkc").mkdir()
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(prover.Owner, "load", None)
    refused(lambda: api.prove(tiny.commitment, "a", 1, tmp_path / place), UsageError, place, "cannot be written")
    refused(
        lambda: api.commit(tiny.model, tiny.config, tmp_path / place, overwrite=True),
        UsageError,
        place,
        "cannot be written",
    )
    assert sorted(tmp_path.rglob("*")) == before


def test_a_directory_without_permission_is_found_first(
    tiny: Place, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != here and allowed(path, mode))
    refused(lambda: api.prove(tiny.commitment, "a", 1, here / "a.zkp"), UsageError, "cannot be written", str(here))
    refused(lambda: commit(tiny.model, here), UsageError, "cannot be written", str(here))


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "old").write_bytes(b"before")
    monkeypatch.setattr(os, call, full)
    new, old = proof.Written(tmp_path / "new", b"x"), proof.Written(tmp_path / "old", b"after")
    refused(lambda: proof.write(new, old), UsageError, "No space left")
    assert [p.name for p in tmp_path.iterdir()] == ["old"]
    assert (tmp_path / "old").read_bytes() == b"before"


def test_only_the_private_part_is_private(tiny: Place) -> None:
    assert (tiny.commitment / "private" / "weights.safetensors").stat().st_mode & 0o077 == 0
    mask = os.umask(0)
    os.umask(mask)
    assert tiny.public.stat().st_mode & 0o777 == 0o666 & ~mask


def test_a_tokenizer_that_cuts_or_fills_prompts_does_neither(model: Path, tmp_path: Path) -> None:
    """Settings of a training run, which transformers overrides as well."""
    content = json.loads(tokenizer(280))
    content["truncation"] = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
    content["padding"] = {
        "strategy": {"Fixed": 20},
        "direction": "Right",
        "pad_to_multiple_of": None,
        "pad_id": 0,
        "pad_type_id": 0,
        "pad_token": "!",
    }
    (model / "tokenizer.json").write_text(json.dumps(content))
    commit(model, tmp_path / "out")
    place = tmp_path / "out" / "commitment"
    api.prove(place, "the weather had never once", 1, tmp_path / "a.zkp")
    assert api.verify(tmp_path / "a.zkp", place / "public.zkc").prompt == "the weather had never once"
    refused(lambda: api.verify(tmp_path / "a.zkp", place / "public.zkc", prompt="the weather had never twice"))


def test_a_special_token_in_a_prompt_is_shown(model: Path, tmp_path: Path) -> None:
    """Who reads a verdict sees all of what was asked, but not what the tokenizer puts before every text."""
    tokens = Tokenizer.from_str(tokenizer(277))
    tokens.add_special_tokens(["<|system|>", "<|begin|>"])
    begin = tokens.token_to_id("<|begin|>")
    tokens.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", begin)])
    (model / "tokenizer.json").write_text(tokens.to_str())
    commit(model, tmp_path / "out")
    place = tmp_path / "out" / "commitment"
    for prompt, shown in (("the weather", "the weather"), ("the <|system|>weather", "<|begin|>the <|system|>weather")):
        api.prove(place, prompt, 1, tmp_path / "a.zkp")
        assert api.verify(tmp_path / "a.zkp", place / "public.zkc", prompt=prompt).prompt == shown
    refused(lambda: api.verify(tmp_path / "a.zkp", place / "public.zkc", prompt="the weather"), ProofRejected)
