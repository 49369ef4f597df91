from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from holdfast.tf1 import graph as tf


@pytest.fixture
def session() -> Iterator[tf.Session]:
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def test_summaries(session: tf.Session, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tf.scalar_summary("loss", 2.0)
    tf.scalar_summary(tags="rate", values=tf.constant(0.5))
    tf.scalar_summary(["a", "b"], tf.constant([3.0, 4.0]), name="both")
    tf.scalar_summary(["one"], tf.constant(5.0))
    tf.histogram_summary(tag="weights", values=tf.constant([1.0, 2.0]))
    tf.image_summary(tag="picture", tensor=tf.zeros([4, 2, 3, 1]), max_images=2)
    writer = tf.train.SummaryWriter(tmp_path)
    writer.add_summary(session.run(tf.merge_all_summaries()), 1)
    writer.close()
    reader = accumulator.EventAccumulator(str(tmp_path))
    reader.Reload()
    found = {tag: reader.Scalars(tag)[0].value for tag in reader.Tags()["scalars"]}
    assert found == {"loss": 2.0, "rate": 0.5, "a": 3.0, "b": 4.0, "one": 5.0}
    assert reader.Histograms("weights")[0].histogram_value.num == 2
    assert len(reader.Tags()["images"]) == 2


def test_select_and_reverse(session: tf.Session) -> None:
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    chosen = tf.select(condition=x > 2, t=x, e=-x)
    turned = tf.reverse(x, dims=[False, True]), tf.reverse(x, [True, False]), tf.reverse(x, axis=[1])
    values = session.run([chosen, *turned])
    np.testing.assert_array_equal(values[0], [[-1, -2], [3, 4]])
    np.testing.assert_array_equal(values[1], [[2, 1], [4, 3]])
    np.testing.assert_array_equal(values[2], [[3, 4], [1, 2]])
    np.testing.assert_array_equal(values[3], values[1])
