"""The kernel's process: greets its parent, takes one job, runs it, says how it ended. Owns what every operation has in common."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib
import json
import os
import sys
import threading
import time
import traceback
from pathlib import Path

from slipway_kernel.classify import classify
from slipway_kernel.operations import find_operation
from slipway_kernel.parent import die_with_parent
from slipway_kernel.protocol import Channel, LostProcess, Stopped

PATIENCE_SECONDS = 30.0


def main() -> int:
    faulthandler.enable()
    die_with_parent()
    die_before_parent()
    prepare_environment()
    channel = Channel(speaks=int(os.environ.get("RANK", "0")) == 0)
    channel.hello()
    warming = threading.Thread(target=warm, args=(sys.argv[1:],), daemon=True, name="warm")
    warming.start()
    try:
        job = json.loads(Path(receive_job(channel, warming)).read_text())
        channel.send("done", result=find_operation(job.get("operation"))(job, channel))
    except Stopped as stopped:
        channel.send("stopped", reason=stopped.reason, step=stopped.step, checkpoint=stopped.checkpoint)
    except Exception as error:
        traceback.print_exc()
        failure = classify(error)
        if isinstance(failure, LostProcess):
            # Its reason is what counts: its own word, or how it died, after which torchrun ends the others.
            time.sleep(PATIENCE_SECONDS)
        channel.failed(failure)
        return 1
    return 0


def warm(operations: list[str]) -> None:
    """Imports what operations need while the parent is still preparing the job: torch and transformers take seconds.
    What goes wrong here goes wrong again, and is told, when the job is there."""
    for operation in operations:
        with contextlib.suppress(Exception):
            find_operation(operation)
            if operation in ("train", "evaluate", "reference"):
                importlib.import_module("transformers.modeling_utils")


def receive_job(channel: Channel, warming: threading.Thread) -> str:
    """Rank 0 hears of the job from the parent, the others from rank 0. Afterwards nothing is imported beside the caller, which would
    see modules that are half made."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        path = channel.wait_for_job()
        warming.join()
        return path
    warming.join()
    from slipway_kernel.processes import share_job

    return share_job(channel)


def die_before_parent() -> None:
    """Where memory runs out, the system takes the kernel and not the one that knows how to go on. Linux only."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")


def prepare_environment() -> None:
    """Before torch and transformers are imported: nothing is fetched, no bars are drawn, large blocks use large pages, and threads that
    wait soon sleep: libgomp lets them spin for milliseconds, and wherever somebody else uses the processor they take it from each other."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # Threads of libraries must not keep a finished process alive, nor a destructor change how it ended.
    os._exit(status)
