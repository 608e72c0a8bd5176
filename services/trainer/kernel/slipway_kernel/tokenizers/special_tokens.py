"""Which tokens stand for the beginning, the end and the turns of a text. Knows no model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from slipway_kernel.protocol import Failure

TURN_START = "<|im_start|>"
TURN_END = "<|im_end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML."""
MAX_LENGTH = 100


@dataclass(frozen=True)
class SpecialTokens:
    bos: str | None
    """Put in front of every text, where there is one."""
    eos: str | None
    pad: str | None
    unknown: str | None
    """What has no token of its own; byte-level BPE has none."""
    chat: bool
    """Markers for the turns of a conversation, and a template that uses them."""
    extra: tuple[str, ...]

    def in_order(self) -> list[str]:
        """Each once, in the order of their ids; without the unknown one."""
        chat = (TURN_START, TURN_END) if self.chat else ()
        named = (self.bos, self.eos, self.pad, *chat, *self.extra)
        return list(dict.fromkeys(token for token in named if token is not None and token != self.unknown))

    def stops(self) -> list[str]:
        """What ends an answer: the end of a turn first."""
        return ([TURN_END] if self.chat else []) + ([self.eos] if self.eos is not None else [])


DEFAULTS: Mapping[str, SpecialTokens] = {
    "bpe": SpecialTokens(None, "<|endoftext|>", None, None, False, ()),
    "sentencepiece-bpe": SpecialTokens(None, "</s>", None, "<unk>", False, ()),
    "sentencepiece-unigram": SpecialTokens(None, "</s>", None, "<unk>", False, ()),
    "character": SpecialTokens(None, None, None, "<unk>", False, ()),
}


def special_tokens(kind: str, asked: Mapping[str, Any]) -> SpecialTokens:
    """`asked`: {bos, eos, pad: token or null, chat: bool, extra: [tokens]}; what is not named is the kind's default."""
    default = DEFAULTS[kind]
    unheard = set(asked) - {"bos", "eos", "pad", "chat", "extra"}
    if unheard:
        raise Failure(
            "user_input",
            f"special_tokens: {', '.join(sorted(unheard))} is not known; bos, eos, pad, chat and extra are",
        )
    named = {name: asked.get(name, getattr(default, name)) for name in ("bos", "eos", "pad")}
    extra = asked.get("extra", [])
    chat = asked.get("chat", False)
    if not isinstance(extra, list) or not isinstance(chat, bool):
        raise Failure("user_input", "special_tokens: extra is a list of tokens, chat is true or false")
    for token in [*named.values(), *extra]:
        if token is not None and not is_token(token):
            raise Failure(
                "user_input",
                f"special_tokens: {token!r} is no token such as </s>: letters between signs, no spaces, {MAX_LENGTH} characters at most",
            )
    return SpecialTokens(**named, unknown=default.unknown, chat=chat, extra=tuple(extra))


def is_token(token: object) -> bool:
    """Letters between signs are never one word of a text, so that no piece that is learnt is called the same."""
    return (
        isinstance(token, str)
        and len(token) <= MAX_LENGTH
        and any(letter.isalpha() for letter in token)
        and not any(letter.isspace() for letter in token)
        and not token[0].isalnum()
        and not token[-1].isalnum()
    )
