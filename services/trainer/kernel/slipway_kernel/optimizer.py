"""AdamW with what is customary: no decay on norms, biases and embeddings; and its state as named tensors. Knows no file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from slipway_kernel.settings import Training


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def make_optimizer(module: nn.Module, training: Training) -> torch.optim.AdamW:
    embeddings = {
        id(parameter) for child in module.modules() if isinstance(child, nn.Embedding) for parameter in child.parameters(recurse=False)
    }
    parameters = list(trainable(module).values())
    decayed = [parameter for parameter in parameters if parameter.ndim >= 2 and id(parameter) not in embeddings]
    others = [parameter for parameter in parameters if parameter.ndim < 2 or id(parameter) in embeddings]
    groups = [
        {"params": decayed, "weight_decay": training.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=training.learning_rate,
        betas=(training.beta1, training.beta2),
        eps=training.epsilon,
        fused=True,
    )


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate


def state_tensors(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """`exp_avg.NAME`, `exp_avg_sq.NAME`, `step.NAME` for every parameter that has been stepped."""
    return {
        f"{key}.{name}": whole(value) for name, parameter in parameters.items() for key, value in optimizer.state.get(parameter, {}).items()
    }


def load_state(optimizer: torch.optim.Optimizer, parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    for key, tensor in tensors.items():
        kind, name = key.split(".", 1)
        parameter = parameters[name]
        placed = tensor.clone() if kind == "step" else like(parameter, tensor)
        if kind == "step" and parameter.device.type == "cuda":
            placed = placed.to(parameter.device)
        optimizer.state[parameter][kind] = placed


def load_parameters(parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(like(parameter, tensors[name]))


def whole(tensor: Any) -> Tensor:
    """A tensor sharded over processes as one, on the CPU; every rank must ask."""
    full = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    result: Tensor = full.detach().cpu().contiguous()
    return result


def like(parameter: Any, tensor: Tensor) -> Tensor:
    """A whole tensor in the place and shards of a parameter."""
    if hasattr(parameter, "full_tensor"):
        from torch.distributed.tensor import distribute_tensor

        return distribute_tensor(tensor.to(parameter.device), parameter.device_mesh, parameter.placements)
    return tensor.to(parameter.device, copy=True)
