"""LoRA and its kin over a base model, by peft. Owns how one is put on, saved and merged."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch

from slipway_kernel.models import LanguageModel, read_folder
from slipway_kernel.protocol import Failure
from slipway_kernel.settings import Tuning


def quantized_base(path: str) -> LanguageModel:
    """In 4 bits, for QLoRA. Failure user_input where that is not possible."""
    if not torch.cuda.is_available():
        raise Failure("user_input", "tuning.method qlora needs CUDA, which cannot be used here; lora works on a CPU")
    if importlib.util.find_spec("bitsandbytes") is None:
        raise Failure("user_input", "tuning.method qlora needs the Python package bitsandbytes, which is not installed")
    from transformers import BitsAndBytesConfig

    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    return read_folder(path, torch.bfloat16, quantization_config=quantization)


def put_on(model: LanguageModel, tuning: Tuning) -> Any:
    """peft's wrapper of the model, whose own modules are changed in place: `model.module` is what trains."""
    from peft import LoraConfig, TaskType, get_peft_model, prepare_model_for_kbit_training

    if tuning.method == "qlora":
        prepare_model_for_kbit_training(model.module, use_gradient_checkpointing=False)
    config = LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules="all-linear" if tuning.target_modules == "auto" else tuning.target_modules,
        use_rslora=tuning.rslora,
        use_dora=tuning.method == "dora",
        modules_to_save=tuning.modules_to_save or None,
    )
    try:
        return get_peft_model(model.module, config)
    except ValueError as error:
        raise Failure("user_input", f"model.tuning: {error}") from error


def save_and_merge(wrapped: Any, folder: Path, base: str, dtype: torch.dtype, base_is_exact: bool) -> Any:
    """Saves the adapter and gives the merged module. Sums are taken in float32, over the weights the base was given in:
    `base_is_exact` says that the trained module still has them."""
    wrapped.save_pretrained(folder)
    if not base_is_exact:
        from peft import PeftModel

        wrapped = PeftModel.from_pretrained(read_folder(base, torch.float32, plain=True).module, str(folder))
    return wrapped.merge_and_unload(safe_merge=True).to(dtype)
