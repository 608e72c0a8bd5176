"""Whether a string is, for Hugging Face's tokenizers and templates, the ids and the mask that the data was prepared with.

The data was encoded by the server's own tokenizer; this is the second opinion, before the first step, on a few examples. It
knows the rule of which tokens are trained (docs/training.md), and nothing of how the data was prepared.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from slipway_kernel.protocol import Failure

RENDERED_AT = datetime(2024, 7, 26)
"""Data that wrote the day it was prepared on would be other data every day."""


def verify_tokenization(folder: Path, examples: list[dict[str, Any]], stop_ids: Collection[int]) -> None:
    """Failure tokenization_mismatch, which says which example differs and where."""
    if not examples:
        return
    encoder = Encoder(folder, stop_ids)
    for number, example in enumerate(examples):
        ids, mask = encoder.encode(example)
        _compare(number, example, ids, mask)


class Encoder:
    def __init__(self, folder: Path, stop_ids: Collection[int]) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        config_file = folder / "tokenizer_config.json"
        self._config: dict[str, Any] = json.loads(config_file.read_text()) if config_file.exists() else {}
        template_file = folder / "chat_template.jinja"
        self._template = template_file.read_text() if template_file.exists() else self._config.get("chat_template")
        self._stop_ids = stop_ids

    def encode(self, example: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        given: list[int] = example["ids"]
        if "messages" in example:
            return self._conversation(example)
        bos = given[:1] if given and given[0] == self._token_id("bos_token") else []
        eos = given[-1:] if given and given[-1] in self._stop_ids else []
        if "prompt" in example:
            prompt = bos + self._plain(example["prompt"])
            whole = bos + self._plain(example["prompt"] + example["completion"])
            if whole[: len(prompt)] != prompt:
                whole = prompt + self._plain(example["completion"])
            ids = whole + eos
            return ids, [0] * len(prompt) + [1] * (len(ids) - len(prompt))
        ids = self._plain(example["text"])
        if given[-1:] == ids[-1:] and len(given) == len(bos) + len(ids):
            eos = []
        ids = bos + ids + eos
        return ids, [1] * len(ids)

    def _conversation(self, example: Mapping[str, Any]) -> tuple[list[int], list[int]]:
        messages: list[dict[str, Any]] = example["messages"]
        assistant = [index for index, message in enumerate(messages) if message["role"] == "assistant"]
        whole = self._rendered(example, messages, prompt=False)
        mask = [0] * len(whole)
        for turn in example.get("trained_turns", assistant):
            begin = len(self._rendered(example, messages[:turn], prompt=True))
            answered = self._rendered(example, messages[: turn + 1], prompt=False)
            stops = [at + 1 for at in range(begin, len(answered)) if answered[at] in self._stop_ids]
            end = min(stops, default=len(answered))
            mask[begin:end] = [1] * (end - begin)
        return whole, mask[: len(whole)]

    def _rendered(self, example: Mapping[str, Any], messages: list[dict[str, Any]], *, prompt: bool) -> list[int]:
        if not isinstance(self._template, str):
            raise Failure("user_input", "the data are conversations, and the tokenizer's folder has no chat template")
        # The public way to it (render_jinja_template) gives a template no other clock.
        from transformers.utils.chat_template_utils import _compile_jinja_template

        text = _compile_jinja_template(self._template).render(
            messages=[self._for_template(message) for message in messages],
            tools=example.get("tools"),
            documents=None,
            add_generation_prompt=prompt,
            strftime_now=_day_of_preparation,
            # As the server has it: a token that there is not is no text.
            **{name: self._piece(name) or "" for name in ("bos_token", "eos_token")},
        )
        self._tokenizer.encode_special_tokens = False
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _for_template(self, message: dict[str, Any]) -> dict[str, Any]:
        """As the server hands messages to a template that does not know of a newer role or field."""
        message = {"content": "", **message}
        template = str(self._template)
        if message["role"] == "developer" and "developer" not in template:
            message["role"] = "system"
        if "reasoning_content" in message and "reasoning_content" not in template:
            message["content"] = f"<think>\n{message.pop('reasoning_content')}\n</think>\n\n{message['content'] or ''}"
        return message

    def _plain(self, text: str) -> list[int]:
        """Special tokens that somebody wrote into a text are text."""
        self._tokenizer.encode_special_tokens = True
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def _piece(self, name: str) -> str | None:
        value = self._config.get(name)
        return value.get("content") if isinstance(value, dict) else value

    def _token_id(self, name: str) -> int | None:
        piece = self._piece(name)
        return None if piece is None else self._tokenizer.token_to_id(piece)


def _day_of_preparation(form: str) -> str:
    return RENDERED_AT.strftime(form)


def _compare(number: int, example: Mapping[str, Any], ids: list[int], mask: list[int]) -> None:
    given_ids, given_mask = example["ids"], example["mask"]
    # An example longer than allowed was cut, and is known to have been: the kernel sees what is left.
    length = len(given_ids) if example.get("truncated") else max(len(ids), len(given_ids))
    for what, ours, theirs in (("ids", given_ids, ids[:length]), ("mask", given_mask, mask[:length])):
        if ours == theirs:
            continue
        same = next((at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), min(len(ours), len(theirs)))
        raise Failure(
            "tokenization_mismatch",
            f"example {number}: the data's {what} and those of Hugging Face's tokenizer differ from token {same} on: "
            f"{ours[same : same + 8]} and {theirs[same : same + 8]} (of {len(ours)} and {len(theirs)} tokens)",
            example=number,
        )
