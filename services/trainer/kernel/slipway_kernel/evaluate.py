"""The loss of a model over a whole dataset, in the memory of one micro-batch. Owns the operation `evaluate` too."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from slipway_kernel.batch import make_batch, summed_loss
from slipway_kernel.dataset import Dataset
from slipway_kernel.processes import Processes
from slipway_kernel.protocol import Channel, Failure, Stopped
from slipway_kernel.settings import EvaluateJob, read


@dataclass(frozen=True)
class Evaluation:
    loss: float
    tokens: int

    @property
    def perplexity(self) -> float:
        return math.exp(self.loss) if self.loss < 700 else math.inf


@torch.no_grad()
def evaluate_dataset(
    module: Any,
    dataset: Dataset,
    size: int,
    packed: bool,
    *,
    processes: Processes | None = None,
    autocast: Callable[[], AbstractContextManager[object]] = nullcontext,
    check: Callable[[], None] = lambda: None,
) -> Evaluation:
    """The mean over all targets that count. `check` runs before each micro-batch, and ends it by raising."""
    processes = processes or Processes(0, 1)
    device = next(module.parameters()).device
    was_training = module.training
    module.eval()
    loss, tokens = 0.0, 0
    everything = dataset.whole()
    try:
        for begin in range(0, len(everything), size * processes.world):
            check()
            mine = everything[begin + processes.rank * size :][:size]
            sequences = [dataset.sequence(index) for index in mine if begin + processes.rank * size < len(everything)]
            if not sequences:
                # Sharded weights are gathered by all ranks together: one without work goes along with nothing that counts.
                idle = dataset.sequence(0)
                sequences = [replace(idle, trained=np.zeros_like(idle.trained))]
            batch = make_batch(sequences, packed).to(device)
            with autocast():
                loss += float(summed_loss(module, batch))
            tokens += sum(int(sequence.trained.sum()) for sequence in sequences)
    finally:
        module.train(was_training)
        if hasattr(module, "reshard"):
            # Without a backward pass sharded weights would lie whole from here on, and not be those that the optimizer knows.
            module.reshard()
    total_loss, total_tokens = processes.sum([loss, float(tokens)])
    if total_tokens == 0:
        raise Failure("user_input", f"{dataset.folder} has no token that counts")
    return Evaluation(total_loss / total_tokens, int(total_tokens))


def evaluate(document: Mapping[str, Any], channel: Channel) -> dict[str, object]:
    from slipway_kernel.models import read_folder

    job = read(EvaluateJob, document)
    model = read_folder(job.model, torch.float32)
    dataset = Dataset(job.data, model.positions or 1024)
    if dataset.vocabulary_size > model.vocabulary_size:
        raise Failure("user_input", f"{job.data} has ids up to {dataset.vocabulary_size}, the model {model.vocabulary_size}")

    def check() -> None:
        if channel.requested is not None:
            raise Stopped("cancelled", 0, None)

    packed = model.packs and dataset.kind == "examples"
    evaluation = evaluate_dataset(model.module, dataset, job.batch_size, packed, check=check)
    return {"loss": evaluation.loss, "perplexity": evaluation.perplexity, "tokens": evaluation.tokens}
