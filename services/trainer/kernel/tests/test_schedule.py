from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from in_process import run
from make_jobs import scratch, write_job

from slipway_kernel.schedule import learning_rate, steps_between_lines, steps_between_looks
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


@pytest.mark.parametrize(
    ("total", "step", "look", "every"),
    [
        # Ten times a run, where looking is cheap or there is nothing to look at.
        (1000, 512, 10_000, 100),
        (12, 512, 0, 2),
        (3, 512, 0, 1),
        # 40,000 tokens looked at are the work of 26 steps of 512: a tenth of 261 steps, of which each tenth of the run has 20.
        (200, 512, 40_000, 280),
        (1000, 512, 40_000, 300),
    ],
)
def test_looks_ten_times_a_run_and_no_oftener_than_a_tenth_of_its_work_pays_for(total: int, step: int, look: int, every: int) -> None:
    assert steps_between_looks(total, step, look) == every


@pytest.mark.parametrize(("total", "every"), [(1, 1), (99, 1), (250, 2), (1000, 10), (100_000, 10)])
def test_tells_a_hundred_times_a_short_run_how_it_goes_and_every_ten_steps_of_a_long_one(total: int, every: int) -> None:
    assert steps_between_lines(total) == every


def test_auto_keeps_a_checkpoint_oftener_than_it_looks(tmp_path: Path, stream: Path, validation: Path) -> None:
    changes = {"max_steps": 20, "evaluate_every": "auto", "checkpoint_every": "auto", "learning_rate": 1e-12}
    _, recorder = run(write_job(tmp_path / "run", scratch("char-lstm"), stream, validation=validation, **changes))
    # 420 tokens looked at beside 256 of a step.
    assert [message["step"] for message in recorder.of_type("evaluation")] == [6, 12, 18, 20]
    assert [message["step"] for message in recorder.of_type("checkpoint")] == list(range(2, 21, 2))
