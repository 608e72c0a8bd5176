"""LoRA and its kin over a base model, by peft. Owns how one is put on, saved and merged."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from slipway_kernel.device import DTYPES, Device
from slipway_kernel.models import LanguageModel, read_folder
from slipway_kernel.optimizer import trainable
from slipway_kernel.protocol import Failure
from slipway_kernel.settings import Tuning


def quantized_base(path: str, device: Device) -> LanguageModel:
    """In 4 bits, for QLoRA. Failure user_input where that is not possible."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise Failure(
            "user_input",
            "tuning.method qlora needs the package bitsandbytes, which this Python does not have: pip install bitsandbytes, or take lora",
        )
    from transformers import BitsAndBytesConfig

    dtype = DTYPES[device.precision]
    quantization = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    model = read_folder(path, dtype, quantization_config=quantization, device_map={"": device.device})
    for module in model.module.modules():
        # On some processors a pass without gradients would put the weights in an order that has no backward pass, rounded once more.
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def put_on(model: LanguageModel, tuning: Tuning) -> Any:
    """peft's wrapper of the model, whose own modules are changed in place: `model.module` is what trains."""
    _require_layers(model.module, tuning)
    peft = _import_peft(tuning)
    if tuning.method == "qlora":
        peft.prepare_model_for_kbit_training(model.module, use_gradient_checkpointing=False)
    config = peft.LoraConfig(
        task_type=peft.TaskType.CAUSAL_LM,
        r=tuning.rank,
        lora_alpha=tuning.alpha,
        lora_dropout=tuning.dropout,
        target_modules="all-linear" if tuning.target_modules == "auto" else tuning.target_modules,
        use_rslora=tuning.rslora,
        use_dora=tuning.method == "dora",
        modules_to_save=tuning.modules_to_save or None,
    )
    try:
        wrapped = peft.get_peft_model(model.module, config)
    except ValueError as error:
        raise Failure("user_input", f"model.tuning: {error}") from error
    for parameter in trainable(model.module).values():
        # Copies of whole layers are as small as the base was read.
        parameter.data = parameter.data.float()
    return wrapped


def _require_layers(module: Any, tuning: Tuning) -> None:
    """peft passes over a name that no layer has, as long as another one fits. Failure user_input."""
    layers = dict(module.named_modules())
    targets = [] if tuning.target_modules == "auto" else tuning.target_modules
    for field, asked in (("target_modules", targets), ("modules_to_save", tuning.modules_to_save)):
        missing = [one for one in asked if not any(f".{name}".endswith(f".{one}") for name in layers)]
        if missing:
            known = sorted({name.rpartition(".")[2] for name, layer in layers.items() if hasattr(layer, "weight")})
            raise Failure("user_input", f"model.tuning.{field}: the model has no {', '.join(missing)}; it has {', '.join(known)}")


def _import_peft(tuning: Tuning) -> ModuleType:
    """It imports bitsandbytes wherever that is installed: three seconds, and only qlora has a use for it."""
    if tuning.method == "qlora" or "peft" in sys.modules or "bitsandbytes" in sys.modules:
        return importlib.import_module("peft")
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]
    try:
        peft = importlib.import_module("peft")
        # Asked now, it remembers that there is none.
        importlib.import_module("peft.import_utils").is_bnb_4bit_available()
        return peft
    finally:
        del sys.modules["bitsandbytes"]


def save_and_merge(wrapped: Any, folder: Path, base: str, dtype: torch.dtype, base_is_exact: bool) -> Any:
    """Saves the adapter and gives the merged module. Sums are taken in float32, over the weights the base was given in:
    `base_is_exact` says that the trained module still has them."""
    wrapped.save_pretrained(folder)
    if not base_is_exact:
        from peft import PeftModel

        wrapped = PeftModel.from_pretrained(read_folder(base, torch.float32, plain=True).module, str(folder))
    _untie(wrapped)
    return wrapped.merge_and_unload(safe_merge=True).to(dtype)


def _untie(wrapped: Any) -> None:
    """What is added to one of two layers with one weight must not be added to the other as well."""
    head, embedding = wrapped.get_output_embeddings(), wrapped.get_input_embeddings()
    if any(hasattr(layer, "base_layer") for layer in (head, embedding)) and head.weight is embedding.weight:
        getattr(head, "base_layer", head).weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
