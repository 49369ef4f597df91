"""Summaries: what TensorBoard's own reader finds in the files that a program writes."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from holdfast.errors import HoldfastWarning
from holdfast.tf1 import graph as tf

event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


@pytest.fixture(autouse=True)
def _own_graph() -> Any:
    with tf.Graph().as_default():
        yield


def read(folder: Path) -> Any:
    reader = event_accumulator.EventAccumulator(str(folder), size_guidance={"histograms": 0})
    reader.Reload()
    return reader


def test_tensorboards_reader_reads_numbers_histograms_pictures_and_the_graph(tmp_path: Path) -> None:
    x = tf.placeholder(tf.float32, [None, 3])
    with tf.name_scope("loss"):
        tf.summary.scalar("mse", tf.reduce_mean(tf.square(x)))
    tf.summary.histogram("values", x)
    tf.summary.image("picture", tf.reshape(x, [1, -1, 3, 1]))
    merged = tf.summary.merge_all()
    values = np.random.default_rng(0).standard_normal((3, 4, 3)).astype(np.float32)
    with tf.Session() as session, tf.summary.FileWriter(tmp_path / "train", session.graph) as writer:
        for step, value in enumerate(values):
            writer.add_summary(session.run(merged, {x: value}), step * 10)
    reader = read(tmp_path / "train")
    scalars = reader.Scalars("loss/mse")
    assert [event.step for event in scalars] == [0, 10, 20]
    np.testing.assert_allclose([event.value for event in scalars], np.square(values).mean((1, 2)), rtol=1e-6)
    histogram = reader.Histograms("values")[1].histogram_value
    assert histogram.num == 12
    assert histogram.sum == pytest.approx(values[1].sum(), rel=1e-6)
    assert (histogram.min, histogram.max) == (values[1].min(), values[1].max())
    assert sum(histogram.bucket) == 12
    picture = reader.Images("picture/image/0")[0]
    assert (picture.width, picture.height) == (3, 4)
    assert picture.encoded_image_string.startswith(b"\x89PNG")
    assert {node.name for node in reader.Graph().node} >= {"Placeholder", "loss/Mean", "picture"}


def test_values_that_are_not_finite_leave_a_histogram_of_the_others(tmp_path: Path) -> None:
    summary = tf.summary.histogram("values", tf.constant([np.nan, np.inf, 1.0, 2.0]))
    with tf.Session() as session, tf.summary.FileWriter(tmp_path) as writer:
        writer.add_summary(session.run(summary), 1)
    assert read(tmp_path).Histograms("values")[0].histogram_value.num == 2


def test_names_of_before_1_0(tmp_path: Path) -> None:
    tf.scalar_summary("loss", tf.constant(2.0))
    with tf.Session() as session:
        writer = tf.train.SummaryWriter(str(tmp_path), session.graph)
        writer.add_summary(session.run(tf.merge_all_summaries()), 4)
        writer.close()
    (event,) = read(tmp_path).Scalars("loss")
    assert (event.step, event.value) == (4, 2.0)


@pytest.mark.parametrize("name", ["graph", "graph_def"])
def test_the_graph_of_a_session_as_before_1_0(name: str, tmp_path: Path) -> None:
    total = tf.add(1, 2, name="total")
    with tf.Session() as session:
        writer = tf.train.SummaryWriter(tmp_path, **{name: session.graph_def})
        assert session.run(total) == 3
    writer.close()
    assert "total" in {node.name for node in read(tmp_path).Graph().node}


def test_a_summary_that_a_program_writes_itself(tmp_path: Path) -> None:
    summary = tf.Summary(value=[tf.Summary.Value(tag="loss", simple_value=np.float32(2.5))])
    summary.value.add(tag="score/accuracy", simple_value=0.75)
    with tf.summary.FileWriter(tmp_path) as writer:
        writer.add_summary(summary, 3)
        writer.add_summary(tf.Summary(), 4)
    found = read(tmp_path)
    for tag, value in (("loss", 2.5), ("score/accuracy", 0.75)):
        (event,) = found.Scalars(tag)
        assert (event.step, event.value) == (3, value)
    with pytest.raises(NotImplementedError, match="got histo; expected tag and simple_value"):
        tf.Summary.Value(tag="weights", histo=None)


def test_tags_have_tensorflows_letters(tmp_path: Path) -> None:
    for name in ("Cost Function", "/loss (train)", "a/b-c.d"):
        tf.summary.scalar(name, tf.constant(1.0))
    with tf.Session() as session, tf.summary.FileWriter(tmp_path) as writer:
        writer.add_summary(session.run(tf.summary.merge_all()), 1)
    assert sorted(read(tmp_path).Tags()["scalars"]) == ["Cost_Function", "a/b-c.d", "loss__train_"]


def test_a_graph_without_summaries_has_nothing_to_merge() -> None:
    assert tf.summary.merge_all() is None


def test_without_the_library_a_program_runs_and_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *args: Any, **options: Any) -> Any:
        if name.startswith("tensorboard"):
            raise ImportError(name)
        return original(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    summary = tf.summary.scalar("loss", tf.constant(2.0))
    with tf.Session() as session:
        with pytest.warns(HoldfastWarning, match="tensorboard is not installed"):
            writer = tf.summary.FileWriter(str(tmp_path / "logs"), session.graph)
        writer.add_summary(session.run(summary), 1)
        writer.flush()
        writer.close()
    assert not list(tmp_path.iterdir())
