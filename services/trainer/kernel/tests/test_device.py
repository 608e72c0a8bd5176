"""How much memory there is where control groups limit it, which device is taken, and how much work a model is for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slipway_kernel import device
from slipway_kernel.models import LanguageModel
from slipway_kernel.protocol import Failure
from slipway_kernel.settings import Training
from slipway_kernel.sizes import count_parameters, flops_per_token


def write_group(folder: Path, limit: str, used: int, spare: int) -> None:
    """As both versions of control groups name their files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "memory.max": limit,
        "memory.limit_in_bytes": limit,
        "memory.current": str(used),
        "memory.usage_in_bytes": str(used),
        "memory.stat": f"anon 5\ninactive_file {spare}\ntotal_inactive_file {spare}",
    }.items():
        (folder / name).write_text(f"{text}\n")


@pytest.mark.parametrize("tree", ["", "memory"])
def test_the_tightest_of_the_groups_around_it(tree: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "MEMORY_GROUPS", {tree: (str(tmp_path / "groups"), *device.MEMORY_GROUPS[tree][1:])})
    (tmp_path / "cgroup").write_text(f"7:blkio:/\n4:{tree}:/outer/inner\n")
    write_group(tmp_path / "groups", "max", 9, 0)
    write_group(tmp_path / "groups" / "outer", "1000", 500, 100)
    write_group(tmp_path / "groups" / "outer" / "inner", "2000", 300, 50)
    assert device._left_in_groups(tmp_path / "cgroup") == [1750, 600]
    # In a container: the path is that of the machine, what is mounted is its own group.
    (tmp_path / "cgroup").write_text(f"4:{tree}:/docker/abc\n")
    write_group(tmp_path / "groups", "3000", 1000, 0)
    assert device._left_in_groups(tmp_path / "cgroup") == [2000]


def test_where_there_are_no_groups(tmp_path: Path) -> None:
    assert device._left_in_groups(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("name", "flops"),
    [
        ("NVIDIA H200", 989e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA GH200 480GB", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        ("NVIDIA L40", None),
        ("NVIDIA A10G", None),
    ],
)
def test_the_peak_of_a_card_is_not_that_of_another_with_a_similar_name(name: str, flops: float | None) -> None:
    assert device.peak_flops_of(name) == flops


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_says_in_the_words_of_torch_why_there_is_no_cuda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = Training(batch_size=1, learning_rate=1e-3, device="cuda")
    with pytest.raises(Failure, match=r"no CUDA device can be used here: .*(driver|compiled)"):
        device.choose_device(training, 1)
    # Where a card is there all the same, a run on the CPU says why.
    training = replace(training, device="auto")
    assert device.choose_device(training, 1).warning is None
    monkeypatch.setattr(device, "NVIDIA_DEVICES", (tmp_path,))
    assert "it is not used: " in (device.choose_device(training, 1).warning or "")


def test_operations_of_a_token_of_gpt2() -> None:
    """124 million weights, of which those of the positions are only looked up, and attention over 1024 tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.device("meta"):
        module = GPT2LMHeadModel(GPT2Config())
    model = LanguageModel(module, 50257, 1024, packs=True)
    weights, attention = 124_439_808 - 1024 * 768, 12 * 12 * 768 * 1024
    assert count_parameters(module) == 124_439_808
    assert flops_per_token(model, 1024) == 6 * weights + attention
    # Frozen, no weight has a gradient of its own.
    assert flops_per_token(LanguageModel(module.requires_grad_(False), 50257, 1024, packs=True), 1024) == 4 * weights + attention
