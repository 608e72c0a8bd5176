"""SentencePiece BPE and unigram, trained by `sentencepiece` and said as a tokenizer.json.

`tokenizers` has a unigram trainer too, but two runs of it over the same text give two vocabularies.
Nothing is normalized and no space is put in front: a text's ids are those of its words one after the other, whatever stands
before them, here, in `tokenizers` and in llama.cpp. A line break is the token of its byte.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import sentencepiece
from tokenizers import Tokenizer, decoders, pre_tokenizers

from slipway_kernel.protocol import Failure
from slipway_kernel.tokenizers.special_tokens import SpecialTokens

SAMPLE_BYTES = 32 << 20
"""sentencepiece holds its text in memory, unigram at some thirty times its size."""
THREADS = 4
"""Sums of unigram's threads are rounded, so their number is part of the result; it must not depend on the machine."""
NEVER = -10_000.0
"""Score of pieces that text must not become: special tokens and bytes."""
SCORE_UNIT = 4096
"""Scores are multiples of 1/4096: their sums are exact, so equal paths are equal to every reader of the file."""

SentencePieceModel = Literal["bpe", "unigram"]


def train_sentence_piece(kind: SentencePieceModel, texts: Iterable[str], vocabulary_size: int, special: SpecialTokens) -> Tokenizer:
    unknown = special.unknown or "<unk>"
    controls = special.in_order()
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines_of(texts),
            model_writer=model,
            model_type=kind,
            vocab_size=vocabulary_size,
            byte_fallback=True,
            # So that what looks like a special token or a byte can always be written in other pieces.
            required_chars="".join(sorted(set("<0x123456789ABCDEF>".join([unknown, *controls, ""])))),
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            unk_piece=unknown,
            control_symbols=controls,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            max_sentence_length=1 << 20,
            num_threads=THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        raise in_words(error, vocabulary_size) from error
    return as_tokenizer(kind, sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()), [unknown, *controls])


def lines_of(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        yield from (line for line in text.split("\n") if line)


def in_words(error: RuntimeError, asked: int) -> Exception:
    """sentencepiece's two complaints about sizes; anything else stays as it is."""
    message = str(error)
    if found := re.search(r"value <= (\d+)", message):
        return Failure(
            "user_input",
            f"vocabulary_size is {asked}, more than this corpus allows: {found[1]} is the largest possible. "
            f"Ask for less, or give more text.",
        )
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", message):
        return Failure(
            "user_input",
            f"vocabulary_size is {asked}; this corpus needs {found[1]} at least: 256 bytes, the special tokens and its characters",
        )
    return error


def as_tokenizer(kind: SentencePieceModel, model: Any, special: list[str]) -> Tokenizer:
    pieces: list[str] = [model.id_to_piece(id) for id in range(model.get_piece_size())]
    reserved = {id for id in range(len(pieces)) if model.is_control(id) or model.is_unknown(id) or model.is_byte(id)}
    scores = [NEVER if id in reserved else round(model.get_score(id) * SCORE_UNIT) / SCORE_UNIT for id in range(len(pieces))]
    if kind == "unigram":
        parts: dict[str, Any] = {
            "type": "Unigram",
            "unk_id": 0,
            "vocab": list(zip(pieces, scores, strict=True)),
            "byte_fallback": True,
        }
    else:
        joined = {piece: model.get_score(id) for id, piece in enumerate(pieces) if id not in reserved}
        parts = {
            "type": "BPE",
            "dropout": None,
            "unk_token": special[0],
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece: id for id, piece in enumerate(pieces)},
            "merges": merges_of(joined),
        }
    added = [
        {
            "id": id,
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for id, token in enumerate(special)
    ]
    tokenizer = Tokenizer.from_str(json.dumps({"version": "1.0", "added_tokens": added, "model": parts}))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=True)
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def merges_of(scores: dict[str, float]) -> list[tuple[str, str]]:
    """Every way to cut a piece in two, in order of the piece's score: transformers' `generate_merges`."""
    merges = [
        (piece[:cut], piece[cut:], score)
        for piece, score in scores.items()
        for cut in range(1, len(piece))
        if piece[:cut] in scores and piece[cut:] in scores
    ]
    merges.sort(key=lambda merge: (-merge[2], -len(merge[0])))
    return [(left, right) for left, right, _ in merges]
