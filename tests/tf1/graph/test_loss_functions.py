"""Losses with weights and reductions: the numbers written out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


@pytest.mark.parametrize(
    ("reduction", "expected"),
    [
        ("NONE", [[2, 0], [0, 4]]), ("SUM", 6), ("MEAN", 2), ("SUM_OVER_BATCH_SIZE", 1.5),
        ("SUM_BY_NONZERO_WEIGHTS", 3),
    ],
)  # fmt: skip
def test_reductions(session: tf.Session, reduction: str, expected: object) -> None:
    loss = tf.losses.absolute_difference(
        [[0.0, 0.0], [0.0, 0.0]], [[1.0, 5.0], [7.0, 4.0]], [[2.0, 0.0], [0.0, 1.0]],
        reduction=getattr(tf.losses.Reduction, reduction),
    )  # fmt: skip
    np.testing.assert_allclose(session.run(loss), expected)


def test_weights_of_rows_and_of_nothing(session: tf.Session) -> None:
    def loss(weights: object) -> float:
        return float(
            session.run(tf.losses.mean_squared_error([[0.0, 0.0], [0.0, 0.0]], [[1.0, 1.0], [3.0, 3.0]], weights))
        )

    assert loss([[1.0], [0.0]]) == 1
    assert loss(2.0) == 10
    assert loss(0.0) == 0


def test_the_collection(session: tf.Session) -> None:
    with pytest.raises(ValueError, match="found no losses"):
        tf.losses.get_total_loss()
    tf.losses.mean_squared_error([0.0], [2.0])
    tf.losses.add_loss(tf.constant(3.0))
    tf.losses.mean_squared_error([0.0], [9.0], loss_collection=None)
    assert len(tf.losses.get_losses()) == 2
    assert session.run(tf.losses.get_total_loss()) == 7


def test_labels_have_no_gradient(session: tf.Session) -> None:
    labels, logits = tf.constant([[0.2, 0.8]]), tf.constant([[1.0, 2.0]])
    loss = tf.losses.softmax_cross_entropy(labels, logits, label_smoothing=0.1)
    assert tf.gradients(loss, labels) == [None]
    assert tf.gradients(loss, logits) != [None]


def test_errors(session: tf.Session) -> None:
    with pytest.raises(ValueError, match="got None"):
        tf.losses.mean_squared_error(None, [1.0])
    with pytest.raises(ValueError, match="not compatible"):
        tf.losses.mean_squared_error([[1.0]], [1.0])
    with pytest.raises(ValueError, match=r"tf\.losses\.Reduction"):
        tf.losses.mean_squared_error([1.0], [1.0], reduction="sum")
