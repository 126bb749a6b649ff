"""Reading a checkpoint directory: what is read is what was stored, and a damaged or hostile one is refused by name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from zkcore.errors import ModelError
from zkcore.models.checkpoint import check_tensors, load_config, load_tensors, tokenizer_file

EXAMPLE = Path(__file__).parents[2] / "examples" / "tiny-llama"
INDEX = "model.safetensors.index.json"


def weights(**dtypes: torch.dtype) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.randn(3, 5, generator=generator).to(dtype) for name, dtype in dtypes.items()}


def write_index(directory: Path, weight_map: object) -> None:
    (directory / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    tensors = weights(a=torch.float32, b=torch.float16, c=torch.bfloat16)
    save_file({"a": tensors["a"], "b": tensors["b"]}, tmp_path / "one.safetensors")
    save_file({"c": tensors["c"]}, tmp_path / "two.safetensors")
    write_index(tmp_path, {"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"})
    return tmp_path


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_values_are_widened_exactly(tmp_path: Path, dtype: torch.dtype) -> None:
    stored = weights(w=dtype)
    save_file(stored, tmp_path / "model.safetensors")
    tensors = load_tensors(tmp_path)
    assert list(tensors) == ["w"]
    assert tensors.shape("w") == (3, 5)
    assert tensors["w"].dtype == torch.float32
    assert tensors["w"].to(dtype).equal(stored["w"])
    with pytest.raises(KeyError):
        tensors["v"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.int8, torch.float8_e4m3fn])
def test_other_dtypes_are_refused(tmp_path: Path, dtype: torch.dtype) -> None:
    save_file({"fine": torch.ones(2), "w": torch.ones(2).to(dtype)}, tmp_path / "model.safetensors")
    tensors = load_tensors(tmp_path)
    assert tensors["fine"].sum() == 2
    with pytest.raises(ModelError, match="tensor w: dtype"):
        tensors["w"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_value_that_is_not_finite_is_refused(tmp_path: Path, value: float, dtype: torch.dtype) -> None:
    damaged = torch.zeros(4, 4)
    damaged[2, 3] = value
    save_file({"layer.w": damaged.to(dtype)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=re.escape("tensor layer.w: holds NaN or infinite")):
        load_tensors(tmp_path)["layer.w"]


def test_shards_read_as_one(sharded: Path) -> None:
    tensors = load_tensors(sharded)
    assert sorted(tensors) == ["a", "b", "c"]
    assert {name: tensor for name, tensor in tensors.items() if not tensor.isfinite().all()} == {}
    assert tensors.shard_of("c") == "two.safetensors"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d": "two.safetensors"}, "two.safetensors lacks tensor d"),
        ({"b": None}, "one.safetensors holds tensor b"),
        ({"b": "two.safetensors"}, "tensor b is in one.safetensors, not in two.safetensors"),
        ({"d": "three.safetensors"}, "no file three.safetensors"),
        ({"d": "../two.safetensors"}, "no plain file name"),
        ({"d": "/etc/two.safetensors"}, "no plain file name"),
        ({"d": "..\\two.safetensors"}, "no plain file name"),
        ({"d": "two.safetensors/../two.safetensors"}, "no plain file name"),
        ({"d": "weights.bin"}, "no safetensors file"),
        ({"d": 7}, "no safetensors file"),
    ],
)
def test_an_index_that_lies_is_refused(sharded: Path, change: dict[str, object], message: str) -> None:
    weight_map = json.loads((sharded / INDEX).read_text())["weight_map"] | change
    write_index(sharded, {name: shard for name, shard in weight_map.items() if shard is not None})
    with pytest.raises(ModelError, match=re.escape(message)):
        load_tensors(sharded)


def test_a_tensor_in_two_shards_is_refused(sharded: Path) -> None:
    save_file({"a": torch.ones(3, 5), "c": torch.ones(3, 5)}, sharded / "two.safetensors")
    with pytest.raises(ModelError, match="tensor a is both in one.safetensors and in two.safetensors"):
        load_tensors(sharded)


@pytest.mark.parametrize("weight_map", [None, {}, ["a"], "one.safetensors"])
def test_an_index_without_a_map_is_refused(sharded: Path, weight_map: object) -> None:
    write_index(sharded, weight_map)
    with pytest.raises(ModelError, match="weight_map"):
        load_tensors(sharded)


def test_a_link_out_of_the_directory_is_refused(tmp_path: Path) -> None:
    inside, outside = tmp_path / "model", tmp_path / "elsewhere.safetensors"
    inside.mkdir()
    save_file(weights(w=torch.float32), outside)
    (inside / "config.json").write_text('{"model_type": "llama"}')
    os.symlink(outside, inside / "model.safetensors")
    assert load_config(inside) == {"model_type": "llama"}
    with pytest.raises(ModelError, match="links to a file outside"):
        load_tensors(inside)


def test_the_links_of_a_hub_cache_are_followed(tmp_path: Path) -> None:
    blobs, snapshot = tmp_path / "model" / "blobs", tmp_path / "model" / "snapshots" / "0123abcd"
    blobs.mkdir(parents=True)
    snapshot.mkdir(parents=True)
    save_file(weights(w=torch.float32), blobs / "77")
    (snapshot / "model.safetensors").symlink_to("../../blobs/77")
    assert load_tensors(snapshot)["w"].equal(weights(w=torch.float32)["w"])
    (tmp_path / "88").write_bytes((blobs / "77").read_bytes())
    (snapshot / "config.json").symlink_to("../../../88")
    with pytest.raises(ModelError, match="links to a file outside"):
        load_config(snapshot)


def test_pickled_weights_are_refused_and_never_opened(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(ModelError, match="save_pretrained") as caught:
        load_tensors(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert "pytorch_model.bin" in str(caught.value)


@pytest.mark.parametrize("read", [load_config, tokenizer_file, load_tensors])
def test_what_is_not_there_is_named(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(ModelError, match=re.escape(str(tmp_path))):
        read(tmp_path)
    with pytest.raises(ModelError, match="missing"):
        read(tmp_path / "missing")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:7],
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: b"\xff" * 8 + data[8:],
        lambda data: data[:8] + b"[" + data[9:],
    ],
)
def test_a_damaged_weight_file_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "model.safetensors"
    save_file(weights(w=torch.float32), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ModelError, match="no valid safetensors file"):
        load_tensors(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', '{"eps": NaN}', '{"eps": -Infinity}', "[" * 100_000, "\xff"])
def test_a_damaged_config_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=r"config\.json"):
        load_config(tmp_path)


def test_check_tensors_names_every_difference(sharded: Path) -> None:
    tensors = load_tensors(sharded)
    check_tensors(tensors, dict.fromkeys("abc", (3, 5)))
    with pytest.raises(ModelError) as caught:
        check_tensors(tensors, {"a": (3, 5), "b": (5, 3), "missing": (1,)})
    text = str(caught.value)
    assert "missing tensor missing of shape (1,)" in text
    assert "unexpected tensor c" in text
    assert "tensor b: expected shape (5, 3), the file has (3, 5)" in text
    assert "tensor a" not in text


def test_check_tensors_passes_over_derived_tables(tmp_path: Path) -> None:
    save_file({"w": torch.ones(1), "layers.0.rotary_emb.inv_freq": torch.ones(4)}, tmp_path / "model.safetensors")
    check_tensors(load_tensors(tmp_path), {"w": (1,)})


def test_a_long_list_of_differences_is_cut(tmp_path: Path) -> None:
    save_file({"w": torch.ones(1)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"\.\.\. and 6 more"):
        check_tensors(load_tensors(tmp_path), {f"w{i}": (1,) for i in range(25)})


def test_the_example_is_a_llama_checkpoint() -> None:
    config, tensors = load_config(EXAMPLE), load_tensors(EXAMPLE)
    hidden, inner, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    layer = {f"self_attn.{name}_proj": (hidden, hidden) for name in "qkvo"}
    layer |= {"mlp.gate_proj": (inner, hidden), "mlp.up_proj": (inner, hidden), "mlp.down_proj": (hidden, inner)}
    layer |= {"input_layernorm": (hidden,), "post_attention_layernorm": (hidden,)}
    expected = {"lm_head.weight": (vocab, hidden), "model.embed_tokens.weight": (vocab, hidden)}
    expected |= {"model.norm.weight": (hidden,)}
    for i in range(config["num_hidden_layers"]):
        expected |= {f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()}
    check_tensors(tensors, expected)
    assert all(tensor.dtype == torch.float32 for tensor in tensors.values())
    assert json.loads(tokenizer_file(EXAMPLE))["model"]["type"] == "BPE"


def test_weights_without_the_provers_packages_name_the_extra(sharded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "safetensors", None)
    with pytest.raises(ModelError, match=re.escape("zkcore[prove]")):
        load_tensors(sharded)


def test_config_and_tokenizer_need_no_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from zkcore.models import checkpoint as c; "
        f"d = Path({str(EXAMPLE)!r}); c.load_config(d); c.tokenizer_file(d); "
        "sys.exit('torch' in sys.modules or 'safetensors' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
