"""The confusion matrix."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.errors import ShapeError
from holdfast.inspect.figures import confusion_matrix


def test_counts_in_cells_and_shares_as_shades() -> None:
    ax = confusion_matrix(np.array([[8, 2], [0, 5]]), ["no", "$yes$"])
    assert sorted(text.get_text() for text in ax.texts) == ["2", "5", "8"]  # an empty cell has no number
    (mesh,) = ax.collections
    assert mesh.get_array().flatten().tolist() == [0.8, 0.2, 0, 1]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["no", "$yes$"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted label", "true label")
    assert ax.get_title("left") == "86.7% of 15 are right"
    low, high = ax.get_ylim()
    assert low > high  # the first label is at the top


def test_many_labels_have_no_numbers_and_fewer_names() -> None:
    ax = confusion_matrix(np.eye(130, dtype=int), [f"label {k}" for k in range(130)])
    assert not ax.texts
    names = [label.get_text() for label in ax.get_yticklabels()]
    assert len(names) <= 60
    assert names[0] == "label 0"
    (image,) = ax.images
    assert image.get_array().shape == (130, 130)


def test_a_label_that_never_occurs() -> None:
    ax = confusion_matrix(np.zeros((2, 2), int), ["a", "b"])
    assert ax.get_title("left") == "0.0% of 0 are right"


def test_counts_of_another_shape() -> None:
    with pytest.raises(ShapeError, match=r"^confusion_matrix got counts \(2, 3\) and 2 labels; expected \(2, 2\).$"):
        confusion_matrix(np.zeros((2, 3)), ["a", "b"])
