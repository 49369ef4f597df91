from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import read
from holdfast.errors import DataError
from holdfast.tasks.classify.settings import ClassifyData

IMAGES = np.arange(5 * 3 * 4, dtype=np.uint8).reshape(5, 3, 4)
LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def save(path: Path, array: np.ndarray) -> Path:
    path.write_bytes(gzip.compress(idx(array)) if path.suffix == ".gz" else idx(array))
    return path


def told(*paths: Path) -> str:
    with pytest.raises(DataError) as error:
        read(paths, ClassifyData())
    return str(error.value)


@pytest.mark.parametrize("end", ["", ".gz"])
def test_a_pair_round_trips(tmp_path: Path, end: str) -> None:
    images = save(tmp_path / f"train-images-idx3-ubyte{end}", IMAGES)
    labels = save(tmp_path / f"train-labels-idx1-ubyte{end}", LABELS)
    for order in ([images, labels], [labels, images]):
        examples = read(order, ClassifyData())
        assert np.array_equal(examples.inputs, IMAGES)
        assert examples.labels == ["3", "1", "4", "1", "5"]
        assert examples.origins[2] == f"{images}[2]"


def test_images_alone_have_no_labels(tmp_path: Path) -> None:
    path = save(tmp_path / "images", IMAGES)
    examples = read([path], ClassifyData(layout="pixels"))
    assert examples.labels is None
    assert np.array_equal(examples.inputs, IMAGES.reshape(5, 12, 1))


def test_one_of_each_is_a_pair_whatever_the_names(tmp_path: Path) -> None:
    assert read([save(tmp_path / "x", IMAGES), save(tmp_path / "y", LABELS)], ClassifyData()).labels is not None


def test_several_pairs_are_matched_by_name(tmp_path: Path) -> None:
    paths = [
        save(tmp_path / "t10k-images-idx3-ubyte", IMAGES),
        save(tmp_path / "train-images-idx3-ubyte", IMAGES[:2] + 1),
        save(tmp_path / "train-labels-idx1-ubyte", LABELS[:2]),
        save(tmp_path / "t10k-labels-idx1-ubyte", LABELS),
    ]
    examples = read(paths, ClassifyData())
    assert examples.labels == ["3", "1", "4", "1", "5", "3", "1"]
    assert examples.inputs[5][0, 0] == 1


def test_labels_without_images(tmp_path: Path) -> None:
    path = save(tmp_path / "train-labels-idx1-ubyte", LABELS)
    assert told(path) == (
        f"{path} holds labels, and no given file of images belongs to it; "
        "expected names that differ only in images/labels and idx3/idx1."
    )


def test_as_many_labels_as_images(tmp_path: Path) -> None:
    images, labels = save(tmp_path / "x", IMAGES), save(tmp_path / "y", LABELS[:4])
    assert told(images, labels) == f"{labels} holds 4 labels; {images} holds 5 images. Expected as many."


def test_a_plain_file_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(idx(IMAGES)[:-1])
    assert told(path) == (
        f"{path} is cut short or damaged: its header claims 5x3x4 values, more than the file can hold. "
        "Copy or download it again."
    )


def test_values_past_the_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(idx(IMAGES) + b"\0")
    assert told(path) == f"{path} does not have the right size: its header claims 5x3x4 values and more follow."


def test_a_gzipped_file_with_too_few_values(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(gzip.compress(idx(IMAGES)[:-1]))
    assert told(path) == f"{path} does not have the right size: its header claims 5x3x4 values and only 59 follow."


def test_a_gzip_stream_cut_short_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    content = gzip.compress(idx(IMAGES))
    for length in range(2, len(content)):
        path.write_bytes(content[:length])
        assert told(path) == f"{path} is cut short: its gzip stream has no end. Copy or download it again."


def test_a_damaged_gzip_stream(tmp_path: Path) -> None:
    path = tmp_path / "x.gz"
    content = bytearray(gzip.compress(idx(IMAGES)))
    content[-6] ^= 0xFF
    path.write_bytes(content)
    assert told(path).startswith(f"{path} is a damaged gzip file (CRC check failed")
    assert told(path).endswith("). Copy or download it again.")


@pytest.mark.parametrize("packed", [False, True])
def test_a_huge_claim_allocates_nothing(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / "x"
    content = struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**31, 2**31) + bytes(100)
    path.write_bytes(gzip.compress(content) if packed else content)
    told(path)  # imports and caches
    tracemalloc.start()
    try:
        message = told(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert message.startswith(f"{path} is cut short or damaged: its header claims 2147483648x2147483648x")
    assert peak < 1 << 20


def test_headers_that_do_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(idx(IMAGES)[:9])
    assert told(path) == f"{path} is cut short within its header. Copy or download it again."
    save(path, IMAGES[0])
    assert told(path) == f"{path} is an IDX file of 2 dimensions; expected 3 for images."
    save(path, IMAGES[:0])
    assert told(path) == f"{path} holds no values: its header claims 0x3x4 values."
