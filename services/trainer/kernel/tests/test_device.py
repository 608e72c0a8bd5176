"""How much memory there is, where control groups limit it."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipway_kernel import device


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
