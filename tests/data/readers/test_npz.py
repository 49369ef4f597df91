from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import load, read
from holdfast.errors import DataError
from holdfast.tasks.classify.settings import ClassifyData

INPUTS = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


def told(path: Path) -> str:
    with pytest.raises(DataError) as error:
        read([path], ClassifyData())
    return str(error.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_round_trip(tmp_path: Path, save) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "a.npz"
    save(path, inputs=INPUTS, labels=np.array([7, 10]))
    examples = read([path], ClassifyData())
    assert np.array_equal(examples.inputs, INPUTS)
    assert examples.inputs[0].dtype == np.float32
    assert (examples.labels, examples.origins) == (["7", "10"], [f"{path}[0]", f"{path}[1]"])


@pytest.mark.parametrize("labels", [np.array(["a", "é"]), np.array(["a", "é".encode()], dtype="S2")])
def test_labels_of_text(tmp_path: Path, labels: np.ndarray) -> None:
    np.savez(tmp_path / "a.npz", inputs=INPUTS, labels=labels)
    assert read([tmp_path / "a.npz"], ClassifyData()).labels == ["a", "é"]


def test_lengths_leave_out_the_padding(tmp_path: Path) -> None:
    padded = INPUTS.copy()
    padded[1, 2:] = np.nan
    np.savez(tmp_path / "a.npz", inputs=padded, lengths=[4, 2])
    examples = read([tmp_path / "a.npz"], ClassifyData())
    assert examples.lengths.tolist() == [4, 2]
    assert examples.labels is None
    assert np.array_equal(examples.inputs[1], INPUTS[1, :2])


def test_two_dimensions_are_one_channel(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", inputs=INPUTS[:, :, 0])
    assert np.array_equal(read([tmp_path / "a.npz"], ClassifyData()).inputs, INPUTS[:, :, :1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        (
            {"z": INPUTS},
            " has no array 'inputs'; expected inputs [N, T, C], lengths [N], labels [N], or their other usual names, "
            "such as X and y; got z.",
        ),
        (
            {"X": INPUTS, "data": INPUTS},
            " has the arrays X and data, which may both be the inputs; expected one of them.",
        ),
        (
            {"X": INPUTS, "y": [0.5, 1.0]},
            ": labels[0] is 0.5; expected whole numbers or text, as labels.",
        ),
        ({"inputs": INPUTS[0, 0]}, ": inputs has shape (3,); expected [N, T, C] or [N, T], none of them 0."),
        (
            {"inputs": INPUTS, "labels": [1, 2, 3]},
            ": labels has shape (3,) and type int64; expected integers or text of shape (2,), "
            "one for each row of inputs, or one-hot rows.",
        ),
        (
            {"inputs": INPUTS, "lengths": [1.0, 2.0]},
            ": lengths has shape (2,) and type float64; expected integers of shape (2,), one for each row of inputs.",
        ),
        ({"inputs": INPUTS, "lengths": [1, 5]}, ": lengths[1] is 5; expected 1 to 4, the steps of inputs."),
        ({"inputs": INPUTS, "lengths": [0, 4]}, ": lengths[0] is 0; expected 1 to 4, the steps of inputs."),
    ],
)
def test_arrays_that_do_not_fit(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    assert told(path) == f"{path}{message}"


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, inputs=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert told(path) == f"{path}: inputs.npy holds Python objects, which are never loaded; expected numbers or text."


def test_a_file_cut_short_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, inputs=INPUTS)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        assert told(path).startswith(f"{path} cannot be read as an NPZ file: it is cut short or damaged (")


def test_a_flipped_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, inputs=INPUTS)
    content = bytearray(path.read_bytes())
    content[content.index(INPUTS.tobytes()) + 5] ^= 0xFF
    path.write_bytes(content)
    assert "Bad CRC-32" in told(path)


def test_a_kind_of_zip_file_that_python_does_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, inputs=INPUTS)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 6] = 145  # the version needed to extract
    path.write_bytes(content)
    assert told(path) == f"{path} cannot be read as an NPZ file: it is cut short or damaged (zip file version 14.5)."


def test_a_header_that_claims_a_huge_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2, 2)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs.npy", header.getvalue() + bytes(64))
    assert told(path) == (
        f"{path} is damaged: the header of inputs.npy claims shape (1099511627776, 2, 2), which is not its size."
    )


def test_other_members_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inputs", "hello")
    assert told(path) == f"{path} holds inputs, which numpy.savez does not write; expected arrays saved by it."


@pytest.mark.parametrize(
    ("inputs", "labels"), [("X", "y"), ("x", "y"), ("data", "labels"), ("data", "target"), ("features", "label")]
)
def test_the_usual_names(tmp_path: Path, inputs: str, labels: str) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **{inputs: INPUTS, labels: [1, 0], "more": np.zeros(3)})
    examples = read([path], ClassifyData())
    assert np.array_equal(examples.inputs, INPUTS)
    assert examples.labels == ["1", "0"]


@pytest.mark.parametrize("form", ["X_{}", "x_{}", "{}_images"])
def test_a_file_of_two_parts(tmp_path: Path, form: str) -> None:
    labels = "{}_labels" if "images" in form else "y_{}"
    path = tmp_path / "a.npz"
    arrays = {}
    for part, count in (("train", 6), ("test", 2)):
        arrays[form.format(part)] = np.full((count, 3), count, np.uint8)
        arrays[labels.format(part)] = np.arange(count) % 2
    np.savez(path, **arrays)
    splits = load(ClassifyData(train=[str(path)], validation=0), None, seed=0)
    assert (len(splits.train), len(splits.test)) == (6, 2)
    assert splits.test.inputs.max() == 2
    splits = load(ClassifyData(train=[str(path)], test=[str(path)], validation=0), None, seed=0)
    assert (len(splits.train), len(splits.test)) == (6, 2)
    assert len(read([path], ClassifyData())) == 2
    np.savez(path, **{name: value for name, value in arrays.items() if "train" in name})
    assert len(read([path], ClassifyData())) == 6


@pytest.mark.parametrize(
    "labels",
    [[[1], [0]], [1.0, 0.0], [[0, 1], [1, 0]], [[0.0, 1.0], [1.0, 0.0]]],
    ids=["column", "float", "one-hot", "float one-hot"],
)
def test_labels_in_other_shapes(tmp_path: Path, labels: list[object]) -> None:
    np.savez(tmp_path / "a.npz", X=INPUTS, y=np.array(labels))
    assert read([tmp_path / "a.npz"], ClassifyData()).labels == ["1", "0"]


def test_missing_values_where_they_are_allowed(tmp_path: Path) -> None:
    inputs = INPUTS.copy()
    inputs[0, 1, 2] = np.nan
    np.savez(tmp_path / "a.npz", X=inputs)
    assert read([tmp_path / "a.npz"], ClassifyData(missing="mean")).gaps
    assert told(tmp_path / "a.npz") == (
        f"{tmp_path}/a.npz[0] holds nan at step 1, channel 2 (from 0); expected a finite number. Fill in or leave out "
        "missing values first, or set data.missing."
    )
