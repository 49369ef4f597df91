from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from holdfast.data import read
from holdfast.errors import DataError
from holdfast.tasks.classify.settings import ClassifyData

INPUTS = np.arange(24, dtype=np.float32).reshape(2, 4, 3)


def told(*paths: Path) -> str:
    with pytest.raises(DataError) as error:
        read(paths, ClassifyData())
    return str(error.value)


def save(folder: Path, **arrays: object) -> list[Path]:
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return [folder / f"{name}.npy" for name in arrays]


@pytest.mark.parametrize(
    ("inputs", "labels"), [("X", "y"), ("X_train", "y_train"), ("train_images", "train_labels"), ("waves", "kinds")]
)
def test_inputs_and_their_labels(tmp_path: Path, inputs: str, labels: str) -> None:
    paths = save(tmp_path, **{labels: ["up", "down"], inputs: INPUTS})
    found = read(paths, ClassifyData())
    assert np.array_equal(found.inputs, INPUTS)
    assert (found.labels, found.origins) == (["up", "down"], [f"{paths[1]}[0]", f"{paths[1]}[1]"])


def test_several_pairs_belong_together_by_their_names(tmp_path: Path) -> None:
    paths = save(tmp_path, X_a=INPUTS, X_b=INPUTS + 1, y_b=[3, 4], y_a=[1, 2])
    found = read(paths, ClassifyData())
    assert found.labels == ["1", "2", "3", "4"]
    assert found.inputs[2][0, 0] == 1


def test_inputs_alone_have_no_labels_and_two_dimensions_are_one_channel(tmp_path: Path) -> None:
    [path] = save(tmp_path, X=INPUTS[:, :, 0])
    found = read([path], ClassifyData())
    assert found.labels is None
    assert np.array_equal(found.inputs, INPUTS[:, :, :1])


def test_what_does_not_fit_is_told(tmp_path: Path) -> None:
    labels, inputs, other = save(tmp_path, y_a=[1, 2], X_b=INPUTS, X_c=INPUTS)
    assert told(labels, inputs, other) == (
        f"{labels} holds labels, and no given file of inputs belongs to it; expected names such as "
        "X_train.npy and y_train.npy."
    )
    [labels] = save(tmp_path, y=[1, 2, 3])
    assert told(labels, inputs) == (
        f"{inputs}: labels has shape (3,) and type int64; expected integers or text of shape (2,), one for each row of "
        "inputs, or one-hot rows."
    )
    pickled = tmp_path / "X.npy"
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    assert told(pickled) == f"{pickled} holds Python objects, which are never loaded; expected numbers or text."


def test_a_file_cut_short_anywhere(tmp_path: Path) -> None:
    [path] = save(tmp_path, X=INPUTS)
    content = path.read_bytes()
    for length in range(0, len(content), 5):
        path.write_bytes(content[:length])
        assert told(path).startswith(
            (f"{path} cannot be read as an NPY file: ", f"{path} is damaged: its header claims")
        )


def test_a_header_that_claims_a_huge_array(tmp_path: Path) -> None:
    path = tmp_path / "X.npy"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2, 2)})
    path.write_bytes(header.getvalue() + bytes(64))
    assert told(path) == (
        f"{path} is damaged: its header claims shape (1099511627776, 2, 2) and type float32, 17592186044544 bytes in "
        "all, and it has 192. Copy or download it again."
    )
