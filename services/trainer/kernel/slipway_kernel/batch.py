"""A micro-batch as tensors, in one of two layouts, and the loss of a model on it. Knows no optimizer and no order."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from slipway_kernel.attention import Segments, place, plan_segments
from slipway_kernel.dataset import Sequence

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """`rows`: one sequence per row, `targets` [rows, tokens] with IGNORED where nothing counts. Packed: all in one row,
    `targets` only those that count, at the positions `keep`."""

    ids: Tensor
    targets: Tensor
    positions: Tensor | None
    segments: Segments | None
    keep: Tensor | None
    tokens: int
    """Tokens that are no padding."""

    def to(self, device: torch.device) -> Batch:
        return Batch(
            place(self.ids, device),
            place(self.targets, device),
            None if self.positions is None else place(self.positions, device),
            None if self.segments is None else self.segments.to(device),
            None if self.keep is None else place(self.keep, device),
            self.tokens,
        )


def make_batch(sequences: Many[Sequence], packed: bool) -> Batch:
    tokens = sum(len(sequence.ids) for sequence in sequences)
    if not packed:
        ids = torch.zeros(len(sequences), max(len(sequence.ids) for sequence in sequences), dtype=torch.long)
        targets = torch.full_like(ids, IGNORED)
        for row, sequence in enumerate(sequences):
            length = len(sequence.ids)
            ids[row, :length] = torch.from_numpy(sequence.ids)
            targets[row, :length] = torch.from_numpy(sequence.targets)
            targets[row, :length][torch.from_numpy(~sequence.trained)] = IGNORED
        return Batch(ids, targets, None, None, None, tokens)
    lengths = [len(sequence.ids) for sequence in sequences if len(sequence.ids) > 0]
    trained = torch.cat([torch.from_numpy(sequence.trained) for sequence in sequences])
    return Batch(
        ids=torch.cat([torch.from_numpy(sequence.ids) for sequence in sequences]).unsqueeze(0),
        targets=torch.cat([torch.from_numpy(sequence.targets) for sequence in sequences])[trained],
        positions=torch.cat([torch.arange(length) for length in lengths]).unsqueeze(0),
        segments=plan_segments(lengths),
        keep=trained.nonzero().squeeze(1),
        tokens=tokens,
    )


def sum_of_losses(logits: Tensor, targets: Tensor) -> Tensor:
    """In float32; a mean would weigh micro-batches of unlike size alike."""
    result: Tensor = cross_entropy(logits.flatten(0, 1).float(), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return result


def summed_loss(model: Any, batch: Batch, loss_of: Callable[[Tensor, Tensor], Tensor] = sum_of_losses) -> Tensor:
    """The sum of the losses of all targets that count.

    Packed, only the positions that count go through the vocabulary's layer: in a chat most tokens are a prompt's."""
    if batch.segments is None:
        logits = model(input_ids=batch.ids, use_cache=False).logits
    else:
        logits = model(
            input_ids=batch.ids,
            position_ids=batch.positions,
            segments=batch.segments,
            logits_to_keep=batch.keep,
            use_cache=False,
        ).logits
    return loss_of(logits, batch.targets)
