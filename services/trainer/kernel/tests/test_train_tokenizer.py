"""The four kinds over one small text in several scripts, in which special tokens are written out."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from slipway_kernel.protocol import Failure
from slipway_kernel.tokenizers.train import make_tokenizer

TEXT = (
    "the little dog ran to a river and the cat sang of 1,024 stars; it's déjà vu, don't you think? "
    "кошка и собака 漢字 かな カナ naïve <0x41> </s> <|im_end|> tab\there"
)
WORDS = TEXT.split(" ")
SUBWORDS = ["bpe", "sentencepiece-bpe", "sentencepiece-unigram"]
KINDS = [*SUBWORDS, "character"]
HARD = [
    "",
    " ",
    "  two  spaces ",
    "\n\n",
    "new\r\nline",
    "👩‍👩‍👧 🇩🇪",
    "</s><|im_end|><0x41><unk>",
    "e\u0301",
    "\ufeff",
    "\x00",
    "x" * 5_000,
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    draw = random.Random(5)
    lines = [" ".join(draw.choice(WORDS) + draw.choice(["", "s", "ing", "."]) for _ in range(12)) for _ in range(900)]
    file = tmp_path_factory.mktemp("corpus") / "text.txt"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def train(corpus: Path, folder: Path, kind: str, **job: Any) -> dict[str, Any]:
    size = {"vocabulary_size": 420} if kind in SUBWORDS else {}
    return make_tokenizer({"folder": str(folder), "kind": kind, "files": [str(corpus)], **size, **job})


def read(folder: Path, name: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads((folder / name).read_text())
    return value


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_job_gives_the_same_bytes(corpus: Path, tmp_path: Path, kind: str) -> None:
    for name in ("one", "two"):
        train(corpus, tmp_path / name, kind, special_tokens={"chat": True})
    files = sorted(file.name for file in (tmp_path / "one").iterdir())
    assert files == sorted(["tokenizer.json", "tokenizer_config.json", "generation_config.json", "statistics.json", "chat_template.jinja"])
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file


@pytest.mark.parametrize("kind", SUBWORDS)
def test_subwords_say_every_text_and_never_a_special_token(corpus: Path, tmp_path: Path, kind: str) -> None:
    result = train(corpus, tmp_path, kind, special_tokens={"chat": True})
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert result["vocabulary_size"] == tokenizer.get_vocab_size() == 420
    tokenizer.encode_special_tokens = True
    special = {token for token, added in tokenizer.get_added_tokens_decoder().items() if added.special}
    for text in [*HARD, corpus.read_text()]:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert not special & set(ids), text[:50]
        assert tokenizer.decode(ids) == text


@pytest.mark.parametrize("kind", KINDS)
def test_the_ending_is_one_token(corpus: Path, tmp_path: Path, kind: str) -> None:
    train(corpus, tmp_path, kind, special_tokens={"bos": "<s>", "eos": "</s>", "pad": "<pad>", "chat": True, "extra": ["<tool>"]})
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    config, generation = read(tmp_path, "tokenizer_config.json"), read(tmp_path, "generation_config.json")
    named = ["<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>", "<tool>"]
    assert [tokenizer.encode(token, add_special_tokens=False).ids for token in named] == [[tokenizer.token_to_id(token)] for token in named]
    assert (config["bos_token"], config["eos_token"], config["pad_token"]) == ("<s>", "</s>", "<pad>")
    assert generation == {
        "bos_token_id": tokenizer.token_to_id("<s>"),
        "eos_token_id": [tokenizer.token_to_id("<|im_end|>"), tokenizer.token_to_id("</s>")],
        "pad_token_id": tokenizer.token_to_id("<pad>"),
    }
    assert tokenizer.encode("a").ids[0] == tokenizer.token_to_id("<s>")


def test_characters_are_the_file_of_the_documentation(corpus: Path, tmp_path: Path) -> None:
    from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers

    train(corpus, tmp_path, "character", holdout=0)
    text = corpus.read_text()
    vocabulary = {"<unk>": 0} | {character: id for id, character in enumerate(sorted(set(text)), start=1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken("<unk>", normalized=False)])
    assert read(tmp_path, "tokenizer.json") == json.loads(tokenizer.to_str())


def test_characters_beyond_the_size_are_unknown_and_counted(corpus: Path, tmp_path: Path) -> None:
    result = train(corpus, tmp_path, "character", vocabulary_size=12)
    statistics = result["statistics"]
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 12
    assert statistics["tokens"] == statistics["characters"]
    unknown = round(statistics["oov_rate"] * statistics["tokens"])
    assert 0 < unknown < statistics["tokens"]
    assert statistics["coverage"] == pytest.approx(1 - unknown / statistics["characters"])


@pytest.mark.parametrize("kind", KINDS)
def test_statistics_are_of_the_holdout(corpus: Path, tmp_path: Path, kind: str) -> None:
    statistics = train(corpus, tmp_path, kind, holdout=0.2)["statistics"]
    assert statistics == read(tmp_path, "statistics.json")
    assert statistics["measured_on"] == "holdout"
    assert statistics["characters"] == pytest.approx(len(corpus.read_text()) / 5, rel=0.05)
    assert statistics["tokens_per_character"] == statistics["tokens"] / statistics["characters"]
    assert statistics["tokens_per_word"] == statistics["tokens"] / statistics["words"]
    assert sum(piece["count"] for piece in statistics["most_frequent"]) <= statistics["tokens"]
    assert statistics["oov_rate"] == 0
    assert train(corpus, tmp_path, kind, holdout=0)["statistics"]["measured_on"] == "training"


def test_characters_in_bytes_are_not_covered(tmp_path: Path) -> None:
    corpus = tmp_path / "text.txt"
    # Every 漢 is in its own place among thousands of letters: too rare to have a piece.
    corpus.write_text("\n".join(["the dog and the cat ran along"] * 3_000 + ["漢"]), encoding="utf-8")
    statistics = train(corpus, tmp_path / "made", "sentencepiece-bpe", vocabulary_size=300, holdout=0)["statistics"]
    assert statistics["coverage"] == pytest.approx(1 - 1 / statistics["characters"], abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "job", "words"),
    [
        ("bpe", {"vocabulary_size": 100}, "needs 257 at least"),
        ("bpe", {"vocabulary_size": 900_000}, r"\d+ is the largest possible"),
        ("sentencepiece-bpe", {"vocabulary_size": 100}, r"needs 3\d\d at least"),
        ("sentencepiece-unigram", {"vocabulary_size": 300}, r"needs 3\d\d at least"),
        ("sentencepiece-bpe", {"vocabulary_size": 90_000}, r"\d+ is the largest possible"),
        ("sentencepiece-unigram", {"vocabulary_size": 90_000}, r"\d+ is the largest possible"),
        ("character", {"vocabulary_size": 5_000}, r"\d+ is the largest possible"),
        ("bpe", {"vocabulary_size": None}, "needs a vocabulary_size"),
        ("wordpiece", {}, "kind must be bpe or"),
        ("bpe", {"special_tokens": {"eos": "the"}}, "'the' is no token"),
        ("bpe", {"special_tokens": {"end": "</s>"}}, "end is not known"),
    ],
)
def test_what_cannot_be_is_refused_in_words(corpus: Path, tmp_path: Path, kind: str, job: dict[str, Any], words: str) -> None:
    with pytest.raises(Failure, match=words) as refused:
        train(corpus, tmp_path / "made", kind, **job)
    assert refused.value.kind == "user_input"
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("kind", SUBWORDS)
def test_the_largest_possible_size_that_is_named_is_possible(corpus: Path, tmp_path: Path, kind: str) -> None:
    with pytest.raises(Failure) as refused:
        train(corpus, tmp_path, kind, vocabulary_size=900_000)
    largest = int(refused.value.message.split(" is the largest possible")[0].split()[-1])
    assert train(corpus, tmp_path, kind, vocabulary_size=largest)["vocabulary_size"] == largest
