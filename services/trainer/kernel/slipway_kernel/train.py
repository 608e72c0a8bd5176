"""The operation `train`: one loop for every recipe. Reads top to bottom: set up, step, look, keep, stop, export.

What a step computes depends on its number, the seed and the state in a checkpoint, on nothing else: that is what makes a resumed
run the same run. A batch is `batch_size` sequences, whatever is computed at once and by how many processes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from slipway_kernel import checkpoint as checkpoints
from slipway_kernel.classify import classify
from slipway_kernel.dataset import Dataset
from slipway_kernel.evaluate import Evaluation, evaluate_dataset
from slipway_kernel.export import export_model
from slipway_kernel.generate import greedy
from slipway_kernel.optimizer import load_parameters, set_learning_rate, state_tensors, whole
from slipway_kernel.protocol import Channel, Failure, Stopped
from slipway_kernel.schedule import learning_rate
from slipway_kernel.settings import TrainJob, read
from slipway_kernel.setup import Setup, set_up
from slipway_kernel.sizes import count_parameters
from slipway_kernel.state import State, Window
from slipway_kernel.step import Steps
from slipway_kernel.verify import verify_tokenization


def train(document: Mapping[str, Any], channel: Channel) -> dict[str, object]:
    job = read(TrainJob, document)
    verify_tokenization(Path(job.tokenizer), job.data.verify, job.stop_ids)
    return Trainer(job, channel).run()


class Trainer:
    def __init__(self, job: TrainJob, channel: Channel) -> None:
        self.job, self.channel = job, channel
        self.folder = Path(job.folder)
        self.setup: Setup = set_up(job)
        self.state = State(micro_batch_size=self.setup.micro_batch_size, precision=self.setup.device.precision)
        self.last_checkpoint: Path | None = None
        if job.resume is not None:
            self._resume(Path(job.resume))
        self.steps = Steps(self.setup, self.state, channel)

    def run(self) -> dict[str, object]:
        if self.setup.device.warning is not None:
            self.channel.log("warning", self.setup.device.warning)
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
            norm = self.steps.take(window)
            state.step += 1
            is_last = state.step == setup.total_steps
            if state.step == 1 or state.step % setup.log_every == 0 or is_last:
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

    def _evaluate(self, dataset: Dataset) -> bool:
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
        state.scaler = self.steps.scaler.state_dict() if setup.device.needs_scaler else None
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
            parameters=count_parameters(setup.module),
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
            **({} if peak is None else {"model_flops_utilisation": setup.flops_per_token * rate / (peak * setup.processes.world)}),
        )
        state.window_loss, state.window_supervised = 0.0, 0
