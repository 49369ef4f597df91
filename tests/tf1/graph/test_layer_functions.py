"""Layers with variables: batch normalization, dropout, dense layers, convolutions, embeddings, regularizers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf

X = np.random.RandomState(8).standard_normal((6, 3)).astype("float32") * 2 + 1


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_batch_normalization_learns_the_mean_by_its_updates(session: tf.Session) -> None:
    training = tf.placeholder(tf.bool, [])
    y = tf.layers.batch_normalization(tf.constant(X), training=training, momentum=0.5)
    assert [v.op.name for v in tf.global_variables()] == [
        f"batch_normalization/{name}" for name in ("gamma", "beta", "moving_mean", "moving_variance")
    ]
    assert len(tf.trainable_variables()) == 2
    updates = tf.get_collection(tf.GraphKeys.UPDATE_OPS)
    assert len(updates) == 2
    session.run(tf.global_variables_initializer())
    normal = (X - X.mean(0)) / np.sqrt(X.var(0) + 1e-3)
    np.testing.assert_allclose(session.run(y, {training: True}), normal, atol=1e-5)
    np.testing.assert_allclose(session.run(y, {training: False}), X / np.sqrt(1.001), rtol=1e-5)
    session.run(updates, {training: True})
    mean, variance = session.run(tf.global_variables()[2:])
    np.testing.assert_allclose(mean, X.mean(0) / 2, rtol=1e-5)
    np.testing.assert_allclose(variance, 0.5 + X.var(0) / 2, rtol=1e-5)
    session.run(updates, {training: False})
    np.testing.assert_allclose(session.run(tf.global_variables()[2]), mean)


def test_batch_norm_may_update_in_each_run(session: tf.Session) -> None:
    y = tf.contrib.layers.batch_norm(tf.constant(X), decay=0.9, updates_collections=None, is_training=True)
    session.run(tf.global_variables_initializer())
    session.run(y)
    moving = next(v for v in tf.global_variables() if v.op.name == "BatchNorm/moving_mean")
    np.testing.assert_allclose(session.run(moving), 0.1 * X.mean(0), rtol=1e-5)
    assert tf.get_collection(tf.GraphKeys.UPDATE_OPS) == []
    assert len(tf.trainable_variables()) == 1


def test_normalization_of_images_has_a_gradient(session: tf.Session) -> None:
    x = tf.constant(np.random.RandomState(9).standard_normal((2, 3, 3, 2)), tf.float32)
    y = tf.layers.batch_normalization(x, training=True)
    gradient = tf.gradients(y * y, x)[0]
    session.run(tf.global_variables_initializer())
    assert abs(session.run(gradient)).max() < 0.1  # the sum of squares of a normalized batch hardly changes
    session.run(tf.get_collection(tf.GraphKeys.UPDATE_OPS))
    values = session.run(x).reshape(-1, 2)
    found = session.run(tf.global_variables()[3])
    np.testing.assert_allclose(found, 0.99 + 0.01 * values.var(0, ddof=1), rtol=1e-5)


def test_layer_norm_is_of_each_row(session: tf.Session) -> None:
    y = tf.contrib.layers.layer_norm(tf.constant(X))
    session.run(tf.global_variables_initializer())
    normal = (X - X.mean(1, keepdims=True)) / X.std(1, keepdims=True)
    np.testing.assert_allclose(session.run(y), normal, rtol=1e-4, atol=1e-5)
    assert {v.op.name for v in tf.trainable_variables()} == {"LayerNorm/beta", "LayerNorm/gamma"}


def test_dropout(session: tf.Session) -> None:
    ones, training = tf.ones([1000]), tf.placeholder(tf.bool, [])
    assert session.run(tf.layers.dropout(ones, 0.3)).min() == 1
    dropped = tf.layers.dropout(ones, 0.75, training=training)
    assert session.run(dropped, {training: False}).tolist() == [1] * 1000
    found = session.run(dropped, {training: True})
    assert set(found.tolist()) == {0.0, 4.0}
    assert 150 < (found > 0).sum() < 350
    assert set(session.run(tf.contrib.layers.dropout(ones, 0.5)).tolist()) == {0.0, 2.0}


def test_dense_layers(session: tf.Session) -> None:
    x = tf.constant(X)
    tf.layers.dense(x, 4, activation=tf.nn.relu, name="one")
    tf.layers.dense(x, 4)
    tf.layers.dense(x, 4)
    tf.contrib.layers.fully_connected(x, 2)
    names = [v.op.name for v in tf.trainable_variables()]
    assert names == [
        "one/kernel", "one/bias", "dense/kernel", "dense/bias", "dense_1/kernel", "dense_1/bias",
        "fully_connected/weights", "fully_connected/biases",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="one/kernel"):
        tf.layers.dense(x, 4, name="one")
    shared = tf.layers.dense(x, 4, name="one", reuse=True)
    layer = tf.layers.Dense(5, use_bias=False)
    twice = layer(layer(tf.ones([2, 7, 5])))
    assert twice.shape.as_list() == [2, 7, 5]
    assert [v.op.name for v in layer.variables] == ["dense_2/kernel"]
    session.run(tf.global_variables_initializer())
    kernel, bias = session.run(tf.trainable_variables()[:2])
    np.testing.assert_allclose(session.run(shared), X @ kernel + bias, rtol=1e-5)
    with pytest.raises(ValueError, match="last size"):
        tf.layers.dense(tf.placeholder(tf.float32, [None, None]), 3)


def test_convolutions_and_pools(session: tf.Session) -> None:
    image = tf.zeros([2, 8, 8, 3])
    h = tf.layers.conv2d(image, 4, 3, activation=tf.nn.relu, padding="same")
    h = tf.layers.max_pooling2d(h, 2, 2)
    h = tf.contrib.layers.conv2d(h, 5, [3, 3], stride=2)
    h = tf.contrib.layers.flatten(tf.contrib.layers.max_pool2d(h, 2))
    assert h.shape.as_list() == [2, 5]
    assert tf.layers.conv1d(tf.zeros([2, 9, 3]), 4, 3).shape.as_list() == [2, 7, 4]
    assert tf.layers.flatten(tf.placeholder(tf.float32, [None, 4, 5])).shape.as_list() == [None, 20]
    assert [v.op.name for v in tf.trainable_variables()[:4]] == [
        "conv2d/kernel", "conv2d/bias", "Conv/weights", "Conv/biases",
    ]  # fmt: skip
    session.run(tf.global_variables_initializer())
    assert session.run(h).shape == (2, 5)


def test_embeddings_and_penalties(session: tf.Session) -> None:
    vectors = tf.contrib.layers.embed_sequence([[1, 2, 0]], 5, 3)
    assert vectors.shape.as_list() == [1, 3, 3]
    w = tf.get_variable("w", [2], initializer=tf.ones_initializer(), regularizer=tf.contrib.layers.l2_regularizer(0.5))
    more = tf.contrib.layers.apply_regularization(tf.contrib.layers.l1_regularizer(0.1), [w])
    session.run(tf.global_variables_initializer())
    assert session.run(more) == pytest.approx(0.2)
    assert session.run(tf.losses.get_regularization_loss()) == pytest.approx(0.7)
    tf.losses.absolute_difference([1.0], [3.0])
    assert session.run(tf.losses.get_total_loss()) == pytest.approx(2.7)


def test_optimize_loss(session: tf.Session) -> None:
    w = tf.Variable(3.0)
    step = tf.contrib.framework.get_or_create_global_step()
    train = tf.contrib.layers.optimize_loss(w * w, step, 0.25, "SGD", clip_gradients=2.0)
    session.run(tf.global_variables_initializer())
    assert session.run(train) == 9
    assert session.run([w, step]) == [2.5, 1]
    assert tf.train.global_step(session, step) == 1
    assert tf.train.get_global_step() is step
    with pytest.raises(ValueError, match="There is no optimizer 'Sgd'"):
        tf.contrib.layers.optimize_loss(w * w, step, 0.25, "Sgd")
