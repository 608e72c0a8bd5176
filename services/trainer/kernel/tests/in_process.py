"""An operation run in this process, for tests that ask what it computes and not how its process behaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slipway_kernel.operations import find_operation
from slipway_kernel.protocol import Channel, Request


class Killed(BaseException):
    """Nobody catches it: what it leaves is what a killed process leaves."""


class Recorder(Channel):
    """Keeps what is sent. `on` may ask something of the operation, or kill it."""

    def __init__(self, on: Callable[[dict[str, Any], Recorder], None] | None = None) -> None:
        self.messages: list[dict[str, Any]] = []
        self.requested: Request | None = None
        self._on = on

    def send(self, kind: str, **fields: object) -> None:
        message = {"type": kind, **fields}
        self.messages.append(message)
        if self._on is not None:
            self._on(message, self)

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    @property
    def curve(self) -> list[tuple[int, float]]:
        return [(message["step"], message["loss"]) for message in self.of_type("progress")]


def run(job: Path, recorder: Recorder | None = None) -> tuple[dict[str, Any], Recorder]:
    recorder = recorder or Recorder()
    document = json.loads(job.read_text())
    return find_operation(document["operation"])(document, recorder), recorder


def kill_at(step: int) -> Callable[[dict[str, Any], Recorder], None]:
    """Right after a step, before what may follow it."""

    def on(message: dict[str, Any], _: Recorder) -> None:
        if message["type"] == "progress" and message["step"] == step:
            raise Killed

    return on


def newest_checkpoint(folder: Path) -> str | None:
    return max((str(path) for path in (folder / "checkpoints").glob("step-*")), default=None)
