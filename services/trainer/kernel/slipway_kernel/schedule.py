"""What is done at which step: the learning rate, and when validation data is looked at. Pure."""

from __future__ import annotations

import math

from slipway_kernel.settings import Training

STABLE_SHARE = 0.8
LINES = 100
MOST_BETWEEN_LINES = 10
LOOKS = 10
LOOKING_SHARE = 0.1
"""Of the work of the steps."""
WORK_OF_A_STEP = 3
"""Of a token trained on, forward and backward, beside one that is only looked at."""


def tenth(total_steps: int) -> int:
    return math.ceil(total_steps / LOOKS)


def steps_between_looks(total_steps: int, tokens_per_step: float, tokens_per_look: int) -> int:
    """A tenth of the run, or as many tenths as it takes for looking to be no more than its share. It may be more steps than there are:
    the last step is looked at in any case."""
    paid_for = tokens_per_look / (LOOKING_SHARE * WORK_OF_A_STEP * tokens_per_step)
    return tenth(total_steps) * max(1, math.ceil(paid_for / tenth(total_steps)))


def steps_between_lines(total_steps: int) -> int:
    """A hundred lines of a short run, so that a slow one is not silent for minutes; of a long one more."""
    return max(1, min(MOST_BETWEEN_LINES, total_steps // LINES))


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
