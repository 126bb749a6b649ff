"""All shapes of LLaMA checkpoints: the integer model follows transformers' one, and its answers are proved."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.e2e.checkpoints import TEXT, edit_json, llama_config, write_checkpoint
from tests.e2e.closeness import PRECISE, assert_close
from zkcore import api, prover
from zkcore.errors import ModelError, RangeError, WitnessError
from zkcore.models import passes
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.family import Sequence
from zkcore.models.llama import llama
from zkcore.models.rope import tables

LINEAR = {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 500000.0,
}
PROMPT = "The old mill stands"


@dataclass(frozen=True)
class Shape:
    config: dict[str, Any] = field(default_factory=dict)
    dtype: str = "float32"
    shard_size: str = "1GB"


def heads(query: int, key: int, size: int | None = None, hidden: int = 32) -> dict[str, Any]:
    more = {} if size is None else {"head_dim": size}
    return {"num_attention_heads": query, "num_key_value_heads": key, "hidden_size": hidden, **more}


QUICK = {
    "many heads": Shape(),
    "groups, tied, llama3, bf16, odd sizes": Shape(
        {**heads(6, 3, 10, 30), "tie_word_embeddings": True, "rope_parameters": LLAMA3, "intermediate_size": 41},
        dtype="bfloat16",
    ),
    "one key, linear, shards, narrow heads": Shape(
        {**heads(4, 1, 6), "rope_parameters": LINEAR, "num_hidden_layers": 1, "vocab_size": 277},
        shard_size="20KB",
    ),
}
SLOW = {
    "groups": Shape(heads(4, 2)),
    "one key": Shape(heads(4, 1)),
    "one head": Shape(heads(1, 1)),
    "tied": Shape({"tie_word_embeddings": True}),
    "linear": Shape({"rope_parameters": LINEAR}),
    "llama3": Shape({"rope_parameters": LLAMA3}),
    "large theta": Shape({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "wide heads": Shape(heads(4, 4, 16)),
    "two dimensions a head": Shape(heads(4, 4, 2)),
    "half precision": Shape(dtype="float16"),
    "bf16": Shape(dtype="bfloat16"),
    "shards": Shape(shard_size="20KB"),
    "hidden 30": Shape(heads(5, 5, 6, 30)),
    "hidden 31, ffn 33": Shape({**heads(31, 31, 2, 31), "intermediate_size": 33, "num_hidden_layers": 1}),
    "narrow ffn": Shape({"intermediate_size": 3}),
    "five layers": Shape({"num_hidden_layers": 5}),
    "large epsilon": Shape({"rms_norm_eps": 0.1}),
}
SHAPES = QUICK | SLOW


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Any:
    """By name of the shape: (checkpoint, commitment), made when first asked for."""
    made: dict[str, tuple[Path, Path]] = {}

    def get(name: str) -> tuple[Path, Path]:
        if name not in made:
            place, shape = tmp_path_factory.mktemp("shape"), SHAPES[name]
            model = write_checkpoint(place / "model", dtype=shape.dtype, shard_size=shape.shard_size, **shape.config)
            (model / "config.yaml").write_text(PRECISE)
            assert len(list(model.glob("*.safetensors"))) > 1 or shape.shard_size == "1GB"
            api.commit(model, model / "config.yaml", place / "commitment")
            made[name] = model, place / "commitment"
        return made[name]

    return get


def each_shape(function: Any) -> Any:
    slow = [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]
    return pytest.mark.parametrize("name", [*QUICK, *slow])(function)


@each_shape
def test_the_integer_model_is_close_to_transformers(committed: Any, name: str) -> None:
    assert_close(*committed(name), TEXT[:200])


@each_shape
def test_a_cached_step_chooses_what_a_full_pass_chooses(committed: Any, name: str) -> None:
    """Greedy, ties to the lowest token; past the end of a tile."""
    owner = prover.Owner.load(committed(name)[1])
    setup, prompt = owner.public.setup, owner.public.codec.encode(PROMPT)
    generated = owner.generate(prompt, 12).tokens
    assert len(generated) == len(prompt) + 12 > setup.parts.config.model.attention.tile
    graph = setup.graph(Sequence(generated, 1))
    store = passes.witness(graph, owner.weights)
    logits = store[graph.logits.name]
    logits = logits.reshape(-1, logits.shape[-1])
    for at in range(len(prompt) - 1, len(generated) - 1):
        best = (logits[at] == logits[at].max()).nonzero()[0]
        assert generated[at + 1] == int(best)


@each_shape
def test_an_answer_is_proved_and_verified(committed: Any, name: str, tmp_path: Path) -> None:
    _, commitment = committed(name)
    made = api.prove(commitment, PROMPT, 3, tmp_path / "a.zkp")
    accepted = api.verify(tmp_path / "a.zkp", commitment / "public.zkc", prompt=PROMPT, expect_text=made.text)
    assert accepted.tokens == 3
    print(f"{name}: proof of {made.proof_bytes} bytes")


# --- positions -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("head_dim", [2, 8, 64, 128])
@pytest.mark.parametrize(
    "rope",
    [
        {"rope_type": "default", "rope_theta": 10000.0},
        {"rope_type": "default", "rope_theta": 1.5},
        {"rope_type": "default", "rope_theta": 1e6},
        LINEAR,
        {"rope_type": "linear", "factor": 1.0, "rope_theta": 10000.0},
        LLAMA3,
        {**LLAMA3, "factor": 32.0, "original_max_position_embeddings": 8192},
        {**LLAMA3, "low_freq_factor": 2.0, "high_freq_factor": 3.0},
    ],
    ids=lambda v: " ".join(str(x) for x in v.values()),
)
def test_positions_rotate_as_in_transformers(head_dim: int, rope: dict[str, Any]) -> None:
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

    changes = {"head_dim": head_dim, "rope_parameters": rope, "max_position_embeddings": 512}
    config = llama_config(**changes)
    found = llama().architecture(config.to_dict())
    assert isinstance(found, DecoderArchitecture)
    cos, sin = LlamaRotaryEmbedding(config)(torch.zeros(1), torch.arange(300)[None])
    for ours, exact in zip(tables(found.rope, head_dim, 300, 16), (cos, sin), strict=True):
        worst = float((torch.from_numpy(ours).double() * 2.0**-16 - exact[0].double()).abs().max())
        assert worst < 2.0**-13


# --- particular checkpoints ----------------------------------------------------------------------------------------
@pytest.fixture
def place(tmp_path: Path, generator_cache: Path) -> Path:
    return write_checkpoint(tmp_path / "model", num_hidden_layers=1)


def committed_to(model: Path, **options: bool) -> Path:
    out = model.parent / "commitment"
    api.commit(model, model / "config.yaml", out, **options)
    return out


@pytest.mark.parametrize("as_list", [False, True])
def test_an_answer_ends_with_an_end_token(place: Path, as_list: bool) -> None:
    commitment = committed_to(place)
    owner = prover.Owner.load(commitment)
    prompt = owner.public.codec.encode(PROMPT)
    free = owner.generate(prompt, 6).generated
    end = next(t for t in free[1:] if t != free[0])
    edit_json(place / "config.json", eos_token_id=[279, end] if as_list else end)
    commitment = committed_to(place, overwrite=True)
    made = api.prove(commitment, PROMPT, 6, place / "a.zkp")
    assert made.tokens == free.index(end) + 1 < 6
    assert api.verify(place / "a.zkp", commitment / "public.zkc", prompt=PROMPT).tokens == made.tokens


def test_the_longest_answer(place: Path) -> None:
    """All positions of the model are used; none is left over."""
    edit_json(place / "config.json", max_position_embeddings=24)
    commitment = committed_to(place)
    count = 24 - len(prover.Owner.load(commitment).public.codec.encode(PROMPT))
    made = api.prove(commitment, PROMPT, count, place / "a.zkp")
    assert made.tokens == count
    assert api.verify(place / "a.zkp", commitment / "public.zkc").tokens == count


def test_the_shortest_answer(place: Path) -> None:
    """One token after one token."""
    commitment = committed_to(place)
    assert api.prove(commitment, "e", 1, place / "a.zkp").tokens == 1
    assert api.verify(place / "a.zkp", commitment / "public.zkc", prompt="e").tokens == 1


def change(model: Path, **edits: Any) -> None:
    """Each edit gets the tensors of that name's end."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(model / "model.safetensors")
    for end, edit in edits.items():
        names = [n for n in tensors if n.removesuffix(".weight").endswith(end)]
        assert names
        for name in names:
            tensors[name] = edit(tensors[name])
    save_file(tensors, model / "model.safetensors", {"format": "pt"})


@pytest.mark.parametrize(
    "edits",
    [
        {"o_proj": torch.zeros_like, "down_proj": torch.zeros_like},
        {"q_proj": torch.zeros_like, "gate_proj": torch.zeros_like},
        {"v_proj": lambda w: w * 1e-6},
        {"embed_tokens": lambda w: w * 1e-4},
        {"layernorm": torch.zeros_like},
        {"lm_head": torch.zeros_like},
        {"lm_head": lambda w: w * 100},
    ],
    ids=["branches off", "no attention", "tiny values", "tiny embedding", "no gains", "all tokens tie", "loud head"],
)
def test_unusual_weights(place: Path, edits: dict[str, Any]) -> None:
    change(place, **edits)
    commitment = committed_to(place)
    made = api.prove(commitment, PROMPT, 2, place / "a.zkp")
    owner = prover.Owner.load(commitment)
    assert api.verify(place / "a.zkp", commitment / "public.zkc", expect_text=made.text).tokens == 2
    if "lm_head" in edits and not edits["lm_head"](torch.ones(1)).any():
        assert owner.generate((1, 2), 2).generated == (0, 0)
        with pytest.raises(WitnessError):
            prover.prove(owner, Sequence((1, 2, 5), 2), b"", api.cache_dir())


def test_weights_that_differ_too_much_in_size(place: Path) -> None:
    """A projection whose largest weight meets only zeros."""

    def outlier(w: torch.Tensor) -> torch.Tensor:
        w = w.clone()
        w[:, 3] = 1e7
        return w

    def silent(w: torch.Tensor) -> torch.Tensor:
        w = w.clone()
        w[:, 3] = 0
        return w

    change(place, embed_tokens=silent, v_proj=outlier, o_proj=lambda w: w * 0, down_proj=lambda w: w * 0)
    with pytest.raises(RangeError):
        committed_to(place)


def test_a_tied_checkpoint_that_also_stores_its_head(place: Path) -> None:
    """The same values are fine; others mean that it is not tied."""
    from safetensors.torch import load_file

    edit_json(place / "config.json", tie_word_embeddings=True)
    with pytest.raises(ModelError, match="tie_word_embeddings"):
        committed_to(place)
    embedding = load_file(place / "model.safetensors")["model.embed_tokens.weight"]
    change(place, lm_head=lambda w: embedding.clone())
    commitment = committed_to(place)
    api.prove(commitment, PROMPT, 1, place / "a.zkp")
    api.verify(place / "a.zkp", commitment / "public.zkc")


@pytest.mark.slow
def test_the_trained_example(tmp_path: Path, generator_cache: Path) -> None:
    """Its integer model reads as well as the float model does, and its answers are words."""
    root = Path(__file__).parents[2]
    done = api.commit(root / "examples" / "tiny-llama", root / "configs" / "default.yaml", tmp_path / "commitment")
    print(done.perplexity_float, done.perplexity_integer, done.top1_agreement)
    assert done.perplexity_integer == pytest.approx(done.perplexity_float, rel=0.01)
    assert done.top1_agreement > 0.98
    prompt = "Once upon a time there was a little fox named"
    made = api.prove(tmp_path / "commitment", prompt, 16, tmp_path / "a.zkp", nonce=b"n")
    accepted = api.verify(
        tmp_path / "a.zkp", tmp_path / "commitment" / "public.zkc", prompt=prompt, expect_text=made.text, nonce=b"n"
    )
    assert accepted.text == made.text
    assert len(accepted.text.split()) >= 4
    assert made.proof_bytes < 1 << 20
