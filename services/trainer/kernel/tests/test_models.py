"""What a run leaves and what is read back: folders that transformers reads, adapters that peft reads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import run
from make_bases import write_base
from make_jobs import VOCABULARY, scratch, write_job
from safetensors.torch import load_file
from torch.nn.functional import scaled_dot_product_attention

from slipway_kernel import attention
from slipway_kernel.dataset import Dataset
from slipway_kernel.models import read_folder
from slipway_kernel.settings import Tuning

PASSAGE = [3, 9, 27, 17, 51, 25, 11, 33]


def logits_of(folder: Path) -> torch.Tensor:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    with torch.no_grad():
        result: torch.Tensor = model(input_ids=torch.tensor([PASSAGE])).logits[0]
    return result


def operate(tmp_path: Path, **job: Any) -> dict[str, Any]:
    path = tmp_path / "operation.json"
    path.write_text(json.dumps(job))
    return run(path)[0]


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_a_trained_model_is_a_hugging_face_folder(family: str, tmp_path: Path, stream: Path) -> None:
    from transformers import AutoModelForCausalLM

    result, recorder = run(write_job(tmp_path / "run", scratch(family), stream, samples=[{"prompt": PASSAGE, "max_new_tokens": 12}]))
    folder = Path(result["model"])
    tokenizer = tmp_path / "tokenizer"
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (folder / name).read_bytes() == (tokenizer / name).read_bytes()
    assert json.loads((folder / "generation_config.json").read_text())["eos_token_id"] == 1
    assert "slipway" not in (folder / "config.json").read_text()
    assert all(tensor.dtype == torch.float32 for tensor in load_file(folder / "model.safetensors").values())

    reference = operate(
        tmp_path,
        operation="reference",
        model=str(folder),
        folder=str(tmp_path / "reference"),
        ids=[PASSAGE],
        greedy=[{"prompt": PASSAGE, "max_new_tokens": 12, "stop_ids": [1]}],
    )
    theirs = logits_of(folder)
    assert (load_file(reference["logits"])["logits.0"] - theirs).abs().max() < 1e-5
    generated = AutoModelForCausalLM.from_pretrained(folder).generate(
        torch.tensor([PASSAGE]), max_new_tokens=12, do_sample=False, eos_token_id=1, pad_token_id=1
    )
    assert reference["greedy"][0]["ids"] == generated[0, len(PASSAGE) :].tolist()
    assert recorder.of_type("sample") == []


def test_samples_are_greedy_continuations_and_leave_the_run_as_it_is(tmp_path: Path, stream: Path, validation: Path) -> None:
    plain, _ = run(write_job(tmp_path / "plain", scratch("gpt2"), stream, validation=validation))
    sampled, recorder = run(
        write_job(tmp_path / "sampled", scratch("gpt2"), stream, validation=validation, samples=[{"prompt": PASSAGE, "max_new_tokens": 99}])
    )
    samples = recorder.of_type("sample")
    assert [sample["step"] for sample in samples] == [4, 8, 12]
    # No more than the model has positions for.
    assert all(len(sample["ids"]) == 64 - len(PASSAGE) or sample["ended"] for sample in samples)
    models = [(Path(result["model"]) / "model.safetensors").read_bytes() for result in (plain, sampled)]
    assert models[0] == models[1]


def test_a_char_lstm_is_saved_as_it_is_documented(tmp_path: Path, stream: Path) -> None:
    result, _ = run(write_job(tmp_path / "run", scratch("char-lstm"), stream))
    folder = Path(result["model"])
    shapes = {name: tuple(tensor.shape) for name, tensor in load_file(folder / "model.safetensors").items()}
    assert shapes == {
        "embedding.weight": (VOCABULARY, 16),
        "lstm.weight_ih_l0": (128, 16),
        "lstm.weight_hh_l0": (128, 32),
        "lstm.bias_ih_l0": (128,),
        "lstm.bias_hh_l0": (128,),
        "lstm.weight_ih_l1": (128, 32),
        "lstm.weight_hh_l1": (128, 32),
        "lstm.bias_ih_l1": (128,),
        "lstm.bias_hh_l1": (128,),
        "head.weight": (VOCABULARY, 32),
        "head.bias": (VOCABULARY,),
    }
    config = json.loads((folder / "config.json").read_text())
    assert config["model_type"] == "char-lstm"
    assert config["eos_token_id"] == 1

    lstm = torch.nn.LSTM(16, 32, 2, batch_first=True)
    tensors = load_file(folder / "model.safetensors")
    lstm.load_state_dict({name.removeprefix("lstm."): tensor for name, tensor in tensors.items() if name.startswith("lstm.")})
    hidden, _ = lstm(tensors["embedding.weight"][torch.tensor([PASSAGE])])
    expected = hidden[0] @ tensors["head.weight"].T + tensors["head.bias"]
    reference = operate(tmp_path, operation="reference", model=str(folder), folder=str(tmp_path / "reference"), ids=[PASSAGE])
    assert torch.allclose(load_file(reference["logits"])["logits.0"], expected, atol=1e-6)


def test_a_tied_char_lstm_saves_its_embedding_once(tmp_path: Path, stream: Path) -> None:
    result, _ = run(write_job(tmp_path / "run", scratch("char-lstm", embedding_size=32, tie_word_embeddings=True), stream))
    assert "head.weight" not in load_file(Path(result["model"]) / "model.safetensors")
    evaluated = operate(tmp_path, operation="evaluate", model=result["model"], data=str(stream))
    assert 0 < evaluated["loss"] < 4.2


@pytest.mark.parametrize("method", ["lora", "dora"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_an_adapter_and_the_model_it_is_merged_into_say_the_same(family: str, method: str, tmp_path: Path, examples: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    folder = write_base(tmp_path / "base", family)
    tuning = {"method": method, "rank": 4, "alpha": 8.0}
    result, recorder = run(write_job(tmp_path / "run", {"kind": "base", "path": str(folder), "tuning": tuning}, examples))
    started = recorder.of_type("started")[0]
    assert 0 < started["trainable_parameters"] < started["parameters"]
    assert recorder.curve[-1][1] < recorder.curve[0][1]

    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32), result["adapter"]).eval()
    with torch.no_grad():
        over_base = adapted(input_ids=torch.tensor([PASSAGE])).logits[0]
    merged = logits_of(Path(result["model"]))
    assert (merged - over_base).abs().max() < 1e-4
    assert (merged - logits_of(folder)).abs().max() > 1e-3


@pytest.mark.parametrize(("family", "layer"), [("llama", "embed_tokens"), ("gpt2", "lm_head")])
def test_an_adapter_on_a_head_that_is_the_embedding_too_changes_only_one_of_them(
    family: str, layer: str, tmp_path: Path, examples: Path, validation: Path
) -> None:
    folder = write_base(tmp_path / "base", family)
    tuning = {"method": "lora", "rank": 4, "alpha": 8.0, "target_modules": [layer]}
    model = {"kind": "base", "path": str(folder), "tuning": tuning}
    result, _ = run(write_job(tmp_path / "run", model, examples, validation=validation, learning_rate=0.02))
    evaluated = operate(tmp_path, operation="evaluate", model=result["model"], data=str(validation))
    assert evaluated["loss"] == pytest.approx(result["best_loss"], rel=1e-5)


def test_layers_that_train_whole_do_so_in_float32(tmp_path: Path) -> None:
    """On CUDA the base is read in bf16."""
    from slipway_kernel.adapters import put_on

    model = read_folder(str(write_base(tmp_path / "base", "llama")), torch.bfloat16)
    put_on(model, Tuning("lora", rank=4, modules_to_save=["lm_head", "embed_tokens"]))
    dtypes = {name: parameter.dtype for name, parameter in model.module.named_parameters() if parameter.requires_grad}
    assert {name for name in dtypes if "modules_to_save" in name}
    assert set(dtypes.values()) == {torch.float32}


def test_longrope_turns_short_texts_as_a_version_with_all_its_positions_does(tmp_path: Path) -> None:
    scaling = {"rope_type": "longrope", "rope_theta": 10_000.0, "original_max_position_embeddings": 16, "factor": 4.0}
    short, long = [1.0, 1.1, 1.3, 2.0], [1.0, 2.0, 4.0, 8.0]
    for name, first in (("both", short), ("long", long)):
        parameters = {**scaling, "short_factor": first, "long_factor": long}
        write_base(tmp_path / name, "phi3", rope_parameters=parameters, original_max_position_embeddings=16, initializer_range=0.2)
    asked = operate(tmp_path, operation="reference", model=str(tmp_path / "both"), folder=str(tmp_path / "reference"), ids=[PASSAGE])
    ours = load_file(asked["logits"])["logits.0"]
    assert (ours - logits_of(tmp_path / "long")).abs().max() < 1e-5
    assert (ours - logits_of(tmp_path / "both")).abs().max() > 1e-3


def test_all_weights_of_a_base_train_in_float32_and_are_saved_as_the_base_is(tmp_path: Path, stream: Path) -> None:
    folder = write_base(tmp_path / "base", "llama", torch.bfloat16)
    result, recorder = run(write_job(tmp_path / "run", {"kind": "base", "path": str(folder), "tuning": None}, stream))
    tensors = load_file(Path(result["model"]) / "model.safetensors")
    assert all(tensor.dtype == torch.bfloat16 for tensor in tensors.values())
    checkpoint = load_file(Path(result["checkpoint"]) / "weights.safetensors")
    assert all(tensor.dtype == torch.float32 for tensor in checkpoint.values())
    assert recorder.of_type("started")[0]["trainable_parameters"] == recorder.of_type("started")[0]["parameters"]


def test_the_best_model_is_what_is_left_and_evaluates_to_what_was_said(tmp_path: Path, stream: Path, validation: Path) -> None:
    changes: dict[str, Any] = {"learning_rate": 2.0, "schedule": "constant", "warmup": 6, "clip_norm": None, "evaluate_every": 2}
    result, _ = run(write_job(tmp_path / "run", scratch("llama"), stream, validation=validation, **changes))
    assert result["best_step"] < result["step"]
    evaluated = operate(tmp_path, operation="evaluate", model=result["model"], data=str(validation), batch_size=7)
    assert evaluated["loss"] == pytest.approx(result["best_loss"], rel=1e-5)


def test_evaluate_is_the_mean_over_every_token_that_counts(tmp_path: Path, base: Path, validation: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    dataset = Dataset(str(validation), 64)
    losses: list[float] = []
    for index in range(dataset.size):
        sequence = dataset.sequence(index)
        with torch.no_grad():
            logits = model(input_ids=torch.from_numpy(sequence.ids)[None]).logits[0]
        each = torch.nn.functional.cross_entropy(logits, torch.from_numpy(sequence.targets), reduction="none")
        losses += each[torch.from_numpy(sequence.trained)].tolist()
    evaluated = operate(tmp_path, operation="evaluate", model=str(base), data=str(validation), batch_size=4)
    assert evaluated["tokens"] == len(losses)
    assert evaluated["loss"] == pytest.approx(float(np.mean(losses)), rel=1e-5)
    assert evaluated["perplexity"] == pytest.approx(float(np.exp(np.mean(losses))), rel=1e-4)


@pytest.mark.parametrize("method", ["scratch", "lora", "dora", "qlora"])
def test_gradient_checkpointing_computes_layers_twice_and_changes_no_loss(
    method: str, tmp_path: Path, base: Path, examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if method == "qlora":
        pytest.importorskip("bitsandbytes")
    tuning = {"method": method, "rank": 4, "alpha": 8.0, "dropout": 0.1}
    model = scratch("gpt2") if method == "scratch" else {"kind": "base", "path": str(base), "tuning": tuning}
    calls = [0]

    def attend(*arguments: Any, **named: Any) -> torch.Tensor:
        calls[-1] += 1
        return scaled_dot_product_attention(*arguments, **named)

    monkeypatch.setattr(attention, "scaled_dot_product_attention", attend)
    curves = []
    for on in (False, True):
        curves.append(run(write_job(tmp_path / str(on), model, examples, gradient_checkpointing=on, max_steps=4))[1].curve)
        calls.append(0)
    assert calls[1] == 2 * calls[0] > 0
    assert [loss for _, loss in curves[0]] == pytest.approx([loss for _, loss in curves[1]], rel=1e-5)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="torch.compile needs gcc")
def test_compiled_the_curve_is_the_same(tmp_path: Path, stream: Path) -> None:
    quiet = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
    model = scratch("gpt2", n_layer=1, **quiet)
    curves = [run(write_job(tmp_path / str(on), model, stream, compile=on, max_steps=3))[1].curve for on in (False, True)]
    assert [loss for _, loss in curves[0]] == pytest.approx([loss for _, loss in curves[1]], rel=1e-4)
