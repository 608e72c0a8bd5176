"""A character vocabulary, as docs/char-lstm.md describes it."""

from collections import Counter
from collections.abc import Iterable

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

from slipway_kernel.protocol import Failure
from slipway_kernel.tokenizers.special_tokens import SpecialTokens


def train_characters(texts: Iterable[str], vocabulary_size: int | None, special: SpecialTokens) -> Tokenizer:
    """Every character of the texts, in order of code points; with a size only the most frequent ones."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    unknown = special.unknown or "<unk>"
    tokens = special.in_order()
    reserved = 1 + len(tokens)
    if vocabulary_size is not None and vocabulary_size <= reserved:
        raise Failure(
            "user_input",
            f"vocabulary_size is {vocabulary_size}; {reserved} special tokens leave no room for characters",
        )
    if vocabulary_size is not None and vocabulary_size > len(counts) + reserved:
        raise Failure(
            "user_input",
            f"vocabulary_size is {vocabulary_size}, more than this corpus allows: it has {len(counts)} different characters, "
            f"so {len(counts) + reserved} is the largest possible. Leave it out to have them all.",
        )
    kept = None if vocabulary_size is None else vocabulary_size - reserved
    # Among equally frequent ones the lower code point, so that the order of the text decides nothing.
    by_count = sorted(counts, key=lambda character: (-counts[character], character))
    vocabulary = {unknown: 0} | {character: id for id, character in enumerate(sorted(by_count[:kept]), start=1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in [unknown, *tokens]])
    return tokenizer
