"""The cells of tf.contrib.rnn in a graph: their arguments, names of variables, and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture(autouse=True)
def _own_graph() -> Any:
    with tf.Graph().as_default():
        yield


def names() -> list[str]:
    return [variable.name for variable in tf.trainable_variables()]


def test_variables_have_tensorflows_names_and_shapes() -> None:
    x = tf.placeholder(tf.float32, [None, 7, 3])
    with tf.variable_scope("model"):
        cell = tf.nn.rnn_cell.MultiRNNCell([tf.nn.rnn_cell.BasicLSTMCell(4), tf.nn.rnn_cell.GRUCell(5)])
        tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    assert {variable.name: variable.get_shape().as_list() for variable in tf.trainable_variables()} == {
        "model/rnn/multi_rnn_cell/cell_0/basic_lstm_cell/kernel:0": [7, 16],
        "model/rnn/multi_rnn_cell/cell_0/basic_lstm_cell/bias:0": [16],
        "model/rnn/multi_rnn_cell/cell_1/gru_cell/gates/kernel:0": [9, 10],
        "model/rnn/multi_rnn_cell/cell_1/gru_cell/gates/bias:0": [10],
        "model/rnn/multi_rnn_cell/cell_1/gru_cell/candidate/kernel:0": [9, 5],
        "model/rnn/multi_rnn_cell/cell_1/gru_cell/candidate/bias:0": [5],
    }


def test_a_scopes_initializer_fills_kernels_and_not_biases() -> None:
    with tf.variable_scope("lm", initializer=tf.constant_initializer(0.25)):
        cell = tf.contrib.rnn.BasicLSTMCell(4)
        tf.nn.dynamic_rnn(cell, tf.zeros([2, 3, 5]), dtype=tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        kernel, bias = session.run(tf.trainable_variables())
    assert (kernel == 0.25).all()
    assert (bias == 0).all()


def test_cells_are_shared_by_reuse_and_not_otherwise() -> None:
    x = tf.zeros([2, 3, 5])
    with tf.variable_scope("model"):
        one, _ = tf.nn.dynamic_rnn(tf.contrib.rnn.GRUCell(4), x, dtype=tf.float32)
    with tf.variable_scope("model", reuse=True):
        other, _ = tf.nn.dynamic_rnn(tf.contrib.rnn.GRUCell(4), x, dtype=tf.float32)
    assert len(names()) == 4
    with tf.variable_scope("model"), pytest.raises(ValueError, match="exists already"):
        tf.nn.dynamic_rnn(tf.contrib.rnn.GRUCell(4), x, dtype=tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        np.testing.assert_array_equal(*session.run([one, other]))


def test_one_cell_several_times_in_a_stack_has_weights_of_its_own_in_each_place() -> None:
    cell = tf.contrib.rnn.DropoutWrapper(tf.contrib.rnn.BasicLSTMCell(4), output_keep_prob=0.5)
    tf.nn.dynamic_rnn(tf.contrib.rnn.MultiRNNCell([cell] * 3), tf.zeros([2, 3, 5]), dtype=tf.float32)
    assert [name for name in names() if "kernel" in name] == [
        f"rnn/multi_rnn_cell/cell_{number}/basic_lstm_cell/kernel:0" for number in range(3)
    ]


@pytest.mark.parametrize("arguments", [{"output_keep_prob": 0.4}, {"state_keep_prob": 0.4}, {"input_keep_prob": 0.4}])
def test_dropout_draws_a_new_mask_in_each_run_and_at_each_step(arguments: dict[str, Any]) -> None:
    key = next(iter(arguments))
    keep = tf.placeholder(tf.float32, [])
    cell = tf.contrib.rnn.DropoutWrapper(tf.contrib.rnn.GRUCell(64), **{key: keep})
    outputs, _ = tf.nn.dynamic_rnn(cell, tf.ones([2, 5, 64]), dtype=tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        one, other = (session.run(outputs, {keep: 0.4}) for _ in range(2))
        whole, again = (session.run(outputs, {keep: 1.0}) for _ in range(2))
    np.testing.assert_array_equal(whole, again)
    assert not np.array_equal(one, other)
    if key == "output_keep_prob":
        dropped = one == 0
        np.testing.assert_allclose(one[~dropped], (whole / np.float32(0.4))[~dropped], rtol=1e-5)
        assert 0.5 < dropped.mean() < 0.7
        assert not np.array_equal(dropped[:, 0], dropped[:, 1])


@pytest.mark.parametrize("value", [0.0, -1.0, 1.5])
def test_a_probability_out_of_range_fails_in_the_run(value: float) -> None:
    keep = tf.placeholder(tf.float32, [])
    cell = tf.contrib.rnn.DropoutWrapper(tf.contrib.rnn.GRUCell(4), output_keep_prob=keep)
    outputs, _ = tf.nn.dynamic_rnn(cell, tf.ones([2, 5, 4]), dtype=tf.float32)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(ValueError, match="keep_prob"):
            session.run(outputs, {keep: value})


@pytest.mark.parametrize("activation", [tf.nn.relu, tf.sigmoid, lambda x: tf.nn.relu(x) * 2.0, "softsign"])
def test_activations_are_functions_of_the_graph(activation: Any) -> None:
    x = np.random.default_rng(0).standard_normal((2, 1, 3)).astype(np.float32)
    outputs, _ = tf.nn.dynamic_rnn(tf.contrib.rnn.BasicRNNCell(4, activation), tf.constant(x), dtype=tf.float32)
    kernel, bias = tf.trainable_variables()
    first = tf.matmul(tf.constant(x[:, 0]), kernel[:3]) + bias
    expected = first / (1 + tf.abs(first)) if activation == "softsign" else activation(first)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        np.testing.assert_allclose(*session.run([outputs[:, 0], expected]), rtol=1e-5, atol=1e-6)


def test_a_seed_of_the_graph_makes_runs_repeatable() -> None:
    def run() -> Any:
        with tf.Graph().as_default(), tf.Session() as session:
            tf.set_random_seed(3)
            cell = tf.contrib.rnn.DropoutWrapper(tf.contrib.rnn.GRUCell(8), output_keep_prob=0.5)
            outputs, _ = tf.nn.dynamic_rnn(cell, tf.ones([2, 5, 4]), dtype=tf.float32)
            session.run(tf.global_variables_initializer())
            return session.run([outputs, tf.random_normal([3])])

    for one, other in zip(run(), run(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("layers", [1, 2])
def test_one_tensor_of_all_parts_is_a_state_as_before_tensorflow_0_11(layers: int) -> None:
    def make() -> Any:
        cells = [tf.nn.rnn_cell.BasicLSTMCell(4) for _ in range(layers)]
        return tf.nn.rnn_cell.MultiRNNCell(cells) if layers > 1 else cells[0]

    x = tf.random_normal([2, 3, 5], seed=1)
    joined = tf.random_normal([2, 8 * layers], seed=2)
    pairs = [tf.nn.rnn_cell.LSTMStateTuple(*tf.split(each, 2, 1)) for each in tf.split(joined, layers, 1)]
    parts = tuple(pairs) if layers > 1 else pairs[0]
    results = []
    with tf.variable_scope("model", reuse=tf.AUTO_REUSE):
        for state in (joined, parts):
            outputs, final = tf.nn.dynamic_rnn(make(), x, initial_state=state)
            steps, last = tf.nn.static_rnn(make(), tf.unstack(x, 3, 1), initial_state=state)
            with tf.variable_scope("rnn"):
                one, new = make()(x[:, 0], state)
            results.append([outputs, final, tf.stack(steps, 1), last, one, new])
    assert results[0][1].shape == results[0][5].shape == (2, 8 * layers)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        whole, apart = session.run(results)
    for one, other in zip(whole, apart, strict=True):
        flat = np.concatenate(tf.contrib.framework.nest.flatten(other), 1) if isinstance(other, tuple) else other
        np.testing.assert_array_equal(one, flat)


def test_one_tensor_of_another_size_is_no_state() -> None:
    with pytest.raises(
        ValueError, match=r"shape \(2, 4\); expected LSTMStateTuple\(c=4, h=4\), or one tensor \[batch, 8\]"
    ):
        tf.nn.dynamic_rnn(tf.nn.rnn_cell.BasicLSTMCell(4), tf.zeros([2, 3, 5]), initial_state=tf.zeros([2, 4]))
