"""Steps of numbers with tags: encoding, unknown tags, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from holdfast.data import Records
from holdfast.errors import DataError
from holdfast.tasks.tag.data import NO_TARGET, UNSEEN
from holdfast.tasks.tag.numbers import NumberEncoder, Steps
from holdfast.tasks.tag.settings import TagData


def steps(lengths: list[int], tags: list[list[str]] | None) -> Steps:
    rows = [np.arange(2 * length, dtype=np.float64).reshape(length, 2) for length in lengths]
    return Records(rows, tags, [f"row {k}" for k in range(len(rows))])


ENCODER = NumberEncoder.fit(steps([3, 2], [["a", "b", "a"], ["b", "c"]]), TagData(scaling="standard"))


def test_batches_have_the_scaled_values_and_the_classes_of_the_steps() -> None:
    batch = ENCODER.encode(steps([2, 3], [["c", "new"], ["a", "b", "b"]])).__getitems__(np.array([1, 0]))
    assert batch.targets is not None
    assert batch.targets.tolist() == [[0, 1, 1], [2, UNSEEN, NO_TARGET]]
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [3, 2]
    seen = np.array([0, 2, 4, 0, 2])  # the first value of the training steps; the second is one more
    expected = (np.array([0, 2, 4]) - seen.mean()) / seen.std()
    for channel in range(2):
        torch.testing.assert_close(batch.inputs[0, :, channel].double(), torch.tensor(expected), rtol=1e-6, atol=1e-6)
    assert ENCODER.encode(steps([2], None)).__getitems__(np.array([0])).targets is None


def test_answers_end_with_their_sequences() -> None:
    batch = ENCODER.encode(steps([1, 3], None)).__getitems__(np.array([0, 1]))
    answers = ENCODER.answers(batch, torch.tensor([[2, 0, 0], [0, 1, 2]]))
    assert answers == [{"tags": ["c"], "tagged": "c"}, {"tags": ["a", "b", "c"], "tagged": "a b c"}]


def test_whole_numbers_in_files_are_tags(tmp_path: Path) -> None:
    np.savez(tmp_path / "steps.npz", inputs=np.zeros((2, 3, 2)), labels=np.array([[0, 1, 2], [2, 1, 0.5]]))
    assert ENCODER.read([tmp_path / "steps.npz"]).targets == [["0", "1", "2"], ["2", "1", "0.5"]]


def test_errors_name_the_place() -> None:
    with pytest.raises(DataError, match="row 1 has 2 steps and 1 tags; expected one for each step"):
        ENCODER.encode(steps([1, 2], [["a"], ["b"]]))
    with pytest.raises(DataError, match="The training sequences have no tags"):
        NumberEncoder.fit(steps([1], None), TagData())
