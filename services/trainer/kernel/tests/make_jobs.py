"""Small datasets and jobs: a text that repeats, examples of many lengths, tiny models of each family."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np

VOCABULARY = 64

CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model_type": "gpt2",
        "vocab_size": VOCABULARY,
        "n_layer": 2,
        "n_head": 2,
        "n_embd": 32,
        "n_positions": 64,
        "resid_pdrop": 0.1,
        "embd_pdrop": 0.1,
        "attn_pdrop": 0.1,
    },
    "llama": {
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "hidden_size": 32,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
    },
    "qwen3": {
        "model_type": "qwen3",
        "vocab_size": VOCABULARY,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "hidden_size": 32,
        "intermediate_size": 64,
        "max_position_embeddings": 64,
        "tie_word_embeddings": True,
    },
    "char-lstm": {
        "model_type": "char-lstm",
        "vocab_size": VOCABULARY,
        "embedding_size": 16,
        "hidden_size": 32,
        "num_layers": 2,
        "bias": True,
        "tie_word_embeddings": False,
        "dropout": 0.1,
    },
}

TRAINING: dict[str, Any] = {
    "max_steps": 12,
    "epochs": None,
    "batch_size": 8,
    "micro_batch_size": "auto",
    "learning_rate": 3e-3,
    "schedule": "cosine",
    "warmup": 2,
    "min_learning_rate": 0.1,
    "weight_decay": 0.1,
    "beta1": 0.9,
    "beta2": 0.95,
    "epsilon": 1e-8,
    "clip_norm": 1.0,
    "precision": "fp32",
    "device": "cpu",
    "processes": "auto",
    "sharding": "none",
    "gradient_checkpointing": False,
    "compile": False,
    "packing": True,
    "sequence_length": 32,
    "seed": 1,
    "log_every": 1,
    "evaluate_every": 4,
    "checkpoint_every": 4,
    "keep_checkpoints": 2,
    "early_stopping": None,
}


def write_dataset(folder: Path, kind: str, *, tokens: int = 2000, examples: int = 60, seed: int = 0) -> Path:
    """Ids of a walk that can be learnt: each is the one before plus 1 or 2."""
    random = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    lengths = random.integers(2, 40, examples)
    total = tokens if kind == "stream" else int(lengths.sum())
    ids = np.cumsum(random.integers(1, 3, total)) % VOCABULARY
    ids.astype("<u2").tofile(folder / "tokens.bin")
    offsets = [0, total] if kind == "stream" else [0, *np.cumsum(lengths)]
    np.array(offsets, dtype="<u8").tofile(folder / "offsets.bin")
    if kind == "examples":
        mask = np.zeros(total, np.uint8)
        for begin, end in itertools.pairwise(offsets):
            mask[(begin + end) // 2 : end] = 1
        mask.tofile(folder / "mask.bin")
    meta = {
        "schema": 1,
        "kind": kind,
        "dtype": "uint16",
        "tokens": total,
        "examples": len(offsets) - 1,
        "vocabulary_size": VOCABULARY,
        "max_length": None,
        "sha256": {"tokens.bin": f"{kind}-{seed}-{total}"},
    }
    (folder / "dataset.json").write_text(json.dumps(meta))
    return folder


def write_tokenizer(folder: Path) -> Path:
    """One token per character: what a tokenizer's folder has, for a kernel that copies it."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = {"<unk>": 0, "<eos>": 1} | {chr(ord("A") + index): index + 2 for index in range(VOCABULARY - 2)}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [
            {
                "id": index,
                "content": piece,
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
            }
            for index, piece in enumerate(["<unk>", "<eos>"])
        ],
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "[\\s\\S]"}, "behavior": "Isolated", "invert": False},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<eos>", "unk_token": "<unk>"}))
    return folder


def write_job(folder: Path, model: dict[str, Any], data: Path, *, validation: Path | None = None, **changes: Any) -> Path:
    """`changes` of training, and of the job itself for its own fields."""
    folder.mkdir(parents=True, exist_ok=True)
    own = {key: changes.pop(key) for key in ("resume", "samples", "stop_ids", "verify") if key in changes}
    job = {
        "operation": "train",
        "folder": str(folder),
        "model": model,
        "tokenizer": str(write_tokenizer(folder.parent / "tokenizer")),
        "data": {
            "train": str(data),
            "validation": None if validation is None else str(validation),
            "verify": own.pop("verify", []),
        },
        "training": {**TRAINING, **changes},
        "samples": own.pop("samples", []),
        "stop_ids": own.pop("stop_ids", [1]),
        "resume": own.pop("resume", None),
    }
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return path


def scratch(family: str, **changes: Any) -> dict[str, Any]:
    return {"kind": "scratch", "config": {**CONFIGS[family], **changes}}
