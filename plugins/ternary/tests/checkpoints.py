"""Small random BitNet checkpoints, packed as transformers packs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.e2e.checkpoints import CONFIG, SIZES, write_model

TERNARY = CONFIG.replace("model: {", "plugins: [ternary]\nmodel: {encoding: ternary, ")
ABSMEAN = CONFIG.replace("model: {", "plugins: [ternary]\nmodel: {encoding: absmean, ")
OFFLINE = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}


def bitnet_config(**changes: Any) -> Any:
    from transformers import BitNetConfig

    return BitNetConfig(**(SIZES | {"num_key_value_heads": 2, "tie_word_embeddings": True} | changes))


def write_bitnet(directory: Path, linear_class: str = "autobitlinear", dtype: str = "float32", **changes: Any) -> Path:
    """`linear_class`: "bitlinear" stores the inverse of each scale; "" leaves float weights, -s, 0 and s each."""
    from transformers.integrations.bitnet import pack_weights

    write_model(directory, bitnet_config(**changes), dtype=dtype)
    tensors = load_file(directory / "model.safetensors")
    for name in [n for n in tensors if "_proj." in n]:
        scale = tensors[name].float().abs().mean()
        ternary = (tensors[name].float() / scale).round().clamp(-1, 1)
        if not linear_class:
            tensors[name] = ternary * scale
            continue
        tensors[name] = pack_weights(ternary)
        kept = 1 / scale if linear_class == "bitlinear" else scale
        tensors[f"{name}_scale"] = kept.reshape(1).to(getattr(torch, dtype))
    rewrite(directory, tensors, {**OFFLINE, "linear_class": linear_class} if linear_class else None)
    (directory / "config.yaml").write_text(TERNARY)
    return directory


def rewrite(directory: Path, tensors: dict[str, torch.Tensor], packing: dict[str, Any] | None) -> None:
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    path = directory / "config.json"
    config = {k: v for k, v in json.loads(path.read_text()).items() if k != "quantization_config"}
    path.write_text(json.dumps({**config, **({"quantization_config": packing} if packing else {})}))
