"""What a training job says, as typed values. The supervisor has validated the recipe; here only kinds are checked again."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from slipway_kernel.protocol import Failure

Auto = Literal["auto"]


@dataclass(frozen=True)
class EarlyStopping:
    patience: int
    min_delta: float = 0.0


@dataclass(frozen=True)
class Tuning:
    method: Literal["full", "lora", "dora", "qlora"]
    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: Auto | list[str] = "auto"
    rslora: bool = False
    modules_to_save: list[str] = dataclasses.field(default_factory=list)


@dataclass(frozen=True)
class Training:
    batch_size: int
    learning_rate: float
    max_steps: int | None = None
    epochs: float | None = None
    micro_batch_size: Auto | int = "auto"
    schedule: Literal["cosine", "linear", "constant", "wsd"] = "cosine"
    warmup: float = 0.0
    min_learning_rate: float = 0.0
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float | None = 1.0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    processes: Auto | int = "auto"
    nodes: int = 1
    sharding: Literal["none", "fsdp"] = "none"
    gradient_checkpointing: bool = False
    compile: Auto | bool = "auto"
    packing: bool = True
    sequence_length: Auto | int = "auto"
    seed: int = 1
    log_every: Auto | int = "auto"
    evaluate_every: Auto | int | None = "auto"
    checkpoint_every: Auto | int = "auto"
    keep_checkpoints: int = 2
    early_stopping: EarlyStopping | None = None


@dataclass(frozen=True)
class ModelSource:
    kind: Literal["scratch", "base"]
    config: dict[str, Any] | None = None
    path: str | None = None
    tuning: Tuning | None = None


@dataclass(frozen=True)
class Data:
    train: str
    validation: str | None = None
    verify: list[dict[str, Any]] = dataclasses.field(default_factory=list)


@dataclass(frozen=True)
class SamplePrompt:
    prompt: list[int]
    max_new_tokens: int


@dataclass(frozen=True)
class TrainJob:
    folder: str
    model: ModelSource
    tokenizer: str
    data: Data
    training: Training
    samples: list[SamplePrompt] = dataclasses.field(default_factory=list)
    stop_ids: list[int] = dataclasses.field(default_factory=list)
    resume: str | None = None


@dataclass(frozen=True)
class EvaluateJob:
    model: str
    data: str
    batch_size: int = 16


@dataclass(frozen=True)
class GreedyPrompt:
    prompt: list[int]
    max_new_tokens: int = 64
    stop_ids: list[int] = dataclasses.field(default_factory=list)


@dataclass(frozen=True)
class ReferenceJob:
    model: str
    folder: str
    ids: list[list[int]] = dataclasses.field(default_factory=list)
    greedy: list[GreedyPrompt] = dataclasses.field(default_factory=list)


T = TypeVar("T")


def read(kind: type[T], value: object, where: str = "job") -> T:
    """`value` as a `kind`, one of the dataclasses above. Fields that it does not name are passed over. Failure user_input."""
    result: T = _read(kind, value, where)
    return result


def _read(kind: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise _wrong(where, "an object", value)
        hints = get_type_hints(kind)
        fields = {
            field.name: _read(hints[field.name], value[field.name], f"{where}.{field.name}")
            for field in dataclasses.fields(kind)
            if field.name in value
        }
        try:
            return kind(**fields)
        except TypeError as error:
            raise Failure("user_input", f"{where}: {error}") from error
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        for option in get_args(kind):
            try:
                return _read(option, value, where)
            except Failure as failure:
                deepest = failure
        raise deepest
    if origin is Literal:
        if value not in get_args(kind):
            raise _wrong(where, " or ".join(str(option) for option in get_args(kind)), value)
        return value
    if origin is list:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        return [_read(get_args(kind)[0], item, f"{where}[{index}]") for index, item in enumerate(value)]
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    expected = dict if origin is dict else kind
    if not isinstance(value, expected) or (isinstance(value, bool) and kind is not bool):
        raise _wrong(where, expected.__name__, value)
    return value


def _wrong(where: str, expected: str, value: object) -> Failure:
    return Failure("user_input", f"{where} must be {expected}, not {str(value)[:80]!r}")
