"""Train the ternary example model from nothing, with the text and the tokenizer of ../tiny-llama.

    python train.py            # writes the checkpoint next to this file
    python train.py --out DIR  # writes it somewhere else

Quantisation-aware: every projection is seen by its inputs as -1, 0 or 1 times one scale, every input of a projection as
eight bits with a scale per token (straight-through gradients, Ma et al. 2024); what is written are the ternary weights,
packed as transformers packs them. One thread, fixed seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save as packed_file
from tokenizers import Tokenizer
from torch import nn
from transformers import BitNetConfig, BitNetForCausalLM
from transformers.integrations.bitnet import pack_weights

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tiny-llama"))
import train as llama  # noqa: E402 - the sibling's script: text, batches, schedule
from stories import stories  # noqa: E402

FILES = ("tokenizer.json", "tokenizer_config.json", "generation_config.json")
SAMPLES = ("heldout.txt", "calibration.txt")
PACKING = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}


@dataclass(frozen=True)
class Plan(llama.Plan):
    kv_heads: int = 2
    steps: int = 2000
    learning_rate: float = 3e-3
    weight_decay: float = 0.05


class BitLinear(nn.Linear):
    """What AutoBitLinear of transformers computes online, without its compiler."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight + (absmean(self.weight) - self.weight).detach()
        return nn.functional.linear(x + (absmax(x) - x).detach(), weight)


def absmean(weight: torch.Tensor) -> torch.Tensor:
    scale = weight.abs().mean().clamp(min=1e-5)
    return (weight / scale).round().clamp(-1, 1) * scale


def absmax(x: torch.Tensor) -> torch.Tensor:
    scale = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
    return (x * scale).round().clamp(-128, 127) / scale


def build_model(plan: Plan, tokenizer: Tokenizer) -> BitNetForCausalLM:
    torch.manual_seed(llama.TORCH_SEED)
    rope = {"rope_type": "default", "rope_theta": 10000.0}
    config = BitNetConfig(**plan.sizes(tokenizer), tie_word_embeddings=True, rope_parameters=rope)
    model = BitNetForCausalLM(config)
    for name, old in projections(model):
        new = BitLinear(old.in_features, old.out_features, bias=False)
        new.weight = old.weight
        model.set_submodule(name, new)
    return model


def projections(model: BitNetForCausalLM) -> list[tuple[str, nn.Linear]]:
    return [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != "lm_head"]


def save(model: BitNetForCausalLM, out: Path) -> None:
    """Ternary weights and their scales; gains and the embedding, which is the head too, as they are."""
    tensors = {n: t.contiguous() for n, t in model.state_dict().items() if n != "lm_head.weight"}
    for name, layer in projections(model):
        scale = layer.weight.abs().mean().clamp(min=1e-5)
        tensors[f"{name}.weight"] = pack_weights((layer.weight / scale).round().clamp(-1, 1))
        tensors[f"{name}.weight_scale"] = scale.detach().reshape(1)
    (out / "model.safetensors").write_bytes(packed_file(tensors, metadata={"format": "pt"}))
    model.config.quantization_config = PACKING
    model.config.architectures = ["BitNetForCausalLM"]
    (out / "config.json").write_text(json.dumps(model.config.to_diff_dict(), indent=2, sort_keys=True) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the ternary example model.")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    args = parser.parse_args()
    plan = Plan(steps=args.steps)
    torch.set_num_threads(1)

    sibling = HERE.parent / "tiny-llama"
    tokenizer = Tokenizer.from_file(str(sibling / "tokenizer.json"))
    samples = {name: (sibling / name).read_text(encoding="utf-8") for name in SAMPLES}
    held = set(samples["heldout.txt"].splitlines()) | set(samples["calibration.txt"].splitlines())
    texts = [text for text in stories(llama.TRAIN_SEED, plan.stories) if text not in held]
    encoded = llama.encode(tokenizer, texts)
    heldout = llama.encode(tokenizer, samples["heldout.txt"].splitlines())
    model = build_model(plan, tokenizer)
    print(f"{len(encoded)} stories, {sum(p.numel() for p in model.parameters())} parameters", flush=True)
    llama.fit(model, plan, llama.rows(encoded, plan.context + 1), llama.rows(heldout, plan.context + 1))
    model.eval()

    args.out.mkdir(parents=True, exist_ok=True)
    save(model, args.out)
    for name in FILES:
        (args.out / name).write_bytes((sibling / name).read_bytes())
    for name, text in samples.items():
        (args.out / name).write_text(text, encoding="utf-8")
    print(json.dumps({"heldout_perplexity": round(llama.story_perplexity(model, heldout), 4)}))
    for prompt in llama.PROMPTS:
        print(llama.continuation(model, tokenizer, prompt, 100))


if __name__ == "__main__":
    main()
