"""``tf.nn.raw_rnn``, as the documentation of TensorFlow uses it: the same as ``dynamic_rnn``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

INPUTS = np.random.RandomState(6).standard_normal((5, 2, 3)).astype("float32")
LENGTHS = [5, 2]


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_it_is_dynamic_rnn(session: tf.Session) -> None:
    cell = tf.nn.rnn_cell.LSTMCell(4)
    steps = tf.TensorArray(tf.float32, 5).unstack(INPUTS)

    def loop_fn(time: Any, cell_output: Any, cell_state: Any, loop_state: Any) -> Any:
        state = cell.zero_state(2, tf.float32) if cell_output is None else cell_state
        finished = time >= tf.constant(LENGTHS)
        done = tf.reduce_all(finished)
        following = tf.cond(done, lambda: tf.zeros([2, 3]), lambda: steps.read(time))
        count = tf.constant(0) if loop_state is None else loop_state + 1
        return finished, following, state, cell_output, count

    emitted, state, count = tf.nn.raw_rnn(cell, loop_fn)
    outputs = tf.transpose(emitted.stack(), [1, 0, 2])
    with tf.variable_scope(tf.get_variable_scope(), reuse=True):
        whole, final = tf.nn.dynamic_rnn(cell, tf.transpose(tf.constant(INPUTS), [1, 0, 2]), LENGTHS, dtype=tf.float32)
    assert len(tf.trainable_variables()) == 2
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(session.run(outputs), session.run(whole), atol=1e-6)
    np.testing.assert_allclose(session.run(state), session.run(final), atol=1e-6)
    assert session.run(count) == 5
    variables = tf.trainable_variables()
    ours, theirs = tf.gradients(outputs * outputs, variables), tf.gradients(whole * whole, variables)
    for one, other in zip(session.run(ours), session.run(theirs), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_what_is_emitted_may_have_another_form(session: tf.Session) -> None:
    cell = tf.nn.rnn_cell.BasicRNNCell(4)

    def loop_fn(time: Any, cell_output: Any, cell_state: Any, loop_state: Any) -> Any:
        if cell_output is None:
            return (
                tf.fill([2], False),
                tf.ones([2, 1]),
                cell.zero_state(2, tf.float32),
                (tf.zeros([1]), tf.zeros([])),
                None,
            )
        return tf.fill([2], time >= 3), cell_output[:, :1], cell_state, (cell_output[:, :1], cell_output[:, 1]), None

    (first, second), _, own = tf.nn.raw_rnn(cell, loop_fn)
    assert own is None
    session.run(tf.global_variables_initializer())
    assert session.run(first.stack()).shape == (3, 2, 1)
    assert session.run(second.stack()).shape == (3, 2)
