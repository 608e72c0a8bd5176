"""What binds a process to the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
STARTED_BY = "SLIPWAY_STARTED_BY"
PARENT_IS_GONE = 3


def die_with_parent() -> None:
    """No orphan goes on using a graphics card. Linux only: elsewhere a kernel ends when its stdin does."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The system tells only of deaths from here on.
    started_by = os.environ.get(STARTED_BY)
    if started_by is not None and not is_running(started_by):
        os._exit(PARENT_IS_GONE)
    os.environ[STARTED_BY] = str(os.getpid())


def is_running(process: str) -> bool:
    """A zombie has ended: it only waits to be asked for its exit code."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False
