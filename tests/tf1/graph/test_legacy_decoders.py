"""Decoders over lists of steps: with and without a loop function, and with shared weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

legacy = tf.contrib.legacy_seq2seq
STEPS = list(np.random.RandomState(1).standard_normal((4, 2, 3)).astype("float32"))


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_without_a_loop_function_it_is_the_cell_step_by_step(session: tf.Session) -> None:
    cell = tf.nn.rnn_cell.BasicLSTMCell(3)
    zero = cell.zero_state(2, tf.float32)
    outputs, state = legacy.rnn_decoder([tf.constant(step) for step in STEPS], zero, cell)
    assert [v.op.name for v in tf.trainable_variables()] == [
        "rnn_decoder/basic_lstm_cell/kernel", "rnn_decoder/basic_lstm_cell/bias",
    ]  # fmt: skip
    with tf.variable_scope("rnn_decoder", reuse=True):
        by_hand, own = [], zero
        for step in STEPS:
            output, own = cell(step, own)
            by_hand.append(output)
    session.run(tf.global_variables_initializer())
    np.testing.assert_allclose(session.run(outputs), session.run(by_hand), atol=1e-6)
    np.testing.assert_allclose(session.run(state), session.run(own), atol=1e-6)
    assert len(tf.trainable_variables()) == 2


def test_a_loop_function_feeds_symbols_back(session: tf.Session) -> None:
    cell = tf.nn.rnn_cell.GRUCell(5)
    table = tf.constant(np.eye(5, 3), tf.float32)
    numbers: list[int] = []

    def feedback(previous: tf.Tensor, number: int) -> tf.Tensor:
        numbers.append(number)
        return tf.nn.embedding_lookup(table, tf.stop_gradient(tf.argmax(previous, 1)))

    zero = cell.zero_state(2, tf.float32)
    outputs, _ = legacy.rnn_decoder([tf.constant(step) for step in STEPS], zero, cell, loop_function=feedback)
    assert numbers == [1, 2, 3]
    assert len(tf.trainable_variables()) == 4
    session.run(tf.global_variables_initializer())
    found = session.run(outputs)
    changed = session.run(outputs, {outputs[1]: np.float32([[9, 0, 0, 0, 0], [0, 0, 9, 0, 0]])})
    assert not np.allclose(found[2], changed[2])  # the third step reads the second's output alone
    with tf.variable_scope("rnn_decoder", reuse=True):
        _, state = cell(STEPS[0], zero)
        second, _ = cell(tf.nn.embedding_lookup(table, tf.argmax(outputs[0], 1)), state)
    np.testing.assert_allclose(session.run(second), found[1], atol=1e-6)


def test_sequence_to_sequence(session: tf.Session) -> None:
    inputs = [tf.constant(step) for step in STEPS]
    outputs, state = legacy.basic_rnn_seq2seq(inputs, inputs[:2], tf.nn.rnn_cell.GRUCell(5))
    assert len(outputs) == 2
    names = {v.op.name.rsplit("/", 2)[0] for v in tf.trainable_variables()}
    assert names == {"basic_rnn_seq2seq/rnn/gru_cell", "basic_rnn_seq2seq/rnn_decoder/gru_cell"}
    tied, _ = legacy.tied_rnn_seq2seq(inputs, inputs[:2], tf.nn.rnn_cell.GRUCell(5))
    assert len(tf.trainable_variables()) == 12
    session.run(tf.global_variables_initializer())
    assert session.run(tied)[1].shape == (2, 5)
    assert session.run(state).shape == (2, 5)


def test_symbols(session: tf.Session) -> None:
    symbols = [tf.constant([1, 2]), tf.constant([3, 0])]
    with tf.variable_scope("model"):
        cell = tf.nn.rnn_cell.BasicRNNCell(4)
        zero = cell.zero_state(2, tf.float32)
        given, _ = legacy.embedding_rnn_decoder(symbols, zero, cell, 4, 3)
    with tf.variable_scope("model", reuse=True):
        fed, _ = legacy.embedding_rnn_decoder(symbols, zero, cell, 4, 3, feed_previous=True)
    assert [v.op.name for v in tf.trainable_variables()] == [
        "model/embedding_rnn_decoder/embedding",
        "model/embedding_rnn_decoder/rnn_decoder/basic_rnn_cell/kernel",
        "model/embedding_rnn_decoder/rnn_decoder/basic_rnn_cell/bias",
    ]
    session.run(tf.global_variables_initializer())
    first, second, last = session.run([given[0], fed[0], fed[1]])
    np.testing.assert_allclose(first, second, atol=1e-6)
    same = session.run(given[1], {symbols[1]: first.argmax(1)})
    np.testing.assert_allclose(last, same, atol=1e-6)


@pytest.mark.parametrize("projected", [True, False])
def test_symbols_to_symbols(session: tf.Session, projected: bool) -> None:
    rng = np.random.RandomState(1)
    source = [tf.constant(rng.randint(0, 6, 2)) for _ in range(3)]
    target = [tf.constant(rng.randint(0, 5, 2)) for _ in range(4)]
    projection = (tf.constant(rng.randn(4, 5), tf.float32), tf.zeros([5])) if projected else None
    cell = tf.nn.rnn_cell.GRUCell(4)
    results = []
    with tf.variable_scope("model") as scope:
        for feed in (False, True):
            results.append(legacy.embedding_rnn_seq2seq(source, target, cell, 6, 5, 3, projection, feed)[0])
            scope.reuse_variables()
        asked = tf.placeholder(tf.bool, [])
        chosen, state = legacy.embedding_rnn_seq2seq(source, target, cell, 6, 5, 3, projection, asked)
    head = "model/embedding_rnn_seq2seq"
    wrapper = "/output_projection_wrapper" if not projected else ""
    decoder = f"{head}/embedding_rnn_decoder/rnn_decoder{wrapper}"
    gru = [f"gru_cell/{part}/{kind}" for part in ("gates", "candidate") for kind in ("kernel", "bias")]
    assert sorted(v.op.name for v in tf.trainable_variables()) == sorted([
        f"{head}/rnn/embedding_wrapper/embedding", *[f"{head}/rnn/embedding_wrapper/{name}" for name in gru],
        f"{head}/embedding_rnn_decoder/embedding", *[f"{decoder}/{name}" for name in gru],
        *([f"{decoder}/kernel", f"{decoder}/bias"] if wrapper else []),
    ])  # fmt: skip
    session.run(tf.global_variables_initializer())
    given, fed = session.run(results)
    assert [each.shape for each in given] == [(2, 4 if projected else 5)] * 4
    np.testing.assert_allclose(given[0], fed[0], atol=1e-6)
    scores = fed[0] @ session.run(projection[0]) if projection else fed[0]
    replaced = session.run(results[0], {target[1]: scores.argmax(1)})
    np.testing.assert_allclose(replaced[1], fed[1], atol=1e-6)  # the second step reads the first's best symbol
    for value, expected in ((False, given), (True, fed)):
        for one, other in zip(session.run(chosen, {asked: value}), expected, strict=True):
            np.testing.assert_array_equal(one, other)
    assert session.run(state, {asked: True}).shape == (2, 4)


def test_symbols_to_symbols_with_shared_weights(session: tf.Session) -> None:
    symbols = [tf.constant([1, 2]), tf.constant([3, 0]), tf.constant([0, 0])]
    cell = tf.nn.rnn_cell.BasicLSTMCell(4)
    with tf.variable_scope("model") as scope:
        given, state = legacy.embedding_tied_rnn_seq2seq(symbols, symbols, cell, 4, 3)
        scope.reuse_variables()
        fed, _ = legacy.embedding_tied_rnn_seq2seq(symbols, symbols, cell, 4, 3, feed_previous=True)
    assert len(tf.trainable_variables()) == 5  # one table, one cell, one projection
    loss = legacy.sequence_loss(given, symbols, [tf.ones([2])] * 3)
    train = tf.train.AdamOptimizer(0.1).minimize(loss)
    session.run(tf.global_variables_initializer())
    first = session.run(loss)
    for _ in range(30):
        session.run(train)
    assert session.run(loss) < 0.3 * first
    assert session.run(fed)[2].shape == (2, 4)
    assert session.run(state.h).shape == (2, 4)
