"""The operation `train`: one loop for every recipe. Reads top to bottom: set up, step, look, keep, stop, export.

What a step computes depends on its number, the seed and the state in a checkpoint, on nothing else: that is what makes a resumed
run the same run. A batch is `batch_size` sequences, whatever is computed at once and by how many processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from slipway_kernel import checkpoint as checkpoints
from slipway_kernel.batch import make_batch, summed_loss
from slipway_kernel.classify import classify, is_out_of_memory
from slipway_kernel.dataset import Order, Sequence
from slipway_kernel.evaluate import Evaluation, evaluate_dataset
from slipway_kernel.export import export_model
from slipway_kernel.generate import greedy
from slipway_kernel.optimizer import load_parameters, set_learning_rate, state_tensors, whole
from slipway_kernel.protocol import Channel, Failure, Stopped
from slipway_kernel.schedule import learning_rate
from slipway_kernel.settings import TrainJob, read
from slipway_kernel.setup import Setup, set_up
from slipway_kernel.verify import verify_tokenization


@dataclass
class State:
    """What a checkpoint holds besides tensors."""

    step: int = 0
    tokens: int = 0
    supervised_tokens: int = 0
    seconds: float = 0.0
    best_loss: float | None = None
    best_step: int | None = None
    evaluations_without_gain: int = 0
    last_loss: float | None = None
    micro_batch_size: int = 0
    precision: str = "fp32"
    window_loss: float = 0.0
    window_supervised: int = 0
    scaler: dict[str, Any] | None = None


@dataclass
class Window:
    """What has been done since the last line of progress, on the clock."""

    started: float
    tokens: int = 0
    supervised: int = 0
    slots: int = 0


def train(document: Mapping[str, Any], channel: Channel) -> dict[str, object]:
    job = read(TrainJob, document)
    verify_tokenization(Path(job.tokenizer), job.data.verify, job.stop_ids)
    return Trainer(job, channel).run()


class Trainer:
    def __init__(self, job: TrainJob, channel: Channel) -> None:
        self.job, self.channel = job, channel
        self.folder = Path(job.folder)
        self.setup: Setup = set_up(job)
        self.order = Order(self.setup.train, job.training.seed)
        self.state = State(micro_batch_size=self.setup.micro_batch_size, precision=self.setup.device.precision)
        self.last_checkpoint: Path | None = None
        self.scaler = torch.amp.GradScaler("cuda", enabled=self.setup.device.needs_scaler)
        if job.resume is not None:
            self._resume(Path(job.resume))

    def run(self) -> dict[str, object]:
        self._say_started(self.job.resume)
        try:
            self._loop()
            return self._finish()
        except Failure as failure:
            raise self._located(failure) from failure.__cause__
        except (OSError, RuntimeError, MemoryError, SafetensorError) as error:
            raise self._located(classify(error)) from error

    def _located(self, failure: Failure) -> Failure:
        failure.step = self.state.step if failure.step is None else failure.step
        failure.checkpoint = self._checkpoint_path()
        return failure

    def _loop(self) -> None:
        setup, state, training = self.setup, self.state, self.job.training
        window = Window(time.monotonic())
        setup.module.train()
        while state.step < setup.total_steps and not self._is_over():
            set_learning_rate(setup.optimizer, learning_rate(training, state.step, setup.total_steps))
            norm = self._step(window)
            state.step += 1
            is_last = state.step == setup.total_steps
            if state.step == 1 or state.step % training.log_every == 0 or is_last:
                self._say_progress(window, norm)
                window = Window(time.monotonic())
            paused = time.monotonic()
            is_best = False
            if setup.validation is not None and (state.step % setup.evaluate_every == 0 or is_last):
                is_best = self._evaluate(setup.validation)
            if is_best or state.step % setup.checkpoint_every == 0 or is_last or self._is_over():
                self._save(is_best)
            request = setup.processes.agree(self.channel.requested)
            if request is not None:
                self._stop(request)
            window.started += time.monotonic() - paused

    def _step(self, window: Window) -> float:
        """Gradients of one batch, clipped, and the optimizer's step. Gives the gradient's norm before it was clipped."""
        setup, state = self.setup, self.state
        began = time.monotonic()
        begin = state.step * self.job.training.batch_size
        positions = range(begin, min(begin + self.job.training.batch_size, setup.total_sequences))
        sequences = [self.order.sequence(position) for position in positions]
        supervised = sum(int(sequence.trained.sum()) for sequence in sequences)
        random = checkpoints.random_state()
        while True:
            try:
                losses, slots = self._gradients(sequences, max(1, supervised))
                break
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error)
            # Out here nothing holds on to what the failed attempt had computed.
            self._halve(reason)
            checkpoints.set_random_state(random)
        self.scaler.unscale_(setup.optimizer)
        clip = self.job.training.clip_norm or math.inf
        norm = float(whole(torch.nn.utils.clip_grad_norm_(setup.parameters.values(), clip)))
        [loss] = setup.processes.sum([float(sum(losses))])
        if not math.isfinite(loss) or (not math.isfinite(norm) and not setup.device.needs_scaler):
            self._refuse_not_finite(positions, losses, loss, norm)
        self.scaler.step(setup.optimizer)
        self.scaler.update()
        setup.optimizer.zero_grad(set_to_none=True)
        tokens = sum(len(sequence.ids) for sequence in sequences)
        state.tokens += tokens
        state.supervised_tokens += supervised
        state.last_loss = loss / max(1, supervised)
        state.window_loss += loss
        state.window_supervised += supervised
        window.tokens += tokens
        window.supervised += supervised
        window.slots += slots
        state.seconds += time.monotonic() - began
        return norm

    def _gradients(self, sequences: list[Sequence], supervised: int) -> tuple[list[torch.Tensor], int]:
        """Adds up the gradients of the batch's mean loss. Gives this process's sums of losses, and the tokens computed by all."""
        setup = self.setup
        size, world, rank = self.state.micro_batch_size, setup.processes.world, setup.processes.rank
        rounds = math.ceil(len(sequences) / (size * world))
        losses: list[torch.Tensor] = []
        slots = 0
        for index in range(rounds):
            mine = sequences[(index * world + rank) * size :][:size]
            if not mine:
                # Every process must take part in adding up the gradients, one that has nothing left with nothing that counts.
                mine = [replace(sequences[0], trained=np.zeros_like(sequences[0].trained))]
            batch = make_batch(mine, setup.packs).to(setup.device.device)
            slots += batch.ids.numel() * world
            with setup.without_exchange(index < rounds - 1), setup.device.autocast():
                loss = summed_loss(setup.callable, batch)
                # DistributedDataParallel and sharded gradients are means over processes; a batch's is a sum.
                torch.autograd.backward(self.scaler.scale(loss * (world / supervised)))
            losses.append(loss.detach())
        return losses, slots

    def _halve(self, reason: str) -> None:
        setup, state = self.setup, self.state
        setup.optimizer.zero_grad(set_to_none=True)
        if setup.device.device.type == "cuda":
            torch.cuda.empty_cache()
        if state.micro_batch_size == 1:
            raise Failure(
                "out_of_memory",
                "there is not enough memory for 1 sequence at once. Shorten them (data.max_length, training.sequence_length), "
                f"or set training.gradient_checkpointing. ({reason[:300]})",
            )
        if setup.processes.world > 1:
            # The others are in the middle of adding up gradients, and cannot be told: the run begins again from its checkpoint.
            raise Failure(
                "out_of_memory",
                f"process {setup.processes.rank} has not enough memory for {state.micro_batch_size} sequences at once. ({reason[:300]})",
            )
        before = state.micro_batch_size
        state.micro_batch_size = (before + 1) // 2
        self.channel.send(
            "micro_batch",
            **{"from": before},
            to=state.micro_batch_size,
            accumulation=setup.accumulation(state.micro_batch_size),
            reason="out_of_memory",
        )

    def _refuse_not_finite(self, positions: range, losses: list[torch.Tensor], loss: float, norm: float) -> None:
        """Names the micro-batches whose own loss is at fault, or the whole batch when only the gradient is."""
        size, processes = self.state.micro_batch_size, self.setup.processes
        faults = [0.0] * len(positions)
        for index, summed in enumerate(losses):
            begin = (index * processes.world + processes.rank) * size
            if not bool(torch.isfinite(summed)):
                faults[begin : begin + size] = [1.0] * len(faults[begin : begin + size])
        # Which process had them does not matter: all say the same.
        faults = processes.sum(faults)
        bad = [position for position, fault in zip(positions, faults, strict=True) if fault]
        at_fault = [self.order.index(position) for position in bad or positions]
        what, value = ("loss", loss) if not math.isfinite(loss) else ("gradient", norm)
        kind = "window" if self.setup.train.kind == "stream" else "example"
        raise Failure(
            "not_finite",
            f"the {what} of step {self.state.step + 1} is {value}. "
            f"In the batch: {kind}s {', '.join(str(index) for index in at_fault[:64])} of {self.setup.train.folder}. "
            "A lower training.learning_rate, or bf16 or fp32 instead of fp16, is the usual cure.",
            example=at_fault[0],
        )

    def _evaluate(self, dataset: Any) -> bool:
        """Whether it is the best so far."""
        setup, state = self.setup, self.state

        def check() -> None:
            # A pause waits for the end of it, so that the checkpoint holds what it found.
            if setup.processes.agree(self.channel.requested) == "cancel":
                raise Stopped("cancelled", state.step, self._checkpoint_path())

        random = checkpoints.random_state()
        result: Evaluation = evaluate_dataset(
            setup.module,
            dataset,
            state.micro_batch_size,
            setup.packs,
            processes=setup.processes,
            autocast=setup.device.autocast,
            check=check,
        )
        stopping = self.job.training.early_stopping
        gain = math.inf if state.best_loss is None else state.best_loss - result.loss
        is_best = gain > 0
        state.evaluations_without_gain = 0 if gain > (stopping.min_delta if stopping else 0) else state.evaluations_without_gain + 1
        if is_best:
            state.best_loss, state.best_step = result.loss, state.step
        self.channel.send(
            "evaluation",
            step=state.step,
            loss=result.loss,
            perplexity=result.perplexity,
            tokens=result.tokens,
            best=is_best,
        )
        self._sample()
        checkpoints.set_random_state(random)
        return is_best

    def _sample(self) -> None:
        setup = self.setup
        setup.module.eval()
        for sample in self.job.samples:
            with setup.device.autocast():
                ids, ended = greedy(setup.module, sample.prompt, sample.max_new_tokens, self.job.stop_ids, setup.positions)
            self.channel.send("sample", step=self.state.step, prompt=sample.prompt, ids=ids, ended=ended)
        setup.module.train()
        if hasattr(setup.module, "reshard"):
            setup.module.reshard()

    def _is_over(self) -> bool:
        stopping = self.job.training.early_stopping
        return stopping is not None and self.state.evaluations_without_gain >= stopping.patience

    def _save(self, is_best: bool) -> None:
        setup, state = self.setup, self.state
        state.scaler = self.scaler.state_dict() if setup.device.needs_scaler else None
        tensors = {
            checkpoints.WEIGHTS: {name: whole(parameter) for name, parameter in setup.parameters.items()},
            checkpoints.OPTIMIZER: state_tensors(setup.optimizer, setup.parameters),
        }
        path, size = checkpoints.write_checkpoint(
            self.folder / "checkpoints",
            state.step,
            tensors,
            {"state": asdict(state), "identity": setup.identity},
            setup.processes,
        )
        self.last_checkpoint = path
        if setup.processes.is_first:
            checkpoints.keep_checkpoints(path.parent, self.job.training.keep_checkpoints, state.best_step)
        self.channel.send("checkpoint", step=state.step, path=str(path), bytes=size, best=is_best)

    def _resume(self, path: Path) -> None:
        manifest = checkpoints.read_manifest(path)
        self.setup.require_same(manifest["identity"], path)
        self.state = State(**manifest["state"])
        if self.job.training.micro_batch_size != "auto":
            # One that the system killed for its memory is resumed with a smaller one.
            self.state.micro_batch_size = min(self.state.micro_batch_size, self.setup.micro_batch_size)
        self.setup.restore(path)
        if self.state.scaler is not None:
            self.scaler.load_state_dict(self.state.scaler)
        checkpoints.set_random_state(checkpoints.read_tensors(path, checkpoints.random_file(self.setup.processes.rank)))
        self.last_checkpoint = path

    def _stop(self, request: str) -> None:
        if request == "pause" and (self.last_checkpoint is None or self.last_checkpoint.name != f"step-{self.state.step:08d}"):
            self._save(is_best=False)
        raise Stopped("paused" if request == "pause" else "cancelled", self.state.step, self._checkpoint_path())

    def _finish(self) -> dict[str, object]:
        setup, state = self.setup, self.state
        if state.best_step is not None and state.best_step != state.step:
            best = self.folder / "checkpoints" / f"step-{state.best_step:08d}"
            load_parameters(setup.parameters, checkpoints.read_tensors(best, checkpoints.WEIGHTS))
        adapter = self.folder / "adapter" if setup.adapter is not None else None
        model = self.folder / "model"
        gathered = setup.gather()
        if setup.processes.is_first:
            export_model(setup.finished(adapter, gathered), model, Path(self.job.tokenizer), self.job.stop_ids)
        setup.processes.wait()
        return {
            "model": str(model),
            "adapter": str(adapter) if adapter else None,
            "step": state.step,
            "best_step": state.best_step,
            "loss": state.last_loss,
            "best_loss": state.best_loss,
            "tokens": state.tokens,
            "supervised_tokens": state.supervised_tokens,
            "seconds": state.seconds,
            "peak_memory_bytes": setup.device.peak_bytes(),
            "checkpoint": self._checkpoint_path(),
        }

    def _checkpoint_path(self) -> str | None:
        return str(self.last_checkpoint) if self.last_checkpoint else None

    def _say_started(self, resume: str | None) -> None:
        setup, state = self.setup, self.state
        self.channel.send(
            "started",
            device=str(setup.device.device),
            precision=setup.device.precision,
            world_size=setup.processes.world,
            parameters=setup.parameter_count,
            trainable_parameters=sum(parameter.numel() for parameter in setup.parameters.values()),
            total_steps=setup.total_steps,
            step=state.step,
            micro_batch_size=state.micro_batch_size,
            accumulation=setup.accumulation(state.micro_batch_size),
            tokens_per_step=self.job.training.batch_size * setup.train.longest,
            resumed_from=None if resume is None else state.step,
        )

    def _say_progress(self, window: Window, norm: float) -> None:
        setup, state = self.setup, self.state
        seconds = max(1e-9, time.monotonic() - window.started)
        rate = window.tokens / seconds
        peak = setup.device.peak_flops
        self.channel.send(
            "progress",
            step=state.step,
            total_steps=setup.total_steps,
            epoch=min(state.step * self.job.training.batch_size, setup.total_sequences) / setup.train.size,
            loss=state.window_loss / max(1, state.window_supervised),
            learning_rate=setup.optimizer.param_groups[0]["lr"],
            gradient_norm=norm,
            tokens_per_second=rate,
            supervised_tokens_per_second=window.supervised / seconds,
            padding_ratio=1 - window.tokens / max(1, window.slots),
            memory_bytes=setup.device.peak_bytes(),
            seconds=state.seconds,
            **({} if peak is None else {"model_flops_utilisation": 6 * setup.parameter_count * rate / (peak * setup.processes.world)}),
        )
        state.window_loss, state.window_supervised = 0.0, 0
