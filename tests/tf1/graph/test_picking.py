"""Values picked, placed, ordered, moved and padded: the numbers written out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

X = np.float32([[1, 2, 3], [4, 5, 6]])
CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    "gather_nd": (lambda: tf.gather_nd(X, [[0, 1], [1, 2]]), [2, 6]),
    "rows by gather_nd": (lambda: tf.gather_nd(X, [[1]]), [[4, 5, 6]]),
    "scatter_nd": (lambda: tf.scatter_nd([[1], [3], [1]], [1.0, 2.0, 5.0], [4]), [0, 6, 0, 2]),
    "boolean_mask": (lambda: tf.boolean_mask(X, [[True, False, True], [False, True, False]]), [1, 3, 5]),
    "unique": (lambda: tf.unique([7, 3, 7, 1])[0], [7, 3, 1]),
    "places of unique": (lambda: tf.unique([7, 3, 7, 1])[1], [0, 1, 0, 2]),
    "setdiff1d": (lambda: tf.setdiff1d([1, 2, 3], [2])[0], [1, 3]),
    "dynamic_partition": (lambda: tf.dynamic_partition([1, 2, 3], [0, 1, 0], 2)[0], [1, 3]),
    "dynamic_stitch": (lambda: tf.dynamic_stitch([[0, 2], [1]], [[10, 20], [30]]), [10, 30, 20]),
    "segment_sum": (lambda: tf.segment_sum(X, [0, 0]), [[5, 7, 9]]),
    "unsorted_segment_sum": (lambda: tf.unsorted_segment_sum([1, 2, 4], [2, 0, 2], 4), [2, 0, 5, 0]),
    "bincount": (lambda: tf.bincount([1, 1, 3]), [0, 2, 0, 1]),
    "confusion_matrix": (lambda: tf.confusion_matrix([0, 1, 1], [0, 1, 0]), [[1, 0], [1, 1]]),
    "top_k": (lambda: tf.nn.top_k(X, 2).values, [[3, 2], [6, 5]]),
    "places of top_k": (lambda: tf.nn.top_k([3, 1, 3], 2).indices, [0, 2]),
    "in_top_k": (lambda: tf.nn.in_top_k(X, [1, 0], 2), [True, False]),
    "argsort": (lambda: tf.argsort([3, 1, 2], direction="DESCENDING"), [0, 2, 1]),
    "pad": (lambda: tf.pad([1, 2], [[1, 2]]), [0, 1, 2, 0, 0]),
    "a mirror": (lambda: tf.pad([1, 2, 3], [[2, 1]], "REFLECT"), [3, 2, 1, 2, 3, 2]),
    "roll": (lambda: tf.roll([1, 2, 3], 1, 0), [3, 1, 2]),
    "reverse_sequence": (lambda: tf.reverse_sequence(X, [2, 3], seq_axis=1), [[2, 1, 3], [6, 5, 4]]),
    "sequence_mask": (lambda: tf.sequence_mask([1, 3], 3, tf.int32), [[1, 0, 0], [1, 1, 1]]),
    "meshgrid": (lambda: tf.meshgrid([1, 2], [3, 4, 5])[1], [[3, 3], [4, 4], [5, 5]]),
    "diag": (lambda: tf.diag([1, 2]), [[1, 0], [0, 2]]),
    "matrix_band_part": (lambda: tf.matrix_band_part(X, 0, 1), [[1, 2, 0], [0, 5, 6]]),
    "matrix_inverse": (lambda: tf.matrix_inverse([[0.0, 2.0], [4.0, 0.0]]), [[0, 0.25], [0.5, 0]]),
    "einsum": (lambda: tf.einsum("ij,kj->ik", X, X), [[14, 32], [32, 77]]),
    "cumsum": (lambda: tf.cumsum(X, 1, exclusive=True, reverse=True), [[5, 3, 0], [11, 6, 0]]),
    "l2_normalize": (lambda: tf.nn.l2_normalize([3.0, 4.0], 0), [0.6, 0.8]),
    "moments": (lambda: tf.nn.moments(tf.constant(X), [1])[1], [2 / 3, 2 / 3]),
    "integers": (lambda: [tf.constant(-7) // 2, tf.constant(-7) % 3, tf.truncatediv(-7, 2)], [-4, 2, -3]),
    "a mean of whole numbers": (lambda: tf.reduce_mean([1, 2]), 1),
    "slice": (lambda: tf.slice(X, [0, 1], [-1, 1]), [[2], [5]]),
    "a slice backwards": (lambda: tf.constant(X)[::-1, 2], [6, 3]),
    "where": (lambda: tf.where([True, False], X, -X), [[1, 2, 3], [-4, -5, -6]]),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    make, expected = CASES[name]
    with tf.Graph().as_default(), tf.Session() as session:
        np.testing.assert_allclose(session.run(make()), expected, rtol=1e-6)


def test_places_outside_are_errors() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        for make in (
            lambda: tf.gather(X, [2]), lambda: tf.gather_nd(X, [[0, 3]]), lambda: tf.scatter_nd([[4]], [1.0], [4]),
            lambda: tf.nn.embedding_lookup(X, [-1]),
        ):  # fmt: skip
            with pytest.raises(tf.errors.InvalidArgumentError, match="expected 0 to"):
                session.run(make())
