"""One contestant of throughput.py, in a process of its own: prints supervised tokens per second of the steps after the first few."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from throughput import BATCH, STEPS, VOCABULARY

KIND, FOLDER = os.environ["KIND"], Path(os.environ["FOLDER"])
WARM = 4
WINDOW = 256
GPT2 = {"vocab_size": VOCABULARY["scratch"], "n_layer": 4, "n_head": 4, "n_embd": 256, "n_positions": WINDOW}
QUIET = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 1}
LLAMA = {
    "vocab_size": VOCABULARY["chat"],
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "hidden_size": 384,
    "intermediate_size": 1024,
    "max_position_embeddings": 1024,
    "tie_word_embeddings": True,
}
RATE, BETAS, DECAY = 3e-4, (0.9, 0.95), 0.1


def slipway() -> float:
    """The kernel's own process, spoken to as its parent does, saying something of every step."""
    from kernel_process import Kernel
    from make_jobs import write_job

    folder = FOLDER / f"run-{time.time_ns()}"
    model: dict[str, Any] = {"kind": "scratch", "config": {"model_type": "gpt2", **GPT2, **QUIET}}
    if KIND == "chat":
        tuning = {"method": "lora", "rank": 16, "alpha": 32, "dropout": 0.0}
        model = {"kind": "base", "path": str(base()), "tuning": tuning}
    changes: dict[str, Any] = {"max_steps": STEPS[KIND], "batch_size": BATCH, "precision": "fp32", "sequence_length": "auto"}
    job = write_job(folder, model, FOLDER / "data", checkpoint_every=10_000, evaluate_every=None, **changes)
    times: list[float] = []

    def on(message: dict[str, Any]) -> None:
        if message["type"] == "progress":
            times.append(time.monotonic())

    messages = Kernel().run(job, on)
    assert messages[-1]["type"] == "done", messages[-1]
    spent = times[-1] - times[WARM - 1]
    return supervised(WARM, STEPS[KIND]) / spent


def supervised(first: int, last: int) -> float:
    """Tokens that count in those steps, by everybody's mean: contestants draw the same examples in orders of their own."""
    mask = FOLDER / "data" / "mask.bin"
    if not mask.exists():
        return float((last - first) * BATCH * WINDOW)
    examples = json.loads((FOLDER / "data" / "dataset.json").read_text())["examples"]
    return float(np.fromfile(mask, np.uint8).sum()) / examples * BATCH * (last - first)


def windows() -> np.ndarray[Any, np.dtype[np.int64]]:
    tokens = np.fromfile(FOLDER / "data" / "tokens.bin", "<u2").astype(np.int64)
    return tokens[: len(tokens) // WINDOW * WINDOW].reshape(-1, WINDOW)


def hand() -> float:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(**GPT2, **QUIET)).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=BETAS, weight_decay=DECAY, fused=True)
    rows, started = torch.from_numpy(windows()), 0.0
    for step in range(STEPS[KIND]):
        if step == WARM:
            started = time.monotonic()
        ids = rows[step * BATCH : (step + 1) * BATCH]
        loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return supervised(WARM, STEPS[KIND]) / (time.monotonic() - started)


def timed(trainer: Any) -> float:
    """A Trainer of Hugging Face's, timed from the end of one step to the end of another."""
    from transformers import TrainerCallback

    marks: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            marks.append(time.monotonic())

    trainer.add_callback(Clock())
    trainer.train()
    return supervised(WARM, STEPS[KIND]) / (marks[-1] - marks[WARM - 1])


def arguments(cls: Any, **more: Any) -> Any:
    return cls(
        output_dir=str(FOLDER / "peer"),
        max_steps=STEPS[KIND],
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        bf16=False,
        disable_tqdm=True,
        **more,
    )


def trainer() -> float:
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

    data = [{"input_ids": row, "labels": row} for row in windows()]
    return timed(Trainer(GPT2LMHeadModel(GPT2Config(**GPT2, **QUIET)), arguments(TrainingArguments), train_dataset=data))


def trl(packing: bool = False) -> float:
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast
    from trl import SFTConfig, SFTTrainer

    from slipway_kernel.dataset import Dataset as Prepared

    prepared = Prepared(str(FOLDER / "data"), 1024)
    rows = [prepared.sequence(index) for index in range(prepared.size)]
    data = Dataset.from_list(
        [
            {"input_ids": [*row.ids.tolist(), int(row.targets[-1])], "completion_mask": [0, *row.trained.astype(int).tolist()]}
            for row in rows
        ]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer_folder() / "tokenizer.json"), eos_token="<eos>", pad_token="<eos>")
    # Packed, a row is max_length tokens of several examples: as many rows as hold what BATCH examples have.
    more = {"packing": True, "max_length": 512} if packing else {"max_length": 1024}
    settings = arguments(SFTConfig, gradient_checkpointing=False, **more)
    if packing:
        mean = sum(len(row.ids) + 1 for row in rows) / len(rows)
        settings.per_device_train_batch_size = max(1, round(BATCH * mean / 512))
    adapter = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    sft = SFTTrainer(
        LlamaForCausalLM.from_pretrained(base()), args=settings, train_dataset=data, processing_class=tokenizer, peft_config=adapter
    )
    speed = timed(sft)
    if not packing:
        return speed
    share = settings.per_device_train_batch_size * 512 / (BATCH * mean)
    return speed * share


def base() -> Path:
    folder = FOLDER / "base"
    if not folder.exists():
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(1)
        LlamaForCausalLM(LlamaConfig(**LLAMA)).save_pretrained(folder)
    return folder


def tokenizer_folder() -> Path:
    from make_jobs import write_tokenizer

    return write_tokenizer(FOLDER / "tokenizer")


CONTESTS: dict[str, Callable[[], float]] = {
    "slipway": slipway,
    "hand": hand,
    "trainer": trainer,
    "trl": trl,
    "trl-packed": lambda: trl(packing=True),
}

if __name__ == "__main__":
    print(CONTESTS[sys.argv[1]]())  # noqa: T201
