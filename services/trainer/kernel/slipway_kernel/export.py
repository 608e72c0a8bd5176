"""The folder that a run leaves: what transformers reads and the converter too. Owns its files; trains nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from slipway_kernel.char_lstm import CharLstm
from slipway_kernel.checkpoint import sync

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tokenizer.model",
)


def export_model(module: Any, folder: Path, tokenizer: Path, stop_ids: list[int]) -> Path:
    """Written aside and renamed: a folder of that name is whole."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        if isinstance(module, CharLstm):
            tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in module.tensors().items()}
            save_file(tensors, partial / "model.safetensors")
            config = module.config | ({"eos_token_id": stop_ids[0]} if len(stop_ids) == 1 else {})
            (partial / "config.json").write_text(json.dumps(config, indent=2))
        else:
            module.save_pretrained(partial)
        write_generation_config(partial, tokenizer, stop_ids)
        for name in TOKENIZER_FILES:
            if (tokenizer / name).exists():
                shutil.copyfile(tokenizer / name, partial / name)
        for path in partial.iterdir():
            sync(path)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
        sync(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return folder


def write_generation_config(folder: Path, tokenizer: Path, stop_ids: list[int]) -> None:
    """What the tokenizer's folder says, with the tokens that end an answer as the job says them."""
    given = tokenizer / "generation_config.json"
    config: dict[str, Any] = json.loads(given.read_text()) if given.exists() else {}
    if stop_ids:
        config["eos_token_id"] = stop_ids[0] if len(stop_ids) == 1 else stop_ids
    if config:
        (folder / "generation_config.json").write_text(json.dumps(config, indent=2))


def dtype_of_base(path: str) -> torch.dtype:
    """What the base's weights are stored in; its merged child is too."""
    config = json.loads((Path(path) / "config.json").read_text())
    name = config.get("dtype") or config.get("torch_dtype") or "float32"
    dtype = getattr(torch, str(name), torch.float32)
    return dtype if isinstance(dtype, torch.dtype) else torch.float32
