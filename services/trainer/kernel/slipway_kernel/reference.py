"""What PyTorch computes of a model's folder: logits of passages and greedy continuations, for others to be held to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from slipway_kernel.generate import greedy
from slipway_kernel.models import read_folder
from slipway_kernel.protocol import Channel, Failure, Stopped
from slipway_kernel.settings import ReferenceJob, read


def reference(document: Mapping[str, Any], channel: Channel) -> dict[str, object]:
    """In float32, with transformers' own attention: nothing here is what training computed with."""
    job = read(ReferenceJob, document)
    model = read_folder(job.model, torch.float32, plain=True)
    module = model.module.eval()
    for where, ids in [*enumerate(job.ids), *enumerate(prompt.prompt for prompt in job.greedy)]:
        if not ids or max(ids) >= model.vocabulary_size or (model.positions is not None and len(ids) > model.positions):
            raise Failure("user_input", f"passage {where} has no ids, ids the model does not know, or too many", example=where)

    def go_on() -> None:
        if channel.requested is not None:
            raise Stopped("cancelled", 0, None)

    logits: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for index, ids in enumerate(job.ids):
            go_on()
            logits[f"logits.{index}"] = module(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float().contiguous()
    file = Path(job.folder) / "logits.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(logits, file)
    continuations: list[dict[str, object]] = []
    for prompt in job.greedy:
        go_on()
        made, ended = greedy(module, prompt.prompt, prompt.max_new_tokens, prompt.stop_ids, model.positions)
        continuations.append({"ids": made, "ended": ended})
    return {"logits": str(file), "greedy": continuations}
