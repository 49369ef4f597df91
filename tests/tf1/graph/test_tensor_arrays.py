"""Lists of tensors that grow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_each_write_makes_another(session: tf.Session) -> None:
    empty = tf.TensorArray(tf.float32, 2)
    one = empty.write(0, [1.0, 2.0])
    two, other = one.write(1, [3.0, 4.0]), one.write(1, [5.0, 6.0])
    assert session.run(two.stack()).tolist() == [[1, 2], [3, 4]]
    assert session.run(other.stack()).tolist() == [[1, 2], [5, 6]]
    assert session.run([two.read(1), two.size()])[0].tolist() == [3, 4]
    assert two.stack().shape.as_list() == [2, 2]
    assert two.concat().shape.as_list() == [4]
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"has nothing at \[1\]"):
        session.run(one.stack())
    with pytest.raises(tf.errors.InvalidArgumentError, match="dynamic_size"):
        session.run(one.write(5, [1.0, 2.0]).stack())


def test_it_grows(session: tf.Session) -> None:
    array = tf.TensorArray(tf.int32, dynamic_size=True, size=0)
    assert session.run(array.write(0, 7).write(1, 8).stack()).tolist() == [7, 8]
    assert session.run(array.stack()).tolist() == []


def test_a_loop_tells_the_shape(session: tf.Session) -> None:
    _, array = tf.while_loop(
        lambda i, a: i < 3, lambda i, a: (i + 1, a.write(i, tf.ones([4]))), [0, tf.TensorArray(tf.float32, 3)]
    )
    assert array.stack().shape.as_list() == [3, 4]


def test_parts_of_a_tensor(session: tf.Session) -> None:
    x = tf.constant([[1.0], [2.0], [3.0]])
    array = tf.TensorArray(tf.float32, 3).unstack(x)
    assert session.run(array.gather([2, 0])).tolist() == [[3], [1]]
    assert session.run(tf.gradients(array.read(1) * 5, x))[0].tolist() == [[0], [5], [0]]
