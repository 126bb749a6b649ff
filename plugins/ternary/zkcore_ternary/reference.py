"""transformers' BitNet with its own eight-bit linear layers, in float32, for comparison. Its loader would ask for
accelerate, which is for spreading a model over devices; the layers themselves do not need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zkcore.errors import ModelError
from zkcore.evaluation import by_transformers

SHARDS = "*.safetensors"


def load(model_dir: Path) -> Any:
    """A module whose call yields `logits`."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(model_dir, local_files_only=True, trust_remote_code=False)
    packing = getattr(config, "quantization_config", None)
    if packing is None:
        return by_transformers(model_dir)
    del config.quantization_config
    return _quantised(AutoModelForCausalLM.from_config(config), dict(packing), model_dir)


def _quantised(model: Any, packing: dict[str, Any], model_dir: Path) -> Any:
    """The model with its projections replaced, as transformers' quantizer does."""
    import torch
    from safetensors.torch import load_file
    from transformers.integrations.bitnet import replace_with_bitnet_linear, unpack_weights
    from transformers.utils.quantization_config import BitNetQuantConfig

    how = BitNetQuantConfig(**{k: v for k, v in packing.items() if k != "quant_method"})
    model = replace_with_bitnet_linear(model.float(), ["lm_head"], how)
    tensors = {n: t for shard in sorted(model_dir.glob(SHARDS)) for n, t in load_file(shard).items()}
    with torch.compiler.set_stance("force_eager"):
        for name, tensor in tensors.items():
            if tensor.dtype == torch.uint8 and how.linear_class == "autobitlinear":
                tensors[name] = unpack_weights(tensor, dtype=torch.float32)
            elif tensor.dtype.is_floating_point:
                tensors[name] = tensor.float()
    missing, unexpected = model.load_state_dict(tensors, strict=False, assign=True)
    if unexpected or set(missing) - {"lm_head.weight"}:
        raise ModelError(f"transformers' model and the checkpoint differ: {sorted({*missing, *unexpected})}")
    model.tie_weights()
    return model
