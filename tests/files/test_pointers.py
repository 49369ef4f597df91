"""A Git LFS pointer in the place of anything that is read has a sentence of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from holdfast import convert, experiment, recipes, runtime
from holdfast.data.sets.published import PUBLISHED
from holdfast.errors import DataError, HoldfastError, ModelFileError
from holdfast.files import storage
from holdfast.files.pointers import refuse_pointers
from holdfast.interop import formats
from holdfast.interop.format_table import FORMATS
from holdfast.predictor import Predictor
from tasks import untrained

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "4d7a" * 16 + "\nsize 12345678\n"


def refused(read: Callable[[], Any], path: Path, kind: type[HoldfastError]) -> None:
    with pytest.raises(kind) as error:
        read()
    assert str(error.value) == (
        f"{path} is a Git LFS pointer in place of the file itself. Fetch the file by `git lfs pull` in its "
        "repository, or download it."
    )


@pytest.mark.parametrize(
    "name", ["model.safetensors", "m.pt", "m.bin", "m.onnx", "m.keras", "m.h5", "m.index", "m.dat"]
)
def test_in_place_of_a_model(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(POINTER)
    for read in (
        Predictor,
        runtime.load,
        formats.read,
        formats.list_layers,
        lambda path: experiment.summary(str(path)),
    ):
        refused(lambda read=read: read(path), path, ModelFileError)  # type: ignore[misc]
    refused(lambda: convert(path, tmp_path / "out.pt"), path, ModelFileError)
    for format in FORMATS:
        refused(lambda format=format: formats.read(path, format), path, ModelFileError)  # type: ignore[misc]
    refused(lambda: storage.read(path, "checkpoint"), path, ModelFileError)


def test_in_the_folder_of_a_run(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_text(POINTER)
    refused(lambda: Predictor(tmp_path), path, ModelFileError)


@pytest.mark.parametrize(
    "name", ["train.csv", "train.parquet", "train.npz", "train.wav", "train.png", "train.ts", "x-idx3"]
)
def test_in_place_of_data(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(POINTER)
    recipe = recipes.load("digits", ["data.source=files", f"data.train=['{name}']"])
    refused(lambda: experiment.train(recipe, tmp_path / "run", data_dir=tmp_path), path, DataError)


def test_in_a_folder_of_data_and_of_a_known_set(tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "images" / label).mkdir(parents=True)
        Image.new("L", (8, 8)).save(tmp_path / "images" / label / "1.png")
    path = tmp_path / "images" / "b" / "2.png"
    path.write_text(POINTER)
    recipe = recipes.load("digits", ["data.source=files", "data.train=['images']"])
    refused(lambda: experiment.train(recipe, tmp_path / "run", data_dir=tmp_path), path, DataError)
    known = tmp_path / PUBLISHED["airline"].train[0].name
    known.write_text(POINTER)
    airline = recipes.load("airline", ["train.epochs=1"])
    refused(lambda: experiment.train(airline, tmp_path / "known", data_dir=tmp_path), known, DataError)


def test_in_place_of_what_is_to_be_answered(tmp_path: Path) -> None:
    predictor = Predictor(untrained.write("numbers", tmp_path))
    path = tmp_path / "new.csv"
    path.write_text(POINTER)
    refused(lambda: list(predictor.predict([path])), path, DataError)


def test_what_only_speaks_of_one_is_none(tmp_path: Path) -> None:
    (tmp_path / "about.txt").write_text("They say: " + POINTER)
    (tmp_path / "long.txt").write_text(POINTER + "x" * 2000)
    refuse_pointers([tmp_path, tmp_path / "missing"])
