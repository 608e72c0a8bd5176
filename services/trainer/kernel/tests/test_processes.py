"""Two processes of torchrun on one machine, by gloo: the run of one process, spread, and what becomes of it when one of them fails."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from in_process import newest_checkpoint, run
from kernel_process import Kernel, of_type
from make_jobs import scratch, write_dataset, write_job
from safetensors.torch import load_file


@pytest.mark.parametrize(("tuned", "sharding"), [(False, "none"), (False, "fsdp"), (True, "fsdp")], ids=["scratch", "fsdp", "lora-fsdp"])
def test_two_processes_take_the_steps_of_one(
    tuned: bool, sharding: str, tmp_path: Path, base: Path, examples: Path, validation: Path
) -> None:
    tuning = {"method": "lora", "rank": 4, "alpha": 8.0}
    model = {"kind": "base", "path": str(base), "tuning": tuning} if tuned else scratch("llama")
    # 53 sequences: the last batch is not whole, so that one process has less to do than the other.
    changes: dict[str, Any] = {"max_steps": None, "epochs": 53 / 60, "micro_batch_size": 2, "evaluate_every": 3, "checkpoint_every": 2}
    result, alone = run(write_job(tmp_path / "alone", model, examples, validation=validation, **changes))

    def two(folder: Path, **more: Any) -> list[dict[str, Any]]:
        job = write_job(folder, model, examples, validation=validation, processes=2, sharding=sharding, **{**changes, **more})
        kernel = Kernel(processes=2)
        messages = kernel.run(job)
        assert messages[-1]["type"] in ("done", "stopped"), messages[-1]
        return messages

    messages = two(tmp_path / "two")
    assert of_type(messages, "started")[0]["world_size"] == 2
    assert [message["loss"] for message in of_type(messages, "progress")] == pytest.approx([loss for _, loss in alone.curve], rel=1e-4)
    assert [message["loss"] for message in of_type(messages, "evaluation")] == pytest.approx(
        [message["loss"] for message in alone.of_type("evaluation")], rel=1e-4
    )
    assert [message["tokens"] for message in of_type(messages, "evaluation")] == [
        message["tokens"] for message in alone.of_type("evaluation")
    ]

    checkpoint = tmp_path / "two" / "checkpoints" / "step-00000006"
    assert newest_checkpoint(tmp_path / "two") is not None
    resumed = two(tmp_path / "again", resume=str(checkpoint))
    assert of_type(resumed, "started")[0]["resumed_from"] == 6
    assert of_type(resumed, "progress")[-1]["loss"] == of_type(messages, "progress")[-1]["loss"]
    models = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("two", "again")]
    assert models[0] == models[1]
    ours = load_file(tmp_path / "two" / "model" / "model.safetensors")
    for name, tensor in load_file(Path(result["model"]) / "model.safetensors").items():
        assert torch.allclose(ours[name], tensor, atol=1e-3), name


LIMIT_SECOND = """
import os, resource
if os.environ.get("RANK") == "1":
    import torch
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + 800_000_000, resource.RLIM_INFINITY))
"""


def test_one_of_two_processes_runs_out_of_memory(tmp_path: Path) -> None:
    """All end and say so, instead of waiting for it; begun again with half as much at once, the curve is that of one process."""
    data = write_dataset(tmp_path / "data", "stream", tokens=40_000)
    # Logits of 32 windows of 128 tokens over 20,000 ids are 0.33 GB, three times over.
    model = scratch("llama", vocab_size=20_000, max_position_embeddings=128)
    changes: dict[str, Any] = {"sequence_length": 128, "batch_size": 64, "max_steps": 2, "evaluate_every": None, "checkpoint_every": 2}
    _, alone = run(write_job(tmp_path / "alone", model, data, micro_batch_size=8, **changes))

    (tmp_path / "sitecustomize.py").write_text(LIMIT_SECOND)
    kernel = Kernel(processes=2, environment={"PYTHONPATH": str(tmp_path)})
    messages = kernel.run(write_job(tmp_path / "two", model, data, processes=2, micro_batch_size=32, **changes))
    assert of_type(messages, "started")[0]["micro_batch_size"] == 32
    # Until torchrun ends it the other one goes on beating.
    [failed] = of_type(messages, "failed")
    assert failed["class"] == "out_of_memory"
    assert failed["message"].startswith("process 1 has not enough memory for 32 sequences at once")
    assert kernel.process.returncode != 0

    messages = Kernel(processes=2).run(write_job(tmp_path / "two", model, data, processes=2, micro_batch_size=16, **changes))
    assert of_type(messages, "started")[0]["accumulation"] == 2
    assert [message["loss"] for message in of_type(messages, "progress")] == pytest.approx([loss for _, loss in alone.curve], rel=1e-5)


def test_a_killed_process_takes_the_others_with_it(tmp_path: Path, stream: Path) -> None:
    """None of them says why: how the first one died is for the parent to see."""
    kernel = Kernel(processes=2)

    kernel.send({"type": "job", "path": str(write_job(tmp_path / "run", scratch("llama"), stream, processes=2, max_steps=100_000))})
    while (message := kernel.read()) is not None:
        if message["type"] == "checkpoint" and message["step"] == 4:
            os.kill(process_of_rank(kernel, "1"), signal.SIGKILL)
    assert "(SIGKILL)" in kernel.close()
    assert of_type(kernel.messages, "checkpoint")
    assert not of_type(kernel.messages, "failed")


def process_of_rank(kernel: Kernel, rank: str) -> int:
    children = Path(f"/proc/{kernel.process.pid}/task/{kernel.process.pid}/children").read_text().split()
    [found] = [child for child in children if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0")]
    return int(found)
