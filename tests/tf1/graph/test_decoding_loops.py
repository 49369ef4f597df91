"""``dynamic_decode``: with given inputs, with the decoder's own symbols, and with helpers of a program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

seq2seq = tf.contrib.seq2seq
INPUTS = np.random.RandomState(2).standard_normal((3, 6, 4)).astype("float32")
LENGTHS = [5, 2, 3]


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def decode(helper: Any, impute: bool, maximum: Any = None, reuse: bool = False) -> Any:
    with tf.variable_scope("decode", reuse=reuse):
        cell = tf.nn.rnn_cell.BasicLSTMCell(5)
        layer = tf.layers.Dense(7, kernel_initializer=tf.truncated_normal_initializer(0.0, 1.0), name="out")
        decoder = seq2seq.BasicDecoder(cell, helper, cell.zero_state(3, tf.float32), layer)
        return seq2seq.dynamic_decode(decoder, impute_finished=impute, maximum_iterations=maximum)


@pytest.mark.parametrize("impute", [False, True])
def test_given_inputs_in_one_loop_are_as_step_by_step(session: tf.Session, impute: bool) -> None:
    helper = seq2seq.TrainingHelper(INPUTS, LENGTHS)
    fast = decode(helper, impute)
    slow = decode(helper, impute, maximum=99, reuse=True)
    assert len(tf.trainable_variables()) == 4
    assert fast[0].rnn_output.shape.as_list() == [3, None, 7]
    session.run(tf.global_variables_initializer())
    (one, state, lengths), (other, own, same) = session.run([fast, slow])
    np.testing.assert_allclose(one.rnn_output, other.rnn_output, atol=1e-6)
    assert one.rnn_output.shape == (3, 5, 7)
    assert one.sample_id.tolist() == other.sample_id.tolist()
    np.testing.assert_allclose(state.h, own.h, atol=1e-6)
    assert lengths.tolist() == same.tolist() == LENGTHS
    assert (not one.rnn_output[1, 2:].any()) == impute


def test_it_trains(session: tf.Session) -> None:
    outputs, _, _ = decode(seq2seq.TrainingHelper(INPUTS, LENGTHS), True)
    targets, weights = np.ones((3, 5), "int32"), tf.sequence_mask(LENGTHS, 5, dtype=tf.float32)
    loss = seq2seq.sequence_loss(outputs.rnn_output, targets, weights)
    train = tf.train.AdamOptimizer(0.1).minimize(loss)
    session.run(tf.global_variables_initializer())
    losses = [session.run([loss, train])[0] for _ in range(15)]
    assert losses[-1] < losses[0] / 4


def greedy(session: tf.Session, impute: bool) -> tuple[Any, Any]:
    table = tf.constant(np.random.RandomState(4).standard_normal((7, 4)), tf.float32)
    helper = seq2seq.GreedyEmbeddingHelper(table, tf.fill([3], 0), 6)
    return decode(helper, impute, maximum=8), table


def test_symbols_are_fed_back(session: tf.Session) -> None:
    (outputs, _, lengths), table = greedy(session, False)
    tf.set_random_seed(3)
    session.run(tf.global_variables_initializer())
    symbols, found, steps = session.run([outputs.sample_id, outputs.rnn_output, lengths])
    assert symbols.tolist() == found.argmax(2).tolist()
    assert symbols.shape[1] == steps.max() <= 8
    for row, count in zip(symbols, steps, strict=True):
        assert 6 not in row[: count - 1]
        assert row[count - 1] == 6 or count == 8
    kernel, bias, matrix, offset = session.run(tf.trainable_variables())
    vector, c, h = session.run(table)[0], np.zeros(5), np.zeros(5)
    for expected in symbols[0, : steps[0]]:
        i, j, f, o = np.split(np.concatenate([vector, h]) @ kernel + bias, 4)
        sigmoid = [1 / (1 + np.exp(-x)) for x in (i, f + 1, o)]
        c = sigmoid[1] * c + sigmoid[0] * np.tanh(j)
        h = sigmoid[2] * np.tanh(c)
        symbol = int((h @ matrix + offset).argmax())
        assert symbol == expected
        vector = session.run(table)[symbol]


def test_rows_end_at_the_end_token(session: tf.Session) -> None:
    for impute in (False, True):
        with tf.variable_scope(f"impute_{impute}"):
            (outputs, _, lengths), _ = greedy(session, impute)
        session.run(tf.global_variables_initializer())
        offset = next(v for v in tf.trainable_variables() if v.op.name == f"impute_{impute}/decode/decoder/out/bias")
        session.run(offset.assign([0, 0, 0, 0, 0, 0, 100.0]))
        assert session.run(lengths).tolist() == [1, 1, 1]
        assert session.run(outputs.sample_id).tolist() == [[6], [6], [6]]


def test_time_may_come_first(session: tf.Session) -> None:
    cell = tf.nn.rnn_cell.GRUCell(5)
    helper = seq2seq.TrainingHelper(INPUTS.transpose(1, 0, 2), LENGTHS, time_major=True)
    decoder = seq2seq.BasicDecoder(cell, helper, cell.zero_state(3, tf.float32))
    outputs, _, _ = seq2seq.dynamic_decode(decoder, output_time_major=True)
    session.run(tf.global_variables_initializer())
    assert session.run(outputs.rnn_output).shape == (5, 3, 5)


def test_a_line_that_takes_two_results_gets_two_as_from_tensorflow_1_1(session: tf.Session) -> None:
    cell = tf.nn.rnn_cell.GRUCell(5)
    decoder = seq2seq.BasicDecoder(cell, seq2seq.TrainingHelper(INPUTS, LENGTHS), cell.zero_state(3, tf.float32))
    with tf.variable_scope("share", reuse=tf.AUTO_REUSE):
        outputs, state = seq2seq.dynamic_decode(decoder)
        (inner, _), other = seq2seq.dynamic_decode(
            decoder,
            impute_finished=False,
        )
        whole = seq2seq.dynamic_decode(decoder)
        first = seq2seq.dynamic_decode(decoder)[0]
        a, b, lengths = seq2seq.dynamic_decode(decoder)
        head, *rest = seq2seq.dynamic_decode(decoder)
    assert len(whole) == 3
    assert len(rest) == 2
    session.run(tf.global_variables_initializer())
    made = session.run([outputs.rnn_output, inner, first.rnn_output, a.rnn_output, head.rnn_output])
    for each in made[1:]:
        np.testing.assert_array_equal(each, made[0])
    for one, another in (session.run([state, other]), session.run([b, whole[1]])):
        np.testing.assert_array_equal(one, another)
    assert session.run(lengths).tolist() == list(LENGTHS)


def test_a_helper_of_a_program(session: tf.Session) -> None:
    class Counting(seq2seq.Helper):  # type: ignore[misc, name-defined]
        def initialize(self, name: str | None = None) -> Any:
            return tf.fill([2], False), tf.zeros([2, 1])

        def sample(self, time: Any, outputs: Any, state: Any, name: str | None = None) -> Any:
            return tf.fill([2], time)

        def next_inputs(self, time: Any, outputs: Any, state: Any, sample_ids: Any, name: str | None = None) -> Any:
            return tf.stack([time >= 1, time >= 3]), outputs[:, :1], state

    cell = tf.nn.rnn_cell.GRUCell(2)
    outputs, _, lengths = seq2seq.dynamic_decode(
        seq2seq.BasicDecoder(cell, Counting(), cell.zero_state(2, tf.float32)), impute_finished=True
    )
    session.run(tf.global_variables_initializer())
    assert session.run(outputs.sample_id).tolist() == [[0, 1, 0, 0], [0, 1, 2, 3]]
    assert session.run(lengths).tolist() == [2, 4]


def test_errors(session: tf.Session) -> None:
    with pytest.raises(TypeError, match="expected a helper"):
        seq2seq.BasicDecoder(tf.nn.rnn_cell.GRUCell(2), 3, None)
    with pytest.raises(TypeError, match="expected a decoder"):
        seq2seq.dynamic_decode(3)
    with pytest.raises(ValueError, match=r"expected \[B\]"):
        seq2seq.GreedyEmbeddingHelper(tf.zeros([3, 2]), 0, 1)
