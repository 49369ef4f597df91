"""Files that need a library which is not installed: one line that names the extra."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holdfast.data import read, read_sequences
from holdfast.data.readers import series, transcripts
from holdfast.data.settings import AudioSettings, ReadingSettings, SeriesSettings
from holdfast.errors import MissingLibraryError


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_tables_without_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    path = tmp_path / name
    path.write_text("x,label\n1,a\n")
    monkeypatch.setitem(sys.modules, "polars", None)
    with pytest.raises(MissingLibraryError) as error:
        read([path], ReadingSettings())
    assert str(error.value) == (
        f"{path} is a table, and tables need the library polars, which is not installed: "
        "pip install 'holdfast[tables]'."
    )


def test_other_files_that_are_tables_without_polars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\ngood,a\n")
    monkeypatch.setitem(sys.modules, "polars", None)
    for use in (
        lambda: read_sequences([path], ReadingSettings(unit="words")),
        lambda: series.read([path], SeriesSettings()),
        lambda: transcripts.read([path], AudioSettings()),
    ):
        with pytest.raises(MissingLibraryError, match=r"pip install 'holdfast\[tables\]'\.$"):
            use()


def test_images_without_pillow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingLibraryError) as error:
        read([path], ReadingSettings())
    assert str(error.value) == (
        f"{path} is an image, and images need the library Pillow, which is not installed: "
        "pip install 'holdfast[images]'."
    )


def test_other_files_need_neither(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("polars", "PIL"):
        monkeypatch.setitem(sys.modules, name, None)
    np.savez(tmp_path / "a.npz", inputs=np.ones((2, 3, 1)), labels=["p", "q"])
    (tmp_path / "b.ts").write_text("@classLabel true\n@data\n5:r\n")
    (tmp_path / "up.txt").write_text("good\n")
    assert read([tmp_path / "a.npz", tmp_path / "b.ts"], ReadingSettings()).labels == ["p", "q", "r"]
    assert read_sequences([tmp_path / "up.txt"], ReadingSettings(unit="words")).labels == ["up"]
