"""Text files as passages in bounded memory: which of them are held out, which are learnt from.

Knows no tokenizer. A passage is a few hundred to two thousand characters, cut behind a line break where there is one.
"""

import codecs
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor
from pathlib import Path
from random import Random

from slipway_kernel.protocol import Failure

BLOCK_BYTES = 1 << 16
PASSAGE_CHARACTERS = 2_048
MIN_PASSAGE_CHARACTERS = 200
"""A small corpus is cut smaller, so that a share of it can be held out."""
PASSAGES_WANTED = 400
MAX_HOLDOUT_BYTES = 8 << 20
"""More would make the figures no better."""
LINES_NAMED = 5


@dataclass(frozen=True)
class Corpus:
    """Files that were read once: they are UTF-8 and not empty."""

    files: Sequence[Path]
    size: int
    """Bytes."""
    characters: int
    passages: int
    holdout: Sequence[str]
    """Passages that are not learnt from, at most MAX_HOLDOUT_BYTES of them."""
    holdout_share: float
    offset: float

    def training(self, max_bytes: int | None = None) -> Iterator[str]:
        """The other passages, in order; where they are more than `max_bytes`, an evenly spread sample of about so much."""
        share = 1.0 if max_bytes is None else min(1.0, max_bytes / self.size)
        index = 0
        for position, passage in enumerate(read_passages(self.files, passage_length(self.size))):
            if is_taken(position, self.holdout_share, self.offset):
                continue
            if is_taken(index, share, 0.0):
                yield passage
            index += 1


def open_corpus(files: Sequence[Path], holdout: float, seed: int) -> Corpus:
    """Failure user_input when there is nothing to learn from, or where a file is no UTF-8."""
    if not 0 <= holdout < 1:
        raise Failure("user_input", f"holdout is {holdout}; it must be a share from 0 to less than 1")
    for file in files:
        if file.is_dir():
            raise Failure("user_input", f"{file} is a folder; name the text files in it, such as {file}/*.txt")
        if not file.is_file():
            raise Failure("user_input", f"{file}: no such file")
    size = sum(file.stat().st_size for file in files)
    share = min(holdout, MAX_HOLDOUT_BYTES / size) if size > 0 else 0.0
    offset = Random(seed).random()
    held: list[str] = []
    characters = passages = 0
    empty = True
    for passage in read_passages(files, passage_length(size)):
        if is_taken(passages, share, offset):
            held.append(passage)
        passages += 1
        characters += len(passage)
        empty = empty and passage.isspace()
    if empty:
        raise Failure("user_input", f"there is no text in {', '.join(map(str, files)) or 'the corpus: no file was given'}")
    if len(held) == passages:
        raise Failure("user_input", f"a holdout of {holdout} leaves nothing to learn from in {characters} characters")
    return Corpus(files, size, characters, passages, held, share, offset)


def is_taken(index: int, share: float, offset: float) -> bool:
    """Spreads a share evenly: of any n neighbours n * share are taken, give or take one."""
    return floor((index + 1) * share + offset) > floor(index * share + offset)


def passage_length(size: int) -> int:
    return min(PASSAGE_CHARACTERS, max(MIN_PASSAGE_CHARACTERS, size // PASSAGES_WANTED))


def read_passages(files: Sequence[Path], length: int) -> Iterator[str]:
    """Passages of at most `length` characters; files are not joined. A byte-order mark is dropped, CRLF is read as LF."""
    for file in files:
        pending = ""
        for text in read_text(file):
            pending += text
            start = 0
            while len(pending) - start > length:
                end = passage_end(pending, start, start + length)
                yield pending[start:end]
                start = end
            pending = pending[start:]
        if pending:
            yield pending


def passage_end(text: str, start: int, limit: int) -> int:
    for separator in ("\n", " "):
        found = text.rfind(separator, start, limit)
        if found != -1:
            # A space begins the next word, a line break ends a line.
            end = found + 1 if separator == "\n" else found
            if end > start:
                return end
    return limit


def read_text(file: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8-sig")("strict")
    held = ""
    try:
        with file.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                text = held + decoder.decode(block)
                # The line feed may be in the next block.
                held = "\r" if text.endswith("\r") else ""
                yield text[: len(text) - len(held)].replace("\r\n", "\n")
        yield held + decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise Failure("user_input", describe_invalid(file)) from error


def describe_invalid(file: Path) -> str:
    lines: list[str] = []
    with file.open("rb") as stream:
        if stream.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return f"{file} is UTF-16; UTF-8 is read (iconv -f UTF-16 -t UTF-8)"
        stream.seek(0)
        for number, line in enumerate(stream, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                lines.append(f"line {number} (byte 0x{line[error.start]:02x} at position {error.start + 1})")
                if len(lines) > LINES_NAMED:
                    lines[-1] = "and more"
                    break
    return f"{file} is no UTF-8: {', '.join(lines)}; convert it (iconv -f WINDOWS-1252 -t UTF-8) or take these lines out"
