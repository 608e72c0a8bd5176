"""One processor for everything: results must not depend on how many there are, and several test runs must not slow each other down."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from make_jobs import write_dataset

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(autouse=True)
def unknown_to_peft() -> None:
    """A kernel runs one job. Here one without bitsandbytes, of which peft remembers that it is not there, comes before one with it."""
    if "peft" in sys.modules:
        from peft.import_utils import is_bnb_4bit_available, is_bnb_available

        is_bnb_available.cache_clear()
        is_bnb_4bit_available.cache_clear()


@pytest.fixture(scope="session")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "stream", "stream")


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "examples", "examples")


@pytest.fixture(scope="session")
def validation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "validation", "examples", examples=20, seed=7)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small Llama with random weights, as a Hugging Face folder."""
    from make_bases import write_base

    return write_base(tmp_path_factory.mktemp("base") / "llama", "llama")
