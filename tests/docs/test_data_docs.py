"""Every sample in docs/data.md is read with the table beside it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from holdfast.data import Encoder, load
from holdfast.data.readers import audio, images, tables
from holdfast.tasks.classify.settings import ClassifyData
from tones import save, tone

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
SECTIONS = {text.partition("\n")[0]: text for text in DOCS.split("\n## ")[1:]}
SIZES = {
    "Images": (2, 2),
    "IDX": (2, 2),
    "NPZ": (2, 3),
    "NPY": (2, 3),
    "Tables, one row per step": (2, 2),
    "Tables, one row per sequence": (2, 1),
    "Tables from other programs": (2, 2),
    "Missing values": (2, 2),
    "UCR/UEA": (2, 2),
    "Recordings": (2, 120),
    "Data larger than memory": (2, 1),
    "The known data sets": (10, 8),
}


def make(section: str, folder: Path) -> None:
    """Make the files that a section shows."""
    for name, content in re.findall(r"^`(\S+)`:\n\n```\w+\n(.*?)^```", section, re.M | re.S):
        (folder / name).write_text(content, encoding="utf-8")
    for code in re.findall(r"^```python\n(.*?)^```", section, re.M | re.S):
        exec(compile(code, "docs/data.md", "exec"), {})
    for index, name in enumerate(re.findall(r"^(\S+/\S+\.png)$", section, re.M)):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((2, 2), index, np.uint8)).save(folder / name)
    for index, name in enumerate(re.findall(r"^(\S+/\S+\.wav)$", section, re.M)):
        save(folder / name, tone(300 * (index + 1), rate=16000), 16000)


def test_every_section_is_known() -> None:
    assert set(SECTIONS) == set(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_a_sample_is_read(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DATA", raising=False)
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path / "cache"))
    make(SECTIONS[name], tmp_path)
    [table] = re.findall(r"^```toml\n(.*?)^```", SECTIONS[name], re.M | re.S)
    values = tomllib.loads(table)["data"]
    settings = ClassifyData(**{"source": "files", **values})
    splits = load(settings, None, seed=0)
    encoder = Encoder.fit(splits.train, settings)
    assert (len(encoder.labels), encoder.channels) == SIZES[name]
    held_out = [] if splits.validation is None else [splits.validation]  # none of the small samples
    assert bool(held_out) == (len(splits.train) > 900)
    for part in (splits.train, *held_out, splits.test):
        assert len(encoder.encode(part)) > 0


def test_every_suffix_is_told() -> None:
    for suffix in (*audio.SUFFIXES, *images.SUFFIXES, *tables.SUFFIXES, ".npy", ".npz", ".ts"):
        assert re.search(rf"[` ]{re.escape(suffix)}[` ]", DOCS), suffix
