"""Saver: checkpoints that TensorFlow reads, the files that stay, and what is wrong with a checkpoint."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.interop.tf1.checkpoint import Checkpoint
from holdfast.tf1 import graph as tf

TENSORFLOW = os.environ.get("HOLDFAST_TENSORFLOW")
needs_tensorflow = pytest.mark.skipif(
    not TENSORFLOW, reason="HOLDFAST_TENSORFLOW does not name a Python with TensorFlow 2, to compare with"
)


@pytest.fixture(autouse=True)
def _own_graph() -> Any:
    with tf.Graph().as_default():
        yield


def model() -> tuple[Any, Any]:
    """A variable of every dtype, and a training step with slots."""
    w = tf.get_variable("layer/w", [300, 40], initializer=tf.random_normal_initializer())
    tf.Variable(np.arange(5), name="numbers", trainable=False)
    tf.Variable(True, name="flag", trainable=False)
    tf.Variable(1.5, dtype=tf.float64, name="double", trainable=False)
    tf.Variable(np.zeros((0, 3), np.float32), name="empty", trainable=False)
    step = tf.Variable(0, dtype=tf.int64, name="global_step", trainable=False)
    return tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(tf.square(w)), global_step=step), step


def test_a_restored_session_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    train, step = model()
    saver = tf.train.Saver()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        path = saver.save(session, f"{tmp_path}/model.ckpt", global_step=step)
        session.run(train)
        expected = session.run(tf.global_variables())
    assert path == f"{tmp_path}/model.ckpt-1"
    with tf.Session() as session:
        saver.restore(session, tf.train.latest_checkpoint(str(tmp_path)))
        session.run(train)
        got = session.run(tf.global_variables())
    for one, other in zip(got, expected, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype


def test_our_own_reader_reads_what_is_written(tmp_path: Path) -> None:
    model()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver().save(session, f"{tmp_path}/m")
        values = {variable.op.name: session.run(variable) for variable in tf.global_variables()}
    checkpoint = Checkpoint(path)
    assert set(checkpoint) == set(values)
    for name, value in values.items():
        np.testing.assert_array_equal(checkpoint.read(name).numpy(), value)
    assert dict(tf.train.list_variables(path))["layer/w"] == [300, 40]
    reader = tf.train.NewCheckpointReader(path)
    assert reader.has_tensor("flag")
    assert not reader.has_tensor("other")
    np.testing.assert_array_equal(tf.train.load_variable(path, "numbers"), np.arange(5))


@pytest.mark.parametrize("number", [0, 1, 1000])
def test_tables_of_every_size_are_read(number: int, tmp_path: Path) -> None:
    variables = {f"scope_{k:04}/{'x' * (k % 90)}": tf.Variable(np.full(k % 7, k, np.float32)) for k in range(number)}
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver(variables, allow_empty=True).save(session, f"{tmp_path}/m")
    checkpoint = Checkpoint(path)
    assert sorted(checkpoint) == sorted(variables)
    assert all(checkpoint.read(name).tolist() == [float(name[6:10])] * (int(name[6:10]) % 7) for name in variables)


def test_only_the_last_checkpoints_stay(tmp_path: Path) -> None:
    w = tf.Variable(1.0)
    saver = tf.train.Saver(max_to_keep=2)
    with tf.Session() as session:
        session.run(w.initializer)
        other = tmp_path / "model-3.index.mine"
        other.write_text("a person's own file")
        for step in range(5):
            saver.save(session, f"{tmp_path}/model", global_step=step)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "checkpoint", "model-3.data-00000-of-00001", "model-3.index", "model-3.index.mine", "model-3.meta",
        "model-4.data-00000-of-00001", "model-4.index", "model-4.meta",
    ]  # fmt: skip
    state = tf.train.get_checkpoint_state(str(tmp_path))
    assert state.model_checkpoint_path == f"{tmp_path}/model-4"
    assert state.all_model_checkpoint_paths == [f"{tmp_path}/model-3", f"{tmp_path}/model-4"]
    assert saver.last_checkpoints == state.all_model_checkpoint_paths


def test_a_folder_of_checkpoints_may_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w = tf.Variable(3.0)
    (tmp_path / "before").mkdir()
    monkeypatch.chdir(tmp_path)
    with tf.Session() as session:
        session.run(w.initializer)
        tf.train.Saver().save(session, "before/model", global_step=7)
    Path("before").rename("after")
    assert tf.train.latest_checkpoint("after") == "after/model-7"
    with tf.Session() as session:
        tf.train.Saver().restore(session, tf.train.latest_checkpoint("after"))
        assert session.run(w) == 3
    assert tf.train.latest_checkpoint("before") is None


def test_some_variables_under_other_names(tmp_path: Path) -> None:
    one, other = tf.Variable(1.0, name="one"), tf.Variable(2.0, name="other")
    saver = tf.train.Saver({"stored": one})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        path = saver.save(session, f"{tmp_path}/m")
        assert list(Checkpoint(path)) == ["stored"]
    with tf.Session() as session:
        saver.restore(session, path)
        assert session.run(one) == 1
        with pytest.raises(tf.errors.FailedPreconditionError, match="other"):
            session.run(other)


def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.Session() as session:
        a, b = tf.Variable([1.0], name="a"), tf.Variable([1.0, 2.0], name="b")
        session.run(tf.global_variables_initializer())
        path = tf.train.Saver([a, b]).save(session, f"{tmp_path}/m")
    a, b = tf.Variable([5.0], name="a"), tf.Variable([5.0, 6.0, 7.0], name="b")
    saver, missing = tf.train.Saver([a, b]), tf.train.Saver({"a": a, "c": b})
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"shape \(2,\).*expected \(3,\)"):
            saver.restore(session, path)
        with pytest.raises(tf.errors.NotFoundError, match="no variable c"):
            missing.restore(session, path)
        assert session.run(a).tolist() == [5]


def test_what_cannot_be_saved_or_restored_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no variables"):
        tf.train.Saver()
    w = tf.Variable(1.0)
    saver = tf.train.Saver()
    with tf.Session() as session:
        with pytest.raises(tf.errors.FailedPreconditionError):
            saver.save(session, f"{tmp_path}/m")
        session.run(w.initializer)
        with pytest.raises(tf.errors.NotFoundError, match="no folder"):
            saver.save(session, f"{tmp_path}/missing/m")
        for nothing in (None, "", f"{tmp_path}/none"):
            with pytest.raises(ValueError, match="not a checkpoint"):
                saver.restore(session, nothing)
    assert not list(tmp_path.iterdir())


READ = """
import sys, numpy as np, tensorflow.compat.v1 as tf
reader = tf.train.NewCheckpointReader(sys.argv[1])
names = reader.get_variable_to_shape_map()
np.savez(sys.argv[2], **{name.replace("/", "|"): reader.get_tensor(name) for name in names})
"""
WRITE = """
import sys, tensorflow.compat.v1 as tf
tf.disable_eager_execution()
w = tf.get_variable("layer/w", initializer=[[1.0, 2.0]])
step = tf.Variable(7, dtype=tf.int64, name="global_step")
train = tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(w))
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run(train)
    tf.train.Saver().save(session, sys.argv[1], global_step=step)
"""


@needs_tensorflow
def test_tensorflow_reads_what_we_write(tmp_path: Path) -> None:
    train, _ = model()
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        session.run(train)
        path = tf.train.Saver().save(session, f"{tmp_path}/m")
        values = {variable.op.name: session.run(variable) for variable in tf.global_variables()}
    subprocess.run([TENSORFLOW, "-c", READ, path, f"{tmp_path}/read.npz"], check=True, capture_output=True)
    read = np.load(f"{tmp_path}/read.npz")
    assert {name.replace("|", "/") for name in read.files} == set(values)
    for name, value in values.items():
        np.testing.assert_array_equal(read[name.replace("/", "|")], value)


@needs_tensorflow
def test_we_restore_what_tensorflow_writes(tmp_path: Path) -> None:
    subprocess.run([TENSORFLOW, "-c", WRITE, f"{tmp_path}/m"], check=True, capture_output=True)
    w = tf.get_variable("layer/w", initializer=[[0.0, 0.0]])
    step = tf.Variable(0, dtype=tf.int64, name="global_step")
    optimizer = tf.train.AdamOptimizer(0.1)
    optimizer.minimize(tf.reduce_sum(w))
    with tf.Session() as session:
        tf.train.Saver().restore(session, tf.train.latest_checkpoint(str(tmp_path)))
        assert session.run(step) == 7
        np.testing.assert_allclose(session.run(w), [[0.9, 1.9]], rtol=1e-5)
        np.testing.assert_allclose(session.run(optimizer.get_slot(w, "m")), [[0.1, 0.1]], rtol=1e-5)
