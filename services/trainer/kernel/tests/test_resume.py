"""A run that is killed and resumed is the run that was not: the same weights, bit for bit, and the same curve."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest
from in_process import Killed, Recorder, kill_at, newest_checkpoint, run
from kernel_process import Kernel
from make_jobs import scratch, write_dataset, write_job

from slipway_kernel.checkpoint import sha256
from slipway_kernel.protocol import Failure

LORA = {"method": "lora", "rank": 4, "alpha": 8, "dropout": 0.1}


def weights(folder: Path) -> str:
    return sha256(folder / "model" / "model.safetensors")


def cases(base: Path, stream: Path, examples: Path) -> dict[str, tuple[dict[str, Any], Path, dict[str, Any]]]:
    return {
        "gpt2 with dropout, text": (scratch("gpt2"), stream, {}),
        "gpt2 with dropout, examples, small micro-batches": (scratch("gpt2"), examples, {"micro_batch_size": 3}),
        "qwen3 in bf16": (scratch("qwen3"), stream, {"precision": "bf16"}),
        "char-lstm": (scratch("char-lstm"), stream, {"schedule": "wsd"}),
        "lora with dropout": ({"kind": "base", "path": str(base), "tuning": LORA}, examples, {}),
        "lora with dropout in bf16": ({"kind": "base", "path": str(base), "tuning": LORA}, examples, {"precision": "bf16"}),
        "qlora with dropout": ({"kind": "base", "path": str(base), "tuning": {**LORA, "method": "qlora"}}, examples, {}),
        "qlora in bf16": ({"kind": "base", "path": str(base), "tuning": {**LORA, "method": "qlora"}}, examples, {"precision": "bf16"}),
        "dora": ({"kind": "base", "path": str(base), "tuning": {**LORA, "method": "dora"}}, examples, {"schedule": "linear"}),
    }


NAMES = list(cases(Path(), Path(), Path()))


@pytest.mark.parametrize("name", NAMES)
def test_killed_twice_it_ends_with_the_same_weights(
    name: str, tmp_path: Path, base: Path, stream: Path, examples: Path, validation: Path
) -> None:
    if name.startswith("qlora"):
        pytest.importorskip("bitsandbytes")
    model, data, changes = cases(base, stream, examples)[name]
    # More than two epochs; evaluations, checkpoints and lines of progress on different steps.
    changes = {"max_steps": None, "epochs": 1.3, "evaluate_every": 4, "checkpoint_every": 3, **changes}
    _, unbroken = run(write_job(tmp_path / "unbroken", model, data, validation=validation, **changes))

    steps = [step for step, _ in unbroken.curve]
    kills = sorted(random.sample(steps[1:], 2))
    folder = tmp_path / "killed"
    curve: dict[int, float] = {}
    for kill in kills:
        recorder = Recorder(kill_at(kill))
        with pytest.raises(Killed):
            run(write_job(folder, model, data, validation=validation, resume=newest_checkpoint(folder), **changes), recorder)
        curve |= dict(recorder.curve)
    _, last = run(write_job(folder, model, data, validation=validation, resume=newest_checkpoint(folder), **changes))
    curve |= dict(last.curve)

    assert weights(folder) == weights(tmp_path / "unbroken"), f"killed at {kills}"
    assert curve == dict(unbroken.curve), f"killed at {kills}"


@pytest.mark.parametrize("tuned", [False, True], ids=["scratch", "lora"])
def test_kill_minus_nine(tuned: bool, tmp_path: Path, base: Path, stream: Path, examples: Path) -> None:
    model = {"kind": "base", "path": str(base), "tuning": LORA} if tuned else scratch("gpt2")
    data = examples if tuned else stream
    run(write_job(tmp_path / "unbroken", model, data))

    folder = tmp_path / "killed"
    kill = random.randint(5, 12)
    kernel = Kernel()

    def on(message: dict[str, Any]) -> None:
        if message["type"] == "progress" and message["step"] == kill:
            os.kill(kernel.process.pid, signal.SIGKILL)

    messages = kernel.run(write_job(folder, model, data), on)
    assert kernel.process.returncode == -signal.SIGKILL
    assert messages[-1]["type"] not in ("done", "failed")
    run(write_job(folder, model, data, resume=newest_checkpoint(folder)))
    assert weights(folder) == weights(tmp_path / "unbroken"), f"killed at {kill}"


def test_lines_of_progress_are_the_same_wherever_it_was_killed(tmp_path: Path, stream: Path) -> None:
    """Each is a mean since the one before, part of which a checkpoint in between must hold."""
    changes: dict[str, Any] = {"log_every": 5, "checkpoint_every": 3}
    _, unbroken = run(write_job(tmp_path / "unbroken", scratch("llama"), stream, **changes))
    folder = tmp_path / "killed"

    def on(message: dict[str, Any], _: Recorder) -> None:
        if message["type"] == "checkpoint" and message["step"] == 6:
            raise Killed

    with pytest.raises(Killed):
        run(write_job(folder, scratch("llama"), stream, **changes), Recorder(on))
    _, resumed = run(write_job(folder, scratch("llama"), stream, resume=newest_checkpoint(folder), **changes))
    assert resumed.curve == [point for point in unbroken.curve if point[0] > 6]


def test_the_patience_of_early_stopping_survives(tmp_path: Path, stream: Path, validation: Path) -> None:
    # Nothing is learnt, so that no evaluation after the first is better: it stops after the third of those.
    changes: dict[str, Any] = {
        "learning_rate": 1e-12,
        "max_steps": 40,
        "evaluate_every": 2,
        "checkpoint_every": 2,
        "early_stopping": {"patience": 3, "min_delta": 0.001},
    }
    result, _ = run(write_job(tmp_path / "unbroken", scratch("llama"), stream, validation=validation, **changes))
    assert result["step"] == 8
    folder = tmp_path / "killed"
    with pytest.raises(Killed):
        run(write_job(folder, scratch("llama"), stream, validation=validation, **changes), Recorder(kill_at(7)))
    resumed, _ = run(write_job(folder, scratch("llama"), stream, validation=validation, resume=newest_checkpoint(folder), **changes))
    assert resumed["step"] == 8
    assert weights(folder) == weights(tmp_path / "unbroken")


def test_keeps_the_newest_checkpoints_and_the_best(tmp_path: Path, stream: Path, validation: Path) -> None:
    # Thrown off: the best is the first.
    changes: dict[str, Any] = {
        "evaluate_every": 2,
        "checkpoint_every": 2,
        "learning_rate": 2.0,
        "schedule": "constant",
        "warmup": 6,
        "clip_norm": None,
    }
    result, recorder = run(write_job(tmp_path / "run", scratch("llama"), stream, validation=validation, **changes))
    losses = {message["step"]: message["loss"] for message in recorder.of_type("evaluation")}
    assert result["best_step"] == min(losses, key=lambda step: losses[step])
    assert result["best_step"] < 8
    kept = sorted(path.name for path in (tmp_path / "run" / "checkpoints").iterdir())
    assert kept == [f"step-{step:08d}" for step in (result["best_step"], 10, 12)]


def test_goes_on_with_a_smaller_micro_batch_where_it_is_asked_to(tmp_path: Path, stream: Path) -> None:
    run(write_job(tmp_path / "run", scratch("llama"), stream, micro_batch_size=8))
    for asked, used in ((2, 2), ("auto", 8), (8, 8)):
        checkpoint = str(tmp_path / "run" / "checkpoints" / "step-00000008")
        job = write_job(tmp_path / str(asked), scratch("llama"), stream, micro_batch_size=asked, resume=checkpoint)
        _, recorder = run(job)
        assert recorder.of_type("started")[0]["micro_batch_size"] == used


def damage(how: str, checkpoint: Path) -> None:
    weights_file, optimizer, manifest = (checkpoint / name for name in ("weights.safetensors", "optimizer.safetensors", "checkpoint.json"))
    if how == "a missing file":
        optimizer.unlink()
    elif how == "a cut file":
        os.truncate(optimizer, optimizer.stat().st_size // 2)
    elif how == "a flipped bit":
        data = bytearray(weights_file.read_bytes())
        data[-5] ^= 1
        weights_file.write_bytes(data)
    elif how == "no manifest":
        manifest.unlink()
    else:
        manifest.write_text("{")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("a missing file", "optimizer.safetensors is missing"),
        ("a cut file", "optimizer.safetensors is not what was written"),
        ("a flipped bit", "weights.safetensors is not what was written"),
        ("no manifest", "it has no checkpoint.json"),
        ("a broken manifest", "checkpoint.json is not JSON"),
    ],
)
def test_refuses_a_damaged_checkpoint_by_name(how: str, says: str, tmp_path: Path, stream: Path) -> None:
    run(write_job(tmp_path / "run", scratch("char-lstm"), stream, max_steps=2))
    checkpoint = newest_checkpoint(tmp_path / "run")
    assert checkpoint is not None
    damage(how, Path(checkpoint))
    with pytest.raises(Failure) as refused:
        run(write_job(tmp_path / "run", scratch("char-lstm"), stream, max_steps=2, resume=checkpoint))
    assert refused.value.kind == "user_input"
    assert says in refused.value.message
    assert checkpoint in refused.value.message


def test_refuses_to_go_on_with_other_data_or_another_batch(tmp_path: Path, stream: Path) -> None:
    run(write_job(tmp_path / "run", scratch("char-lstm"), stream, max_steps=2))
    checkpoint = newest_checkpoint(tmp_path / "run")
    other = write_dataset(tmp_path / "other", "stream", seed=9)
    with pytest.raises(Failure, match="of another run: its train differs"):
        run(write_job(tmp_path / "again", scratch("char-lstm"), other, max_steps=2, resume=checkpoint))
    with pytest.raises(Failure, match=r"its batch size differs \(8, now 4\)"):
        run(write_job(tmp_path / "again", scratch("char-lstm"), stream, max_steps=2, batch_size=4, resume=checkpoint))
