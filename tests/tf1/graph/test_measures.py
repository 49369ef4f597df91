"""Averages over several runs."""

from __future__ import annotations

from holdfast.tf1 import graph as tf


def test_accuracy_takes_runs_in_until_it_begins_anew() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        labels, guesses = tf.placeholder(tf.int64, [None]), tf.placeholder(tf.int64, [None])
        value, update = tf.metrics.accuracy(labels, guesses)
        assert [v.op.name for v in tf.local_variables()] == ["accuracy/total", "accuracy/count"]
        assert tf.global_variables() == []
        session.run(tf.local_variables_initializer())
        assert session.run(value) == 0
        assert session.run(update, {labels: [1, 2], guesses: [1, 0]}) == 0.5
        assert session.run(update, {labels: [1, 2], guesses: [1, 2]}) == 0.75
        assert session.run(value) == 0.75
        session.run(tf.local_variables_initializer())
        assert session.run(update, {labels: [1], guesses: [1]}) == 1


def test_weights_precision_and_recall() -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        mean = tf.metrics.mean([1.0, 3.0], weights=[3.0, 1.0])[1]
        precision = tf.metrics.precision([1, 0, 1, 1], [1, 1, 0, 1])[1]
        recall = tf.metrics.recall([1, 0, 1, 1], [1, 1, 0, 0])[1]
        root = tf.metrics.root_mean_squared_error([1.0, 2.0], [1.0, 4.0])[1]
        session.run(tf.local_variables_initializer())
        found = session.run([mean, precision, recall, root])
        assert [round(float(each), 5) for each in found] == [1.5, 0.66667, 0.33333, 1.41421]
