"""Everything a training loop stands on, made from a job: processes, device, data, model, optimizer, sizes. Runs no step."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import math
import os
import shutil
import sysconfig
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from slipway_kernel import checkpoint as checkpoints
from slipway_kernel.batch import sum_of_losses
from slipway_kernel.dataset import Dataset
from slipway_kernel.device import Device, choose_device
from slipway_kernel.export import dtype_of_base
from slipway_kernel.models import LanguageModel, build_scratch, read_folder
from slipway_kernel.optimizer import load_parameters, load_state, make_optimizer, trainable, whole
from slipway_kernel.processes import Processes, join
from slipway_kernel.protocol import Failure
from slipway_kernel.schedule import steps_between_lines, steps_between_looks, tenth
from slipway_kernel.settings import Training, TrainJob
from slipway_kernel.sizes import bytes_per_token, flops_per_token

LONGEST_AUTO_WINDOW = 1024
MEMORY_SHARE = 0.5
"""Of what is free: the estimate below knows nothing of the allocator's losses."""


@dataclass
class Setup:
    job: TrainJob
    processes: Processes
    device: Device
    train: Dataset
    validation: Dataset | None
    model: LanguageModel
    adapter: Any
    """peft's wrapper, or None when the model's own weights train."""
    module: Any
    callable: Any
    """What computes: the module, in what spreads it over processes or compiles it."""
    loss_of: Callable[[Tensor, Tensor], Tensor]
    """Of logits and targets."""
    parameters: dict[str, torch.nn.Parameter]
    """Those that train, by the names that a checkpoint has them under."""
    optimizer: torch.optim.AdamW
    total_sequences: int
    total_steps: int
    log_every: int
    evaluate_every: int
    checkpoint_every: int
    micro_batch_size: int
    packs: bool
    flops_per_token: float

    @property
    def positions(self) -> int | None:
        return self.model.positions

    def accumulation(self, micro_batch_size: int) -> int:
        return math.ceil(self.job.training.batch_size / (micro_batch_size * self.processes.world))

    def without_exchange(self, more_to_come: bool) -> AbstractContextManager[object]:
        """Between the micro-batches of a step gradients stay where they are."""
        if self.processes.world == 1 or not more_to_come or not hasattr(self.callable, "no_sync"):
            return contextlib.nullcontext()
        context: AbstractContextManager[object] = self.callable.no_sync()
        return context

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a resumed run to be the same run."""
        training = self.job.training
        return {
            "train": json.loads((Path(self.train.folder) / "dataset.json").read_text()).get("sha256"),
            "batch_size": training.batch_size,
            "seed": training.seed,
            "total_steps": self.total_steps,
            "sequence_length": self.train.longest,
            "world_size": self.processes.world,
            "precision": self.device.precision,
            "parameters": sorted(self.parameters),
        }

    def require_same(self, before: dict[str, Any], path: Path) -> None:
        for name, value in self.identity.items():
            if before.get(name) != value:
                shown = "" if name in ("parameters", "train") else f" ({before.get(name)}, now {value})"
                raise Failure("user_input", f"{path} is of another run: its {name.replace('_', ' ')} differs{shown}")

    def restore(self, path: Path) -> None:
        load_parameters(self.parameters, checkpoints.read_tensors(path, checkpoints.WEIGHTS))
        load_state(self.optimizer, self.parameters, checkpoints.read_tensors(path, checkpoints.OPTIMIZER))

    def gather(self) -> dict[str, Tensor] | None:
        """Sharded weights as whole ones, on every rank; None where they are whole already."""
        if self.processes.world == 1 or self.job.training.sharding == "none":
            return None
        return {name: whole(parameter) for name, parameter in self.module.named_parameters()}

    def finished(self, adapter: Path | None, gathered: dict[str, Tensor] | None) -> Any:
        """The module to export, an adapter merged into it."""
        source = self.job.model
        dtype = torch.float32 if source.path is None else dtype_of_base(source.path)
        module, wrapped = self.module, self.adapter
        if gathered is not None:
            model, wrapped = make_model(self.job, self.device)
            module = model.module
            load_parameters(dict(module.named_parameters()), gathered)
        if wrapped is not None and adapter is not None:
            from slipway_kernel.adapters import save_and_merge

            is_exact = all(parameter.dtype == torch.float32 for parameter in module.parameters())
            return save_and_merge(wrapped, adapter, str(source.path), dtype, is_exact)
        return module.to(dtype)


def set_up(job: TrainJob) -> Setup:
    """Failure user_input where the parts do not fit together."""
    training = job.training
    processes = join(training.processes, training.nodes)
    device = choose_device(training, processes.local)
    torch.manual_seed(training.seed)
    model, adapter = make_model(job, device)
    module = model.module.to(device.device)
    if training.gradient_checkpointing:
        if not hasattr(module, "gradient_checkpointing_enable"):
            raise Failure("user_input", "training.gradient_checkpointing: this model has no layers to compute twice")
        module.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    window = choose_window(job, model)
    train = open_dataset(job.data.train, window, model)
    validation = None if job.data.validation is None else open_dataset(job.data.validation, window, model)
    total_sequences = count_sequences(job, train)
    total_steps = math.ceil(total_sequences / training.batch_size)
    evaluate_every = training.evaluate_every
    if evaluate_every == "auto":
        tokens = training.batch_size * train.targets / train.size
        evaluate_every = steps_between_looks(total_steps, tokens, 0 if validation is None else validation.targets)
    often = min(tenth(total_steps), evaluate_every or total_steps)
    wrapped = processes.wrap(module, training.sharding, device.device)
    loss_of = sum_of_losses
    if compiles(training, device, model, train):
        # What auto takes must not fail where it would train uncompiled; torch says in the log what it passed over.
        torch._dynamo.config.suppress_errors = training.compile == "auto"
        # A text's windows are of one length. Fewer rows are compiled on their own, so that a resumed run computes with the same code.
        dynamic = False if train.kind == "stream" else None
        wrapped, loss_of = torch.compile(wrapped, dynamic=dynamic), torch.compile(sum_of_losses, dynamic=dynamic)
    # Dropout draws other numbers on every rank; weights were drawn alike.
    torch.manual_seed(training.seed + 1 + processes.rank)
    return Setup(
        job=job,
        processes=processes,
        device=device,
        train=train,
        validation=validation if evaluate_every is not None else None,
        model=model,
        adapter=adapter,
        module=module,
        callable=wrapped,
        loss_of=loss_of,
        parameters=trainable(module),
        optimizer=make_optimizer(module, training),
        total_sequences=total_sequences,
        total_steps=total_steps,
        log_every=steps_between_lines(total_steps) if training.log_every == "auto" else training.log_every,
        evaluate_every=evaluate_every or total_steps,
        checkpoint_every=often if training.checkpoint_every == "auto" else training.checkpoint_every,
        micro_batch_size=choose_micro_batch(job, model, device, train, processes),
        packs=training.packing and model.packs and train.kind == "examples",
        flops_per_token=flops_per_token(model, train.targets / train.size),
    )


def make_model(job: TrainJob, device: Device) -> tuple[LanguageModel, Any]:
    """The model as it is before the first step, and peft's wrapper where an adapter trains."""
    source, tuning = job.model, job.model.tuning
    if source.kind == "scratch":
        return build_scratch(source.config or {}), None
    if source.path is None:
        raise Failure("user_input", "job.model.path is missing")
    if tuning is None or tuning.method == "full":
        return read_folder(source.path, torch.float32), None
    from slipway_kernel.adapters import put_on, quantized_base

    if tuning.method == "qlora":
        if job.training.sharding == "fsdp":
            raise Failure("user_input", "training.sharding fsdp cannot divide what is held in 4 bits (model.tuning.method qlora)")
        model = quantized_base(source.path, device)
    else:
        # Weights that train are float32 whatever is computed in; those that do not may be as small as what is computed in.
        is_half = device.device.type == "cuda" and device.precision == "bf16"
        model = read_folder(source.path, torch.bfloat16 if is_half else torch.float32)
    return model, put_on(model, tuning)


def compiles(training: Training, device: Device, model: LanguageModel, train: Dataset) -> bool:
    """auto: a transformer that is not sharded over a text's windows, on CUDA, where Triton finds what it builds its launchers with."""
    if training.compile != "auto":
        return training.compile
    suits = device.device.type == "cuda" and training.sharding == "none" and model.packs and train.kind == "stream"
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    headers = Path(sysconfig.get_path("include")) / "Python.h"
    return suits and importlib.util.find_spec("triton") is not None and compiler is not None and headers.exists()


def choose_window(job: TrainJob, model: LanguageModel) -> int:
    asked = job.training.sequence_length
    if asked == "auto":
        return min(model.positions or LONGEST_AUTO_WINDOW, LONGEST_AUTO_WINDOW) if job.model.kind == "base" else model.positions or 256
    if model.positions is not None and asked > model.positions:
        raise Failure("user_input", f"training.sequence_length {asked} is more than the model's {model.positions} positions")
    return asked


def open_dataset(folder: str, window: int, model: LanguageModel) -> Dataset:
    dataset = Dataset(folder, window)
    if dataset.vocabulary_size > model.vocabulary_size:
        raise Failure(
            "user_input",
            f"{folder} was made with a tokenizer of {dataset.vocabulary_size} tokens, the model has {model.vocabulary_size}",
        )
    if model.positions is not None and dataset.longest > model.positions:
        raise Failure(
            "user_input",
            f"{folder} has examples of {dataset.longest} tokens, the model has {model.positions} positions",
        )
    return dataset


def count_sequences(job: TrainJob, train: Dataset) -> int:
    training = job.training
    if training.max_steps is not None:
        return training.max_steps * training.batch_size
    return max(1, round((training.epochs or 1) * train.size))


def choose_micro_batch(job: TrainJob, model: LanguageModel, device: Device, train: Dataset, processes: Processes) -> int:
    """As many sequences as a rough estimate says fit; what it gets wrong, halving puts right."""
    training = job.training
    share = math.ceil(training.batch_size / processes.world)
    if training.micro_batch_size != "auto":
        return min(training.micro_batch_size, share)
    needed = train.longest * bytes_per_token(model, training.gradient_checkpointing)
    # Gradients and the optimizer's two moments come with the first step.
    to_come = 12 * sum(parameter.numel() for parameter in trainable(model.module).values())
    size = share
    while size > 1 and size * needed > MEMORY_SHARE * (device.free_bytes(processes.local) - to_come):
        size = (size + 1) // 2
    # Machines, and moments, have unlike room; all must take the same number of rounds.
    return processes.least(size)
