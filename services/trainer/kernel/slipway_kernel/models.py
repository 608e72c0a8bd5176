"""Models: built from a config, or read from a folder. Owns what differs between families when they are made; trains nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from slipway_kernel import attention
from slipway_kernel.char_lstm import MODEL_TYPE as CHAR_LSTM
from slipway_kernel.char_lstm import CharLstm
from slipway_kernel.protocol import Failure

SCRATCH_FAMILIES: Mapping[str, tuple[str, str]] = {
    "gpt2": ("GPT2Config", "GPT2LMHeadModel"),
    "llama": ("LlamaConfig", "LlamaForCausalLM"),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
}

LONGEST_SERVED = 16_384
"""Positions of a version, at most (services/converter/build-version.ts)."""


@dataclass
class LanguageModel:
    """`positions`: how many a sequence may have, None where there is no end. `packs`: whether examples may share a row."""

    module: Any
    vocabulary_size: int
    positions: int | None
    packs: bool


def build_scratch(config: Mapping[str, Any]) -> LanguageModel:
    """With random weights, drawn from torch's default generator. Failure user_input."""
    family = config.get("model_type")
    if family == CHAR_LSTM:
        return _char_lstm(CharLstm(dict(config)))
    if not isinstance(family, str) or family not in SCRATCH_FAMILIES:
        known = ", ".join([*SCRATCH_FAMILIES, CHAR_LSTM])
        raise Failure("user_input", f"models of type {family!r} are not made from scratch; these are: {known}")
    import transformers

    config_name, class_name = SCRATCH_FAMILIES[family]
    try:
        # transformers refuses what cannot be (heads that do not divide the width) with errors of several kinds.
        parsed = getattr(transformers, config_name)(**{key: value for key, value in config.items() if key != "model_type"})
        module = getattr(transformers, class_name)(_with_attention(parsed))
    except (TypeError, ValueError, ZeroDivisionError) as error:
        raise Failure("user_input", f"this {family} cannot be: {error}") from error
    return _wrap(module)


def read_folder(path: str, dtype: torch.dtype, *, plain: bool = False, **options: Any) -> LanguageModel:
    """A Hugging Face folder, or one of docs/char-lstm.md. `plain`: transformers' own attention. Failure user_input."""
    folder = Path(path)
    config = json.loads((folder / "config.json").read_text())
    if config.get("model_type") == CHAR_LSTM:
        from safetensors.torch import load_file

        lstm = CharLstm(config)
        lstm.load(load_file(folder / "model.safetensors"))
        return _char_lstm(lstm)
    import transformers

    names = [name for name in config.get("architectures") or [] if hasattr(transformers, name)]
    model_class = getattr(transformers, names[0] if names else "AutoModelForCausalLM")
    implementation = {} if plain else {"attn_implementation": attention.NAME}
    if not plain:
        attention.register()
    try:
        module = model_class.from_pretrained(folder, dtype=dtype, local_files_only=True, **implementation, **options)
    except (OSError, ValueError, KeyError) as error:
        raise Failure("user_input", f"{path} cannot be read as a model: {error}") from error
    return _wrap(module)


def _with_attention(config: Any) -> Any:
    attention.register()
    config._attn_implementation = attention.NAME
    return config


def _wrap(module: Any) -> LanguageModel:
    config = module.config.get_text_config()
    # GPT-2's activation is written out in six operators; torch has the same function as one.
    for parent in module.modules():
        for name, child in parent.named_children():
            if type(child).__name__ == "NewGELUActivation":
                setattr(parent, name, nn.GELU(approximate="tanh"))
    _turn_as_served(module, config)
    positions = getattr(config, "max_position_embeddings", None)
    return LanguageModel(module, config.vocab_size, positions, packs=True)


def _turn_as_served(module: Any, config: Any) -> None:
    """Longrope has two sets of angles, of which transformers takes one by the longest example of a row. A version is served with one
    for all, chosen by how many positions it has: that one is trained."""
    if (getattr(config, "rope_parameters", None) or {}).get("rope_type") != "longrope":
        return
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    angles, _ = ROPE_INIT_FUNCTIONS["longrope"](config, None, seq_len=min(config.max_position_embeddings, LONGEST_SERVED))
    for child in module.modules():
        if getattr(child, "rope_type", None) == "longrope":
            child.original_inv_freq = child.long_inv_freq = angles


def _char_lstm(module: CharLstm) -> LanguageModel:
    return LanguageModel(module, module.config["vocab_size"], None, packs=False)
