"""Causal attention over examples that lie end to end in one row: none sees another. Knows no model and no mask.

All other layers work token by token, so that only attention must know where an example begins. For it the row is cut into
groups of examples of similar length, each a small padded batch; padding behind an example is never seen by what is before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

NAME = "slipway_packed"


@dataclass(frozen=True)
class Segments:
    """`groups`: per group the row's positions, [examples, longest]. `order`: where each position is in the groups' results."""

    groups: tuple[Tensor, ...]
    order: Tensor

    def to(self, device: torch.device) -> Segments:
        return Segments(tuple(place(group, device) for group in self.groups), place(self.order, device))


def place(tensor: Tensor, device: torch.device) -> Tensor:
    """On CUDA the copy is queued behind what is being computed there, and nobody waits for it."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def plan_segments(lengths: list[int]) -> Segments:
    """Groups in which no example is shorter than half the longest, so that padding costs less than the work itself."""
    starts = [0]
    for length in lengths:
        starts.append(starts[-1] + length)
    by_length = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    order = torch.empty(starts[-1], dtype=torch.long)
    groups: list[Tensor] = []
    done = 0
    while by_length:
        longest = lengths[by_length[0]]
        members = [index for index in by_length if 2 * lengths[index] >= longest]
        by_length = by_length[len(members) :]
        group = torch.zeros(len(members), longest, dtype=torch.long)
        for row, index in enumerate(members):
            span = torch.arange(lengths[index])
            group[row, : lengths[index]] = starts[index] + span
            order[starts[index] + span] = done + row * longest + span
        done += group.numel()
        groups.append(group)
    return Segments(tuple(groups), order)


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    segments: Segments | None = None,
    **others: object,
) -> tuple[Tensor, None]:
    """In transformers' form: query [batch, heads, tokens, size] to [batch, tokens, heads, size]."""
    if any(others.get(name) is not None for name in ("softcap", "s_aux", "position_bias")):
        raise NotImplementedError("this model's attention does more than this function knows")
    repeats = query.shape[1] // key.shape[1]

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        if repeats > 1:
            key, value = key.repeat_interleave(repeats, 1), value.repeat_interleave(repeats, 1)
        tokens, known = query.shape[2], key.shape[2]
        mask = None
        if tokens > 1 and (tokens != known or (sliding_window is not None and tokens > sliding_window)):
            distance = torch.arange(known - tokens, known, device=query.device)[:, None] - torch.arange(known, device=query.device)
            mask = (distance >= 0) & (distance < (sliding_window or known + 1))
        causal = mask is None and tokens > 1
        result = scaled_dot_product_attention(query, key, value, mask, dropout, is_causal=causal, scale=scaling)
        return result.transpose(1, 2)

    if segments is None:
        return attend(query, key, value).contiguous(), None
    rows = [tensor[0].transpose(0, 1) for tensor in (query, key, value)]
    results = [attend(*(row[group].transpose(1, 2) for row in rows)).flatten(0, 1) for group in segments.groups]
    return torch.cat(results)[segments.order].unsqueeze(0), None


def register() -> None:
    """Makes it known to transformers under NAME, with no mask beside it."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, packed_attention)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, lambda *_, **__: None)
