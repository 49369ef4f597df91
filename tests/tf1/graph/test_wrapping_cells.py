"""``NASCell`` and the wrappers, against their equations."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

X = np.random.RandomState(7).standard_normal((2, 3, 4)).astype("float32")


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("proj", [None, 2])
def test_nas(session: tf.Session, proj: int | None) -> None:
    cell = tf.contrib.rnn.NASCell(5, num_proj=proj, use_bias=True)
    outputs, state = tf.nn.dynamic_rnn(cell, X, dtype=tf.float32)
    names = [v.op.name for v in tf.trainable_variables()]
    assert names[:3] == [f"rnn/nas_cell/{name}" for name in ("recurrent_kernel", "kernel", "bias")]
    session.run(tf.global_variables_initializer())
    recurrent, kernel, bias, *rest = session.run(tf.trainable_variables())
    c, m = np.zeros((2, 5)), np.zeros((2, proj or 5))
    for t in range(3):
        b, x = np.split(m @ recurrent + bias, 8, 1), np.split(X[:, t] @ kernel, 8, 1)
        one = sigmoid(x[0] + b[0]) * np.maximum(x[1] + b[1], 0)
        two = sigmoid(x[2] + b[2]) + np.maximum(x[3] * b[3], 0)
        three = np.tanh(x[4] + b[4]) * sigmoid(x[5] + b[5])
        four = np.tanh(x[6] + b[6]) + sigmoid(x[7] + b[7])
        c = np.tanh(np.tanh(one) + c) * np.tanh(two)
        m = np.tanh(c * np.tanh(np.tanh(three) + sigmoid(four)))
        m = m @ rest[0] if rest else m
    np.testing.assert_allclose(session.run(outputs)[:, -1], m, atol=1e-6)
    np.testing.assert_allclose(session.run(state.c), c, atol=1e-6)


def test_projections(session: tf.Session) -> None:
    rnn = tf.contrib.rnn
    cell = rnn.OutputProjectionWrapper(rnn.InputProjectionWrapper(tf.nn.rnn_cell.GRUCell(5), 6, tf.tanh), 2)
    outputs, state = tf.nn.dynamic_rnn(cell, X, dtype=tf.float32)
    assert outputs.shape.as_list() == [2, 3, 2]
    session.run(tf.global_variables_initializer())
    assert session.run(state).shape == (2, 5)
    kernel, bias = tf.trainable_variables()[-2:]
    assert kernel.op.name == "rnn/output_projection_wrapper/kernel"
    np.testing.assert_allclose(session.run(outputs)[:, -1], session.run(tf.matmul(state, kernel) + bias), atol=1e-6)
    assert len(tf.trainable_variables()) == 8
    assert None not in tf.gradients(outputs, tf.trainable_variables())


def test_embedding(session: tf.Session) -> None:
    cell = tf.contrib.rnn.EmbeddingWrapper(tf.nn.rnn_cell.BasicRNNCell(3), 5, 4)
    outputs, _ = tf.nn.static_rnn(cell, [tf.constant([1, 2]), tf.constant([0, 4])], dtype=tf.float32)
    session.run(tf.global_variables_initializer())
    assert session.run(outputs[1]).shape == (2, 3)
    assert tf.trainable_variables()[0].shape.as_list() == [5, 4]


def test_a_cell_of_a_program_by_linear(session: tf.Session) -> None:
    class Own(tf.nn.rnn_cell.RNNCell):  # type: ignore[misc, name-defined]
        state_size = output_size = 3

        def __call__(self, inputs: tf.Tensor, state: tf.Tensor, scope: object = None) -> tuple[tf.Tensor, tf.Tensor]:
            with tf.variable_scope(scope or type(self).__name__):
                output = tf.tanh(tf.nn.rnn_cell._linear([inputs, state], 3, True, 0.5))
            return output, output

    outputs, state = tf.nn.dynamic_rnn(Own(), X, dtype=tf.float32)
    session.run(tf.global_variables_initializer())
    kernel, bias = session.run(tf.trainable_variables())
    assert kernel.shape == (7, 3)
    assert bias.tolist() == [0.5] * 3
    h = np.zeros((2, 3))
    for t in range(3):
        h = np.tanh(np.concatenate([X[:, t], h], 1) @ kernel + bias)
    np.testing.assert_allclose(session.run(state), h, atol=1e-6)
    assert None not in tf.gradients(outputs, tf.trainable_variables())


def test_linear_has_the_arguments_of_all_versions(session: tf.Session) -> None:
    linear, ones = tf.nn.rnn_cell._linear, tf.ones([2, 2])
    with tf.variable_scope("a", initializer=tf.ones_initializer()):
        made = [linear(ones, 3, 0), linear([ones], 3, True, 4.0, "gate"), linear(ones, 1, 1, scope="other")]
    with tf.variable_scope("b"):
        made.append(linear(ones, 3, True, tf.constant_initializer(4.0), tf.ones_initializer()))
    with tf.variable_scope("c"):
        start = tf.constant_initializer(1.0)
        made.append(linear([ones], 3, True, bias_initializer=start, kernel_initializer=tf.zeros_initializer()))
    assert [variable.op.name for variable in tf.global_variables()] == [
        "a/kernel", "a/gate/kernel", "a/gate/bias", "a/other/kernel", "a/other/bias", "b/kernel", "b/bias",
        "c/kernel", "c/bias",
    ]  # fmt: skip
    session.run(tf.global_variables_initializer())
    sums = [[2] * 3] * 2, [[6] * 3] * 2, [[2]] * 2, [[6] * 3] * 2, [[1] * 3] * 2
    for one, other in zip(session.run(made), sums, strict=True):
        np.testing.assert_array_equal(one, other)
