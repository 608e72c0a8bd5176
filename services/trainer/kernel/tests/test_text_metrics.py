"""Figures beside those of the libraries and of worked examples."""

import json
from pathlib import Path

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from slipway_kernel.metrics.operation import score_pairs
from slipway_kernel.metrics.text_metrics import Pair, distinct, measure, repetition, token_f1
from slipway_kernel.protocol import Channel, Failure

PAIRS = [
    Pair("The cat sat on the mat.", "A cat sat on the mat"),
    Pair("It was seven o'clock of a very warm evening in the hills", "It was seven o'clock of a warm evening"),
    Pair("", "nothing was answered"),
    Pair("Ja, die Straße ist naß", "Die Straße ist naß"),
    Pair("42", "42"),
]


def channel() -> Channel:
    return Channel.__new__(Channel)


def test_bleu_and_rouge_are_those_of_the_libraries() -> None:
    metrics = measure(PAIRS)
    predictions, references = [pair.prediction for pair in PAIRS], [pair.reference for pair in PAIRS]
    assert metrics["bleu"] == sacrebleu.BLEU().corpus_score(predictions, [references]).score
    scorer = RougeScorer(["rougeL"], use_stemmer=False)
    scores = [scorer.score(target=pair.reference, prediction=pair.prediction)["rougeL"].fmeasure for pair in PAIRS]
    assert metrics["rouge_l"] == sum(scores) / len(scores)
    assert metrics["bleu"] > 20


def test_exact_match_and_f1_as_squad_counts_them() -> None:
    assert measure(PAIRS)["exact_match"] == 2 / 5
    # cat, sat, on, mat: articles do not count.
    assert token_f1(PAIRS[0]) == 1
    assert token_f1(Pair("red green", "green blue")) == 0.5
    assert token_f1(Pair("the", "")) == 1
    assert token_f1(Pair("", "x")) == 0


def test_distinct_and_repetition() -> None:
    assert distinct(["a b a", "b c"], 1) == 3 / 5
    assert distinct(["a b a b"], 2) == 2 / 3
    assert distinct(["", "one"], 2) == 0
    assert repetition("a b c d a b c d") == 1 - 4 / 5
    assert repetition("too short") == 0
    assert repetition("x " * 50) == 1 - 1 / 47


def test_the_operation_reads_pairs(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n".join(json.dumps(vars(pair)) for pair in PAIRS) + "\n\n", encoding="utf-8")
    assert score_pairs({"pairs": str(file)}, channel()) == measure(PAIRS)


def test_each_pair_has_scores_whose_counts_add_up(tmp_path: Path) -> None:
    file, scores = tmp_path / "pairs.jsonl", tmp_path / "scores.jsonl"
    file.write_text("".join(json.dumps(vars(pair)) + "\n" for pair in PAIRS), encoding="utf-8")
    whole = score_pairs({"pairs": str(file), "scores": str(scores)}, channel())
    each = [json.loads(line) for line in scores.read_text(encoding="utf-8").splitlines()]
    for metric in ("exact_match", "token_f1", "rouge_l", "repetition"):
        assert sum(score[metric] for score in each) / len(each) == whole[metric]
    added = [sum(column) for column in zip(*(score["bleu_counts"] for score in each), strict=True)]
    bleu = sacrebleu.corpus_bleu([pair.prediction for pair in PAIRS], [[pair.reference for pair in PAIRS]])
    assert added == [bleu.sys_len, bleu.ref_len, *bleu.counts, *bleu.totals]
    assert each[1]["bleu"] == sacrebleu.sentence_bleu(PAIRS[1].prediction, [PAIRS[1].reference]).score


@pytest.mark.parametrize("line", ["{", "[]", '{"prediction": "a"}', '{"prediction": "a", "reference": null}'])
def test_a_line_that_is_no_pair_is_named(tmp_path: Path, line: str) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prediction": "a", "reference": "b"}\n' + line + "\n")
    with pytest.raises(Failure, match="line 2"):
        score_pairs({"pairs": str(file)}, channel())


def test_no_pairs_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "pairs.jsonl"
    file.write_text("\n")
    with pytest.raises(Failure, match="holds no pairs"):
        score_pairs({"pairs": str(file)}, channel())
