"""Losses of sequences, against the sums written out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

DRAW = np.random.RandomState(0)
LOGITS = DRAW.standard_normal((2, 3, 4)).astype("float32")
TARGETS = DRAW.randint(0, 4, (2, 3))
WEIGHTS = np.float32([[1, 1, 0], [2, 0.5, 0]])
CROSS = -np.log(
    np.take_along_axis(np.exp(LOGITS) / np.exp(LOGITS).sum(2, keepdims=True), TARGETS[..., None], 2)[..., 0]
)


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


@pytest.mark.parametrize(
    ("time", "batch", "expected"),
    [
        (True, True, (CROSS * WEIGHTS).sum() / WEIGHTS.sum()),
        (True, False, (CROSS * WEIGHTS).sum(1) / WEIGHTS.sum(1)),
        (False, True, (CROSS * WEIGHTS).sum(0) / (WEIGHTS.sum(0) + 1e-12)),
        (False, False, CROSS * WEIGHTS),
    ],
)
def test_sequence_loss(session: tf.Session, time: bool, batch: bool, expected: np.ndarray) -> None:
    loss = tf.contrib.seq2seq.sequence_loss(LOGITS, TARGETS, WEIGHTS, time, batch)
    np.testing.assert_allclose(session.run(loss), expected, rtol=1e-5)


def test_sums_over_steps_with_weight(session: tf.Session) -> None:
    options = {"average_across_timesteps": False, "average_across_batch": False}
    loss = tf.contrib.seq2seq.sequence_loss(
        LOGITS, TARGETS, WEIGHTS, sum_over_timesteps=True, sum_over_batch=True, **options
    )
    assert session.run(loss) == pytest.approx((CROSS * WEIGHTS).sum() / 4, rel=1e-5)
    with pytest.raises(ValueError, match="an average and a sum"):
        tf.contrib.seq2seq.sequence_loss(LOGITS, TARGETS, WEIGHTS, sum_over_batch=True)


def test_own_functions_and_wrong_shapes(session: tf.Session) -> None:
    def function(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
        assert labels.shape.as_list() == [6]
        assert logits.shape.as_list() == [6, 4]
        return tf.cast(labels, tf.float32)

    loss = tf.contrib.seq2seq.sequence_loss(LOGITS, TARGETS, np.ones((2, 3), "float32"), softmax_loss_function=function)
    assert session.run(loss) == pytest.approx(TARGETS.mean())
    with pytest.raises(ValueError, match="targets of shape"):
        tf.contrib.seq2seq.sequence_loss(LOGITS, TARGETS[0], WEIGHTS)


def test_lists_of_steps(session: tf.Session) -> None:
    legacy = tf.contrib.legacy_seq2seq
    logits, targets = [LOGITS[:, t] for t in range(3)], [tf.constant(TARGETS[:, t]) for t in range(3)]
    weights = [WEIGHTS[:, t] for t in range(3)]
    by_row = legacy.sequence_loss_by_example(logits, targets, weights)
    np.testing.assert_allclose(session.run(by_row), (CROSS * WEIGHTS).sum(1) / WEIGHTS.sum(1), rtol=1e-5)
    summed = legacy.sequence_loss_by_example(logits, targets, weights, average_across_timesteps=False)
    np.testing.assert_allclose(session.run(summed), (CROSS * WEIGHTS).sum(1), rtol=1e-5)
    whole = legacy.sequence_loss(logits, targets, weights)
    assert session.run(whole) == pytest.approx(((CROSS * WEIGHTS).sum(1) / WEIGHTS.sum(1)).sum() / 2, rel=1e-5)
    with pytest.raises(ValueError, match="2 targets"):
        legacy.sequence_loss(logits, targets[:2], weights)


def test_all_of_it_as_one_list(session: tf.Session) -> None:
    """As programs that model characters call it: logits [B T, K], targets [B T], ones as weights."""
    loss = tf.contrib.legacy_seq2seq.sequence_loss_by_example(
        [LOGITS.reshape(6, 4)], [tf.reshape(TARGETS, [-1])], [tf.ones([6])], 4
    )
    np.testing.assert_allclose(session.run(loss), CROSS.reshape(-1), rtol=1e-5)
