"""The processes of one run (torchrun's ranks), on one machine or several: who is who, and what they tell each other. Plain torch.

Torch's own primitives rather than accelerate's: those have been seen to run one process, silently, where two were asked for.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from slipway_kernel.protocol import Channel, Failure, Request

if TYPE_CHECKING:
    from torch import nn

TIMEOUT = timedelta(minutes=30)
PREPARATION = timedelta(days=7)
"""How long data may be prepared while the kernel waits for its job."""
REQUESTS: tuple[Request | None, ...] = (None, "pause", "cancel")


@dataclass(frozen=True)
class Processes:
    rank: int
    world: int
    local: int = 1
    """Of those, on this machine."""

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def wrap(self, module: Any, sharding: str, device: torch.device) -> Any:
        """What is called to train: the module itself, a DistributedDataParallel, or the module with its weights sharded."""
        if self.world == 1:
            return module
        if sharding == "none":
            from torch.nn.parallel import DistributedDataParallel

            return DistributedDataParallel(module)
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(device.type, (self.world,))
        for layer in _layers(module):
            fully_shard(layer, mesh=mesh)
        return fully_shard(module, mesh=mesh)

    def sum(self, values: list[float]) -> list[float]:
        if self.world == 1:
            return values
        total = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(total, group=_control())
        return [float(value) for value in total]

    def least(self, value: int) -> int:
        if self.world == 1:
            return value
        told = torch.tensor([value])
        dist.all_reduce(told, op=dist.ReduceOp.MIN, group=_control())
        return int(told)

    def agree(self, request: Request | None) -> Request | None:
        """Rank 0's request, on every rank at the same step."""
        if self.world == 1:
            return request
        told = torch.tensor([REQUESTS.index(request)])
        dist.broadcast(told, 0, group=_control())
        return REQUESTS[int(told)]

    def wait(self) -> None:
        if self.world > 1:
            dist.barrier(group=_control())


def share_job(channel: Channel) -> str:
    """Joins the ranks, and gives each the path that rank 0's parent named."""
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "cpu:gloo"
    if torch.cuda.is_available() and int(os.environ["LOCAL_WORLD_SIZE"]) <= torch.cuda.device_count():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "cpu:gloo,cuda:nccl"
    store, *_ = next(rendezvous("env://", rank, world, timeout=PREPARATION))
    if rank == 0:
        store.set("job", channel.wait_for_job())
    path: str = store.get("job").decode()
    dist.init_process_group(backend, store=PrefixStore("kernel", store), rank=rank, world_size=world, timeout=TIMEOUT)
    return path


def join(asked: str | int, nodes: int) -> Processes:
    """Failure device when there are not as many processes, on as many machines, as the job asks for: never fewer, silently."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    joined = dist.is_available() and dist.is_initialized()
    processes = Processes(dist.get_rank() if joined else 0, dist.get_world_size() if joined else 1, local)
    wanted = local if asked == "auto" else int(asked)
    if wanted * nodes != processes.world:
        machines = "" if nodes == 1 else f" on each of {nodes} machines"
        raise Failure("device", f"the job asks for {wanted} processes{machines}, {processes.world} were started")
    return processes


def _control() -> Any:
    """The group for messages on the CPU; the default group has gloo for it beside whatever carries gradients."""
    return dist.group.WORLD


def _layers(module: nn.Module) -> list[nn.Module]:
    """The model's blocks: the longest list of modules in it."""
    lists = [child for child in module.modules() if isinstance(child, torch.nn.ModuleList)]
    return list(max(lists, key=len, default=[]))
