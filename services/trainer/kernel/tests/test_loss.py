"""What is computed: packed is unpacked, accumulated is at once, and only what the mask says counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import run
from make_bases import make_model
from make_jobs import VOCABULARY, scratch, write_job

from slipway_kernel import attention
from slipway_kernel.batch import IGNORED, make_batch, summed_loss
from slipway_kernel.dataset import Dataset, Order, Sequence

FAMILIES = ["gpt2", "llama", "qwen3"]


def make_sequences(lengths: list[int]) -> list[Sequence]:
    random = np.random.default_rng(3)
    made = []
    for length in lengths:
        ids = random.integers(0, VOCABULARY, length + 1)
        made.append(Sequence(ids[:-1], ids[1:], random.random(length) < 0.6))
    return made


def packed_and_plain(family: str, **changes: Any) -> tuple[Any, Any]:
    """The same weights, with our attention and with transformers' own; no dropout."""
    attention.register()
    changes = {**({"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0} if family == "gpt2" else {}), **changes}
    packed, plain = make_model(family, **changes), make_model(family, **changes)
    packed.set_attn_implementation(attention.NAME)
    return packed, plain


@pytest.mark.parametrize("family", [*FAMILIES, "mistral"])
def test_packed_logits_are_those_of_each_example_alone(family: str) -> None:
    packed, plain = packed_and_plain(family, **({"sliding_window": 7} if family == "mistral" else {}))
    sequences = make_sequences([31, 3, 17, 1, 16, 40, 8])
    batch = make_batch(sequences, packed=True)
    logits = packed(
        input_ids=batch.ids, position_ids=batch.positions, segments=batch.segments, logits_to_keep=batch.keep, use_cache=False
    ).logits[0]
    alone = torch.cat(
        [
            plain(input_ids=torch.from_numpy(sequence.ids)[None], use_cache=False).logits[0][torch.from_numpy(sequence.trained)]
            for sequence in sequences
        ]
    )
    assert logits.shape == alone.shape
    assert (logits - alone).abs().max() < 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_packed_gradients_are_those_of_padded_rows(family: str) -> None:
    packed, plain = packed_and_plain(family)
    sequences = make_sequences([31, 3, 17, 1, 16, 40, 8])
    together, apart = summed_loss(packed, make_batch(sequences, packed=True)), summed_loss(plain, make_batch(sequences, packed=False))
    assert abs(float(together) - float(apart)) < 1e-4 * float(apart)
    together.backward()  # type: ignore[no-untyped-call]
    apart.backward()  # type: ignore[no-untyped-call]
    for (name, ours), (_, theirs) in zip(packed.named_parameters(), plain.named_parameters(), strict=True):
        assert torch.allclose(ours.grad, theirs.grad, rtol=1e-4, atol=1e-5), name


def test_an_example_does_not_see_its_neighbours() -> None:
    packed, _ = packed_and_plain("llama")
    first, other, last = make_sequences([12, 9, 12])
    changed = Sequence((other.ids + 1) % VOCABULARY, other.targets, other.trained)
    logits = []
    for middle in (other, changed):
        batch = make_batch([first, middle, last], packed=True)
        output = packed(input_ids=batch.ids, position_ids=batch.positions, segments=batch.segments, use_cache=False).logits[0]
        logits.append(torch.cat([output[:12], output[21:]]))
    assert torch.equal(logits[0], logits[1])


def test_a_group_holds_examples_of_similar_length() -> None:
    lengths = [100, 1, 50, 49, 3, 2, 99]
    plan = attention.plan_segments(lengths)
    assert [tuple(group.shape) for group in plan.groups] == [(3, 100), (1, 49), (2, 3), (1, 1)]
    row = torch.arange(sum(lengths))
    assert torch.equal(torch.cat([row[group].flatten() for group in plan.groups])[plan.order], row)


def test_only_what_the_mask_says_counts(examples: Path) -> None:
    dataset = Dataset(str(examples), 64)
    sequences = [dataset.sequence(index) for index in range(8)]
    batch = make_batch(sequences, packed=False)
    for row, sequence in enumerate(sequences):
        targets = batch.targets[row, : len(sequence.ids)].numpy()
        assert np.array_equal(targets[sequence.trained], sequence.targets[sequence.trained])
        assert (targets[~sequence.trained] == IGNORED).all()
        assert (batch.targets[row, len(sequence.ids) :] == IGNORED).all()
    assert make_batch(sequences, packed=True).targets.numel() == sum(int(sequence.trained.sum()) for sequence in sequences)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_accumulated_gradients_are_those_of_the_batch_at_once(family: str, tmp_path: Path, examples: Path) -> None:
    """Examples of unlike length, so that means of means would be another number."""
    quiet = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0} if family == "gpt2" else {}
    curves = [
        run(write_job(tmp_path / str(size), scratch(family, **quiet), examples, micro_batch_size=size, max_steps=6))[1].curve
        for size in (8, 3, 1)
    ]
    for curve in curves[1:]:
        assert [loss for _, loss in curve] == pytest.approx([loss for _, loss in curves[0]], rel=2e-5)


def test_packing_changes_the_speed_and_not_the_curve(tmp_path: Path, examples: Path) -> None:
    (_, packed), (_, padded) = (
        run(write_job(tmp_path / str(packing), scratch("qwen3"), examples, packing=packing, max_steps=6)) for packing in (True, False)
    )
    assert [loss for _, loss in packed.curve] == pytest.approx([loss for _, loss in padded.curve], rel=2e-5)
    assert packed.of_type("progress")[0]["padding_ratio"] == 0
    assert padded.of_type("progress")[0]["padding_ratio"] > 0.2


def test_the_order_shows_everything_once_an_epoch(stream: Path, examples: Path) -> None:
    for folder in (stream, examples):
        dataset = Dataset(str(folder), 32)
        order = Order(dataset, seed=4)
        epochs = [[order.index(epoch * dataset.size + index) for index in range(dataset.size)] for epoch in range(3)]
        assert all(sorted(epoch) == list(range(dataset.size)) for epoch in epochs)
        assert len({tuple(epoch) for epoch in epochs}) == 3
        # Asked for out of order, and by another: the same.
        assert Order(dataset, seed=4).index(2 * dataset.size) == epochs[2][0]
        assert [Order(dataset, seed=5).index(index) for index in range(dataset.size)] != epochs[0]


def test_windows_of_a_stream_hold_every_token_as_a_target_once(stream: Path) -> None:
    dataset = Dataset(str(stream), 48)
    windows = [dataset.sequence(index) for index in dataset.whole()]
    tokens = np.fromfile(stream / "tokens.bin", "<u2")
    assert np.array_equal(np.concatenate([window.targets for window in windows]), tokens[1:])
    assert np.array_equal(np.concatenate([window.ids for window in windows]), tokens[:-1])
    assert 0 < len(windows[-1].ids) < 48
