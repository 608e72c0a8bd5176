"""What goes wrong in a run: each is told by its class, and leaves the last good checkpoint as it was."""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from in_process import Recorder, newest_checkpoint, run
from kernel_process import Kernel, of_type
from make_jobs import scratch, write_dataset, write_job

from slipway_kernel import setup, step
from slipway_kernel.checkpoint import read_manifest
from slipway_kernel.classify import classify
from slipway_kernel.device import Device
from slipway_kernel.protocol import Failure, Stopped
from slipway_kernel.state import Window


@pytest.fixture
def file_size_limit() -> Iterator[None]:
    """Files that the test makes small by a limit of the system may be large again afterwards."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("file_size_limit")
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, stream: Path) -> None:
    def on(message: dict[str, Any], _: Recorder) -> None:
        if message["type"] == "checkpoint":
            resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))

    with pytest.raises(Failure) as failed:
        run(write_job(tmp_path / "run", scratch("gpt2"), stream), Recorder(on))
    assert failed.value.kind == "disk_full"
    assert failed.value.step == 8
    checkpoints = tmp_path / "run" / "checkpoints"
    assert failed.value.checkpoint == str(checkpoints / "step-00000004")
    assert [path.name for path in checkpoints.iterdir()] == ["step-00000004"]
    read_manifest(checkpoints / "step-00000004")


def test_a_loss_that_is_no_number_names_the_examples(tmp_path: Path, examples: Path) -> None:
    job = write_job(tmp_path / "run", scratch("gpt2"), examples, learning_rate=1e30, clip_norm=None, checkpoint_every=1, warmup=0)
    with pytest.raises(Failure) as failed:
        run(job)
    assert failed.value.kind == "not_finite"
    assert failed.value.example is not None
    assert f"examples {failed.value.example}, " in failed.value.message
    assert failed.value.checkpoint == newest_checkpoint(tmp_path / "run")


def limit_memory() -> None:
    """Torch's own files take most of it."""
    resource.setrlimit(resource.RLIMIT_AS, (5_200_000_000, resource.RLIM_INFINITY))


def test_too_little_memory_halves_the_micro_batch_and_keeps_the_curve(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", "stream", tokens=40_000)
    # Logits of 64 windows of 128 tokens over 20,000 ids are 0.65 GB, three times over.
    model = scratch("llama", vocab_size=20_000, max_position_embeddings=128)
    changes: dict[str, Any] = {"sequence_length": 128, "batch_size": 64, "max_steps": 2, "evaluate_every": None, "checkpoint_every": 2}
    _, easy = run(write_job(tmp_path / "easy", model, data, micro_batch_size=8, **changes))
    messages = Kernel(before=limit_memory).run(write_job(tmp_path / "run", model, data, micro_batch_size=64, **changes))
    assert messages[-1]["type"] == "done", messages[-1]
    halved = of_type(messages, "micro_batch")
    assert halved
    assert halved[0] == {"type": "micro_batch", "from": 64, "to": 32, "accumulation": 2, "reason": "out_of_memory"}
    assert [message["loss"] for message in of_type(messages, "progress")] == pytest.approx([loss for _, loss in easy.curve], rel=1e-5)


def test_without_memory_for_a_single_sequence_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stream: Path) -> None:
    def no_memory(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")

    monkeypatch.setattr("slipway_kernel.step.summed_loss", no_memory)
    recorder = Recorder()
    with pytest.raises(Failure, match="gradient_checkpointing") as failed:
        run(write_job(tmp_path / "run", scratch("llama"), stream), recorder)
    assert failed.value.kind == "out_of_memory"
    assert [message["to"] for message in recorder.of_type("micro_batch")] == [4, 2, 1]


def test_a_cancelled_evaluation_ends_at_once(tmp_path: Path, stream: Path, validation: Path) -> None:
    def on(message: dict[str, Any], recorder: Recorder) -> None:
        # After the fourth step it evaluates.
        if message["type"] == "progress" and message["step"] == 4:
            recorder.requested = "cancel"

    recorder = Recorder(on)
    with pytest.raises(Stopped) as stopped:
        run(write_job(tmp_path / "run", scratch("llama"), stream, validation=validation), recorder)
    assert stopped.value.reason == "cancelled"
    assert recorder.of_type("evaluation") == []


@pytest.mark.parametrize(
    ("model", "changes", "says"),
    [
        (scratch("gpt2", n_head=3), {}, "this gpt2 cannot be"),
        (scratch("llama", vocab_size=50), {}, "was made with a tokenizer of 64 tokens, the model has 50"),
        (scratch("llama"), {"sequence_length": 65}, "sequence_length 65 is more than the model's 64 positions"),
        (scratch("llama"), {"precision": "fp16"}, "fp16 needs CUDA"),
        (scratch("char-lstm"), {"gradient_checkpointing": True}, "has no layers to compute twice"),
        (scratch("char-lstm", bidirectional=True), {}, "a char-lstm has no bidirectional"),
        (scratch("gpt2", model_type="bert"), {}, "models of type 'bert' are not made from scratch; these are: gpt2, llama"),
    ],
)
def test_says_what_does_not_fit_together(model: dict[str, Any], changes: dict[str, Any], says: str, tmp_path: Path, stream: Path) -> None:
    with pytest.raises(Failure) as failed:
        run(write_job(tmp_path / "run", model, stream, **changes))
    assert failed.value.kind == "user_input"
    assert says in failed.value.message


def test_qlora_says_which_package_it_needs(tmp_path: Path, base: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    model = {"kind": "base", "path": str(base), "tuning": {"method": "qlora"}}
    with pytest.raises(Failure, match="pip install bitsandbytes") as failed:
        run(write_job(tmp_path / "run", model, examples))
    assert failed.value.kind == "user_input"


@pytest.mark.parametrize(("field", "asked"), [("target_modules", ["q_proj", "v_porj"]), ("modules_to_save", ["v_porj"])])
def test_a_layer_that_the_model_does_not_have_is_not_passed_over(
    field: str, asked: list[str], tmp_path: Path, base: Path, examples: Path
) -> None:
    model = {"kind": "base", "path": str(base), "tuning": {"method": "lora", field: asked}}
    with pytest.raises(Failure, match=rf"model\.tuning\.{field}: the model has no v_porj; it has .*v_proj") as failed:
        run(write_job(tmp_path / "run", model, examples))
    assert failed.value.kind == "user_input"


@pytest.mark.parametrize(
    "says",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: out of memory",
    ],
)
def test_a_card_without_memory_is_not_one_that_failed(says: str) -> None:
    assert classify(RuntimeError(says)).kind == "out_of_memory"
    assert classify(RuntimeError("CUDA error: an illegal memory access was encountered")).kind == "device"


def test_fp16_computes_again_what_left_its_range(tmp_path: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU fp16 is refused, because it is slow there; it overflows as it does on a GPU."""
    monkeypatch.setattr(setup, "choose_device", lambda *_: Device(torch.device("cpu"), "fp16"))
    scales: list[float] = []
    taken = step.Steps.take

    def take(self: step.Steps, window: Window) -> float:
        norm = taken(self, window)
        scales.append(self.scaler.get_scale())
        return norm

    monkeypatch.setattr(step.Steps, "take", take)
    monkeypatch.setattr(step, "INITIAL_SCALE", 2.0**40)
    _, recorder = run(write_job(tmp_path / "run", scratch("gpt2"), examples))
    assert scales[0] < 2.0**30
    # Dropout is drawn anew as it was, so that no step is lost and the curve is that of a scale that fitted at once.
    monkeypatch.setattr(step, "INITIAL_SCALE", scales[0])
    _, fitting = run(write_job(tmp_path / "fitting", scratch("gpt2"), examples))
    assert recorder.curve == fitting.curve
    assert recorder.curve[-1][1] < recorder.curve[0][1]

    with pytest.raises(Failure) as failed:
        run(write_job(tmp_path / "wild", scratch("gpt2"), examples, learning_rate=1e30, clip_norm=None, warmup=0))
    assert failed.value.kind == "not_finite"


def test_fewer_processes_than_asked_for_are_refused(tmp_path: Path, stream: Path) -> None:
    with pytest.raises(Failure, match="asks for 2 processes, 1 were started"):
        run(write_job(tmp_path / "run", scratch("llama"), stream, processes=2))
    with pytest.raises(Failure, match="asks for 1 processes on each of 2 machines, 1 were started"):
        run(write_job(tmp_path / "run", scratch("llama"), stream, nodes=2))


def test_a_dataset_that_is_not_what_it_says(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", "stream")
    (data / "dataset.json").write_text(json.dumps({**json.loads((data / "dataset.json").read_text()), "tokens": 2001}))
    with pytest.raises(Failure, match=r"has 2000 tokens, dataset\.json says 2001"):
        run(write_job(tmp_path / "run", scratch("llama"), data))
