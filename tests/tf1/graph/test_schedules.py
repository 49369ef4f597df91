"""Learning rates by the step, in a program that counts its steps."""

from __future__ import annotations

import pytest

from holdfast.tf1 import graph as tf


def test_rates_while_training() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        step = tf.Variable(0, trainable=False, name="global_step")
        rates = [
            tf.train.exponential_decay(1.0, step, 2, 0.5, staircase=True),
            tf.train.exponential_decay(1.0, step, 2, 0.25),
            tf.train.inverse_time_decay(1.0, step, 1, 1.0),
            tf.train.polynomial_decay(1.0, step, 4, 0.0),
            tf.train.piecewise_constant(step, [0, 2], [1.0, 0.5, 0.1]),
            tf.train.cosine_decay(1.0, step, 2),
        ]
        w = tf.Variable(0.0)
        train = tf.train.GradientDescentOptimizer(rates[0]).minimize(w, global_step=step)
        session.run(tf.global_variables_initializer())
        seen = []
        for _ in range(4):
            seen.append([round(float(rate), 5) for rate in session.run([*rates, train])[:-1]])
        assert [list(column) for column in zip(*seen, strict=True)] == [
            [1, 1, 0.5, 0.5], [1, 0.5, 0.25, 0.125], [1, 0.5, 0.33333, 0.25], [1, 0.75, 0.5, 0.25], [1, 0.5, 0.5, 0.1],
            [1, 0.5, 0, 0],
        ]  # fmt: skip
        assert session.run([w, step]) == [-3, 4]


def test_the_step_of_the_graph_is_one() -> None:
    with tf.Graph().as_default():
        assert tf.train.get_global_step() is None
        with tf.variable_scope("model"):
            step = tf.train.get_or_create_global_step()
        assert step.op.name.endswith("global_step")
        assert step.dtype == tf.int64
        assert tf.contrib.framework.get_or_create_global_step() is step
        with pytest.raises(ValueError, match="already"):
            tf.train.create_global_step()


def test_errors() -> None:
    with tf.Graph().as_default():
        with pytest.raises(ValueError, match="global_step=None"):
            tf.train.exponential_decay(0.1, None, 1, 0.5)
        with pytest.raises(ValueError, match="one value more"):
            tf.train.piecewise_constant(tf.constant(1), [1], [1.0])
