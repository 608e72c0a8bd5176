"""The operation metrics: a file of predictions and references to figures."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from slipway_kernel.metrics.text_metrics import Pair, measure, measure_each
from slipway_kernel.protocol import Channel, Failure


def score_pairs(job: Mapping[str, Any], _channel: Channel) -> dict[str, object]:
    """`job.pairs`: a JSONL file of {prediction, reference}. `job.scores`, if given: a file that gets each pair's scores, one line
    each. Failure user_input names the line that is no pair."""
    pairs = list(read_pairs(Path(job["pairs"])))
    if not pairs:
        raise Failure("user_input", f"{job['pairs']} holds no pairs")
    if "scores" in job:
        with Path(job["scores"]).open("w", encoding="utf-8") as scores:
            scores.writelines(f"{json.dumps(score)}\n" for score in measure_each(pairs))
    return {**measure(pairs)}


def read_pairs(file: Path) -> Iterator[Pair]:
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.isspace():
                continue
            try:
                pair = json.loads(line)
                prediction, reference = pair["prediction"], pair["reference"]
            except (ValueError, KeyError, TypeError) as error:
                raise not_a_pair(file, number) from error
            if not isinstance(prediction, str) or not isinstance(reference, str):
                raise not_a_pair(file, number)
            yield Pair(prediction, reference)


def not_a_pair(file: Path, number: int) -> Failure:
    return Failure("user_input", f'{file}, line {number}: it must be {{"prediction": "...", "reference": "..."}}')
