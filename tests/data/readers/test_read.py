from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from holdfast.data import read
from holdfast.errors import DataError, MissingDataError
from holdfast.tasks.classify.settings import ClassifyData


def test_several_files_of_several_kinds_are_joined_in_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", inputs=np.ones((1, 3, 1)), labels=["p"])
    (tmp_path / "b.csv").write_text("x,y,label\n1,2,q\n")
    (tmp_path / "c.ts").write_text("@classLabel true\n@data\n5:r\n")
    examples = read([tmp_path / "c.ts", str(tmp_path / "a.npz"), tmp_path / "b.csv"], ClassifyData())
    assert examples.labels == ["r", "p", "q"]
    assert examples.lengths.tolist() == [1, 3, 2]


def test_an_unknown_kind_lists_the_known_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.doc"
    path.write_bytes(b"....")
    with pytest.raises(DataError) as error:
        read([path], ClassifyData())
    assert str(error.value) == (
        f"{path} is of an unknown kind. Known kinds: a folder ROOT/label/image or ROOT/label/recording; an image "
        "(.png, .jpg, .jpeg, .bmp, .gif, .pgm, .tif, .tiff, .webp); a recording (.wav, .flac, .ogg, "
        ".mp3, .aiff, .aif, .au); a table (.csv, .tsv, .parquet, .pq); .npy; .npz; .ts; IDX (such as "
        "train-images-idx3-ubyte.gz)."
    )


def test_an_empty_file_is_of_no_known_kind(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    with pytest.raises(DataError, match="is of an unknown kind"):
        read([tmp_path / "a"], ClassifyData())


def test_every_missing_path_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MissingDataError) as error:
        read(["a.png", "b.csv"], ClassifyData())
    assert (
        str(error.value)
        == f"There is no file or folder a.png, b.csv. Check the path; relative paths start at {tmp_path}."
    )


def test_nothing_to_read() -> None:
    with pytest.raises(DataError) as error:
        read([], ClassifyData())
    assert str(error.value) == "No files were given to read; expected at least one file or folder."


def test_sequences_of_other_channels_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", inputs=np.ones((1, 3, 2)))
    np.savez(tmp_path / "b.npz", inputs=np.ones((1, 3, 4)))
    with pytest.raises(DataError) as error:
        read([tmp_path / "a.npz", tmp_path / "b.npz"], ClassifyData())
    assert str(error.value) == (
        f"{tmp_path}/b.npz[0] has 4 values per step; the sequences before it have 2. All sequences must agree."
    )
