"""Checkpoints that lie: each ends in one clear error, at once, and takes no memory for what it claims."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tests.interop.tf1.hostile_checkpoints import ARRAYS, CASES, X, entry, in_parts, meta, part, v1, v2, written

import tf1_writer as tf
from holdfast.errors import ConversionError, ModelFileError
from holdfast.interop.tf1.checkpoint import Checkpoint


def test_there_are_enough_of_them() -> None:
    assert len(CASES) >= 60


@pytest.mark.parametrize("form", ["v1", "v2"])
def test_what_they_were_made_from_is_read(form: str, tmp_path: Path) -> None:
    for name, data in written(form).items():
        (tmp_path / name).write_bytes(data)
    checkpoint = Checkpoint(tmp_path / "m")
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(checkpoint.read(name).numpy(), array)
    for files in (
        v2({b"x": entry()}),
        in_parts((0, 3), (3, 3)),
        v1(),
        v1(meta=meta(), part=part(tf.field(5, X.tobytes()))),
    ):
        for old in tmp_path.iterdir():
            old.unlink()
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
        assert Checkpoint(tmp_path / "m").read("x").shape == (6,)


def read_all(path: Path) -> None:
    checkpoint = Checkpoint(path)
    for name in checkpoint:
        checkpoint.read(name)


@pytest.mark.parametrize(
    ("case", "file", "reason"),
    [
        ("other data", "m.data-00000-of-00001", "the checksum of the 24 bytes from byte 0 on is wrong"),
        ("zeros", "m", "it does not end like a table"),
        ("a compressed block of four gigabytes", "m", "a compressed block of 45 bytes claims to hold 4294967295"),
        ("a place behind the end", "m.data-00000-of-00001", "a variable ends at byte 28, after the end of the file"),
        ("parts over one another", "m.index", "the parts of variable x overlap"),
        ("a dtype that is none", "m.index", "a variable has the unknown dtype 0"),
    ],
)
def test_what_the_error_says(case: str, file: str, reason: str, tmp_path: Path) -> None:
    for name, data in CASES[case]().items():
        (tmp_path / name).write_bytes(data)
    with pytest.raises(ModelFileError) as caught:
        read_all(tmp_path / "m")
    assert str(caught.value) == (
        f"{tmp_path / file} is damaged or not a checkpoint: {reason}. Take another copy of it."
    )


@pytest.mark.parametrize("case", CASES)
def test_one_clear_error(case: str, tmp_path: Path) -> None:
    files = CASES[case]()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    tracemalloc.start()
    begin = time.perf_counter()
    try:
        with pytest.raises((ModelFileError, ConversionError)) as caught:
            read_all(tmp_path / ("checkpoint" if "checkpoint" in files else "m"))
        seconds, (_, peak) = time.perf_counter() - begin, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert str(tmp_path) in str(caught.value)
    assert str(caught.value).endswith(".")
    assert len(str(caught.value)) < 400 + len(str(tmp_path))
    assert seconds < 2
    assert peak < 150e6
