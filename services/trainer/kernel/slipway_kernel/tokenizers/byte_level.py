"""Byte-level BPE, cut into words as GPT-2 does: every text can be said, nothing is changed."""

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from slipway_kernel.protocol import Failure
from slipway_kernel.tokenizers.special_tokens import SpecialTokens

BYTES = 256


def train_byte_level(texts: Iterable[str], vocabulary_size: int, special: SpecialTokens) -> Tokenizer:
    """Memory grows with the number of different words, not with the text."""
    tokens = special.in_order()
    if vocabulary_size < BYTES + len(tokens):
        raise Failure(
            "user_input",
            f"vocabulary_size is {vocabulary_size}; byte-level BPE needs {BYTES + len(tokens)} at least: "
            f"{BYTES} bytes and {len(tokens)} special tokens",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[AddedToken(token, normalized=False) for token in tokens],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    made = tokenizer.get_vocab_size()
    if made < vocabulary_size:
        raise Failure(
            "user_input",
            f"vocabulary_size is {vocabulary_size}, more than this corpus allows: {made} is the largest possible "
            f"(every word of it is then one token). Ask for less, or give more text.",
        )
    return tokenizer
