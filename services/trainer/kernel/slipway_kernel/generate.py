"""The likeliest continuation, token by token. Takes no random number, so that it changes nothing in a training run."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from typing import Any

import torch


@torch.no_grad()
def greedy(module: Any, prompt: list[int], max_new_tokens: int, stop_ids: Collection[int], positions: int | None) -> tuple[list[int], bool]:
    """New ids, the stop token among them, and whether there was one. Ends early where the model has no more positions."""
    # transformers 5.24 calls it `cache`, older ones `past_key_values`.
    cache_name = "cache" if "cache" in inspect.signature(module.forward).parameters else "past_key_values"
    device = next(module.parameters()).device
    ids = torch.tensor([prompt], device=device)
    cache: dict[str, Any] = {}
    made: list[int] = []
    while len(made) < max_new_tokens and (positions is None or len(prompt) + len(made) < positions):
        output = module(input_ids=ids, use_cache=True, **cache)
        cache = {cache_name: getattr(output, cache_name)}
        token = int(output.logits[0, -1].argmax())
        made.append(token)
        if token in stop_ids:
            return made, True
        ids = torch.tensor([[token]], device=device)
    return made, False
