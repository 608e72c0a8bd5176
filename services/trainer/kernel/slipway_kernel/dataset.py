"""A prepared dataset: the folder's files, mapped and not read, and what its n-th sequence is. Knows no batch and no tensor."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from slipway_kernel.protocol import Failure

SCHEMA = 1


@dataclass(frozen=True)
class Sequence:
    """`ids[i]` is followed by `targets[i]`, which counts in the loss where `trained[i]`."""

    ids: NDArray[np.int64]
    targets: NDArray[np.int64]
    trained: NDArray[np.bool_]


class Dataset:
    """`stream`: windows of `window` targets, one after the other. `examples`: each as long as it is."""

    def __init__(self, folder: str, window: int) -> None:
        path = Path(folder)
        meta = json.loads((path / "dataset.json").read_text())
        if meta.get("schema") != SCHEMA:
            raise Failure("user_input", f"{folder} is a dataset of schema {meta.get('schema')}, this kernel reads {SCHEMA}")
        self.kind: Literal["stream", "examples"] = meta["kind"]
        self.folder = folder
        self.vocabulary_size: int = meta["vocabulary_size"]
        self._tokens = np.memmap(path / "tokens.bin", dtype=np.dtype(meta["dtype"]).newbyteorder("<"), mode="r")
        if len(self._tokens) != meta["tokens"]:
            raise Failure("user_input", f"{folder}: tokens.bin has {len(self._tokens)} tokens, dataset.json says {meta['tokens']}")
        mask = path / "mask.bin"
        self._mask = np.memmap(mask, dtype=np.uint8, mode="r") if mask.exists() else None
        self._window = window
        if self.kind == "examples":
            self._offsets = np.fromfile(path / "offsets.bin", dtype="<u8").astype(np.int64)
            self.longest = int(np.diff(self._offsets).max(initial=1)) - 1
            self.size = len(self._offsets) - 1
        else:
            self.longest = min(window, len(self._tokens) - 1)
            self.size = (len(self._tokens) - 1) // self.longest if self.longest > 0 else 0
        if self.size == 0 or self.longest < 1:
            raise Failure("user_input", f"{folder} holds nothing to train on: it needs at least two tokens")

    @property
    def slack(self) -> int:
        """How many targets of a stream lie behind the last whole window."""
        return (len(self._tokens) - 1) - self.size * self.longest if self.kind == "stream" else 0

    def sequence(self, index: int, shift: int = 0) -> Sequence:
        """`shift`: where a stream's first window begins, 0 to `slack`. Window `size` is the rest of the stream."""
        if self.kind == "examples":
            begin, end = int(self._offsets[index]), int(self._offsets[index + 1])
        else:
            begin = shift + index * self.longest
            end = min(begin + self.longest + 1, len(self._tokens))
        tokens = np.asarray(self._tokens[begin:end], dtype=np.int64)
        trained = np.ones(max(0, len(tokens) - 1), np.bool_) if self._mask is None else self._mask[begin + 1 : end] != 0
        return Sequence(tokens[:-1], tokens[1:], np.asarray(trained))

    def lengths(self) -> NDArray[np.int64] | None:
        """Targets per example, or None for a stream."""
        return np.diff(self._offsets) - 1 if self.kind == "examples" else None

    @property
    def targets(self) -> int:
        """Of all sequences together, those that do not count among them: what a pass over everything computes."""
        return len(self._tokens) - (self.size if self.kind == "examples" else 1)

    def whole(self) -> list[int]:
        """Every sequence once, the rest of a stream too."""
        return list(range(self.size + (1 if self.slack > 0 else 0)))


class Order:
    """Which sequence is the n-th to be trained on, over all epochs: a function of seed and n, so that a resumed run needs no more."""

    def __init__(self, dataset: Dataset, seed: int) -> None:
        self._dataset = dataset
        self._seed = seed
        self._epochs: dict[int, tuple[NDArray[np.int64], int]] = {}

    def index(self, position: int) -> int:
        return int(self._of(position // self._dataset.size)[0][position % self._dataset.size])

    def sequence(self, position: int) -> Sequence:
        return self._dataset.sequence(self.index(position), self._of(position // self._dataset.size)[1])

    def _of(self, epoch: int) -> tuple[NDArray[np.int64], int]:
        if epoch not in self._epochs:
            random = np.random.default_rng([self._seed, epoch])
            # A stream's windows begin elsewhere in each epoch, so that no token is always the last of its window.
            drawn = random.permutation(self._dataset.size), int(random.integers(0, self._dataset.slack + 1))
            self._epochs = {kept: order for kept, order in self._epochs.items() if kept >= epoch - 1} | {epoch: drawn}
        return self._epochs[epoch]
