"""How far a run has come. Plain numbers; knows neither model nor file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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
