"""``tf.while_loop``: effects, tensor arrays, conditions within, errors. More values are in test_conformance."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_values_and_gradients(session: tf.Session) -> None:
    x = tf.constant([1.0, 2.0])
    _, y = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x), [tf.constant(0), tf.ones_like(x)])
    assert session.run(y).tolist() == [1, 8]
    assert session.run(tf.gradients(y, x))[0].tolist() == [3, 12]


def test_the_number_of_steps_may_be_bounded(session: tf.Session) -> None:
    assert session.run(tf.while_loop(lambda i: True, lambda i: i + 1, [0], maximum_iterations=4)) == 4
    assert session.run(tf.while_loop(lambda i: i < 0, lambda i: i + 1, [7])) == 7
    kept = tf.while_loop(lambda i: i < 1, lambda i: [i + 1], [0], return_same_structure=True)
    assert session.run(kept) == [1]


def test_a_condition_and_an_array_within(session: tf.Session) -> None:
    x = tf.constant([1.0, -2.0, 3.0])
    source = tf.TensorArray(tf.float32, 3).unstack(x)

    def body(i: tf.Tensor, array: tf.TensorArray) -> tuple[tf.Tensor, tf.TensorArray]:
        value = source.read(i)
        return i + 1, array.write(i, tf.cond(value > 0, lambda: value * 10, lambda: -value))

    _, array = tf.while_loop(lambda i, array: i < 3, body, [0, tf.TensorArray(tf.float32, 3)])
    y = array.stack()
    assert session.run(y).tolist() == [10, 2, 30]
    assert session.run(tf.gradients(y, x))[0].tolist() == [10, -1, 10]


def test_what_a_body_changes(session: tf.Session) -> None:
    total = tf.Variable(0.0)

    def body(i: tf.Tensor) -> tf.Tensor:
        with tf.control_dependencies([total.assign_add(2.0)]):
            return i + 1

    loop = tf.while_loop(lambda i: i < 5, body, [0])
    session.run(tf.global_variables_initializer())
    assert session.run([loop, total]) == [5, 0]
    assert session.run(total) == 10


def test_what_was_made_outside_runs_once_before(session: tf.Session) -> None:
    total = tf.Variable(0.0)
    for outside in (total.assign_add(1.0), tf.group(total.assign_add(1.0))):

        def element(x: tf.Tensor, before: object = outside) -> tf.Tensor:
            with tf.control_dependencies([before]):
                return x + total

        session.run(tf.global_variables_initializer())
        assert session.run(tf.map_fn(element, tf.zeros([3]))).tolist() == [1, 1, 1]
        session.run(tf.global_variables_initializer())
        _, state = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, element(a)), [0, tf.constant(0.0)])
        assert session.run([state, total])[0] == 3


def test_random_numbers_are_new_in_each_step(session: tf.Session) -> None:
    rows = tf.map_fn(lambda _: tf.random_normal([2]), tf.zeros([3]))
    found = session.run(rows)
    assert len(np.unique(found)) == found.size


def test_errors(session: tf.Session) -> None:
    with pytest.raises(ValueError, match="shape_invariants"):
        tf.while_loop(lambda a: True, lambda a: tf.concat([a, a], 0), [tf.zeros([1])])
    with pytest.raises(TypeError, match="returned float32"):
        tf.while_loop(lambda a: True, lambda a: tf.cast(a, tf.float32), [tf.constant(1)])
    with pytest.raises(ValueError, match="returned 1 values; expected 2"):
        tf.while_loop(lambda a, b: True, lambda a, b: a, [1, 2])
