"""One optimizer step: the gradients of a batch, added up over as many micro-batches as memory asks for. Owns what becomes of a step for
which there is not enough memory, and of one whose loss is no number."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import torch

from slipway_kernel import checkpoint as checkpoints
from slipway_kernel.batch import make_batch, summed_loss
from slipway_kernel.classify import is_out_of_memory
from slipway_kernel.dataset import Order, Sequence
from slipway_kernel.optimizer import whole
from slipway_kernel.protocol import Channel, Failure
from slipway_kernel.setup import Setup
from slipway_kernel.state import State, Window

INITIAL_SCALE = 65536.0
"""Of losses in fp16."""


class Steps:
    """Takes the steps of a run, from where its state says that it is."""

    def __init__(self, setup: Setup, state: State, channel: Channel) -> None:
        self.setup, self.state, self.channel = setup, state, channel
        self.order = Order(setup.train, setup.job.training.seed)
        self.scaler = torch.amp.GradScaler(setup.device.device.type, INITIAL_SCALE, enabled=setup.device.needs_scaler)
        if state.scaler is not None:
            self.scaler.load_state_dict(state.scaler)

    def take(self, window: Window) -> float:
        """Gradients of one batch, clipped, and the optimizer's step. Gives the gradient's norm before it was clipped."""
        setup, state, training = self.setup, self.state, self.setup.job.training
        began = time.monotonic()
        begin = state.step * training.batch_size
        positions = range(begin, min(begin + training.batch_size, setup.total_sequences))
        sequences = [self.order.sequence(position) for position in positions]
        supervised = sum(int(sequence.trained.sum()) for sequence in sequences)
        random = checkpoints.random_state()
        while True:
            reason = None
            try:
                losses, slots = self._gradients(sequences, max(1, supervised))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                reason = str(error)
            # Out here nothing holds on to what a failed attempt had computed.
            if reason is None:
                self.scaler.unscale_(setup.optimizer)
                measured = torch.nn.utils.clip_grad_norm_(setup.parameters.values(), training.clip_norm or math.inf)
                if not self._overflowed(measured):
                    break
            else:
                self._halve(reason)
            checkpoints.set_random_state(random)
        self.scaler.step(setup.optimizer)
        self.scaler.update()
        setup.optimizer.zero_grad(set_to_none=True)
        # Asked for last, so that a GPU has the whole step before it. Where they are no numbers, nothing goes on with what was made of them.
        norm = float(whole(measured))
        [loss] = setup.processes.sum([float(sum(losses))])
        if not math.isfinite(loss) or not math.isfinite(norm):
            self._refuse_not_finite(positions, losses, loss, norm)
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
                loss = summed_loss(setup.callable, batch, setup.loss_of)
                # DistributedDataParallel and sharded gradients are means over processes; a batch's is a sum.
                torch.autograd.backward(self.scaler.scale(loss * (world / supervised)))
            losses.append(loss.detach())
        return losses, slots

    def _overflowed(self, norm: torch.Tensor) -> bool:
        """In fp16, whether scaled gradients left its range. Then the step is computed again with half the scale, down to none."""
        if not self.scaler.is_enabled() or self.scaler.get_scale() <= 1 or math.isfinite(whole(norm)):
            return False
        self.scaler.update(self.scaler.get_scale() / 2)
        self.setup.optimizer.zero_grad(set_to_none=True)
        return True

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
