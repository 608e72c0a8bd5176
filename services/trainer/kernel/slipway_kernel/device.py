"""Where the numbers are computed and how exactly: device, precision, threads, memory that is there. Knows no model."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch

from slipway_kernel.protocol import Failure
from slipway_kernel.settings import Training

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4

MEMORY_GROUPS = {
    # By what /proc/self/cgroup calls the tree: where it is, a group's limit, what it uses, and what of that are files that can go.
    "": ("/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"),
    "memory": ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""Both versions of Linux's control groups."""

PEAK_FLOPS = {
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H100": 989e12,
    "H200": 989e12,
    "GH200": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "B200": 2250e12,
}
"""Dense bf16, by words of a device's name; from the makers' data sheets."""

NVIDIA_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
"""There where a process may use a card of NVIDIA's; the second is Windows' for Linux."""


@dataclass(frozen=True)
class Device:
    device: torch.device
    precision: str
    warning: str | None = None
    """Why a card that is here is not used."""

    def autocast(self) -> AbstractContextManager[object]:
        if self.precision == "fp32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])

    @property
    def needs_scaler(self) -> bool:
        return self.precision == "fp16"

    @property
    def peak_flops(self) -> float | None:
        if self.device.type != "cuda" or self.precision != "bf16":
            return None
        return peak_flops_of(torch.cuda.get_device_name(self.device))

    def free_bytes(self, processes_here: int) -> int:
        """For one of the processes on this machine: on CUDA each has a card of its own."""
        if self.device.type == "cuda":
            return int(torch.cuda.mem_get_info(self.device)[0])
        return _free_memory() // processes_here

    def peak_bytes(self) -> int:
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def choose_device(training: Training, processes_here: int) -> Device:
    """Failure user_input where what is asked for is not there."""
    has_cuda = torch.cuda.is_available()
    if training.device == "cuda" and not has_cuda:
        raise Failure("user_input", f"training.device is cuda, and no CUDA device can be used here: {_why_no_cuda()}")
    warning = None
    if has_cuda and training.device != "cpu":
        cards = torch.cuda.device_count()
        if processes_here > cards:
            raise Failure(
                "user_input",
                f"{processes_here} processes were started here and there are {cards} CUDA devices; each needs its own (training.processes)",
            )
        device = torch.device("cuda", torch.cuda.current_device())
        best = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    else:
        device = torch.device("cpu")
        best = "bf16" if _cpu_multiplies_bf16() else "fp32"
        _tune_cpu(processes_here)
        if training.device == "auto" and any(path.exists() for path in NVIDIA_DEVICES):
            warning = f"there is a graphics card here, and it is not used: {_why_no_cuda()}"
    precision = best if training.precision == "auto" else training.precision
    if precision == "fp16" and device.type == "cpu":
        raise Failure("user_input", "training.precision fp16 needs CUDA; on a CPU there are fp32 and bf16")
    return Device(device, precision, warning)


def peak_flops_of(name: str) -> float | None:
    """As the driver names the card: "NVIDIA H200", "NVIDIA A100-SXM4-80GB"."""
    return next((flops for words, flops in PEAK_FLOPS.items() if re.search(rf"\b{words}\b", name)), None)


def _why_no_cuda() -> str:
    """Torch's own words: no driver, one that is too old, a build of torch without CUDA."""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        return str(error)
    return "torch finds none"


def _cpu_multiplies_bf16() -> bool:
    """Whether bf16 is faster than fp32: where the processor has instructions for it. Without, it is several times slower."""
    with contextlib.suppress(OSError):
        words = set(Path("/proc/cpuinfo").read_text().split())
        return bool(words & {"amx_bf16", "avx512_bf16", "bf16"})
    return False


def _tune_cpu(processes: int) -> None:
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes) if hasattr(os, "sched_getaffinity") else 1)
    if sys.platform == "linux":
        # A step frees and takes the same large blocks: kept, they need not be mapped and zeroed by the system each time.
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL("libc.so.6")
            libc.mallopt(M_MMAP_MAX, 0)
            libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def _free_memory() -> int:
    free = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                free.append(int(line.split()[1]) * 1024)
    free += _left_in_groups()
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        with contextlib.suppress(OSError):
            used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
            free.append(soft - used)
    return max(0, min(free))


def _left_in_groups(own: Path = Path("/proc/self/cgroup")) -> list[int]:
    """What the control group of this process and those around it have left. In a container its own group lies at the root."""
    left: list[int] = []
    with contextlib.suppress(OSError):
        for _, tree, path in (line.split(":", 2) for line in own.read_text().splitlines()):
            if tree not in MEMORY_GROUPS:
                continue
            root, limit, used, files = MEMORY_GROUPS[tree]
            group = Path(root) / path.strip("/")
            for folder in (group, *group.parents):
                with contextlib.suppress(OSError, ValueError):
                    spare = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())[files]
                    left.append(int((folder / limit).read_text()) - int((folder / used).read_text()) + int(spare))
                if folder == Path(root):
                    break
    return left
