"""Shapes that are unknown before a run, errors when the graph is made, and the arguments of before TensorFlow 1.0."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_unknown_sizes_go_through(session: tf.Session) -> None:
    x = tf.placeholder(tf.float32, [None, 28, 28])
    by_time = tf.transpose(x, [1, 0, 2])
    assert by_time.get_shape().as_list() == [28, None, 28]
    rows = tf.reshape(by_time, [-1, 28])
    assert rows.get_shape().as_list() == [None, 28]
    hidden = tf.matmul(rows, tf.zeros([28, 5]))
    assert hidden.shape.as_list() == [None, 5]
    steps = tf.split(hidden, 28, 0)
    assert len(steps) == 28
    assert steps[0].shape.as_list() == [None, 5]
    assert [part.shape.as_list() for part in tf.unstack(x, axis=1)] == [[None, 28]] * 28
    assert session.run(steps[27], {x: np.zeros((3, 28, 28))}).shape == (3, 5)
    assert int(x.get_shape()[1]) == 28
    with pytest.raises(TypeError, match="unknown before the run"):
        int(x.get_shape()[0])
    with pytest.raises(ValueError, match="unknown; give num"):
        tf.unstack(x)


def test_a_static_shape_makes_a_variable(session: tf.Session) -> None:
    x = tf.placeholder(tf.float32, [None, 7])
    w = tf.Variable(tf.truncated_normal([x.get_shape()[1].value, 3]))
    assert w.shape.as_list() == [7, 3]
    assert tf.Variable(tf.zeros([x.get_shape()[-1], 2])).shape == [7, 2]


WRONG: list[Callable[[Any], Any]] = [
    lambda x: tf.matmul(x, tf.zeros([4, 2])),
    lambda x: x + tf.zeros([4]),
    lambda x: tf.reshape(x, [4, 2]),
    lambda x: tf.concat([x, tf.zeros([3, 4])], 0),
    lambda x: tf.split(x, 2, 1),
    lambda x: x[5],
    lambda x: tf.squeeze(x, [1]),
    lambda x: tf.nn.bias_add(x, tf.zeros([2])),
    lambda x: tf.losses.mean_squared_error(x, tf.zeros([2, 4])),
    lambda x: tf.transpose(x, [0]),
]


@pytest.mark.parametrize("make", WRONG, ids=range(len(WRONG)))
def test_shapes_that_do_not_fit_are_errors_when_the_graph_is_made(make: Callable[[Any], Any]) -> None:
    with tf.Graph().as_default(), pytest.raises(ValueError):  # noqa: PT011  (each says its own)
        make(tf.zeros([2, 3]))


def test_arguments_of_before_one(session: tf.Session) -> None:
    x, y = tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]])
    assert session.run(tf.concat(1, [x, y])).tolist() == [[1, 2, 3, 4]]
    assert session.run(tf.concat(0, (x, y))).shape == (2, 2)
    assert session.run(tf.split(1, 2, x))[1].tolist() == [[2]]
    assert session.run(tf.concat(concat_dim=1, values=[x, y])).tolist() == [[1, 2, 3, 4]]
    assert session.run(tf.split(split_dim=1, num_split=2, value=x))[0].tolist() == [[1]]
    assert session.run(tf.pack([x, y])).shape == (2, 1, 2)
    assert session.run(tf.unpack(x))[0].tolist() == [1, 2]
    assert session.run(tf.reduce_sum(x, reduction_indices=1)).tolist() == [3]
    assert session.run(tf.reverse(x, [False, True])).tolist() == [[2, 1]]
    assert session.run(tf.expand_dims(x, dim=0)).shape == (1, 1, 2)
    assert session.run(tf.batch_matmul(x[None], y[None], adj_y=True)).tolist() == [[[11]]]
    assert session.run([tf.sub(x, y), tf.mul(x, y), tf.neg(x)])[1].tolist() == [[3, 8]]
    logits, labels = tf.constant([[1.0, 2.0]]), tf.constant([[0.0, 1.0]])
    by_position = tf.nn.softmax_cross_entropy_with_logits(logits, labels)
    named = tf.nn.softmax_cross_entropy_with_logits(logits=logits, labels=labels)
    assert session.run(by_position).tolist() == session.run(named).tolist()


def test_dtypes_by_name_and_from_numpy(session: tf.Session) -> None:
    assert tf.placeholder("float").dtype == tf.float32
    assert tf.zeros([1], "float64").dtype == tf.float64
    assert tf.Variable(np.zeros(3), dtype=tf.float32).dtype == "float32"
    assert tf.constant(np.zeros(3)).dtype == tf.float64
    assert tf.constant(3).dtype == tf.int32
    hits = tf.equal(tf.argmax([[1.0, 2.0]], 1), tf.cast([1], tf.int64))
    assert session.run(hits).tolist() == [True]
    with pytest.raises(TypeError, match="is int32; expected int64"):
        tf.equal(tf.argmax([[1.0, 2.0]], 1), tf.constant([1], tf.int32))
    with pytest.raises(TypeError, match="expected float32"):
        _ = tf.zeros([2]) + tf.zeros([2], tf.float64)
