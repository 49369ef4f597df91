"""Pairs on disk are grouped as pairs in memory are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.data.disk import groups
from holdfast.data.disk.files import kept
from holdfast.data.readers import pairs

SMALL = {"disk.parts.BLOCK_BYTES": 100, "pieces.numbered_lines.MOST_LINES": 7}


def same(one: Any, other: Any) -> None:
    assert list(one.inputs) == list(other.inputs)
    assert [list(targets) for targets in one.targets] == [list(targets) for targets in other.targets]
    assert list(one.origins) == list(other.origins)


@pytest.mark.parametrize("parallel", [False, True])
def test_groups_are_those_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parallel: bool) -> None:
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    for name, size in SMALL.items():
        monkeypatch.setattr(f"holdfast.data.{name}", size)
    rng = np.random.default_rng(0)
    files = []
    for number in range(2):
        rows = [(f"s{rng.integers(12)}", f"t{rng.integers(5)}") for _ in range(60)]
        if parallel:
            for side, ending in enumerate("ab"):
                files.append(tmp_path / f"{number}.{ending}")
                files[-1].write_text("".join(f"{row[side]}\n" for row in rows))
        else:
            files.append(tmp_path / f"{number}.txt")
            files[-1].write_text("\n\n".join(f"{source}\t{target}" for source, target in rows) + "\n")
    memory = pairs.read(files, parallel=parallel)
    stored = kept(pairs.in_pieces(files, parallel=parallel))
    disk = groups.grouped(stored.inputs, stored.targets, stored.origins, stored.origins.map(lambda o: o.split("[")[0]))
    same(memory, disk)
    same(pairs.inverted(memory), pairs.inverted(disk))
    same(pairs.apart(memory), pairs.apart(disk))
    assert list(disk.targets.firsts) == [targets[0] for targets in memory.targets or []]
    chosen = [5, 1, 1, 20]
    same(memory.subset(chosen), disk.subset(chosen))
    some = disk.subset(range(5))
    seen = set(memory.inputs[:5])
    assert list(groups.unseen(disk, some).inputs) == [source for source in memory.inputs if source not in seen]
