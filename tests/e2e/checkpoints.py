"""Small random LLaMA checkpoints, as a user's directory would look."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

CONFIG = """\
commitment: {log_width: 8}
model: {table_bits: 12, activation_bits: 12, hidden_bits: 18, attention: {tile: 16}}
calibration: {tokens: 256, window: 64, headroom_bits: 2}
"""
TEXT = """\
The old mill stands where two streams meet, and nobody has ground corn in it since the bridge was built. In spring the
water still turns what is left of the wheel, slowly, as if it were thinking about something else. Children from the
village go there to look for smooth stones; they say that a stone from under the wheel brings a week of good weather. My
grandfather, who was the last miller's boy, laughed about this. He said that the weather had never once asked a stone.
But he kept one in his coat, grey with a white ring around it, and when it rained on the day of the fair he took it out
and looked at it for a long time, and put it back, and said nothing at all.
"""


SIZES: dict[str, Any] = {
    "vocab_size": 280,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 128,
    "eos_token_id": None,
    "bos_token_id": None,
    "initializer_range": 0.15,
}


def llama_config(**changes: Any) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(**(SIZES | changes))


def write_checkpoint(
    directory: Path, *, dtype: str = "float32", shard_size: str = "1GB", seed: int = 0, **changes: Any
) -> Path:
    """A random LLaMA with its tokenizer, calibration text, held-out text and a configuration for quick proofs."""
    return write_model(directory, llama_config(**changes), dtype=dtype, shard_size=shard_size, seed=seed)


def write_model(
    directory: Path, config: Any, *, dtype: str = "float32", shard_size: str = "1GB", seed: int = 0, one: float = 1.0
) -> Path:
    """Any family. `one`: what stands for a gain of 1 in its norms."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("norm.weight") or (".ln_" in name and name.endswith(".weight")):
                parameter.uniform_(one - 0.5, one + 0.5)
            elif name.endswith(".bias"):
                parameter.uniform_(-0.3, 0.3)
    model.to(getattr(torch, dtype)).save_pretrained(directory, max_shard_size=shard_size)
    (directory / "tokenizer.json").write_text(tokenizer(config.vocab_size))
    (directory / "calibration.txt").write_text(TEXT)
    (directory / "heldout.txt").write_text(TEXT[300:700])
    (directory / "config.yaml").write_text(CONFIG)
    return directory


@cache
def tokenizer(vocab_size: int) -> str:
    """Byte-level BPE: every text has tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([TEXT], trainer)
    return str(made.to_str())


@dataclass(frozen=True)
class Place:
    """A checkpoint, the commitment to it, and a proof of an answer."""

    model: Path
    commitment: Path
    proof: Path
    prompt: str
    text: str
    nonce: bytes

    @property
    def config(self) -> Path:
        return self.model / "config.yaml"

    @property
    def public(self) -> Path:
        return self.commitment / "public.zkc"


def edit_json(path: Path, **changes: Any) -> None:
    """Set keys; ... removes one."""
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in content.items() if v is not ...}))
