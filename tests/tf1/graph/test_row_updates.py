"""Rows that are changed, and averages that move."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_rows(session: tf.Session) -> None:
    table = tf.Variable(np.ones((3, 2), "float32"))
    session.run(tf.global_variables_initializer())
    assert session.run(tf.scatter_update(table, [2], [[5.0, 6.0]])).tolist() == [[1, 1], [1, 1], [5, 6]]
    assert session.run(tf.scatter_add(table, [0, 0], [[1.0, 0.0], [1.0, 2.0]])).tolist()[0] == [3, 3]
    assert session.run(tf.scatter_sub(table, 1, [1.0, 1.0])).tolist()[1] == [0, 0]
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 0 to 2"):
        session.run(tf.scatter_add(table, [3], [[1.0, 1.0]]))


def test_averages(session: tf.Session) -> None:
    w = tf.Variable(1.0, name="w")
    step = tf.Variable(0, trainable=False)
    moving, early = tf.train.ExponentialMovingAverage(0.9), tf.train.ExponentialMovingAverage(0.99, step)
    move, first = moving.apply([w]), early.apply()
    session.run(tf.global_variables_initializer())
    session.run(w.assign(2.0))
    session.run([move, first])
    assert moving.average(w).op.name == "w/ExponentialMovingAverage"
    assert session.run(moving.average(w)) == pytest.approx(1.1)
    assert session.run(early.average(w)) == pytest.approx(1.9)  # the decay of step 0 is a tenth
    assert list(moving.variables_to_restore()) == ["w/ExponentialMovingAverage"]


def test_the_average_of_a_placeholder_begins_at_zero(session: tf.Session) -> None:
    cost, row = tf.placeholder(tf.float32, []), tf.placeholder(tf.float32, [None])
    moving = tf.train.ExponentialMovingAverage(0.9)
    move = moving.apply([cost])
    session.run(tf.global_variables_initializer())  # needs no value of the placeholder
    session.run(move, {cost: 2.0})
    session.run(move, {cost: 4.0})
    assert session.run(moving.average(cost)) == pytest.approx(0.58)
    moving.apply([row])
    session.run(moving.average(row).initializer, {row: [1.0, 2.0]})
    assert session.run(moving.average(row)).tolist() == [0, 0]


def test_regularizers_of_scopes(session: tf.Session) -> None:
    with tf.variable_scope("model", regularizer=tf.contrib.layers.l2_regularizer(0.5)):
        tf.get_variable("a", [2], initializer=tf.constant_initializer(2.0))
        with tf.variable_scope("inner"):
            tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicRNNCell(2), tf.zeros([1, 2, 3]), dtype=tf.float32)
    tf.get_variable("b", [2])
    found = tf.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES)
    assert len(found) == 3
    session.run(tf.global_variables_initializer())
    assert session.run(found[0]) == 2


def test_newer_names(session: tf.Session) -> None:
    assert session.run(tf.random.uniform([2], 3, 4)).min() >= 3
    w = tf.get_variable("w", [2], initializer=tf.initializers.constant(7.0))
    session.run(w.initializer)
    assert session.run(tf.math.reduce_sum(w)) == 14
    assert tf.random.categorical is tf.multinomial
