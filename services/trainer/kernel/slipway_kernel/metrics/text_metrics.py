"""How close answers are to the wanted ones, and how much they repeat themselves. Knows no model and no file.

Exact match and token F1: SQuAD v1.1 (evaluate-v1.1.py), on lower-case words without punctuation and articles. BLEU: sacrebleu.
ROUGE-L: rouge-score, which sees the letters a-z and digits only. Distinct-n: Li et al. 2016. Repetition: Welleck et al. 2019.
"""

import re
import string
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypedDict

import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

REPEATED_WORDS = 4


@dataclass(frozen=True)
class Pair:
    prediction: str
    reference: str


class Metrics(TypedDict):
    """Shares from 0 to 1, but BLEU, which goes to 100 as sacrebleu says it."""

    exact_match: float
    token_f1: float
    bleu: float
    rouge_l: float
    distinct_1: float
    distinct_2: float
    repetition: float
    samples: int


class PairScores(TypedDict):
    """Of one pair. What `bleu_counts` hold adds up, so that BLEU of any selection of pairs can be told from them."""

    exact_match: float
    token_f1: float
    rouge_l: float
    repetition: float
    bleu: float
    bleu_counts: list[int]
    """Words of the prediction, words of the reference, matching 1- to 4-grams, all 1- to 4-grams of the prediction."""


def measure_each(pairs: Sequence[Pair]) -> Iterator[PairScores]:
    scorer = RougeScorer(["rougeL"])
    for pair in pairs:
        bleu = sacrebleu.sentence_bleu(pair.prediction, [pair.reference])
        yield {
            "exact_match": exact_match(pair),
            "token_f1": token_f1(pair),
            "rouge_l": scorer.score(pair.reference, pair.prediction)["rougeL"].fmeasure,
            "repetition": repetition(pair.prediction),
            "bleu": bleu.score,
            "bleu_counts": [bleu.sys_len, bleu.ref_len, *bleu.counts, *bleu.totals],
        }


def measure(pairs: Sequence[Pair]) -> Metrics:
    """At least one pair."""
    predictions = [pair.prediction for pair in pairs]
    references = [pair.reference for pair in pairs]
    scorer = RougeScorer(["rougeL"])
    rouge = [scorer.score(pair.reference, pair.prediction)["rougeL"].fmeasure for pair in pairs]
    return {
        "exact_match": mean([exact_match(pair) for pair in pairs]),
        "token_f1": mean([token_f1(pair) for pair in pairs]),
        "bleu": sacrebleu.corpus_bleu(predictions, [references]).score,
        "rouge_l": mean(rouge),
        "distinct_1": distinct(predictions, 1),
        "distinct_2": distinct(predictions, 2),
        "repetition": mean([repetition(prediction) for prediction in predictions]),
        "samples": len(pairs),
    }


def normalize(text: str) -> list[str]:
    unpunctuated = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", unpunctuated).split()


def exact_match(pair: Pair) -> float:
    return float(normalize(pair.prediction) == normalize(pair.reference))


def token_f1(pair: Pair) -> float:
    predicted, wanted = normalize(pair.prediction), normalize(pair.reference)
    if not predicted or not wanted:
        return float(predicted == wanted)
    common = (Counter(predicted) & Counter(wanted)).total()
    return 2 * common / (len(predicted) + len(wanted))


def distinct(texts: Sequence[str], n: int) -> float:
    """Share of the n-grams of all texts that are different ones; 0 where there is none."""
    grams = [gram for text in texts for gram in n_grams(text, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def repetition(text: str) -> float:
    """Share of the four-word sequences of one text that it had before."""
    grams = n_grams(text, REPEATED_WORDS)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def n_grams(text: str, n: int) -> list[tuple[str, ...]]:
    words = text.split()
    return [tuple(words[start : start + n]) for start in range(len(words) - n + 1)]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
