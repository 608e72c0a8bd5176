"""What the kernel and its parent say to each other: bounded JSON lines, a heartbeat, exactly one terminal message.

The real stdout belongs to messages alone: file descriptor 1 is pointed at stderr, so that no library's print corrupts the
stream. Knows no operation, and imports neither torch nor transformers.
"""

from __future__ import annotations

import importlib.metadata
import json
import math
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any, Literal

from slipway_kernel import VERSION

PROTOCOL = 1
MAX_LINE_BYTES = 1 << 20
HEARTBEAT_SECONDS = 5.0
REPORTED_LIBRARIES = ("torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "numpy")

FailureClass = Literal[
    "user_input",
    "tokenization_mismatch",
    "out_of_memory",
    "not_finite",
    "disk_full",
    "device",
    "internal",
]
Request = Literal["pause", "cancel"]


class Failure(Exception):
    """An operation cannot go on; `kind` tells the parent whether trying again can help."""

    def __init__(self, kind: FailureClass, message: str, *, step: int | None = None, example: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.step = step
        self.example = example
        self.checkpoint: str | None = None


class LostProcess(Failure):
    """Another process of the run is gone, and knows why; or torchrun does."""

    def __init__(self, message: str) -> None:
        super().__init__("device", message)


class Stopped(Exception):
    """The parent asked to stop, and the operation has."""

    def __init__(self, reason: Literal["paused", "cancelled"], step: int, checkpoint: str | None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.step = step
        self.checkpoint = checkpoint


class Channel:
    """The parent, as operations see it. Rank 0 speaks; the others' `send` does nothing, and they say only what they failed of.
    The parent hears the first failure."""

    def __init__(self, *, speaks: bool) -> None:
        sys.stdout.flush()
        self._out = os.fdopen(os.dup(1), "wb", buffering=0)
        self._speaks = speaks
        os.dup2(2, 1)
        self._lock = threading.Lock()
        self._job: str | None = None
        self._job_came = threading.Event()
        self.requested: Request | None = None
        if speaks:
            threading.Thread(target=self._listen, daemon=True, name="parent").start()
            threading.Thread(target=self._beat, daemon=True, name="heartbeat").start()

    def send(self, kind: str, **fields: object) -> None:
        if self._speaks:
            self._write(kind, fields)

    def failed(self, failure: Failure) -> None:
        self._write(
            "failed",
            {
                "class": failure.kind,
                "message": failure.message[:16384],
                "step": failure.step,
                "example": failure.example,
                "checkpoint": failure.checkpoint,
            },
        )

    def _write(self, kind: str, fields: Mapping[str, object]) -> None:
        line = json.dumps({"type": kind, **_sendable(fields)}, separators=(",", ":"), allow_nan=False).encode()
        if len(line) >= MAX_LINE_BYTES:
            raise ValueError(f"a {kind} message of {len(line)} bytes is longer than the protocol allows")
        with self._lock:
            self._out.write(line + b"\n")

    def log(self, level: Literal["info", "warning", "error"], message: str) -> None:
        self.send("log", level=level, message=message[:8192])

    def hello(self) -> None:
        libraries: dict[str, str] = {}
        for name in REPORTED_LIBRARIES:
            try:
                libraries[name] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                continue
        python = ".".join(str(part) for part in sys.version_info[:3])
        self.send("hello", protocol=PROTOCOL, kernel=VERSION, python=python, libraries=libraries)

    def wait_for_job(self) -> str:
        """The path of the job's file, as the parent named it."""
        self._job_came.wait()
        if self._job is None:
            raise Failure("internal", "the parent sent something that is no job")
        return self._job

    def _listen(self) -> None:
        # A reader of its own: the interpreter cannot end while a thread waits in sys.stdin.
        parent = os.fdopen(os.dup(0), "rb")
        while line := parent.readline(MAX_LINE_BYTES):
            try:
                message = json.loads(line)
                kind = message["type"]
            except (ValueError, TypeError, KeyError):
                self.log("error", "a line from the parent is no message, and was passed over")
                continue
            if kind == "job":
                self._job = message.get("path")
                self._job_came.set()
            elif kind in ("pause", "cancel"):
                self.requested = kind
        # The parent is gone: nobody would read a result, and nothing half written is ever taken for whole.
        os._exit(3)

    def _beat(self) -> None:
        pause = threading.Event()
        while not pause.wait(HEARTBEAT_SECONDS):
            try:
                self.send("heartbeat")
            except BrokenPipeError:
                os._exit(3)


def _sendable(fields: Mapping[str, object]) -> dict[str, Any]:
    """JSON has no NaN and no infinity; a number that is none of JSON's becomes null."""
    return {key: None if isinstance(value, float) and not math.isfinite(value) else value for key, value in fields.items()}
