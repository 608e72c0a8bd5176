"""What an unexpected error means to the parent: whether trying again can help. Knows no operation."""

from __future__ import annotations

import errno

from slipway_kernel.protocol import Failure, LostProcess

OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it in several ways, most of them ordinary RuntimeErrors; its own class cannot be named without importing it."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(words in str(error) for words in ("can't allocate memory", "out of memory", "_STATUS_ALLOC_FAILED"))


def classify(error: Exception) -> Failure:
    if isinstance(error, Failure):
        return error
    text = f"{type(error).__name__}: {error}"
    # safetensors, written in Rust, says the number in its text.
    if (isinstance(error, OSError) and error.errno in OUT_OF_SPACE) or any(f"os error {code}" in text for code in OUT_OF_SPACE):
        return Failure("disk_full", f"there is no room left on the disk: {error}")
    if is_out_of_memory(error):
        return Failure("out_of_memory", f"there is not enough memory: {error}")
    if "gloo/transport" in text or type(error).__name__ in ("DistBackendError", "DistNetworkError"):
        return LostProcess(f"the processes of the run lost each other: {error}")
    if "CUDA error" in text or "NCCL" in text or "AcceleratorError" in text:
        return Failure("device", f"the device failed: {error}")
    if isinstance(error, FileNotFoundError):
        return Failure("user_input", f"there is no {error.filename}")
    return Failure("internal", text)
