"""Runs in a session of their own."""

from __future__ import annotations

from pathlib import Path

from holdfast.tf1 import graph as tf


def test_runs_begin_with_the_initial_values_or_a_checkpoint(tmp_path: Path) -> None:
    with tf.Graph().as_default():
        w = tf.Variable(1.0)
        x = tf.placeholder(tf.float32)
        outputs = {"w": w, "next": w.assign_add(x)}
        found = tf.contrib.learn.run_n(outputs, {x: 2.0}, n=2)
        assert [each["next"] for each in found] == [3, 5]
        with tf.Session() as session:
            session.run(w.assign(10.0))
            path = tf.train.Saver().save(session, str(tmp_path / "model"))
        assert tf.contrib.learn.run_n(outputs, {x: 2.0}, path)[0]["next"] == 12
