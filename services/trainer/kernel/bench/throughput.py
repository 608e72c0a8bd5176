"""How fast a step is, beside a loop written by hand and Hugging Face's Trainer on the same model and data, and beside TRL's on chats.

    .venv/bin/python bench/throughput.py scratch     GPT-2 of 4 layers of 256, text in windows of 256
    .venv/bin/python bench/throughput.py chat        LoRA over a Llama, chats of many lengths

Each contestant is a process of its own; rounds are interleaved, because other work on a machine comes and goes. TRL and datasets are
not among the kernel's packages: the first run of `chat` installs them into bench/.venv, over the kernel's.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import numpy as np

BENCH = Path(__file__).parent
KERNEL = BENCH.parent
sys.path[:0] = [str(KERNEL), str(KERNEL / "tests")]

VOCABULARY = {"scratch": 2048, "chat": 16384}
STEPS = {"scratch": 24, "chat": 16}
BATCH = 8
CONTESTANTS = {"scratch": ["slipway", "hand", "trainer"], "chat": ["slipway", "trl", "trl-packed"]}


def write_data(folder: Path, kind: str) -> None:
    """Random ids: how long a step takes does not depend on what is said. Lengths of chats are drawn as those of instruction data are."""
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    if kind == "scratch":
        offsets = np.array([0, 400_000])
        mask = None
    else:
        lengths = np.clip(random.lognormal(4.6, 0.7, 400).astype(int), 16, 512)
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        mask = np.zeros(int(offsets[-1]), np.uint8)
        for begin, end in itertools.pairwise(offsets):
            mask[begin + int((end - begin) * 0.4) : end] = 1
        mask.tofile(folder / "mask.bin")
    random.integers(2, VOCABULARY[kind], int(offsets[-1])).astype("<u2").tofile(folder / "tokens.bin")
    offsets.astype("<u8").tofile(folder / "offsets.bin")
    meta = {
        "schema": 1,
        "kind": "stream" if kind == "scratch" else "examples",
        "dtype": "uint16",
        "tokens": int(offsets[-1]),
        "examples": len(offsets) - 1,
        "vocabulary_size": VOCABULARY[kind],
        "sha256": {},
    }
    (folder / "dataset.json").write_text(json.dumps(meta))


def peers_python() -> str:
    folder = BENCH / ".venv"
    python = folder / "bin" / "python"
    if not (folder / ".installed").exists():
        venv.create(folder, with_pip=False)
        packages = next((KERNEL / ".venv" / "lib").glob("python3*")) / "site-packages"
        own = next((folder / "lib").glob("python3*")) / "site-packages"
        (own / "kernel.pth").write_text(f"{packages}\n")
        uv = KERNEL / ".venv" / "bin" / "uv"
        subprocess.run([uv, "pip", "install", "--python", python, "--no-deps", "trl==1.16.0", "datasets==5.2.0"], check=True)
        more = ["pyarrow", "dill", "multiprocess", "xxhash", "pandas", "python-dateutil", "httpx", "requests", "aiohttp"]
        subprocess.run([uv, "pip", "install", "--python", python, *more], check=True)
        (folder / ".installed").touch()
    return str(python)


def main() -> None:
    kind = sys.argv[1] if len(sys.argv) > 1 else "scratch"
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    python = sys.executable if kind == "scratch" else peers_python()
    measured: dict[str, list[float]] = {name: [] for name in CONTESTANTS[kind]}
    with tempfile.TemporaryDirectory() as folder:
        write_data(Path(folder) / "data", kind)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "KIND": kind, "FOLDER": folder}
        for number in range(rounds):
            for name in CONTESTANTS[kind]:
                command = [python, str(BENCH / "contestants.py"), name]
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
                if done.returncode != 0:
                    sys.exit(f"{name} failed:\n{done.stderr[-3000:]}")
                measured[name].append(float(done.stdout.split()[-1]))
                print(f"round {number + 1}  {name:<12} {measured[name][-1]:>10.0f} supervised tokens/s", flush=True)  # noqa: T201
    ours = measured["slipway"]
    for name in CONTESTANTS[kind][1:]:
        ratios = [mine / theirs for mine, theirs in zip(ours, measured[name], strict=True)]
        each = " ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"slipway / {name}: median {statistics.median(ratios):.2f} of {each}")  # noqa: T201


if __name__ == "__main__":
    main()
