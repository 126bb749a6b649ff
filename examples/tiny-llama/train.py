"""Train the example model from nothing: tokenizer, weights and the two text samples.

    python train.py            # writes the checkpoint next to this file
    python train.py --out DIR  # writes it somewhere else

One thread, fixed seeds: the same versions of torch and tokenizers on the same machine give the
same weights. Needs torch, transformers, tokenizers and nothing from outside: the text comes from
stories.py.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from stories import stories

BOS, EOS = "<s>", "</s>"
TRAIN_SEED, HELDOUT_SEED, CALIBRATION_SEED, TORCH_SEED = 1, 2, 3, 0
SAMPLE_STORIES = 50
PROMPTS = (
    "Once upon a time there was a little fox named",
    "Once there was a small rabbit called Hugo who lived",
    "Anna was a brave young owl. She lived in the forest.",
    "One rainy evening Tom wanted to build a",
    '"Where is my red kite?" asked Mia.',
)


@dataclass(frozen=True)
class Plan:
    """Everything that decides the outcome of a training run."""

    vocab: int = 1024
    hidden: int = 128
    intermediate: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 4
    context: int = 256
    stories: int = 40_000
    steps: int = 4400
    batch: int = 8
    learning_rate: float = 2e-3
    warmup: int = 200
    weight_decay: float = 0.1
    clip: float = 1.0

    def sizes(self, tokenizer: Tokenizer) -> dict[str, Any]:
        """What config.json says of any model of this plan."""
        return {
            "vocab_size": self.vocab,
            "hidden_size": self.hidden,
            "intermediate_size": self.intermediate,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "max_position_embeddings": self.context,
            "rms_norm_eps": 1e-5,
            "initializer_range": 0.05,
            "bos_token_id": tokenizer.token_to_id(BOS),
            "eos_token_id": tokenizer.token_to_id(EOS),
        }


def train_tokenizer(texts: Sequence[str], vocab: int) -> Tokenizer:
    """Byte-level BPE: any text can be encoded, and decoding gives back the exact text."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab,
        special_tokens=[BOS, EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return tokenizer


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Each story as <s> ... </s>."""
    eos = tokenizer.token_to_id(EOS)
    return [[*encoding.ids, eos] for encoding in tokenizer.encode_batch(list(texts))]


def rows(encoded: Sequence[list[int]], length: int) -> torch.Tensor:
    """One row per story, filled up with the beginning of the stories that follow it."""
    table = []
    for start in range(len(encoded)):
        row: list[int] = []
        for ids in (encoded[(start + i) % len(encoded)] for i in range(length)):
            row += ids
            if len(row) >= length:
                break
        table.append(row[:length])
    return torch.tensor(table)


def batches(table: torch.Tensor, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Endless shuffled batches; every story is seen once before any is seen twice."""
    while True:
        order = torch.randperm(len(table), generator=generator)
        for start in range(0, len(order) - size + 1, size):
            yield table[order[start : start + size]]


def build_model(plan: Plan, tokenizer: Tokenizer) -> LlamaForCausalLM:
    torch.manual_seed(TORCH_SEED)
    config = LlamaConfig(**plan.sizes(tokenizer), tie_word_embeddings=False, use_cache=True)
    return LlamaForCausalLM(config)


def mean_loss(model: LlamaForCausalLM, tokens: torch.Tensor) -> torch.Tensor:
    logits = model(input_ids=tokens[:, :-1], use_cache=False).logits
    return cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


def learning_rate(plan: Plan, step: int) -> float:
    """Linear warm-up, then a cosine down to a fiftieth."""
    if step < plan.warmup:
        return plan.learning_rate * (step + 1) / plan.warmup
    progress = (step - plan.warmup) / max(1, plan.steps - plan.warmup)
    return plan.learning_rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def optimizer_for(model: LlamaForCausalLM, plan: Plan) -> torch.optim.AdamW:
    """Decay the matrices, not the norm gains."""
    matrices = [p for p in model.parameters() if p.dim() > 1]
    gains = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": plan.weight_decay}, {"params": gains, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=plan.learning_rate, betas=(0.9, 0.98))


def fit(model: LlamaForCausalLM, plan: Plan, table: torch.Tensor, heldout: torch.Tensor) -> None:
    optimizer = optimizer_for(model, plan)
    source = batches(table, plan.batch, torch.Generator().manual_seed(TORCH_SEED))
    started = time.monotonic()
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step)
        loss = mean_loss(model, next(source))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
        optimizer.step()
        if step % 200 == 199 or step == 0:
            with torch.no_grad():
                other = mean_loss(model, heldout[:16]).item()
            spent = time.monotonic() - started
            print(f"step {step + 1:5d}  train {loss.item():.4f}  heldout {other:.4f}  {spent:6.0f} s", flush=True)


@torch.no_grad()
def story_perplexity(model: LlamaForCausalLM, encoded: Sequence[list[int]]) -> float:
    """Per-token perplexity of whole stories, each read on its own from its <s>."""
    total, count = 0.0, 0
    for ids in encoded:
        tokens = torch.tensor([ids])
        total += mean_loss(model, tokens).item() * (len(ids) - 1)
        count += len(ids) - 1
    return math.exp(total / count)


@torch.no_grad()
def continuation(model: LlamaForCausalLM, tokenizer: Tokenizer, prompt: str, tokens: int) -> str:
    ids = torch.tensor([tokenizer.encode(prompt).ids])
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False)
    return str(tokenizer.decode(out[0].tolist()))


def save(model: LlamaForCausalLM, tokenizer: Tokenizer, plan: Plan, out: Path) -> None:
    model.generation_config = GenerationConfig(
        bos_token_id=model.config.bos_token_id,
        eos_token_id=model.config.eos_token_id,
        pad_token_id=model.config.eos_token_id,
        do_sample=False,
    )
    model.save_pretrained(out)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=EOS, model_max_length=plan.context
    ).save_pretrained(out)
    settings = json.loads((out / "tokenizer_config.json").read_text(encoding="utf-8"))
    settings.pop("backend", None)
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # the one name that old and new transformers both know
    (out / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the example model.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", type=int, default=Plan.steps)
    args = parser.parse_args()
    plan = Plan(steps=args.steps)
    torch.set_num_threads(1)

    train_texts = list(stories(TRAIN_SEED, plan.stories))
    seen = set(train_texts)
    samples = {}
    for name, seed in (("heldout", HELDOUT_SEED), ("calibration", CALIBRATION_SEED)):
        fresh = (text for text in stories(seed, 2 * SAMPLE_STORIES) if text not in seen)
        samples[name] = [text for text, _ in zip(fresh, range(SAMPLE_STORIES), strict=False)]
        seen |= set(samples[name])

    tokenizer = train_tokenizer(train_texts[:10_000], plan.vocab)
    encoded = encode(tokenizer, train_texts)
    print(f"{len(encoded)} stories, {sum(map(len, encoded))} tokens, longest {max(map(len, encoded))}", flush=True)
    heldout = encode(tokenizer, samples["heldout"])
    model = build_model(plan, tokenizer)
    print(f"{sum(p.numel() for p in model.parameters())} parameters", flush=True)
    fit(model, plan, rows(encoded, plan.context + 1), rows(heldout, plan.context + 1))
    model.eval()

    args.out.mkdir(parents=True, exist_ok=True)
    save(model, tokenizer, plan, args.out)
    for name, texts in samples.items():
        (args.out / f"{name}.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    print(json.dumps({"heldout_perplexity": round(story_perplexity(model, heldout), 4)}))
    for prompt in PROMPTS:
        print(continuation(model, tokenizer, prompt, 100))


if __name__ == "__main__":
    main()
