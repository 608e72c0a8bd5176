"""Two processes of torchrun on one machine, by gloo: the run of one process, spread."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from in_process import newest_checkpoint, run
from kernel_process import Kernel, of_type
from make_jobs import scratch, write_job


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_two_processes_take_the_steps_of_one(sharding: str, tmp_path: Path, examples: Path, validation: Path) -> None:
    # 53 sequences: the last batch is not whole, so that one process has less to do than the other.
    changes: dict[str, Any] = {"max_steps": None, "epochs": 53 / 60, "micro_batch_size": 2, "evaluate_every": 3, "checkpoint_every": 2}
    _, alone = run(write_job(tmp_path / "alone", scratch("llama"), examples, validation=validation, **changes))

    def two(folder: Path, **more: Any) -> list[dict[str, Any]]:
        job = write_job(folder, scratch("llama"), examples, validation=validation, processes=2, sharding=sharding, **{**changes, **more})
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
    model = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("two", "again")]
    assert model[0] == model[1]
