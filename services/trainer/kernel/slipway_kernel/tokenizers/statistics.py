"""What a tokenizer does to text, in figures. Knows how each kind says what it has no token for."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypedDict

from tokenizers import Tokenizer

BATCH = 256
PIECES_NAMED = 20


class CountedPiece(TypedDict):
    id: int
    piece: str
    count: int


class Statistics(TypedDict):
    characters: int
    words: int
    tokens: int
    tokens_per_character: float
    tokens_per_word: float
    coverage: float
    """Share of the characters that are neither unknown nor written in several bytes for want of a token."""
    oov_rate: float
    """Share of the tokens that are the unknown one."""
    vocabulary_used: int
    """Different tokens that occurred."""
    most_frequent: list[CountedPiece]
    longest: list[CountedPiece]
    """Among those that occurred."""


def measure(tokenizer: Tokenizer, texts: Iterable[str], unknown: str | None) -> Statistics:
    """Special tokens written in the texts count as text, as they do for the server."""
    counts: Counter[int] = Counter()
    characters = words = 0
    tokenizer.encode_special_tokens = True
    for batch in batches(texts):
        characters += sum(map(len, batch))
        words += sum(len(text.split()) for text in batch)
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            counts.update(encoding.ids)
    tokenizer.encode_special_tokens = False
    tokens = counts.total()
    unknown_id = None if unknown is None else tokenizer.token_to_id(unknown)
    unknown_tokens = 0 if unknown_id is None else counts[unknown_id]
    uncovered = unknown_tokens + characters_in_bytes(tokenizer, counts)
    shown = {id: shown_piece(tokenizer, id) for id in counts}
    frequent = sorted(counts, key=lambda id: (-counts[id], id))
    longest = sorted(counts, key=lambda id: (-len(shown[id]), id))

    def named(ids: list[int]) -> list[CountedPiece]:
        return [{"id": id, "piece": shown[id], "count": counts[id]} for id in islice(ids, PIECES_NAMED)]

    return {
        "characters": characters,
        "words": words,
        "tokens": tokens,
        "tokens_per_character": ratio(tokens, characters),
        "tokens_per_word": ratio(tokens, words),
        "coverage": 1 - ratio(uncovered, characters),
        "oov_rate": ratio(unknown_tokens, tokens),
        "vocabulary_used": len(counts),
        "most_frequent": named(frequent),
        "longest": named(longest),
    }


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(texts)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def characters_in_bytes(tokenizer: Tokenizer, counts: Counter[int]) -> int:
    """SentencePiece: each character of several byte tokens has one that begins it."""
    found = 0
    for id, count in counts.items():
        byte = re.fullmatch(r"<0x([0-9A-F]{2})>", tokenizer.id_to_token(id) or "")
        if byte and int(byte[1], 16) >= 0xC0:
            found += count
    return found


def shown_piece(tokenizer: Tokenizer, id: int) -> str:
    """As text; a part of a character is U+FFFD."""
    return tokenizer.decode([id], skip_special_tokens=False)


def ratio(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0
