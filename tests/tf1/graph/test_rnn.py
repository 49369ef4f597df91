"""Loops over time in a graph: the numbers of the eager functions, by the engines; a program's own cells by steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from holdfast import tf1
from holdfast.tf1 import graph as tf

B, T, D, H = 3, 6, 4, 5
X = np.random.default_rng(0).standard_normal((B, T, D)).astype(np.float32)
LENGTHS = [6, 0, 4]
CELLS = {
    "rnn": lambda m: m.BasicRNNCell(H),
    "gru": lambda m: m.GRUCell(H),
    "basic_lstm": lambda m: m.BasicLSTMCell(H, forget_bias=0.5),
    "lstm": lambda m: m.LSTMCell(H, use_peepholes=True, num_proj=3),
    "flat_state": lambda m: m.BasicLSTMCell(H, state_is_tuple=False),
    "normalised": lambda m: m.LayerNormBasicLSTMCell(H),
    "stack": lambda m: m.MultiRNNCell([m.BasicLSTMCell(4), m.GRUCell(H)]),
    "residual": lambda m: m.ResidualWrapper(m.GRUCell(D)),
}


@pytest.fixture(autouse=True)
def _own_graph() -> Any:
    with tf.Graph().as_default():
        yield


class Own(tf.contrib.rnn.RNNCell):
    """A GRU-like cell that a program writes itself."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    @property
    def state_size(self) -> int:
        return self._size

    @property
    def output_size(self) -> int:
        return self._size

    def call(self, inputs: Any, state: Any) -> Any:
        kernel = tf.get_variable("kernel", [int(inputs.get_shape()[1]) + self._size, self._size])
        new = tf.tanh(tf.matmul(tf.concat([inputs, state], 1), kernel))
        return new * 2.0, new


def eager(
    name: str, values: dict[str, np.ndarray], lengths: Any, reverse: bool = False
) -> tuple[Any, list[np.ndarray]]:
    """Outputs, final state and gradients by the eager functions, with the same values of the variables."""
    with tf1.VariableStore().as_default():
        cell = CELLS[name](tf1)
        x = torch.tensor(X, requires_grad=True)
        tf1.build(cell, D)
        with torch.no_grad():
            for key, variable in tf1.default_store().variables.items():
                variable.copy_(torch.from_numpy(values[key]))
        outputs, state = tf1.dynamic_rnn(cell, x, lengths, dtype=torch.float32)
        leaves = [outputs, *tf.nest.flatten(state)]
        total = sum(leaf.square().sum() for leaf in leaves)
        grads = torch.autograd.grad(total, [x, *tf1.default_store().variables.values()])
    return [leaf.detach().numpy() for leaf in leaves], [grad.numpy() for grad in grads]


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("name", CELLS)
def test_the_numbers_and_gradients_are_those_of_the_eager_functions(name: str, lengths: Any) -> None:
    x = tf.placeholder(tf.float32, [None, T, D])
    given = None if lengths is None else tf.placeholder(tf.int32, [None])
    outputs, state = tf.nn.dynamic_rnn(CELLS[name](tf.contrib.rnn), x, given, dtype=tf.float32)
    leaves = [outputs, *tf.nest.flatten(state)]
    total = tf.add_n([tf.reduce_sum(tf.square(leaf)) for leaf in leaves])
    variables = tf.trainable_variables()
    grads = tf.gradients(total, [x, *variables])
    feed = {x: X} if given is None else {x: X, given: lengths}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        values = {variable.op.name: value for variable, value in zip(variables, session.run(variables), strict=True)}
        got, got_grads = session.run([leaves, grads], feed)
    expected, expected_grads = eager(name, values, lengths)
    for one, other in zip([*got, *got_grads], [*expected, *expected_grads], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert outputs.get_shape().as_list() == [None, T, got[0].shape[-1]]


def test_every_form_of_a_loop_computes_the_same() -> None:
    cell = tf.contrib.rnn.BasicLSTMCell(H)
    x = tf.placeholder(tf.float32, [B, T, D])
    dynamic, state = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    by_time, _ = tf.nn.dynamic_rnn(cell, tf.transpose(x, [1, 0, 2]), dtype=tf.float32, time_major=True)
    static, static_state = tf.nn.static_rnn(cell, tf.unstack(x, T, 1), dtype=tf.float32)
    own, steps = cell.zero_state(B, tf.float32), []
    for t in range(T):
        output, own = cell(x[:, t, :], own)
        steps.append(output)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        first, *others = session.run(
            [dynamic, tf.transpose(by_time, [1, 0, 2]), tf.stack(static, 1), tf.stack(steps, 1)], {x: X}
        )
        states = session.run([state, static_state, own], {x: X})
    for other in others:
        np.testing.assert_allclose(first, other, rtol=1e-5, atol=1e-6)
    for other in states[1:]:
        assert type(other) is tf1.LSTMStateTuple
        np.testing.assert_allclose(states[0].c, other.c, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(states[0].h, other.h, rtol=1e-5, atol=1e-6)
    assert len(tf.trainable_variables()) == 2


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["whole", "lengths"])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_programs_own_cell_runs_by_steps_with_lengths_and_gradients(lengths: Any, reverse: bool) -> None:
    x = tf.placeholder(tf.float32, [None, T, D])
    if reverse:
        _, (outputs, state) = zip(*tf.nn.bidirectional_dynamic_rnn(
            tf.contrib.rnn.GRUCell(2), Own(H), x, lengths, dtype=tf.float32), strict=True)  # fmt: skip
    else:
        outputs, state = tf.nn.dynamic_rnn(Own(H), x, lengths, dtype=tf.float32)
    kernel = next(variable for variable in tf.trainable_variables() if "own/kernel" in variable.name)
    grads = tf.gradients(tf.reduce_sum(tf.square(outputs)) + tf.reduce_sum(state), [kernel, x])
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        got, final, got_grads, weights = session.run([outputs, state, grads, kernel], {x: X})
    w = torch.tensor(weights, requires_grad=True)
    values = torch.tensor(X, requires_grad=True)
    h, expected = torch.zeros(B, H), [torch.zeros(B, H)] * T
    ends = torch.tensor(lengths or [T] * B)[:, None]
    for t in reversed(range(T)) if reverse else range(T):
        new = torch.tanh(torch.cat([values[:, t], h], 1) @ w)
        expected[t] = torch.where(t < ends, new * 2, 0)
        h = torch.where(t < ends, new, h)
    stacked = torch.stack(expected, 1)
    reference = torch.autograd.grad(stacked.square().sum() + h.sum(), [w, values])
    np.testing.assert_allclose(got, stacked.detach().numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(final, h.detach().numpy(), rtol=1e-5, atol=1e-6)
    for one, other in zip(got_grads, reference, strict=True):
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-4, atol=1e-6)


def test_a_state_is_carried_from_run_to_run_and_fed_as_a_structure() -> None:
    cell = tf.contrib.rnn.MultiRNNCell([tf.contrib.rnn.BasicLSTMCell(H), tf.contrib.rnn.BasicLSTMCell(H)])
    x = tf.placeholder(tf.float32, [B, None, D])
    first = cell.zero_state(B, tf.float32)
    outputs, final = tf.nn.dynamic_rnn(cell, x, initial_state=first)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        whole = session.run(outputs, {x: X})
        state = session.run(first)
        parts = []
        for part in (X[:, :2], X[:, 2:]):
            output, state = session.run([outputs, final], {x: part, first: state})
            parts.append(output)
        one_by_one = session.run(outputs, {x: X[:, 2:], first[0].c: state[0].c * 0, first[0].h: state[0].h * 0,
                                           first[1]: session.run(first[1])})  # fmt: skip
        fresh = session.run(outputs, {x: X[:, 2:]})
    np.testing.assert_allclose(np.concatenate(parts, 1), whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(one_by_one, fresh)


def test_explain_says_what_runs_each_loop() -> None:
    x, keep = tf.placeholder(tf.float32, [None, T, D]), tf.placeholder(tf.float32, [])
    cell = tf.contrib.rnn.DropoutWrapper(tf.contrib.rnn.GRUCell(H), output_keep_prob=keep)
    first, _ = tf.nn.dynamic_rnn(cell, x, dtype=tf.float32)
    second, _ = tf.nn.dynamic_rnn(Own(H), first, LENGTHS, dtype=tf.float32, scope="second")
    tf.nn.dynamic_rnn(tf.contrib.rnn.BasicRNNCell(H), x, dtype=tf.float32, scope="third")
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        explanation = tf.explain([second], {x: X, keep: 0.5}, session)
    assert [choice.engine for choice in explanation.choices] == ["native", "unroll"]
    assert "Own is a program's own cell" in str(explanation)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x, cell: tf.nn.dynamic_rnn(cell, x), ValueError, "dtype=tf.float32"),
        (lambda x, cell: tf.nn.dynamic_rnn(cell, x[:, 0], dtype=tf.float32), ValueError, "batch, time, depth"),
        (lambda x, cell: tf.nn.static_rnn(cell, x, dtype=tf.float32), TypeError, "unstack"),
        (lambda x, cell: tf.nn.static_rnn(cell, [], dtype=tf.float32), ValueError, "at least one step"),
        (lambda x, cell: tf.contrib.rnn.MultiRNNCell([]), ValueError, "one cell"),
        (lambda x, cell: tf.nn.dynamic_rnn(cell, tf.placeholder(tf.float32, [None, T, None]), dtype=tf.float32),
         ValueError, "unknown"),
    ],
)  # fmt: skip
def test_wrong_arguments_are_errors_when_the_graph_is_made(make: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        make(tf.placeholder(tf.float32, [None, T, D]), tf.contrib.rnn.GRUCell(H))


@pytest.mark.parametrize("own", [False, True])
def test_lengths_may_be_counted_in_float_numbers(own: bool) -> None:
    def make() -> Any:
        return Own(H) if own else tf.contrib.rnn.GRUCell(H)

    counted = tf.reduce_sum(tf.sequence_mask(LENGTHS, T, tf.float32), 1)
    results = []
    for lengths in (counted, LENGTHS):
        with tf.variable_scope("model", reuse=tf.AUTO_REUSE):
            results.append([
                tf.nn.dynamic_rnn(make(), X, lengths, dtype=tf.float32),
                tf.nn.static_rnn(make(), tf.unstack(X, axis=1), dtype=tf.float32, sequence_length=lengths),
            ])  # fmt: skip
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        one, other = session.run(results)
    for a, b in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
        np.testing.assert_array_equal(a, b)
