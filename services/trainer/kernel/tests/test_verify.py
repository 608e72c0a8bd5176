"""The second opinion on what a string is in ids, and which of them are trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from in_process import run
from make_jobs import scratch, write_job, write_tokenizer

from slipway_kernel.protocol import Failure
from slipway_kernel.verify import verify_tokenization

# One character is one token; "<eos>" ends a turn, "A: " is what an answer begins with.
TEMPLATE = (
    "{% for m in messages %}{{ m.role[0] | upper }}{{ m.content }}{{ eos_token }}{% endfor %}{% if add_generation_prompt %}A{% endif %}"
)
MESSAGES = [
    {"role": "user", "content": "BC"},
    {"role": "assistant", "content": "DE"},
    {"role": "user", "content": "F"},
    {"role": "assistant", "content": "G"},
]


def ids(text: str) -> list[int]:
    """`.` stands for the token that ends a turn."""
    return [1 if letter == "." else ord(letter) - ord("A") + 2 for letter in text]


CONVERSATION: dict[str, Any] = {
    "messages": MESSAGES,
    "ids": ids("UBC.ADE.UF.AG."),
    "mask": [int(bit) for bit in "00000111000011"],
}


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    folder = write_tokenizer(tmp_path / "tokenizer")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


@pytest.mark.parametrize(
    "example",
    [
        CONVERSATION,
        {**CONVERSATION, "trained_turns": [3], "mask": [int(bit) for bit in "00000000000011"]},
        {**CONVERSATION, "trained_turns": [1], "mask": [int(bit) for bit in "00000111000000"]},
        {"text": "BCD", "ids": ids("BCD."), "mask": [1, 1, 1, 1]},
        {"text": "BCD", "ids": ids("BCD"), "mask": [1, 1, 1]},
        {"prompt": "BC", "completion": "D", "ids": ids("BCD."), "mask": [0, 0, 1, 1]},
        # What somebody wrote into a text is text: no token ends it early.
        {"text": "B<eos>", "ids": [3, 0, *ids("eos"), 0, 1], "mask": [1] * 7},
    ],
)
def test_agrees_with_what_is_right(tokenizer: Path, example: dict[str, Any]) -> None:
    verify_tokenization(tokenizer, [example], [1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"ids": ids("UBC.ADF.UF.AG.")}, "the data's ids and those of Hugging Face's tokenizer differ from token 6 on: [7, 1, 22, 7"),
        ({"ids": ids("UBC.ADE.UF.AG"), "mask": CONVERSATION["mask"][:-1]}, "differ from token 13 on: [] and [1] (of 13 and 14 tokens)"),
        ({"mask": [1] * 14}, "the data's mask and those of Hugging Face's tokenizer differ from token 0 on"),
        ({"mask": [int(bit) for bit in "00000110000011"]}, "differ from token 7 on"),
    ],
)
def test_says_which_example_differs_and_where(tokenizer: Path, change: dict[str, Any], says: str) -> None:
    with pytest.raises(Failure) as failed:
        verify_tokenization(tokenizer, [CONVERSATION, {**CONVERSATION, **change}], [1])
    assert failed.value.kind == "tokenization_mismatch"
    assert failed.value.example == 1
    assert says in failed.value.message


def test_an_example_that_was_cut_is_compared_as_far_as_it_goes(tokenizer: Path) -> None:
    cut = {**CONVERSATION, "ids": CONVERSATION["ids"][:7], "mask": CONVERSATION["mask"][:7], "truncated": True}
    verify_tokenization(tokenizer, [cut], [1])


def test_a_template_that_writes_the_date_writes_the_day_data_is_prepared_for(tokenizer: Path) -> None:
    (tokenizer / "chat_template.jinja").write_text("{% if strftime_now('%Y-%m-%d') == '2024-07-26' %}B{% endif %}" + TEMPLATE)
    example = {"messages": MESSAGES[:2], "ids": ids("BUBC.ADE."), "mask": [0, 0, 0, 0, 0, 0, 1, 1, 1]}
    verify_tokenization(tokenizer, [example], [1])


def test_a_token_that_the_tokenizer_does_not_have_is_no_text(tokenizer: Path) -> None:
    (tokenizer / "chat_template.jinja").write_text("{{ bos_token + '' }}" + TEMPLATE)
    verify_tokenization(tokenizer, [CONVERSATION], [1])


def test_newer_roles_and_fields_are_handed_to_old_templates_as_the_server_does(tokenizer: Path) -> None:
    (tokenizer / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role[0] | upper }}{{ m.content | length }}{% endfor %}")
    messages = [{"role": "developer", "content": "B"}, {"role": "tool"}]
    example = {"messages": messages, "ids": [20, 0, 21, 0], "mask": [0, 0, 0, 0]}
    verify_tokenization(tokenizer, [example], [1])


def test_a_run_does_not_begin_with_data_that_mean_something_else(tmp_path: Path, stream: Path) -> None:
    wrong = {"text": "BCD", "ids": ids("BCE"), "mask": [1, 1, 1]}
    job = write_job(tmp_path / "run", scratch("char-lstm"), stream, verify=[json.loads(json.dumps(wrong))])
    with pytest.raises(Failure) as failed:
        run(job)
    assert failed.value.kind == "tokenization_mismatch"
    assert not (tmp_path / "run" / "checkpoints").exists()
