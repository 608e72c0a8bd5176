"""A real kernel process, spoken to as its parent would: what the tests drive."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

KERNEL = Path(__file__).parent.parent


class Kernel:
    """Starts at once; `run` gives every message until the process ends."""

    def __init__(
        self,
        *,
        processes: int = 1,
        environment: Mapping[str, str] | None = None,
        before: Callable[[], None] | None = None,
    ) -> None:
        command = [sys.executable, "-m", "slipway_kernel"]
        if processes > 1:
            torchrun = ["slipway_kernel.spread", "--standalone", f"--nproc-per-node={processes}"]
            command = [sys.executable, "-m", *torchrun, "-m", "slipway_kernel"]
        self.process = subprocess.Popen(
            command,
            cwd=KERNEL,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **(environment or {})},
            preexec_fn=before,
        )
        self.messages: list[dict[str, Any]] = []

    def send(self, message: Mapping[str, Any] | str) -> None:
        assert self.process.stdin is not None
        line = message if isinstance(message, str) else json.dumps(message)
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def read(self) -> dict[str, Any] | None:
        """The next message that is no heartbeat; None when there are no more."""
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            message: dict[str, Any] = json.loads(line)
            self.messages.append(message)
            if message["type"] != "heartbeat":
                return message
        return None

    def run(self, job: Path, on: Callable[[dict[str, Any]], None] = lambda message: None) -> list[dict[str, Any]]:
        self.send({"type": "job", "path": str(job)})
        while (message := self.read()) is not None:
            on(message)
        self.close()
        return self.messages

    def close(self) -> str:
        """Ends it if it has not ended, and gives what it wrote to stderr."""
        assert self.process.stdin is not None and self.process.stderr is not None
        if self.process.poll() is None and self.process.stdout is not None and not self.process.stdout.closed:
            self.process.stdin.close()
        errors = self.process.stderr.read().decode()
        self.process.wait()
        return errors


def of_type(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == kind]
