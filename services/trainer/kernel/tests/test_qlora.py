"""An adapter over a base held in 4 bits: what trains, what stays as it is, and what is merged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from in_process import Recorder, run
from kernel_process import KERNEL, Kernel, of_type
from make_bases import write_base
from make_jobs import write_job

from slipway_kernel.batch import summed_loss
from slipway_kernel.protocol import Failure
from slipway_kernel.settings import TrainJob, read
from slipway_kernel.setup import set_up
from slipway_kernel.train import Trainer

bitsandbytes = pytest.importorskip("bitsandbytes")

QLORA = {"method": "qlora", "rank": 4, "alpha": 8.0}


def over(base: Path, **changes: Any) -> dict[str, Any]:
    return {"kind": "base", "path": str(base), "tuning": {**QLORA, **changes}}


def read_job(path: Path) -> TrainJob:
    return read(TrainJob, json.loads(path.read_text()))


def in_four_bits(module: torch.nn.Module) -> dict[str, Any]:
    return {name: weight for name, weight in module.named_parameters() if isinstance(weight, bitsandbytes.nn.Params4bit)}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_only_the_adapter_trains_and_the_base_stays_in_four_bits(
    family: str, precision: str, tmp_path: Path, examples: Path, validation: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Evaluations lie between: on some processors bitsandbytes holds weights otherwise where there are no gradients. This is one of them.
    monkeypatch.setattr(bitsandbytes.nn.modules, "has_avx512bf16", lambda: True)
    recorder = Recorder()
    base = write_base(tmp_path / "base", family)
    trainer = Trainer(
        read_job(write_job(tmp_path / "run", over(base), examples, validation=validation, precision=precision, max_steps=24)), recorder
    )
    module = trainer.setup.module
    weights = in_four_bits(module)
    assert len(weights) == (8 if family == "gpt2" else 14)
    for weight in weights.values():
        assert weight.dtype == torch.uint8
        assert weight.numel() * 2 == weight.quant_state.shape.numel()
    assert all("lora_" in name for name in trainer.setup.parameters)
    started = {name: weight.detach().clone() for name, weight in module.named_parameters()}

    trainer.run()
    for name, weight in module.named_parameters():
        assert torch.equal(weight, started[name]) != ("lora_" in name), name
    assert [message["loss"] for message in recorder.of_type("evaluation")] == sorted(
        (message["loss"] for message in recorder.of_type("evaluation")), reverse=True
    )
    count = recorder.of_type("started")[0]
    assert count["trainable_parameters"] == sum(weight.numel() for weight in trainer.setup.parameters.values())
    assert count["parameters"] - count["trainable_parameters"] == sum(
        weight.numel() * (2 if name in weights else 1) for name, weight in started.items() if "lora_" not in name
    )


def test_the_curve_is_that_of_lora_over_the_rounded_weights(tmp_path: Path, base: Path, examples: Path, validation: Path) -> None:
    """Gradients pass through the weights in 4 bits, to every adapter below them, also after an evaluation."""
    from transformers import AutoModelForCausalLM

    quantized = in_four_bits(set_up(read_job(write_job(tmp_path / "look", over(base), examples))).module)
    rounded = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    for name, weight in quantized.items():
        rounded.get_parameter(name.replace(".base_layer", "")).data = bitsandbytes.functional.dequantize_4bit(weight, weight.quant_state)
    rounded.save_pretrained(tmp_path / "rounded")

    _, four = run(write_job(tmp_path / "four", over(base), examples, validation=validation))
    _, whole = run(write_job(tmp_path / "whole", over(tmp_path / "rounded", method="lora"), examples, validation=validation))
    assert [loss for _, loss in four.curve] == pytest.approx([loss for _, loss in whole.curve], rel=1e-5)
    norms = [[message["gradient_norm"] for message in recorder.of_type("progress")] for recorder in (four, whole)]
    assert norms[0] == pytest.approx(norms[1], rel=1e-3)


def test_it_is_merged_into_the_weights_that_were_given(tmp_path: Path, examples: Path) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    base = write_base(tmp_path / "base", "llama", torch.bfloat16)
    result, _ = run(write_job(tmp_path / "run", over(base), examples))
    tensors = load_file(Path(result["model"]) / "model.safetensors")
    given = load_file(base / "model.safetensors")
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()} == {
        name: (tensor.shape, tensor.dtype) for name, tensor in given.items()
    }
    assert torch.equal(tensors["model.embed_tokens.weight"], given["model.embed_tokens.weight"])
    assert "quantization_config" not in json.loads((Path(result["model"]) / "config.json").read_text())

    plain = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted = PeftModel.from_pretrained(plain, result["adapter"]).merge_and_unload()
    for name, weight in adapted.named_parameters():
        assert torch.equal(weight.to(torch.bfloat16), tensors[name]), name


def test_with_less_memory_the_curve_stays(tmp_path: Path, base: Path, examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, easy = run(write_job(tmp_path / "easy", over(base), examples, micro_batch_size=8))

    def narrow(model: Any, batch: Any, *more: Any) -> Any:
        if batch.segments is None or sum(group.shape[0] for group in batch.segments.groups) > 4:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
        return summed_loss(model, batch, *more)

    monkeypatch.setattr("slipway_kernel.step.summed_loss", narrow)
    _, halved = run(write_job(tmp_path / "halved", over(base), examples, micro_batch_size=8))
    assert [message["to"] for message in halved.of_type("micro_batch")] == [4]
    assert [loss for _, loss in halved.curve] == pytest.approx([loss for _, loss in easy.curve], rel=1e-5)


def test_two_processes_take_the_steps_of_one(tmp_path: Path, base: Path, examples: Path) -> None:
    _, alone = run(write_job(tmp_path / "alone", over(base), examples, micro_batch_size=2, max_steps=6))
    messages = Kernel(processes=2).run(write_job(tmp_path / "two", over(base), examples, micro_batch_size=2, max_steps=6, processes=2))
    assert messages[-1]["type"] == "done", messages[-1]
    assert [message["loss"] for message in of_type(messages, "progress")] == pytest.approx([loss for _, loss in alone.curve], rel=1e-4)


def test_other_adapters_do_without_it(tmp_path: Path, base: Path, examples: Path) -> None:
    """Importing it takes seconds."""
    job = write_job(tmp_path / "run", over(base, method="dora"), examples, max_steps=2)
    code = "import sys, pathlib, in_process; in_process.run(pathlib.Path(sys.argv[1])); print('bitsandbytes' in sys.modules)"
    paths = os.pathsep.join(str(path) for path in (KERNEL, KERNEL / "tests"))
    done = subprocess.run(
        [sys.executable, "-c", code, str(job)], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": paths}
    )
    assert done.stdout.split()[-1] == "False"


def test_weights_in_four_bits_are_not_divided(tmp_path: Path, base: Path, examples: Path) -> None:
    with pytest.raises(Failure, match="fsdp cannot divide") as failed:
        run(write_job(tmp_path / "run", over(base), examples, sharding="fsdp"))
    assert failed.value.kind == "user_input"
