"""Gradients: where there are none, of rows that are looked up, and of gradients."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_no_path_gives_none_and_is_skipped(session: tf.Session) -> None:
    a, b = tf.Variable(1.0), tf.Variable(2.0)
    assert tf.gradients(a * 3, [b]) == [None]
    pairs = tf.train.GradientDescentOptimizer(1.0).compute_gradients(a * 3)
    assert [gradient is None for gradient, _ in pairs] == [False, True]
    train = tf.train.GradientDescentOptimizer(1.0).apply_gradients(pairs)
    session.run(tf.global_variables_initializer())
    session.run(train)
    assert session.run([a, b]) == [-2, 2]
    with pytest.raises(ValueError, match="depends on none of the variables"):
        tf.train.AdamOptimizer().minimize(tf.constant(1.0))
    with pytest.raises(ValueError, match="no gradient"):
        tf.train.AdamOptimizer().apply_gradients([(None, a)])


def test_whole_numbers_and_stopped_paths_have_none(session: tf.Session) -> None:
    x = tf.Variable([1.0, 2.0])
    for y in (tf.argmax(x), tf.cast(x > 1, tf.float32), tf.stop_gradient(x), tf.one_hot(tf.cast(x, tf.int32), 3)):
        assert tf.gradients(y, x) == [None]


def test_stops(session: tf.Session) -> None:
    a = tf.constant(2.0)
    b = a * 5
    assert session.run(tf.gradients(a * a, a, stop_gradients=[a])) == [4]
    assert tf.gradients(tf.stop_gradient(a) * 3, a) == [None]
    assert session.run(tf.gradients(tf.stop_gradient(b) * a, a)) == [10]
    with pytest.raises(NotImplementedError, match=r"tf\.stop_gradient where it is made"):
        tf.gradients(a + b, a, stop_gradients=[b])


def test_labels_have_a_gradient_only_in_the_second_form(session: tf.Session) -> None:
    labels, logits = tf.Variable([[0.25, 0.75]]), tf.constant([[1.0, 2.0]])
    old = tf.nn.softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    new = tf.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits)
    assert tf.gradients(old, labels) == [None]
    found = session.run(tf.gradients(new, labels)[0], {labels: [[0.25, 0.75]]})
    np.testing.assert_allclose(found, [[1.3132616, 0.31326166]], rtol=1e-6)


def test_upstream_gradients_and_lists(session: tf.Session) -> None:
    x = tf.constant([1.0, 2.0])
    assert session.run(tf.gradients([x * x, 3 * x], x))[0].tolist() == [5, 7]
    assert session.run(tf.gradients(x * x, [x], grad_ys=[tf.constant([10.0, 0.0])]))[0].tolist() == [20, 0]


def test_gradients_of_gradients(session: tf.Session) -> None:
    x = tf.constant(2.0)
    first = tf.gradients(x**3, x)[0]
    second = tf.gradients(first, x)[0]
    assert session.run([first, second]) == [12, 12]


def test_rows_have_slices_whose_norm_counts_each(session: tf.Session) -> None:
    table = tf.Variable(np.ones((4, 2), "float32"))
    gradient = tf.gradients(tf.reduce_sum(tf.nn.embedding_lookup(table, [1, 1, 3])), table)[0]
    assert isinstance(gradient, tf.IndexedSlices)
    session.run(tf.global_variables_initializer())
    clipped, norm = tf.clip_by_global_norm([gradient], 1.0)
    assert session.run(norm) == pytest.approx(6**0.5)  # of the whole gradient it would be the root of 10
    found = session.run(gradient)
    assert found.indices.tolist() == [1, 1, 3]
    dense = session.run(tf.convert_to_tensor(clipped[0])) * 6**0.5
    np.testing.assert_allclose(dense, [[0, 0], [2, 2], [0, 0], [1, 1]], rtol=1e-6)


def test_a_table_that_is_used_whole_too_has_a_whole_gradient(session: tf.Session) -> None:
    table = tf.Variable(np.ones((2, 2), "float32"))
    loss = tf.reduce_sum(tf.nn.embedding_lookup(table, [1, 1])) + tf.reduce_sum(table)
    session.run(tf.global_variables_initializer())
    assert session.run(tf.gradients(loss, table)[0]).tolist() == [[1, 1], [3, 3]]


def test_a_variable_made_in_a_loop_has_a_gradient(session: tf.Session) -> None:
    def body(t: tf.Tensor, h: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return t + 1, h * tf.get_variable("a", [], initializer=tf.constant_initializer(2.0))

    _, h = tf.while_loop(lambda t, h: t < 3, body, [0, tf.constant(1.0)])
    session.run(tf.global_variables_initializer())
    assert session.run(tf.gradients(h, tf.trainable_variables())) == [12]
