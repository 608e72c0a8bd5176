"""What an unexpected error means to the parent: whether trying again can help. Knows no operation."""

from __future__ import annotations

import errno

from slipway_kernel.protocol import Failure

OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def is_out_of_memory(error: BaseException) -> bool:
    """torch says it in two ways, one of which is an ordinary RuntimeError; its own class cannot be named without importing it."""
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def classify(error: Exception) -> Failure:
    if isinstance(error, Failure):
        return error
    text = f"{type(error).__name__}: {error}"
    # safetensors, written in Rust, says the number in its text.
    if (isinstance(error, OSError) and error.errno in OUT_OF_SPACE) or any(f"os error {code}" in text for code in OUT_OF_SPACE):
        return Failure("disk_full", f"there is no room left on the disk: {error}")
    if is_out_of_memory(error):
        return Failure("out_of_memory", f"there is not enough memory: {error}")
    if "CUDA error" in text or "NCCL" in text or "AcceleratorError" in text:
        return Failure("device", f"the device failed: {error}")
    if isinstance(error, FileNotFoundError):
        return Failure("user_input", f"there is no {error.filename}")
    return Failure("internal", text)
