"""BitNet and LLaMA checkpoints: read as transformers reads them, from files to an accepted answer, or refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from zkcore_ternary.family import Ternary
from zkcore_ternary.reference import load

from plugins.ternary.tests.checkpoints import ABSMEAN, OFFLINE, TERNARY, bitnet_config, rewrite, write_bitnet
from tests.e2e.checkpoints import edit_json, write_checkpoint, write_model
from tests.e2e.limits import refused
from zkcore import api, committer, evaluation, proof, public, verifier
from zkcore.config import ModelConfig
from zkcore.errors import FormatError, ModelError, PluginError, ProofRejected
from zkcore.graph.forward import Run, reals
from zkcore.models import checkpoint, passes, quantisation
from zkcore.models.family import Sequence
from zkcore.models.trits import pack
from zkcore.plugins import build_registry
from zkcore.statement import digest
from zkcore.transcript.channel import ProverChannel

KINDS = {"autobitlinear": "ternary", "bitlinear": "ternary", "": "ternary"}
WINDOW = tuple(range(40, 72))
PROMPT = "The old mill stands where two"


def real_logits(directory: Path, encoding: str) -> torch.Tensor:
    """Of the float passes of the ops that are proved."""
    config = checkpoint.load_config(directory)
    family = Ternary("ternary" if encoding == "ternary" else "absmean", str(config["model_type"]))
    architecture = family.architecture(config)
    bits, registry = quantisation.to_come(ModelConfig()), build_registry(("ternary",))
    weights = {n: w.double() for n, w in family.weights(architecture, checkpoint.load_tensors(directory)).items()}
    graph = family.graph(architecture, bits, registry, Sequence((*WINDOW, 0), 1))
    shaped = {n: weights[n].reshape(w.shape) for n, w in graph.weights().items()}
    return Run(graph, shaped, passes.publics(graph, real=True), reals).until(graph.logits)


@pytest.fixture(scope="module")
def bitnet(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    made: dict[str, Path] = {}

    def get(linear_class: str = "autobitlinear") -> Path:
        if linear_class not in made:
            made[linear_class] = write_bitnet(tmp_path_factory.mktemp("bitnet") / "model", linear_class)
        return made[linear_class]

    return get


# --- as transformers reads them ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("linear_class", ["autobitlinear", "bitlinear"])
def test_the_ops_are_transformers_own_model(bitnet: Callable[..., Path], linear_class: str) -> None:
    """The eight-bit values are the same but where a product lies at a tie: one step of 127 in some of them."""
    directory = bitnet(linear_class)
    [theirs] = evaluation.float_logits(directory, [WINDOW], load)
    ours = real_logits(directory, "ternary")
    assert (ours - theirs[: len(ours)]).abs().max() < 0.05 * theirs.abs().max()
    assert (ours.argmax(-1) == theirs[: len(ours)].argmax(-1)).double().mean() > 0.9


def test_scales_are_multiplied_or_divided_with(bitnet: Callable[..., Path]) -> None:
    """Three ways to store the same weights."""
    logits = [real_logits(bitnet(linear_class), "ternary") for linear_class in KINDS]
    for other in logits[1:]:
        assert torch.allclose(logits[0], other, rtol=1e-3, atol=1e-3)


def test_absmean_is_transformers_quantiser(tmp_path: Path) -> None:
    """BitNet's float weights, quantised online by transformers, and converted here."""
    directory = write_model(tmp_path / "m", bitnet_config())
    tensors = load_file(directory / "model.safetensors")
    rewrite(directory, tensors, {**OFFLINE, "quantization_mode": "online"})
    family = Ternary("absmean", "bitnet")
    architecture = family.architecture(checkpoint.load_config(directory))
    weights = family.weights(architecture, checkpoint.load_tensors(directory))
    w = tensors["model.layers.1.mlp.up_proj.weight"]
    scale = 1.0 / w.abs().mean().clamp(min=1e-5)
    assert torch.equal(weights["layers.1.up"].t() / scale, (w * scale).round().clamp(-1, 1) / scale)
    assert torch.allclose(weights["layers.1.up_scale"] * 127, 1 / scale)


# --- from files to an answer ------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def committed(bitnet: Callable[..., Path], generator_cache: Path) -> Path:
    directory = bitnet()
    api.commit(directory, directory / "config.yaml", directory / "com")
    return directory / "com"


def test_a_bitnet_answer(committed: Path, tmp_path: Path) -> None:
    done = api.prove(committed, PROMPT, 3, tmp_path / "a.zkp", nonce=b"n")
    accepted = api.verify(
        tmp_path / "a.zkp", committed / "public.zkc", prompt=PROMPT, expect_text=done.text, nonce=b"n"
    )
    assert accepted.tokens == 3
    drift = json.loads((committed / "accuracy.json").read_text())
    assert drift["perplexity_integer"] < 1.1 * drift["perplexity_float"]
    assert drift["top1_agreement"] > 0.7


def test_ternary_weights_take_less_than_two_bits_on_disk(committed: Path) -> None:
    from safetensors import safe_open

    commitment = public.load(committed / "public.zkc")
    specs = commitment.setup.shortest().weights()
    with safe_open(committed / "private" / "weights.safetensors", framework="pt") as f:
        for name, w in specs.items():
            if w.ternary:
                stored = f.get_tensor(f"weight {name}")
                assert 8 * stored.numel() * stored.element_size() <= 2 * np.prod(w.shape)
    assert sum(w.ternary for w in specs.values()) == 14


def test_a_damaged_packed_weight_is_refused(committed: Path, tmp_path: Path) -> None:
    """Even if the file's own digest is right: a byte that is no five weights."""
    from safetensors.numpy import load_file as arrays
    from safetensors.numpy import save

    (tmp_path / "private").mkdir()
    data = (committed / "public.zkc").read_bytes()
    tensors = arrays(committed / "private" / "weights.safetensors")
    tensors["weight layers.0.q"] = tensors["weight layers.0.q"].copy()
    tensors["weight layers.0.q"][3] = 250
    belongs = {"public_sha256": digest(data), "tensors_sha256": checkpoint.tensors_digest(tensors)}
    (tmp_path / "public.zkc").write_bytes(data)
    (tmp_path / "private" / "weights.safetensors").write_bytes(save(tensors, belongs))
    call = lambda: api.prove(tmp_path, PROMPT, 1, tmp_path / "a.zkp")  # noqa: E731
    refused(call, FormatError, "weight layers.0.q", "250 is no five ternary weights", seconds=10)


class Shameless(ProverChannel):
    """Goes on where an honest owner stops."""

    met: list[str] = []

    def violated(self, guard: str) -> None:
        self.met.append(guard)


@pytest.mark.parametrize("value", [2, -2])
def test_an_owner_with_a_weight_of_two_is_rejected(
    bitnet: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: int, generator_cache: Path
) -> None:
    """The whole commitment file, made by an owner who cheats: rows and certificate are about the same weights."""
    honest, written = committer.quantised, {}

    def cheating(setup: Any, real: Any) -> Any:
        out = honest(setup, real)
        out["layers.1.gate"].flatten()[4] = value
        return out

    def keep(out: Path, data: bytes, *rest: object) -> None:
        written["public"] = data

    Shameless.met.clear()
    for name, fake in (("quantised", cheating), ("ProverChannel", Shameless), ("_write", keep)):
        monkeypatch.setattr(committer, name, fake)
    monkeypatch.setattr(committer, "_kept", lambda *a: {})
    config = tmp_path / "clear.yaml"
    config.write_text(TERNARY + "zero_knowledge: false\n")
    api.commit(bitnet(), config, tmp_path / "x")
    assert Shameless.met == ["lookups"]
    with pytest.raises(ProofRejected) as caught:
        verifier.certify(public.parse(written["public"]), None)
    assert caught.value.reason == "lookups"


def test_a_certificate_of_another_model_is_rejected(
    bitnet: Callable[..., Path], committed: Path, tmp_path: Path, generator_cache: Path
) -> None:
    """It is bound to the rows and to all the header says."""
    other = write_bitnet(tmp_path / "other")
    tensors = load_file(other / "model.safetensors")
    tensors["model.norm.weight"] = tensors["model.norm.weight"] * 1.25
    rewrite(other, tensors, OFFLINE)
    api.commit(other, other / "config.yaml", tmp_path / "com")
    mine, theirs = (public.load(place / "public.zkc") for place in (committed, tmp_path / "com"))
    container = proof.unpack((committed / "public.zkc").read_bytes(), proof.COMMITMENT_MAGIC, "x")
    spliced = proof.pack(proof.COMMITMENT_MAGIC, container.header, [mine.tokenizer, mine.rows, theirs.certificate])
    with pytest.raises(ProofRejected):
        verifier.certify(public.parse(spliced), None)


# --- refusals ---------------------------------------------------------------------------------------------------------
def commit_with(directory: Path, config: str, tmp_path: Path) -> Callable[[], object]:
    (tmp_path / "c.yaml").write_text(config)
    return lambda: api.commit(directory, tmp_path / "c.yaml", tmp_path / "x")


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "llama")


def test_float_weights_without_conversion_are_refused(llama: Path, tmp_path: Path) -> None:
    refused(
        commit_with(llama, TERNARY, tmp_path),
        ModelError,
        "q_proj.weight: float weights",
        "encoding: absmean",
        seconds=20,
    )


def test_a_llama_whose_weights_are_ternary_needs_no_conversion(llama: Path, tmp_path: Path) -> None:
    tensors = load_file(llama / "model.safetensors")
    for name in [n for n in tensors if "_proj." in n]:
        tensors[name] = tensors[name].sign() * 0.25
    rewrite(llama, tensors, None)
    assert torch.allclose(real_logits(llama, "ternary"), real_logits(llama, "absmean"), rtol=1e-4, atol=1e-4)


def test_an_encoding_nobody_has_is_refused(llama: Path, bitnet: Callable[..., Path], tmp_path: Path) -> None:
    plugin = "plugins: [ternary]\n"
    refused(
        commit_with(llama, "model: {encoding: ternary}", tmp_path), PluginError, "'ternary llama'", "plugin missing"
    )
    refused(commit_with(llama, plugin + "model: {encoding: q4}", tmp_path), PluginError, "'q4 llama'")
    refused(commit_with(bitnet(), plugin, tmp_path), PluginError, "'bitnet'", "ternary bitnet")


def _transposed(t: dict[str, torch.Tensor]) -> None:
    name = "model.layers.0.mlp.gate_proj.weight"
    t[name] = t[name].t().contiguous()


def _columns(t: dict[str, torch.Tensor]) -> None:
    """Four columns in a byte, not four rows."""
    name = "model.layers.0.self_attn.k_proj.weight"
    t[name] = torch.zeros(16, 8, dtype=torch.uint8)


def _floats(t: dict[str, torch.Tensor]) -> None:
    t["model.layers.1.self_attn.q_proj.weight"] = torch.zeros(32, 32)


def _code(t: dict[str, torch.Tensor]) -> None:
    name = "model.layers.1.mlp.down_proj.weight"
    t[name] = t[name] | 3


def _two_scales(t: dict[str, torch.Tensor]) -> None:
    t["model.layers.0.mlp.up_proj.weight_scale"] = torch.ones(2)


def _no_scale(t: dict[str, torch.Tensor]) -> None:
    del t["model.layers.0.mlp.up_proj.weight_scale"]


LAYOUTS: dict[str, tuple[Callable[[dict[str, torch.Tensor]], None], tuple[str, ...]]] = {
    "transposed": (_transposed, ("gate_proj.weight", "expected U8 (12, 32)", "found U8 (32, 12)")),
    "by columns": (_columns, ("k_proj.weight", "expected U8 (4, 32)", "found U8 (16, 8)")),
    "not packed": (_floats, ("layers.1.self_attn.q_proj.weight", "expected U8 (8, 32)", "found F32 (32, 32)")),
    "a fourth code": (_code, ("layers.1.mlp.down_proj.weight", "a code 3")),
    "a scale per half": (_two_scales, ("up_proj.weight_scale", "expected shape (1,)", "(2,)")),
    "no scale": (_no_scale, ("missing tensor", "up_proj.weight_scale")),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_packed_weights_of_another_layout_are_refused(layout: str, tmp_path: Path) -> None:
    change, said = LAYOUTS[layout]
    directory = write_bitnet(tmp_path / "model")
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    rewrite(directory, tensors, OFFLINE)
    refused(commit_with(directory, TERNARY, tmp_path), ModelError, *said, seconds=20)


PACKINGS: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "online as ternary": (TERNARY, {"quantization_mode": "online"}, ("'online'", "encoding: absmean")),
    "packed as floats": (ABSMEAN, {}, ("'offline'", "encoding: ternary")),
    "another method": (TERNARY, {"quant_method": "gptq"}, ("quant_method", "gptq")),
    "another class": (TERNARY, {"linear_class": "bitblas"}, ("linear_class", "bitblas")),
    "a layer left out": (
        ABSMEAN,
        {"quantization_mode": "online", "modules_to_not_convert": ["lm_head", "model.layers.0.mlp.up_proj"]},
        ("modules_to_not_convert", "up_proj"),
    ),
    "norms before": (TERNARY, {"use_rms_norm": True}, ("use_rms_norm",)),
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_other_quantisations_are_refused(packing: str, bitnet: Callable[..., Path], tmp_path: Path) -> None:
    config, changes, said = PACKINGS[packing]
    directory = tmp_path / "model"
    directory.mkdir()
    for path in bitnet().glob("*.*"):
        if path.is_file():
            (directory / path.name).write_bytes(path.read_bytes())
    edit_json(directory / "config.json", quantization_config={**OFFLINE, **changes})
    refused(commit_with(directory, config, tmp_path), ModelError, "config.json", *said, seconds=20)


def test_packing_is_one_encoding() -> None:
    assert pack(np.array([1, 1, 1, 1, 1], dtype=np.int8)).tolist() == [242]


@pytest.mark.slow
def test_the_trained_example(tmp_path: Path, generator_cache: Path) -> None:
    """Its integer model reads as well as transformers' layers do, and its answers are words."""
    example = Path(__file__).parents[3] / "examples" / "tiny-bitnet"
    done = api.commit(example, example / "bitnet.yaml", tmp_path / "com")
    assert done.perplexity_integer == pytest.approx(done.perplexity_float, rel=0.01)
    assert done.top1_agreement > 0.97
    prompt = "Once upon a time there was a little fox named"
    made = api.prove(tmp_path / "com", prompt, 16, tmp_path / "a.zkp", nonce=b"n")
    known = {"prompt": prompt, "expect_text": made.text, "nonce": b"n"}
    assert len(api.verify(tmp_path / "a.zkp", tmp_path / "com" / "public.zkc", **known).text.split()) >= 4
