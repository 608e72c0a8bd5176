"""Base models: random weights, written by transformers itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from make_jobs import CONFIGS


def make_model(family: str, **changes: Any) -> Any:
    import transformers

    classes = {
        "gpt2": ("GPT2Config", "GPT2LMHeadModel"),
        "llama": ("LlamaConfig", "LlamaForCausalLM"),
        "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
        "mistral": ("MistralConfig", "MistralForCausalLM"),
        "phi3": ("Phi3Config", "Phi3ForCausalLM"),
    }
    config = {**CONFIGS.get(family, CONFIGS["llama"]), "pad_token_id": None, **changes}
    config.pop("model_type")
    torch.manual_seed(5)
    return getattr(transformers, classes[family][1])(getattr(transformers, classes[family][0])(**config))


def write_base(folder: Path, family: str, dtype: torch.dtype = torch.float32, **changes: Any) -> Path:
    make_model(family, **changes).to(dtype).save_pretrained(folder)
    return folder
