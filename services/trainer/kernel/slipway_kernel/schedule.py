"""The learning rate of a step. Pure."""

from __future__ import annotations

import math

from slipway_kernel.settings import Training

STABLE_SHARE = 0.8


def warmup_steps(training: Training, total_steps: int) -> int:
    """`warmup` below one is a share of all steps, else a number of them."""
    steps = training.warmup * total_steps if training.warmup < 1 else training.warmup
    return min(total_steps, math.ceil(steps))


def learning_rate(training: Training, step: int, total_steps: int) -> float:
    """Of the step that is number `step`, counted from 0. The last step's rate is not yet the lowest, the first's never 0."""
    peak, warmup = training.learning_rate, warmup_steps(training, total_steps)
    if step < warmup:
        return peak * (step + 1) / warmup
    lowest = peak * training.min_learning_rate
    done = (step - warmup) / max(1, total_steps - warmup)
    match training.schedule:
        case "constant":
            return peak
        case "linear":
            return peak + (lowest - peak) * done
        case "cosine":
            return lowest + (peak - lowest) * 0.5 * (1 + math.cos(math.pi * done))
        case "wsd":
            return peak + (lowest - peak) * max(0.0, done - STABLE_SHARE) / (1 - STABLE_SHARE)
