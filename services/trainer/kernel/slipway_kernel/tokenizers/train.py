"""The operation train-tokenizer: text files to a folder that everybody reads to the same ids.

Knows the kinds and the files of the folder. The same files, seed and settings give the same bytes.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from slipway_kernel.protocol import Channel, Failure
from slipway_kernel.settings import read
from slipway_kernel.tokenizers.byte_level import train_byte_level
from slipway_kernel.tokenizers.characters import train_characters
from slipway_kernel.tokenizers.corpus import MAX_HOLDOUT_BYTES, Corpus, open_corpus
from slipway_kernel.tokenizers.sentence_piece import SAMPLE_BYTES, SentencePieceModel, train_sentence_piece
from slipway_kernel.tokenizers.special_tokens import CHAT_TEMPLATE, SpecialTokens, special_tokens
from slipway_kernel.tokenizers.statistics import measure

MAX_VOCABULARY = 1_000_000


@dataclass(frozen=True)
class TokenizerJob:
    folder: str
    kind: Literal["bpe", "sentencepiece-bpe", "sentencepiece-unigram", "character"]
    files: list[str]
    vocabulary_size: int | None = None
    """None only for characters: all of them."""
    holdout: float = 0.05
    special_tokens: dict[str, Any] = field(default_factory=dict)
    seed: int = 1


def train_tokenizer(job: Mapping[str, Any], channel: Channel) -> dict[str, object]:
    """The operation: `make_tokenizer`, telling the parent what it is at."""
    return make_tokenizer(job, lambda message: channel.log("info", message))


def make_tokenizer(job: Mapping[str, Any], say: Callable[[str], None] = lambda _: None) -> dict[str, object]:
    """The result: {folder, kind, vocabulary_size, statistics}. Failure user_input when job or text cannot be used."""
    # Counting words and encoding the holdout; the result does not depend on it.
    os.environ["TOKENIZERS_PARALLELISM"] = "true"
    asked = read(TokenizerJob, job)
    if asked.vocabulary_size is not None and not 0 < asked.vocabulary_size <= MAX_VOCABULARY:
        raise Failure("user_input", f"vocabulary_size is {asked.vocabulary_size}; it must be from 1 to {MAX_VOCABULARY:,}")
    special = special_tokens(asked.kind, asked.special_tokens)
    say("reading the text")
    corpus = open_corpus([Path(file) for file in asked.files], asked.holdout, asked.seed)
    say(f"learning from {corpus.characters:,} characters")
    tokenizer = train(asked, special, corpus)
    say("measuring")
    statistics = describe(asked, special, corpus, tokenizer)
    write_folder(Path(asked.folder), tokenizer, special, statistics)
    return {
        "folder": asked.folder,
        "kind": asked.kind,
        "vocabulary_size": tokenizer.get_vocab_size(),
        "statistics": statistics,
    }


def train(job: TokenizerJob, special: SpecialTokens, corpus: Corpus) -> Tokenizer:
    if job.kind == "character":
        tokenizer = train_characters(corpus.training(), job.vocabulary_size, special)
    elif job.vocabulary_size is None:
        raise Failure("user_input", f"a tokenizer of kind {job.kind} needs a vocabulary_size")
    elif job.kind == "bpe":
        tokenizer = train_byte_level(corpus.training(), job.vocabulary_size, special)
    else:
        model: SentencePieceModel = "unigram" if job.kind == "sentencepiece-unigram" else "bpe"
        tokenizer = train_sentence_piece(model, corpus.training(SAMPLE_BYTES), job.vocabulary_size, special)
    if special.bos is not None:
        bos = special.bos
        tokenizer.post_processor = TemplateProcessing(
            single=[bos, "$A"], pair=[bos, "$A", "$B"], special_tokens=[(bos, tokenizer.token_to_id(bos))]
        )
    return tokenizer


def describe(job: TokenizerJob, special: SpecialTokens, corpus: Corpus, tokenizer: Tokenizer) -> dict[str, Any]:
    sampled = job.kind.startswith("sentencepiece") and corpus.size > SAMPLE_BYTES
    # Too little text to hold anything out: the figures are of what was learnt, and say so.
    texts = corpus.holdout or corpus.training(MAX_HOLDOUT_BYTES)
    return {
        "kind": job.kind,
        "vocabulary_size": tokenizer.get_vocab_size(),
        "seed": job.seed,
        "corpus": {
            "files": len(corpus.files),
            "bytes": corpus.size,
            "characters": corpus.characters,
            "sampled_bytes": SAMPLE_BYTES if sampled else None,
        },
        "measured_on": "holdout" if corpus.holdout else "training",
        **measure(tokenizer, texts, special.unknown),
    }


def write_folder(folder: Path, tokenizer: Tokenizer, special: SpecialTokens, statistics: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")
    write_json(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": special.bos is not None,
            "add_eos_token": False,
            "bos_token": special.bos,
            "eos_token": special.eos,
            "pad_token": special.pad,
            "unk_token": special.unknown,
            "clean_up_tokenization_spaces": False,
        },
    )
    if special.chat:
        (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE, encoding="utf-8")

    def id_of(token: str | None) -> int | None:
        return None if token is None else tokenizer.token_to_id(token)

    stops = [tokenizer.token_to_id(token) for token in special.stops()]
    ids = {
        "bos_token_id": id_of(special.bos),
        "eos_token_id": stops[0] if len(stops) == 1 else stops or None,
        "pad_token_id": id_of(special.pad),
    }
    write_json(folder / "generation_config.json", {name: id for name, id in ids.items() if id is not None})
    write_json(folder / "statistics.json", statistics)


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
