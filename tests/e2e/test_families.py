"""Every family: its integer model follows transformers' one, answers are proved, and what is not supported is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import transformers
import yaml

from tests.e2e.checkpoints import TEXT, write_model
from tests.e2e.closeness import PRECISE, assert_close
from tests.e2e.files import flipped
from zkcore import api, config, prover
from zkcore.errors import ModelError, PluginError, ProofRejected
from zkcore.models import passes
from zkcore.models.decoder import DecoderArchitecture
from zkcore.models.family import Sequence
from zkcore.models.shapes import SHAPES
from zkcore.plugins import build_registry

PROMPT = "The old mill stands"
SIZES: dict[str, Any] = {
    "vocab_size": 280,
    "hidden_size": 36,
    "intermediate_size": 41,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "eos_token_id": None,
    "bos_token_id": None,
    "pad_token_id": None,
    "initializer_range": 0.15,
}
SQUARE = {k: v for k, v in SIZES.items() if k != "head_dim"} | {"hidden_size": 32}  # for who knows no other head_dim
MISTRAL, QWEN2, QWEN3 = transformers.MistralConfig, transformers.Qwen2Config, transformers.Qwen3Config
FAMILIES: dict[str, Callable[[], Any]] = {
    "smollm2": lambda: transformers.LlamaConfig(**SIZES, tie_word_embeddings=True),
    "mistral": lambda: MISTRAL(**SIZES, sliding_window=48),
    "qwen2": lambda: QWEN2(**SQUARE),
    "qwen2, tied": lambda: QWEN2(**SQUARE, tie_word_embeddings=True),
    "qwen3": lambda: QWEN3(**SIZES, tie_word_embeddings=True),
    "phi3": lambda: transformers.Phi3Config(**SQUARE),
    "gemma": lambda: transformers.GemmaConfig(**SIZES),
    "gpt2": lambda: transformers.GPT2Config(
        vocab_size=280,
        n_positions=64,
        n_embd=30,
        n_layer=2,
        n_head=3,
        n_inner=41,
        eos_token_id=None,
        bos_token_id=None,
        initializer_range=0.15,
    ),
}
SLOW = ("smollm2", "qwen2, tied")
ESTIMATED = ("gpt2", "qwen3")  # what is new in them is counted too


@pytest.fixture(scope="module")
def committed(tmp_path_factory: pytest.TempPathFactory, generator_cache: Path) -> Callable[[str], tuple[Path, Path]]:
    """By name: (checkpoint, commitment), made when first asked for."""
    made: dict[str, tuple[Path, Path]] = {}

    def get(name: str) -> tuple[Path, Path]:
        if name not in made:
            place = tmp_path_factory.mktemp("family")
            model = write_model(place / "model", FAMILIES[name](), one=0.0 if name == "gemma" else 1.0)
            (model / "config.yaml").write_text(PRECISE)
            api.commit(model, model / "config.yaml", place / "commitment")
            made[name] = model, place / "commitment"
        return made[name]

    return get


def each_family(function: Any) -> Any:
    marked = [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in FAMILIES]
    return pytest.mark.parametrize("name", marked)(function)


@each_family
def test_the_integer_model_is_close_to_transformers(committed: Any, name: str) -> None:
    assert_close(*committed(name), TEXT[:120])


@each_family
def test_an_answer_is_proved_and_verified(committed: Any, name: str, tmp_path: Path) -> None:
    """Past the end of a tile; a flipped bit anywhere is seen, and a cached step chooses what the whole pass does."""
    _, commitment = committed(name)
    made = api.prove(commitment, PROMPT, 12, tmp_path / "a.zkp", estimate=name in ESTIMATED)
    if made.estimate:
        assert made.estimate.message_bytes == made.proof_bytes - dict(made.sections)["header"]
    public = commitment / "public.zkc"
    assert api.verify(tmp_path / "a.zkp", public, prompt=PROMPT, expect_text=made.text).tokens == 12
    data = (tmp_path / "a.zkp").read_bytes()
    (tmp_path / "x").write_bytes(flipped(data, len(data) // 2))
    with pytest.raises(ProofRejected):
        api.verify(tmp_path / "x", public)
    owner = prover.Owner.load(commitment)
    prompt = owner.public.codec.encode(PROMPT)
    generated = owner.generate(prompt, 12).tokens
    graph = owner.public.setup.graph(Sequence(generated, 1))
    logits = passes.witness(graph, owner.weights)[graph.logits.name]
    assert [int(best) for best in logits.argmax(-1)[len(prompt) - 1 :]] == list(generated[len(prompt) :])


CHOICES = {
    "folding, gqa": "plugins: [folding, gqa]\nstrategy: {name: folding}\nmodel: {attention: {name: gqa}}\n",
    "folding": "plugins: [folding]\nstrategy: {name: folding}\n",
    "zkattn, tlookup": """\
lookup: tlookup
model: {attention: {name: zkattn, zkattn: {segment_bits: [auto, 12, 12], theta_bits: [5, 11], step_bits: 14}}}
""",
}


@pytest.mark.parametrize(
    ("family", "choice"),
    [("qwen2", "folding, gqa"), ("qwen3", "folding, gqa"), ("gpt2", "folding"), ("gpt2", "zkattn, tlookup")],
)
def test_other_strategies_prove_the_same_answer(committed: Any, family: str, choice: str, tmp_path: Path) -> None:
    model, commitment = committed(family)
    expected = api.prove(commitment, PROMPT, 2, tmp_path / "a.zkp").text
    chosen = _merged(yaml.safe_load(PRECISE), yaml.safe_load(CHOICES[choice]))
    api.commit(model, config.parse(chosen, choice), tmp_path / "commitment")
    made = api.prove(tmp_path / "commitment", PROMPT, 2, tmp_path / "b.zkp")
    assert made.text == expected or "zkattn" in choice
    accepted = api.verify(tmp_path / "b.zkp", tmp_path / "commitment" / "public.zkc", expect_text=made.text)
    assert accepted.tokens == 2


def _merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    inner = {k: _merged(one[k], v) for k, v in two.items() if isinstance(v, dict) and isinstance(one.get(k), dict)}
    return one | two | inner


def test_gpt2_as_the_hub_keeps_it(committed: Any, tmp_path: Path) -> None:
    """Without a prefix, and with the masks of old."""
    import torch
    from safetensors.torch import load_file, save_file

    model, _ = committed("gpt2")
    old = load_file(model / "model.safetensors")
    assert "transformer.wte.weight" in old
    bare = {n.removeprefix("transformer."): w for n, w in old.items()} | {"h.0.attn.bias": torch.ones(1, 1, 8, 8)}
    save_file(bare, tmp_path / "model.safetensors", {"format": "pt"})
    found = [_weights(p) for p in (model, tmp_path)]
    assert found[0].keys() == found[1].keys()
    assert all(w.allclose(found[1][n]) for n, w in found[0].items())


def _weights(directory: Path) -> dict[str, Any]:
    from zkcore.models.checkpoint import load_tensors

    family = build_registry(()).model_family("gpt2")()
    return family.weights(family.architecture(FAMILIES["gpt2"]().to_dict()), load_tensors(directory))


# --- what is read, and what is refused -------------------------------------------------------------------------------
def architecture(raw: dict[str, Any]) -> DecoderArchitecture:
    found = build_registry(()).model_family(raw["model_type"])().architecture(raw)
    assert isinstance(found, DecoderArchitecture)
    return found


@pytest.mark.parametrize("name", FAMILIES)
def test_a_header_says_as_much_as_a_config(name: str) -> None:
    found = architecture(FAMILIES[name]().to_dict())
    assert build_registry(()).model_family(found.family)().parse(found.model_dump(mode="json")) == found


@pytest.mark.parametrize(
    ("changes", "positions"),
    [
        ({"model_type": "mistral"}, 64),
        ({"model_type": "mistral", "sliding_window": None}, 64),
        ({"model_type": "mistral", "sliding_window": 48}, 48),
        ({"model_type": "mistral", "max_position_embeddings": 1 << 15}, 4096),
        ({"model_type": "qwen2", "sliding_window": 48}, 64),
        ({"model_type": "qwen2", "sliding_window": 48, "use_sliding_window": True}, 48),
        ({"model_type": "phi3", "sliding_window": 47}, 47),
    ],
)
def test_a_window_limits_the_length_of_answers(changes: dict[str, Any], positions: int) -> None:
    """Up to the window's length it changes nothing; a longer answer would need it."""
    assert architecture(SIZES | changes).max_positions == positions


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model_type": "qwen2", "layer_types": ["chunked_attention"]}, "layer_types: 'chunked_attention'"),
        ({"model_type": "qwen2", "layer_types": ["sliding_attention"]}, "without a sliding_window"),
        ({"model_type": "qwen3", "attention_bias": True}, "attention_bias"),
        ({"model_type": "qwen3", "rope_parameters": {"rope_type": "yarn", "factor": 4.0}}, "yarn"),
        ({"model_type": "phi3", "rope_parameters": {"rope_type": "longrope", "long_factor": [1.0]}}, "longrope"),
        ({"model_type": "phi3", "partial_rotary_factor": 0.75}, "partial_rotary_factor"),
        ({"model_type": "phi3", "rope_parameters": {"partial_rotary_factor": 0.75}}, "partial_rotary_factor"),
        ({"model_type": "gemma", "use_bidirectional_attention": True}, "use_bidirectional_attention"),
        ({"model_type": "llama", "num_local_experts": 8}, "num_local_experts"),
        ({"model_type": "llama", "rope_interleaved": True}, "rope_interleaved"),
        ({"model_type": "llama", "final_logit_softcapping": 30.0}, "final_logit_softcapping"),
    ],
)
def test_what_is_not_supported_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        architecture(SIZES | changes)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx"),
        ({"scale_attn_weights": False}, "scale_attn_weights"),
        ({"add_cross_attention": True}, "add_cross_attention"),
        ({"n_head": 7}, "n_embd 30 is no multiple of 7 heads"),
        ({"n_embd": "30"}, "n_embd"),
    ],
)
def test_what_gpt2_may_not_be(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        architecture(FAMILIES["gpt2"]().to_dict() | changes)


@pytest.mark.parametrize("name", SHAPES)
def test_every_known_shape_is_a_model(name: str) -> None:
    found = architecture(dict(SHAPES[name]))
    assert found.max_positions >= 1024


@pytest.mark.parametrize("name", ["mixtral", "qwen3_moe", "gemma2", "gemma3_text", "mamba", "gpt_neox"])
def test_a_family_that_nobody_offers_is_named(name: str) -> None:
    with pytest.raises(PluginError, match=f"{name}.*available:.*llama.*mistral.*qwen2"):
        build_registry(()).model_family(name)
