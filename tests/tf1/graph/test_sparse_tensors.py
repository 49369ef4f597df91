"""Sparse tensors as feeds and fetches, CTC on them, and distances between sequences."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_feeding_and_fetching(session: tf.Session) -> None:
    sparse = tf.sparse_placeholder(tf.int32)
    dense = tf.sparse_tensor_to_dense(sparse, default_value=-1)
    value = tf.SparseTensorValue([[0, 0], [1, 2]], [7, 8], [2, 3])
    for given in (value, tuple(value), (np.int64(value[0]), np.int32(value[1]), np.int64(value[2]))):
        assert session.run(dense, {sparse: given}).tolist() == [[7, -1, -1], [-1, -1, 8]]
    fetched = session.run(sparse, {sparse: value})
    assert isinstance(fetched, tf.SparseTensorValue)
    assert fetched.values.tolist() == [7, 8]
    assert session.run({"all": [sparse, sparse.values]}, {sparse: value})["all"][1].tolist() == [7, 8]
    with pytest.raises(tf.errors.InvalidArgumentError, match="got no value"):
        session.run(dense)


def test_known_shapes(session: tf.Session) -> None:
    sparse = tf.SparseTensor(indices=[[1]], values=[2.5], dense_shape=[3])
    assert sparse.get_shape().as_list() == [3]
    assert sparse.dtype == tf.float32
    assert session.run(tf.sparse_tensor_to_dense(sparse)).tolist() == [0, 2.5, 0]


def test_a_cast_keeps_a_tensor_sparse(session: tf.Session) -> None:
    sparse = tf.SparseTensor([[0, 0], [1, 2]], tf.constant([7.9, 8.1]), [2, 3])
    for made in (tf.cast(sparse, tf.int32), tf.to_int32(sparse)):
        assert isinstance(made, tf.SparseTensor)
        value = session.run(made)
        assert value.values.tolist() == [7, 8]
        assert value.values.dtype == np.int32
        assert value.indices.tolist() == [[0, 0], [1, 2]]
        assert made.get_shape().as_list() == [2, 3]


def test_the_value_of_a_sparse_tensor_is_taken_for_one(session: tf.Session) -> None:
    value = session.run(tf.SparseTensor([[0, 0], [0, 1]], [7, 8], [1, 3]))
    assert session.run(tf.sparse_tensor_to_dense(value, default_value=-1)).tolist() == [[7, 8, -1]]
    assert session.run(tf.edit_distance(value, tf.SparseTensor.from_value(value))).tolist() == [0]
    loss = tf.nn.ctc_loss(tf.SparseTensorValue(np.int64([[0, 0]]), np.int32([1]), [1, 1]), tf.zeros([2, 1, 3]), [2])
    np.testing.assert_allclose(session.run(loss), -np.log(3 / 9), rtol=1e-6)


def test_a_sparse_tensor_is_not_a_dense_one(session: tf.Session) -> None:
    sparse = tf.SparseTensor([[0]], [1.0], [2])
    for use in (lambda: tf.reduce_sum(sparse), lambda: tf.add(sparse, 1.0)):
        with pytest.raises(TypeError, match=r"Make it dense: tf\.sparse_tensor_to_dense"):
            use()
    with pytest.raises(TypeError, match=r"sparse_tensor_to_dense got 3; expected a tf\.SparseTensor"):
        tf.sparse_tensor_to_dense(3)


def test_a_network_learns_by_ctc(session: tf.Session) -> None:
    labels = tf.sparse_placeholder(tf.int32)
    x = tf.constant(np.random.RandomState(0).standard_normal((6, 2, 4)), tf.float32)
    logits = tf.layers.dense(x, 4)
    lengths = tf.constant([6, 5])
    loss = tf.reduce_mean(tf.nn.ctc_loss(labels, logits, lengths))
    train = tf.train.AdamOptimizer(0.3).minimize(loss)
    decoded, score = tf.nn.ctc_greedy_decoder(logits, lengths)
    wrong = tf.reduce_mean(tf.edit_distance(tf.SparseTensor(
        decoded[0].indices, tf.cast(decoded[0].values, tf.int32), decoded[0].dense_shape), labels))  # fmt: skip
    session.run(tf.global_variables_initializer())
    feed = {labels: ([[0, 0], [0, 1], [1, 0]], [0, 1, 2], [2, 2])}
    first = session.run(loss, feed)
    for _ in range(60):
        session.run(train, feed)
    assert session.run(loss, feed) < first / 4
    assert session.run(wrong, feed) == 0
    assert session.run(score).shape == (2, 1)


def test_ctc_without_an_alignment(session: tf.Session) -> None:
    labels = tf.SparseTensor([[0, 0], [0, 1], [0, 2]], tf.constant([0, 0, 1]), [1, 3])
    logits = tf.zeros([3, 1, 3])  # two equal labels need a blank between them: four steps
    with pytest.raises(tf.errors.InvalidArgumentError, match="Not enough time for the labels of row 0"):
        session.run(tf.nn.ctc_loss(labels, logits, [3]))
    ignored = tf.nn.ctc_loss(labels, logits, [3], ignore_longer_outputs_than_inputs=True)
    assert session.run(ignored).tolist() == [0]
    with pytest.raises(TypeError, match=r"expected a tf\.SparseTensor"):
        tf.nn.ctc_loss(tf.constant([[0]]), logits, [3])


def test_distances(session: tf.Session) -> None:
    def sparse(*rows: str) -> tf.SparseTensor:
        places = [[n, t] for n, row in enumerate(rows) for t in range(len(row))]
        letters = [ord(letter) for row in rows for letter in row]
        return tf.SparseTensor(np.int64(places).reshape(-1, 2), np.int32(letters), [len(rows), 9])

    guess, truth = sparse("kitten", "", "abc", "", "x"), sparse("sitting", "ab", "abc", "", "")
    assert session.run(tf.edit_distance(guess, truth, normalize=False)).tolist() == [3, 2, 0, 0, 1]
    np.testing.assert_allclose(session.run(tf.edit_distance(guess, truth)), [3 / 7, 1, 0, 0, np.inf])
