"""Checkpoints: a folder that is whole or refused by name, written aside and renamed. Owns its files; knows no loop.

`checkpoint.json` is written last and holds the hash of every other file. Tensors are safetensors, never pickles.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from slipway_kernel.processes import Processes
from slipway_kernel.protocol import Failure

SCHEMA = 1
MANIFEST = "checkpoint.json"
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"


def random_file(rank: int) -> str:
    return f"random-{rank}.safetensors"


def random_state() -> dict[str, Tensor]:
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        state["cuda"] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state and torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.set_rng_state(state["cuda"])


def write_checkpoint(
    folder: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    processes: Processes,
) -> tuple[Path, int]:
    """`tensors` by file name, from rank 0; every rank adds its own random state. Gives the folder and its bytes.

    What was there before stays as it is when this fails (disk full). Every rank must call it."""
    whole, partial = folder / f"step-{step:08d}", folder / f".step-{step:08d}.partial"
    if processes.is_first:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    processes.wait()
    try:
        save_file(random_state(), partial / random_file(processes.rank))
        processes.wait()
        if processes.is_first:
            for name, content in tensors.items():
                save_file(dict(content), partial / name)
            files = {path.name: sha256(path) for path in sorted(partial.iterdir())}
            manifest = {"schema": SCHEMA, "step": step, "files": files, **state}
            (partial / MANIFEST).write_text(json.dumps(manifest, indent=2))
            for path in partial.iterdir():
                sync(path)
            shutil.rmtree(whole, ignore_errors=True)
            partial.rename(whole)
            sync(folder)
        processes.wait()
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return whole, sum(path.stat().st_size for path in whole.iterdir())


def read_manifest(folder: Path) -> dict[str, Any]:
    """Of a checkpoint whose every file is as it was written. Failure user_input, which says what is damaged."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    except FileNotFoundError:
        raise Failure("user_input", f"{folder} is no whole checkpoint: it has no {MANIFEST}") from None
    except ValueError:
        raise Failure("user_input", f"{folder} is damaged: {MANIFEST} is not JSON") from None
    if manifest.get("schema") != SCHEMA:
        raise Failure("user_input", f"{folder} is of schema {manifest.get('schema')}, this kernel reads {SCHEMA}")
    for name, expected in manifest["files"].items():
        path = folder / name
        if not path.exists():
            raise Failure("user_input", f"{folder} is damaged: {name} is missing")
        if sha256(path) != expected:
            raise Failure("user_input", f"{folder} is damaged: {name} is not what was written")
    return manifest


def read_tensors(folder: Path, name: str) -> dict[str, Tensor]:
    try:
        return load_file(folder / name)
    except (SafetensorError, FileNotFoundError) as error:
        raise Failure("user_input", f"{folder} is damaged: {name} cannot be read ({error})") from error


def keep_checkpoints(folder: Path, newest: int, best: int | None) -> None:
    """Removes all but the newest and the best, and what a killed run left half written."""
    steps = sorted(folder.glob("step-*"))
    for path in [*steps[: max(0, len(steps) - max(1, newest))], *folder.glob(".step-*.partial")]:
        if path.name != f"step-{best or 0:08d}":
            shutil.rmtree(path)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
