"""Data sets and their iterators."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def rows(session: tf.Session, element: Any) -> list[Any]:
    found = []
    while True:
        try:
            found.append(session.run(element))
        except tf.errors.OutOfRangeError:
            return found


def test_batches_of_two_arrays(session: tf.Session) -> None:
    data = tf.data.Dataset.from_tensor_slices((np.arange(10).reshape(5, 2), np.arange(5.0)))
    x, y = data.batch(2).repeat(2).make_one_shot_iterator().get_next()
    assert x.shape.as_list() == [None, 2]
    assert y.dtype == tf.float64
    found = rows(session, [x, y])
    assert [len(each) for each, _ in found] == [2, 2, 1, 2, 2, 1]
    assert found[4][1].tolist() == [2, 3]


def test_a_row_is_one_in_a_run(session: tf.Session) -> None:
    x = tf.data.Dataset.range(4).make_one_shot_iterator().get_next()
    assert session.run([x, x + 10]) == [0, 10]
    assert session.run([x + 10, x]) == [11, 1]


def test_an_iterator_with_placeholders_begins_when_it_is_told(session: tf.Session) -> None:
    given = tf.placeholder(tf.float32, [None, 2])
    iterator = tf.data.Dataset.from_tensor_slices(given).map(lambda row: row * 2).make_initializable_iterator()
    row = iterator.get_next()
    with pytest.raises(tf.errors.FailedPreconditionError, match="initializer first"):
        session.run(row)
    for scale in (1, 10):
        session.run(iterator.initializer, {given: scale * np.ones((3, 2))})
        assert np.concatenate(rows(session, row)).tolist() == [2 * scale] * 6


def test_shuffling(session: tf.Session) -> None:
    def order(seed: int) -> list[int]:
        data = tf.data.Dataset.range(20).shuffle(20, seed=seed)
        return [int(each) for each in rows(session, data.make_one_shot_iterator().get_next())]

    assert sorted(order(1)) == list(range(20))
    assert order(1) == order(1) != order(2)
    near = tf.data.Dataset.range(20).shuffle(2, seed=3).make_one_shot_iterator().get_next()
    assert all(value <= place + 1 for place, value in enumerate(rows(session, near)))


def test_parts(session: tf.Session) -> None:
    data = tf.data.Dataset.range(10).skip(2).take(5).batch(2, drop_remainder=True).prefetch(1)
    element = data.make_one_shot_iterator().get_next()
    assert element.shape.as_list() == [2]
    assert [each.tolist() for each in rows(session, element)] == [[2, 3], [4, 5]]
    words = tf.data.Dataset.from_generator(lambda: iter([("a", 1), ("b", 2)]), (tf.string, tf.int32))
    assert rows(session, words.make_one_shot_iterator().get_next()) == [("a", 1), ("b", 2)]


def test_training_on_rows(session: tf.Session) -> None:
    x = tf.data.Dataset.from_tensors(np.float32([1, 2])).repeat().make_one_shot_iterator().get_next()
    w = tf.Variable(0.0)
    loss = tf.reduce_sum(tf.square(w - x))
    train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
    session.run(tf.global_variables_initializer())
    for _ in range(30):
        session.run(train)
    assert session.run(w) == pytest.approx(1.5, abs=1e-4)


def test_data_sets_side_by_side(session: tf.Session) -> None:
    numbers, letters = tf.data.Dataset.range(3), tf.data.Dataset.from_tensor_slices({"x": [[1.0], [2.0]]})
    element = tf.data.Dataset.zip((numbers, letters)).make_one_shot_iterator().get_next()
    assert rows(session, element) == [(0, {"x": [1]}), (1, {"x": [2]})]
