from pathlib import Path

import pytest

from slipway_kernel.protocol import Failure
from slipway_kernel.tokenizers.corpus import open_corpus, read_passages


def write(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def test_passages_joined_are_the_text(tmp_path: Path) -> None:
    text = "".join(f"line {number} of a corpus with é and 漢字\n" * (number % 3) for number in range(4_000)) + "x" * 100_000
    passages = list(read_passages([write(tmp_path, "a.txt", text.encode())], 500))
    assert "".join(passages) == text
    assert max(map(len, passages)) <= 500


def test_bom_and_crlf_are_not_part_of_the_text(tmp_path: Path) -> None:
    # 65,536 bytes are read at a time: a CRLF lies across the border.
    content = b"\xef\xbb\xbf" + b"a" * 65_532 + b"\r\nb\r\n\rc\r"
    assert "".join(read_passages([write(tmp_path, "a.txt", content)], 1_000)) == "a" * 65_532 + "\nb\n\rc\r"


def test_holdout_and_training_share_nothing_and_are_all(tmp_path: Path) -> None:
    lines = [f"sentence number {number} says this\n" for number in range(3_000)]
    corpus = open_corpus([write(tmp_path, "a.txt", "".join(lines).encode())], 0.1, seed=7)
    training = list(corpus.training())
    assert len(training) + len(corpus.holdout) == corpus.passages
    assert sorted("".join([*training, *corpus.holdout]).splitlines()) == sorted(line.strip() for line in lines)
    assert len(corpus.holdout) == pytest.approx(corpus.passages / 10, abs=1)
    assert open_corpus(corpus.files, 0.1, seed=7).holdout == corpus.holdout
    assert open_corpus(corpus.files, 0.1, seed=8).holdout != corpus.holdout


def test_a_sample_is_bounded_and_spread(tmp_path: Path) -> None:
    lines = [f"sentence number {number} says this\n" for number in range(20_000)]
    corpus = open_corpus([write(tmp_path, "a.txt", "".join(lines).encode())], 0.0, seed=1)
    sample = list(corpus.training(60_000))
    assert sum(map(len, sample)) == pytest.approx(60_000, rel=0.1)
    numbers = [int(passage.split()[2]) for passage in sample]
    assert min(numbers) < 1_000
    assert max(numbers) > 19_000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["no text"]),
        (b" \n\n", ["no text"]),
        (b"good\nb\xe9d\nfine\n\xff\n", ["line 2", "0xe9", "line 4"]),
        (b"\xff" * 3 + b"\n" + b"\xff\n" * 20, ["line 5", "and more"]),
        ("text".encode("utf-16"), ["UTF-16"]),
        ("cut é".encode()[:-1], ["line 1", "position 5"]),
    ],
)
def test_what_is_no_text_is_refused_in_words(tmp_path: Path, content: bytes, words: list[str]) -> None:
    with pytest.raises(Failure) as refused:
        open_corpus([write(tmp_path, "bad.txt", content)], 0.05, seed=1)
    assert refused.value.kind == "user_input"
    assert [word for word in words if word not in refused.value.message] == []


def test_missing_files_and_shares_are_refused(tmp_path: Path) -> None:
    good = write(tmp_path, "a.txt", b"text")
    with pytest.raises(Failure, match="no such file"):
        open_corpus([tmp_path / "none.txt"], 0.05, seed=1)
    with pytest.raises(Failure, match="is a folder; name the text files in it"):
        open_corpus([tmp_path], 0.05, seed=1)
    with pytest.raises(Failure, match="holdout"):
        open_corpus([good], 1.0, seed=1)
    with pytest.raises(Failure, match="no file"):
        open_corpus([], 0.0, seed=1)
