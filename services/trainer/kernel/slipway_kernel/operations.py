"""Which operations there are: one line each. Every one is imported when it is asked for, because torch takes seconds."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, cast

from slipway_kernel.protocol import Channel, Failure

Operation = Callable[[Mapping[str, Any], Channel], dict[str, object]]

OPERATIONS: Mapping[str, str] = {
    "train": "slipway_kernel.train:train",
    "evaluate": "slipway_kernel.evaluate:evaluate",
    "reference": "slipway_kernel.reference:reference",
    "train-tokenizer": "slipway_kernel.tokenizers.train:train_tokenizer",
    "metrics": "slipway_kernel.metrics.operation:score_pairs",
}


def find_operation(name: object) -> Operation:
    target = OPERATIONS.get(name) if isinstance(name, str) else None
    if target is None:
        raise Failure("user_input", f"there is no operation {name!r}; there are {', '.join(OPERATIONS)}")
    module, function = target.split(":")
    return cast(Operation, getattr(importlib.import_module(module), function))
