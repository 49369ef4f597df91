"""``data.storage = "auto"`` looks at the sizes of files and at the memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.data.disk import placement
from holdfast.errors import HoldfastWarning


def test_files_above_an_eighth_of_the_memory_are_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "a.csv").write_bytes(b"0" * 90)
    (tmp_path / "b.csv.gz").write_bytes(b"0" * 2)
    monkeypatch.setattr(placement, "memory_bytes", lambda: 800)
    assert not placement.on_disk("auto", [tmp_path])  # 90 + 5 * 2
    (tmp_path / "c.csv").write_bytes(b"0")
    assert placement.on_disk("auto", [tmp_path])
    assert not placement.on_disk("memory", [tmp_path])
    assert placement.on_disk("disk", [])
    monkeypatch.setattr(placement, "find_spec", lambda name: None)
    with pytest.warns(HoldfastWarning, match="They are read into memory; to keep them on disk, pip install"):
        assert not placement.on_disk("auto", [tmp_path])


def test_the_memory_is_that_of_the_machine_or_of_its_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = placement.memory_bytes()
    assert machine > 10**8
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(placement, "_LIMITS", (str(tmp_path / "none"), str(limit)))
    limit.write_text("max\n")
    assert placement.memory_bytes() >= machine
    limit.write_text("12345678\n")
    assert placement.memory_bytes() == 12345678
