"""Quality by length."""

from __future__ import annotations

import numpy as np
import pytest

from holdfast.errors import DataError, ShapeError
from holdfast.inspect.figures import accuracy_by_length


def test_means_and_intervals_of_groups_of_similar_length() -> None:
    lengths = np.repeat([2, 3, 9], [4, 4, 2])
    scores = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 0])
    ax = accuracy_by_length(lengths, scores)
    points = ax.lines[0].get_xydata()
    np.testing.assert_allclose(points, [[0, 0.75], [1, 0.5], [2, 0]])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["2\n4", "3\n4", "9\n2"]
    segments = ax.collections[0].get_segments()
    spread = 1.96 * np.std([1, 1, 1, 0], ddof=1) / 2
    np.testing.assert_allclose(segments[0][:, 1], [0.75 - spread, 0.75 + spread])
    assert ax.get_title("left") == "Accuracy by length; mean 0.500"
    assert ax.get_ylim() == pytest.approx((0, 1.03))


def test_many_lengths_are_grouped_and_every_sequence_counts_once() -> None:
    lengths = np.random.default_rng(0).integers(1, 200, 1000)
    ax = accuracy_by_length(lengths, np.linspace(0, 100, 1000), name="chrF", unit="tokens")
    names = [label.get_text().split("\n") for label in ax.get_xticklabels()]
    counts = [int(count) for _, count in names]
    assert sum(counts) == 1000
    assert len(counts) == 8
    assert max(counts) < 2 * min(counts)
    starts = [int(span.split("-")[0]) for span, _ in names]
    assert starts == sorted(starts)
    assert ax.get_ylim()[1] > 50
    assert ax.get_title("left") == "chrF by length; mean 50.0"


def test_one_length() -> None:
    ax = accuracy_by_length([5, 5], [1, 0])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["5\n2"]


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(DataError, match=r"^There are no sequences to draw; expected at least one.$"):
        accuracy_by_length([], [])
    with pytest.raises(ShapeError, match=r"^There are lengths \(2,\) and scores \(1,\); expected \[N\] of both.$"):
        accuracy_by_length([1, 2], [1])
