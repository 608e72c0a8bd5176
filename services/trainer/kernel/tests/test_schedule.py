from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from slipway_kernel.schedule import learning_rate
from slipway_kernel.settings import Training

TRAINING = Training(batch_size=1, learning_rate=1.0, min_learning_rate=0.1)


@pytest.mark.parametrize(
    ("changes", "total", "rates"),
    [
        ({"schedule": "constant", "warmup": 4}, 6, [0.25, 0.5, 0.75, 1, 1, 1]),
        ({"schedule": "constant", "warmup": 0.5}, 4, [0.5, 1, 1, 1]),
        ({"schedule": "linear"}, 3, [1, 0.7, 0.4]),
        ({"schedule": "linear", "warmup": 2}, 5, [0.5, 1, 1, 0.7, 0.4]),
        ({"schedule": "cosine"}, 4, [1, 0.8681980515339463, 0.55, 0.23180194846605365]),
        ({"schedule": "wsd"}, 10, [1, 1, 1, 1, 1, 1, 1, 1, 1, 0.55]),
        ({"schedule": "cosine", "warmup": 10}, 3, [1 / 3, 2 / 3, 1]),
    ],
)
def test_the_rate_of_each_step(changes: dict[str, Any], total: int, rates: list[float]) -> None:
    training = dataclasses.replace(TRAINING, **changes)
    assert [learning_rate(training, step, total) for step in range(total)] == pytest.approx(rates)
